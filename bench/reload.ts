import { mkdtemp, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { quantile, sendLoad } from './load.js'
import { MeasuredProcess } from './measured-process.js'
import { CheckConnection } from './raw-load.js'
import { least, lines, machineLine, median, FEW_ROUNDS, spread, table } from './report.js'
import { prepareScene } from './scene.js'
import { keepPace, type SteadyResult } from './steady-load.js'

const RATE = Number(process.env['BENCH_RELOAD_RATE'] ?? 500)
const CONNECTIONS = 4
const CREDENTIALS = 60
const WARMING = 15_000
const QUIET_MS = 4000
/** After a reload, until a window counts as quiet again; the reload's own window has it. */
const AFTER_MS = 500
const MOST_RELOAD_MS = 60_000
const LOOK_MS = 20

/** On the clock of `performance.now`. */
type Window = { readonly fromMs: number; readonly untilMs: number }
type Figures = { readonly p50Ms: number; readonly p99Ms: number; readonly maxMs: number }

/** Known callers at a steady rate while the policy is replaced, again and again. Throws when one is not allowed. */
export async function measureReload(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'portcullis-bench-'))
  let server: MeasuredProcess | undefined
  try {
    const scene = await prepareScene(folder)
    server = await MeasuredProcess.start('portcullis-server.ts', [join(folder, 'portcullis-watched.yaml')])
    const { health = '', address } = server
    const known = [
      ...(await scene.freshUserTokens(CREDENTIALS)),
      ...(await scene.freshCertificates(CREDENTIALS)),
    ]
    await sendLoad(address, WARMING, 32, (at) => known[at % known.length] ?? Buffer.alloc(0))
    const connections = await Promise.all(
      Array.from({ length: CONNECTIONS }, () => CheckConnection.open(address)),
    )
    const policy = await readPolicy(join(folder, 'policy'))
    const rssBefore = (await server.usage()).rssBytes
    let done = false
    const most = Math.ceil((FEW_ROUNDS * (QUIET_MS + AFTER_MS + MOST_RELOAD_MS) * RATE) / 1000)
    const load = keepPace(connections, known, most, RATE, () => done)
    const quiet: Window[] = []
    const reloads: Window[] = []
    const tookMs: number[] = []
    try {
      for (let round = 0; round < FEW_ROUNDS; round++) {
        quiet.push(await during(() => sleep(QUIET_MS)))
        const before = await revisionAt(health)
        const reload = await during(async () => {
          const startedMs = performance.now()
          await replacePolicy(join(folder, 'policy'), policy, round)
          await untilOther(health, before)
          tookMs.push(performance.now() - startedMs)
          await sleep(AFTER_MS)
        })
        reloads.push(reload)
      }
    } finally {
      done = true
    }
    const result = await load
    const { sent, allowed, refused, failed } = result
    if (allowed !== sent) throw new Error(`of ${sent} calls ${refused} were refused and ${failed} failed`)
    const rssAfter = (await server.usage()).rssBytes
    return describe(
      server.node,
      sent,
      tookMs,
      quiet.map((window) => figuresOf(result, window)),
      reloads.map((window) => figuresOf(result, window)),
      [rssBefore, rssAfter],
      scene.edges,
    )
  } finally {
    await server?.stop()
    await rm(folder, { recursive: true, force: true })
  }
}

async function during(work: () => Promise<unknown>): Promise<Window> {
  const fromMs = performance.now()
  await work()
  return { fromMs, untilMs: performance.now() }
}

/** Of the calls that were due in a window. */
function figuresOf({ startedMs, latenciesMs }: SteadyResult, { fromMs, untilMs }: Window): Figures {
  const at = (ms: number): number => Math.max(0, Math.ceil(((ms - startedMs) * RATE) / 1000))
  const sorted = latenciesMs.slice(at(fromMs), at(untilMs)).toSorted()
  return { p50Ms: quantile(sorted, 0.5), p99Ms: quantile(sorted, 0.99), maxMs: sorted.at(-1) ?? Number.NaN }
}

async function readPolicy(folder: string): Promise<ReadonlyMap<string, string>> {
  const files = (await readdir(folder)).toSorted()
  return new Map(
    await Promise.all(files.map(async (name) => [name, await readFile(join(folder, name), 'utf8')] as const)),
  )
}

/** Every file in place, by rename, as a deployment does. All of them are new text; what they say is the same. */
async function replacePolicy(
  folder: string,
  policy: ReadonlyMap<string, string>,
  round: number,
): Promise<void> {
  const staged = await mkdtemp(join(folder, '..', 'staged-'))
  for (const [name, text] of policy) {
    await writeFile(join(staged, name), `# ${round}\n${text}`)
  }
  for (const name of policy.keys()) await rename(join(staged, name), join(folder, name))
}

async function revisionAt(health: string): Promise<string> {
  const response = await fetch(`http://${health}/readyz`)
  const { revision } = (await response.json()) as { readonly revision?: unknown }
  if (typeof revision !== 'string') throw new Error('/readyz tells no revision')
  return revision
}

async function untilOther(health: string, before: string): Promise<void> {
  const startedMs = performance.now()
  while ((await revisionAt(health)) === before) {
    if (performance.now() - startedMs > MOST_RELOAD_MS) throw new Error('the new policy never came in force')
    await sleep(LOOK_MS)
  }
}

function describe(
  node: string,
  sent: number,
  tookMs: readonly number[],
  quiet: readonly Figures[],
  reloads: readonly Figures[],
  [rssBefore = Number.NaN, rssAfter = Number.NaN]: readonly number[],
  edges: number,
): string {
  const row = (name: string, windows: readonly Figures[]): readonly string[] => {
    const p99 = windows.map(({ p99Ms }) => p99Ms)
    const max = windows.map(({ maxMs }) => maxMs)
    return [
      name,
      median(windows.map(({ p50Ms }) => p50Ms)).toFixed(2),
      least(p99).toFixed(2),
      median(p99).toFixed(2),
      Math.max(...max).toFixed(1),
    ]
  }
  const added = (pick: (values: readonly number[]) => number): string =>
    (pick(reloads.map(({ p99Ms }) => p99Ms)) - pick(quiet.map(({ p99Ms }) => p99Ms))).toFixed(2)
  return lines(
    '## Reload under load',
    `${machineLine(`${reloads.length} reloads`, node)} A policy of ${edges} edges, every file of it replaced by rename, ` +
      `while known callers send ${RATE} calls a second over ${CONNECTIONS} connections; windows without a reload between ` +
      'them. Latencies from when a call was due, by a clock that ticks once a millisecond; the senders and the ' +
      'writing of files share the cores.',
    table(
      ['', 'p50 ms', 'p99 ms, quietest', 'p99 ms, median', 'longest ms'],
      [row('no reload', quiet), row('reload', reloads)],
    ),
    `All ${sent} calls were answered and allowed; none failed. A reload adds ${added(median)} ms to p99 in the median ` +
      `windows, ${added(least)} ms in the quietest (aim: less than 5). From the first rename until the new policy is in ` +
      `force: ${spread(
        tookMs.map((ms) => ms / 1000),
        1,
      )} s. RSS before and after: ${(rssBefore / 2 ** 20).toFixed(0)} and ${(rssAfter / 2 ** 20).toFixed(0)} MiB.`,
  )
}
