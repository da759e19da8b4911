/** Several workers beside one: `node --import ./test/support/ts.js bench/workers.ts` measures this section alone. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { availableParallelism, tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { lines, machineLine, median, ROUNDS, roundsText, spread, table } from './report.js'
import { prepareScene } from './scene.js'
import { SERVER_NODE } from './measured-process.js'
import type { WorkersLoad } from './workers-load.js'

const PROGRAM = fileURLToPath(new URL('../dist/cli/portcullis.js', import.meta.url))
const LOAD = fileURLToPath(new URL('workers-load.ts', import.meta.url))
const TS = fileURLToPath(new URL('../test/support/ts.js', import.meta.url))
const MESH = { services: 1000, edges: 10_000, rules: 1 }
/** As some Envoys have with the same server. */
const CONNECTIONS = 8
const IN_FLIGHT = 8
const CALLS = Number(process.env['BENCH_WORKER_CALLS'] ?? 60_000)
const WARMING = 20_000
/** Of /proc/PID/stat; the same on every Linux that Node.js runs on. */
const TICKS_A_SECOND = 100

type Serving = { readonly address: string; readonly pids: readonly number[]; stop(): Promise<void> }
/** CPU is microseconds a call. */
type Round = {
  readonly callsASecond: number
  readonly serverUs: number
  readonly supervisorUs: number
  readonly loadUs: number
  readonly p99Ms: number
}

/** What workers bring on the cores of this machine, which the load generator needs too. */
export async function measureWorkers(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'portcullis-bench-workers-'))
  try {
    const scene = await prepareScene(folder, MESH)
    const message = join(folder, 'message')
    await writeFile(message, scene.withoutServiceToken)
    const rounds = new Map<number, Round[]>([
      [1, []],
      [2, []],
    ])
    const serving = new Map<number, Serving>()
    try {
      for (const workers of rounds.keys()) {
        serving.set(
          workers,
          await serve(join(folder, 'portcullis.yaml'), workers, join(folder, `store-${workers}`)),
        )
      }
      for (let round = 0; round < ROUNDS; round++) {
        for (const [workers, server] of serving) rounds.get(workers)?.push(await measure(server, message))
      }
    } finally {
      for (const server of serving.values()) await server.stop()
    }
    return report(rounds)
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

async function measure(server: Serving, message: string): Promise<Round> {
  await load(server.address, message, WARMING)
  const before = server.pids.map(cpuUsOf)
  const result = await load(server.address, message, CALLS)
  const [supervisor = 0, ...all] = server.pids.map((pid, at) => cpuUsOf(pid) - (before[at] ?? 0))
  if (result.allowed !== CALLS) throw new Error(`${CALLS - result.allowed} calls were not allowed`)
  return {
    callsASecond: (CALLS / result.wallMs) * 1000,
    serverUs: (supervisor + all.reduce((sum, each) => sum + each, 0)) / CALLS,
    supervisorUs: all.length === 0 ? 0 : supervisor / CALLS,
    loadUs: result.cpuUs / CALLS,
    p99Ms: result.p99Ms,
  }
}

function report(rounds: ReadonlyMap<number, readonly Round[]>): string {
  const of = (workers: number, read: (round: Round) => number): readonly number[] =>
    (rounds.get(workers) ?? []).map(read)
  const cells = (workers: number): string[] => [
    `${workers}`,
    `${Math.round(median(of(workers, ({ callsASecond }) => callsASecond)))}`,
    median(of(workers, ({ serverUs }) => serverUs)).toFixed(0),
    median(of(workers, ({ supervisorUs }) => supervisorUs)).toFixed(1),
    median(of(workers, ({ loadUs }) => loadUs)).toFixed(0),
    median(of(workers, ({ p99Ms }) => p99Ms)).toFixed(1),
  ]
  const gains = of(1, ({ callsASecond }) => callsASecond).map(
    (one, at) => (of(2, ({ callsASecond }) => callsASecond)[at] ?? Number.NaN) / one,
  )
  const cores = availableParallelism()
  const [one, two] = [1, 2].map((workers) => ({
    server: median(of(workers, ({ serverUs }) => serverUs)),
    load: median(of(workers, ({ loadUs }) => loadUs)),
  }))
  // One worker fills a core while the load has others; of two workers and their load all cores are full.
  const bound =
    one && two ? (Math.min(2, cores * (two.server / (two.server + two.load))) * one.server) / two.server : 0
  return lines(
    '## Workers',
    machineLine(
      `${CALLS} calls a round over ${CONNECTIONS} connections with ${IN_FLIGHT} in flight on each, from a process of ` +
        `its own; medians of ${roundsText()}, 1 and 2 workers in turns. A full decision without a service token in a ` +
        `mesh of ${MESH.services} services and ${MESH.edges} edges, events to standard output`,
    ),
    table(
      ['Workers', 'Calls a second', 'CPU µs a call', 'of it supervisor', 'CPU µs of the load', 'p99 ms'],
      [cells(1), cells(2)],
    ),
    `Two workers answer ${spread(gains, 2)} times the calls of one. The load shares the ` +
      `${cores} cores: with what a call costs it and the workers here, ${bound.toFixed(2)} times is the most that ` +
      'could be seen.',
  )
}

/** A whole `portcullis serve`, as it is installed. */
async function serve(configuration: string, workers: number, store: string): Promise<Serving> {
  const args = [
    'serve',
    '--config',
    configuration,
    '--workers',
    String(workers),
    '--set',
    `store.directory=${store}`,
  ]
  // Standard output is a pipe that another process empties, as a container runtime does.
  const reader = spawn('cat', { stdio: ['pipe', 'ignore', 'inherit'] })
  const child = spawn(SERVER_NODE, [PROGRAM, ...args], { stdio: ['ignore', reader.stdin, 'pipe'] })
  const exit = once(child, 'exit')
  const address = await addressOf(child, workers)
  const pid = child.pid ?? 0
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ').filter(Boolean)
  return {
    address,
    pids: [pid, ...children.map(Number)],
    stop: async () => {
      child.kill('SIGTERM')
      await exit
      reader.stdin.end()
    },
  }
}

async function addressOf(child: ChildProcess, workers: number): Promise<string> {
  const component = workers === 1 ? '"server"' : '"workers"'
  const said: string[] = []
  if (!child.stderr) throw new Error('no log to read')
  for await (const line of createInterface({ input: child.stderr })) {
    said.push(line)
    const [, address] = /"listeners":\["mesh ([^"]+)"/.exec(line) ?? []
    if (address === undefined || !line.includes(component)) continue
    child.stderr.resume()
    return address
  }
  throw new Error(`it did not start: ${said.join('\n')}`)
}

async function load(address: string, message: string, calls: number): Promise<WorkersLoad> {
  const args = ['--import', TS, LOAD, address, message, `${calls}`, `${CONNECTIONS}`, `${IN_FLIGHT}`]
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] })
  const chunks: Buffer[] = []
  child.stdout.on('data', (chunk: Buffer) => chunks.push(chunk))
  const [code] = (await once(child, 'close')) as [number | null]
  if (code !== 0) throw new Error(`the load ended with ${code}`)
  return JSON.parse(Buffer.concat(chunks).toString()) as WorkersLoad
}

/** User and system, microseconds, since the process began. Source: proc(5). */
function cpuUsOf(pid: number): number {
  const text = readFileSync(`/proc/${pid}/stat`, 'utf8')
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
  return ((Number(fields[11]) + Number(fields[12])) / TICKS_A_SECOND) * 1e6
}

if (process.argv[1] === fileURLToPath(import.meta.url)) process.stdout.write(await measureWorkers())
