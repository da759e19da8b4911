import { execFile } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { sendLoad } from './load.js'
import { measureLoad, warmUp } from './measured-load.js'
import { MeasuredProcess } from './measured-process.js'
import { lines, machineLine, median, FEW_ROUNDS, roundsText, spread, table } from './report.js'
import { prepareScene } from './scene.js'
import { sendSteadily } from './steady-load.js'

const MAJORS = [20, 22, 24]
const SETUP_NODE = fileURLToPath(new URL('../scripts/setup-node.sh', import.meta.url))
const INSTALL_MS = 120_000
const IN_FLIGHT = 32
const CALLS = 8000
const WARMING = 2000
const ALONE_RATE = 2000
const ALONE_CALLS = 2000

type Version = { readonly name: string; readonly floor: MeasuredProcess; readonly full: MeasuredProcess }
type Round = {
  readonly floorUs: number
  readonly fullUs: number
  readonly aloneUs: number
  readonly p99Ms: number
  readonly rssBytes: number
}

/** The same servers on several versions of Node.js, in one run. */
export async function measureNodeVersions(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'portcullis-bench-'))
  const servers: MeasuredProcess[] = []
  try {
    const { known, withAuditLog } = await prepareScene(folder)
    const start = async (script: string, args: readonly string[], node: string): Promise<MeasuredProcess> => {
      const server = await MeasuredProcess.start(script, args, node)
      servers.push(server)
      await warmUp(server, known)
      return server
    }
    const missing: number[] = []
    const versions: Version[] = []
    for (const major of MAJORS) {
      const node = await nodeOf(major)
      if (node === undefined) {
        missing.push(major)
        continue
      }
      const configuration = await withAuditLog(`node-${major}`)
      const full = await start('portcullis-server.ts', [configuration, '--repeatable-tokens'], node)
      const floor = await start('noop-server.ts', [], node)
      versions.push({ name: full.node, floor, full })
    }
    const results = new Map<Version, Round[]>(versions.map((version) => [version, []]))
    for (let round = 0; round < FEW_ROUNDS; round++) {
      for (const version of round % 2 === 0 ? versions : versions.toReversed()) {
        results.get(version)?.push(await measure(version, known))
      }
    }
    return describe(results, missing)
  } finally {
    for (const server of servers) await server.stop()
    await rm(folder, { recursive: true, force: true })
  }
}

async function measure({ floor, full }: Version, known: Buffer): Promise<Round> {
  const many = async (
    server: MeasuredProcess,
  ): ReturnType<typeof measureLoad<Awaited<ReturnType<typeof sendLoad>>>> => {
    await sendLoad(server.address, WARMING, IN_FLIGHT, () => known)
    return measureLoad(server, CALLS, (address) => sendLoad(address, CALLS, IN_FLIGHT, () => known))
  }
  const noop = await many(floor)
  const decided = await many(full)
  const alone = await measureLoad(full, ALONE_CALLS, (address) =>
    sendSteadily(address, [known], ALONE_CALLS, ALONE_RATE),
  )
  return {
    floorUs: noop.cpuUs,
    fullUs: decided.cpuUs,
    aloneUs: alone.cpuUs,
    p99Ms: decided.load.p99Ms,
    rssBytes: decided.rssBytes,
  }
}

/** The binary of a version: the bench's own, or that of scripts/setup-node.sh; undefined where it can't be had. */
async function nodeOf(major: number): Promise<string | undefined> {
  if (process.versions.node.startsWith(`${major}.`)) return process.execPath
  try {
    const { stdout } = await promisify(execFile)(SETUP_NODE, [String(major)], { timeout: INSTALL_MS })
    return join(stdout.trim(), 'node')
  } catch (error) {
    process.stderr.write(`node ${major}: ${String(error)}\n`)
    return undefined
  }
}

function describe(results: ReadonlyMap<Version, readonly Round[]>, missing: readonly number[]): string {
  const rows = [...results].map(([{ name }, rounds]) => [
    name,
    spread(
      rounds.map(({ floorUs }) => floorUs),
      1,
    ),
    spread(
      rounds.map(({ fullUs }) => fullUs),
      1,
    ),
    median(rounds.map(({ fullUs, floorUs }) => fullUs / floorUs)).toFixed(2),
    spread(
      rounds.map(({ aloneUs }) => aloneUs),
      1,
    ),
    median(rounds.map(({ p99Ms }) => p99Ms)).toFixed(2),
    (median(rounds.map(({ rssBytes }) => rssBytes)) / 2 ** 20).toFixed(0),
  ])
  return lines(
    '## Node versions',
    `${machineLine(roundsText(FEW_ROUNDS), 'as in the table')} The floor and the full decision of the first table, each version ` +
      `in turn; ${IN_FLIGHT} calls in flight, and alone: ${ALONE_RATE} calls a second.`,
    table(['node', 'floor, µs', 'full decision, µs', 'ratio', 'alone, µs', 'p99 ms', 'RSS MiB'], rows),
    ...(missing.length === 0 ? [] : [`Not found here: Node.js ${missing.join(', ')}.`]),
  )
}
