import { type ChildProcess, fork } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { FloodOrder, FloodReport } from './flood-sender.js'
import { MeasuredProcess } from './measured-process.js'
import { least, lines, machineLine, median, table } from './report.js'
import { prepareScene } from './scene.js'
import { sendSteadily, type SteadyResult } from './steady-load.js'

/** Bad calls in all. 100000 is what Portcullis must stand; the bench sends fewer, to be done in time. */
const BAD_CALLS = Number(process.env['BENCH_FLOOD'] ?? 20_000)
/** A second. Together they keep less than a whole core busy, so what is measured is not a queue without end. */
const BAD_RATE = Number(process.env['BENCH_FLOOD_RATE'] ?? 1000)
const KNOWN_RATE = 500
/** Windows of each kind take turns, so that a machine that is busy with something else is busy in all. */
const WINDOWS = 6
const KNOWN_CREDENTIALS = 60

type Window = { readonly known: SteadyResult; readonly cpuShare: number; readonly rssBytes: number }

/** Known callers beside a flood of bad credentials. Throws when a known caller is refused or a bad call allowed. */
export async function measureFlood(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'portcullis-bench-'))
  let server: MeasuredProcess | undefined
  try {
    const scene = await prepareScene(folder)
    server = await MeasuredProcess.start('portcullis-server.ts', [join(folder, 'portcullis.yaml')])
    const known = [
      ...(await scene.freshUserTokens(KNOWN_CREDENTIALS)),
      ...(await scene.freshCertificates(KNOWN_CREDENTIALS)),
    ]
    const calls = Math.ceil(BAD_CALLS / WINDOWS)
    const seconds = calls / BAD_RATE
    // Compilers and caches are warm before anything is measured.
    await steady(server, known, 8)
    const before = await server.usage()
    const quiet: Window[] = []
    const loaded: Window[] = []
    const flooded: Window[] = []
    for (let window = 0; window < WINDOWS; window++) {
      quiet.push(await steady(server, known, seconds))
      const order = { address: server.address, seed: scene.flood, total: calls, perSecond: BAD_RATE }
      loaded.push(await beside(server, known, seconds, { ...order, spoilt: false }))
      flooded.push(await beside(server, known, seconds, { ...order, spoilt: true }))
    }
    return describe(server.node, quiet, loaded, flooded, before.rssBytes, calls * WINDOWS)
  } finally {
    await server?.stop()
    await rm(folder, { recursive: true, force: true })
  }
}

async function steady(
  server: MeasuredProcess,
  messages: readonly Buffer[],
  seconds: number,
): Promise<Window> {
  const before = await server.usage()
  const startedMs = performance.now()
  const known = await sendSteadily(server.address, messages, Math.ceil(seconds * KNOWN_RATE), KNOWN_RATE)
  const wallUs = (performance.now() - startedMs) * 1000
  const after = await server.usage()
  if (known.allowed !== known.sent)
    throw new Error(`${known.sent - known.allowed} known callers were not allowed`)
  return { known, cpuShare: (after.cpuUs - before.cpuUs) / wallUs, rssBytes: after.rssBytes }
}

/** Known callers while another process sends what it was ordered to. */
async function beside(
  server: MeasuredProcess,
  known: readonly Buffer[],
  seconds: number,
  order: FloodOrder,
): Promise<Window> {
  const flood = await Flood.prepare(order)
  const [window, { allowed, refused, failed }] = await Promise.all([
    steady(server, known, seconds),
    flood.run(),
  ])
  const wrong = failed + (order.spoilt ? allowed : refused)
  if (wrong > 0) throw new Error(`${wrong} calls of the other process got a wrong answer`)
  return window
}

/** The flood in a process of its own. */
class Flood {
  readonly #child: ChildProcess

  private constructor(child: ChildProcess) {
    this.#child = child
  }

  static async prepare(order: FloodOrder): Promise<Flood> {
    const child = fork(fileURLToPath(new URL('flood-sender.ts', import.meta.url)), [], {
      execArgv: ['--import', fileURLToPath(new URL('../test/support/ts.js', import.meta.url))],
    })
    const ready = answer(child)
    child.send(order)
    await ready
    return new Flood(child)
  }

  async run(): Promise<Exclude<FloodReport, 'ready'>> {
    const done = answer(this.#child)
    this.#child.send('go')
    const report = await done
    if (report === 'ready') throw new Error('the flood was ready twice')
    return report
  }
}

function answer(child: ChildProcess): Promise<FloodReport> {
  return new Promise((resolve, reject) => {
    const ended = (code: number | null): void => reject(new Error(`the flooding process ended with ${code}`))
    child.once('exit', ended)
    child.once('message', (message) => {
      child.off('exit', ended)
      resolve(message as FloodReport)
    })
  })
}

function describe(
  node: string,
  quiet: readonly Window[],
  loaded: readonly Window[],
  flooded: readonly Window[],
  rssBefore: number,
  badCalls: number,
): string {
  const row = (name: string, windows: readonly Window[]): readonly string[] => {
    const p99 = quantiles(windows, 0.99)
    const cpu = (median(windows.map(({ cpuShare }) => cpuShare)) * 100).toFixed(0)
    const rss = ((windows.at(-1)?.rssBytes ?? Number.NaN) / 2 ** 20).toFixed(0)
    const p50 = median(quantiles(windows, 0.5)).toFixed(2)
    return [name, p50, least(p99).toFixed(2), median(p99).toFixed(2), cpu, rss]
  }
  const ratio = (pick: (values: readonly number[]) => number, others: readonly Window[]): string =>
    (pick(quantiles(flooded, 0.99)) / pick(quantiles(others, 0.99))).toFixed(2)
  return lines(
    '## Known callers beside a flood of bad credentials',
    `${machineLine(`${WINDOWS} windows of each kind in turn`, node)} ${KNOWN_RATE} calls a second of callers whose ` +
      'certificates and user tokens were seen before. Beside them, from another process over a connection of its own, ' +
      `nothing, then ${BAD_RATE} good calls a second, then as many bad ones, ${badCalls} in all and all different: a ` +
      'sixth each of user tokens with a wrong signature, of an unknown issuer and of no form, service tokens with a ' +
      'wrong signature, certificates with a wrong signature and of an unknown issuer. Latencies from when a call was ' +
      'due, by a clock that ticks once a millisecond. Every known caller was allowed, every bad call refused. All of it ' +
      'shares the cores with the senders: the quietest window says most of the server, the median window most of the ' +
      'machine.',
    table(
      [
        'beside known callers',
        'p50 ms',
        'p99 ms, quietest',
        'p99 ms, median',
        'CPU % of a core',
        'RSS MiB after',
      ],
      [row('nothing', quiet), row('as many good calls', loaded), row('the flood', flooded)],
    ),
    `p99 beside the flood is ${ratio(least, quiet)} times that beside nothing in the quietest windows ` +
      `(${ratio(median, quiet)} in the median ones), and ${ratio(least, loaded)} times (${ratio(median, loaded)}) that ` +
      `beside good calls. RSS before the first bad call: ${(rssBefore / 2 ** 20).toFixed(0)} MiB.`,
  )
}

/** Of each window. */
function quantiles(windows: readonly Window[], quantile: number): number[] {
  return windows.map(
    ({ known }) => known.latenciesMs.toSorted()[Math.floor(known.sent * quantile)] ?? Number.NaN,
  )
}
