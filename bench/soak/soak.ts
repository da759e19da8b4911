import { mkdir, rm, writeFile } from 'node:fs/promises'
import { cpus } from 'node:os'
import { join, resolve } from 'node:path'
import { generator } from '../../test/support/naive-mesh.js'
import { CALL_KINDS } from './calls.js'
import { Changes } from './changes.js'
import { trendRows } from './findings.js'
import { sendMixed, type Wrong } from './load.js'
import type { SoakOptions } from './options.js'
import { Recorder } from './recorder.js'
import { NO_ANSWER } from './reference.js'
import { charts, type Happened, type Outcome, reportPage } from './report.js'
import { schedule } from './schedule.js'
import { setStage, type Stage } from './stage.js'
import { type Stall, Witness } from './witness.js'

const SAMPLE_EVERY_MS = 1000
/** A collection takes tens of milliseconds, so it is asked for in few of the samples only. */
const LIVE_EVERY = 15
/** Wrong answers that are written down; beyond that they are counted. */
const MOST_WRITTEN = 200
const SHOWN = 50
const WARM_UP_ROUNDS = 10
/** Events are written behind the answers. */
const WRITTEN_WITHIN_MS = 2000

export type SoakResult = {
  readonly failures: readonly string[]
  readonly checks: number
  readonly wrong: number
  readonly happened: readonly Happened[]
  readonly report: string
}

/** Runs it all and writes the report. */
export async function soak(options: SoakOptions, say: (line: string) => void): Promise<SoakResult> {
  const { durationMs, seed, rate } = options
  const out = resolve(options.out)
  await rm(join(out, 'wrong'), { recursive: true, force: true })
  await mkdir(join(out, 'wrong'), { recursive: true })
  const stage = await setStage(options.dist)
  await warmUp(stage)
  const startedMs = performance.now()
  const now = (): number => performance.now() - startedMs
  const recorder = new Recorder(durationMs)
  const failures: string[] = []
  const happened: Happened[] = []
  const wrong: Wrong[] = []
  const verdicts = new Map<string, number>()
  const writing: Promise<void>[] = []
  const onWrong = (one: Wrong): void => {
    const count = [...verdicts.values()].reduce((sum, each) => sum + each, 0)
    verdicts.set(one.verdict, (verdicts.get(one.verdict) ?? 0) + 1)
    if (count < SHOWN) wrong.push(one)
    if (count < MOST_WRITTEN) writing.push(writeWrong(join(out, 'wrong', `${count + 1}.json`), one))
    if (count < 10) say(`wrong: ${describe(one)}`)
  }
  const { storeAway, stalled } = stage.world.surroundings
  const witness = new Witness({
    redisPort: stage.redis.servers[0]?.port ?? 0,
    pid: stage.server.pid,
    now,
    stalled,
    isStoreAway: () => storeAway.latest,
  })
  const beforeJudging = (): void => witness.look()
  const stopSampling = sample(stage, now, recorder, say)
  let exitCode: number | null
  try {
    await Promise.all([
      sendMixed(
        { world: stage.world, clients: stage.clients, recorder, seed, now, beforeJudging, onWrong },
        rate,
        durationMs,
      ),
      happen(stage, options, now, happened),
    ])
    await new Promise((resolved) => setTimeout(resolved, WRITTEN_WITHIN_MS))
  } finally {
    witness.close()
    await stopSampling()
    exitCode = await stage.close()
  }
  await Promise.all(writing)

  for (const [verdict, count] of verdicts) failures.push(`${count} answers: ${verdict}`)
  for (const { kind, problem } of happened) if (problem !== undefined) failures.push(`${kind}: ${problem}`)
  if (exitCode !== 0) failures.push(`the server ended with ${exitCode}`)
  const recorded = stage.server.events.get('authorization') ?? 0
  // Calls that are shed within one second share one event; whether one without an answer was decided nobody knows.
  const due = recorder.checks - recorder.countOf('overloaded') - recorder.countOf(NO_ANSWER)
  if (recorded < due) failures.push(`${due} answers must have an event each, and ${recorded} were recorded`)
  const bugs = stage.server.log.filter((line) => /a decision failed|internal-error/.test(line))
  if (bugs.length > 0) failures.push(`${bugs.length} bugs in the log: ${bugs[0]}`)
  const summaries = recorder.summaries()
  const trends = trendRows(summaries, durationMs)
  for (const { name, before, after, isFlat, isJudged } of trends) {
    if (isJudged && !isFlat) failures.push(`${name} grows: ${before.toFixed(1)} to ${after.toFixed(1)}`)
  }
  const command = `make soak ARGS="--seconds ${durationMs / 1000} --seed ${seed} --rate ${rate}"`
  const about = aboutOf(options, recorder, happened, witness.stalls, stage)
  const stalls = witness.stalls.map(({ fromMs, untilMs }): Happened => ({
    kind: 'machine stalls',
    fromMs,
    untilMs,
  }))
  const all = [...happened, ...stalls].toSorted((a, b) => a.fromMs - b.fromMs)
  const outcome: Outcome = { command, about, failures, summaries, recorder, trends, happened: all, wrong }
  await writeReport(out, outcome, stage.server.log)
  const total = [...verdicts.values()].reduce((sum, each) => sum + each, 0)
  return { failures, checks: recorder.checks, wrong: total, happened, report: join(out, 'report.html') }
}

/** Every kind of call a few times, so that the first ones that count don't wait for compilers and handshakes. */
async function warmUp({ world, clients, server }: Stage): Promise<void> {
  await clients.connect()
  const random = generator(0)
  for (let round = 0; round < WARM_UP_ROUNDS; round++) {
    for (const kind of CALL_KINDS) {
      const { door, message } = await kind.make(world, random, performance.now())
      await clients.check(door, message)
    }
  }
  server.events.clear()
}

/** The schedule, one change after another; one that goes wrong is noted, and the others go on. */
async function happen(
  stage: Stage,
  { seed, durationMs }: SoakOptions,
  now: () => number,
  happened: Happened[],
): Promise<void> {
  const changes = new Changes(stage, now)
  try {
    for (const { atMs, kind, draw } of schedule(seed, durationMs)) {
      if (stage.server.hasEnded) throw new Error('the server ended')
      if (now() > durationMs) break
      await new Promise((resolved) => setTimeout(resolved, Math.max(0, atMs - now())))
      const fromMs = now()
      const problem = await changes.make(kind, draw).then(
        () => undefined,
        (error: unknown) => (error instanceof Error ? error.message : String(error)),
      )
      happened.push({ kind, fromMs, untilMs: now(), ...(problem !== undefined && { problem }) })
    }
  } finally {
    changes.close()
  }
}

/** Looks at the process every second until told to stop. */
function sample(
  stage: Stage,
  now: () => number,
  recorder: Recorder,
  say: (line: string) => void,
): () => Promise<void> {
  let looking = Promise.resolve()
  let minutes = 0
  let looks = 0
  let isLooking = false
  const timer = setInterval(() => {
    if (isLooking) return
    isLooking = true
    const asked = ++looks % LIVE_EVERY === 0 ? 'live' : 'usage'
    looking = stage.server.usage(asked).then(
      (usage) => {
        isLooking = false
        recorder.used(now(), usage)
        if (now() < (minutes + 1) * 60_000) return
        minutes = Math.floor(now() / 60_000)
        const { rss, fds } = usage
        say(`${minutes} min: ${recorder.checks} Checks, ${(rss / 2 ** 20).toFixed(0)} MiB, ${fds} open files`)
      },
      () => {
        isLooking = false
      },
    )
  }, SAMPLE_EVERY_MS)
  return async () => {
    clearInterval(timer)
    await looking
  }
}

function describe({ verdict, kind, given, right, answeredMs }: Wrong): string {
  const answer = 'failure' in given ? given.failure : given.reason
  return `${verdict} at ${(answeredMs / 1000).toFixed(2)} s, ${kind}: ${answer} instead of ${right.join(' or ')}`
}

/** The request stands in base64, so that it can be sent again as it was. */
function writeWrong(path: string, { message, ...rest }: Wrong): Promise<void> {
  return writeFile(
    path,
    `${JSON.stringify({ ...rest, message: message.toString('base64') }, undefined, 2)}\n`,
  )
}

function aboutOf(
  { durationMs, seed, rate }: SoakOptions,
  recorder: Recorder,
  happened: readonly Happened[],
  stalls: readonly Stall[],
  { server }: Stage,
): readonly (readonly [string, string])[] {
  return [
    ['length', `${durationMs / 1000} s, seed ${seed}`],
    ['Checks', `${recorder.checks}, at ${rate} a second`],
    ['changes', `${happened.length}`],
    ['events recorded', [...server.events].map(([type, count]) => `${type} ${count}`).join(', ')],
    ['stalls of the machine', stallsText(stalls)],
    ['answers that are right for them alone', `${recorder.excused}`],
    ['machine', `node ${process.version}, ${cpus().length} cores, ${cpus()[0]?.model ?? 'unknown'}`],
  ]
}

/** Maps as objects. */
const plain = (_name: string, value: unknown): unknown =>
  value instanceof Map ? Object.fromEntries(value) : value

/** What the machine kept from running is no fault of the server, but the reader must know how much that was. */
function stallsText(stalls: readonly Stall[]): string {
  const totalMs = stalls.reduce((sum, { fromMs, untilMs }) => sum + untilMs - fromMs, 0)
  const reasons = [...new Set(stalls.map(({ why }) => why))]
  return stalls.length === 0
    ? 'none'
    : `${stalls.length}, ${(totalMs / 1000).toFixed(1)} s together (${reasons.join('; ')})`
}

async function writeReport(out: string, outcome: Outcome, log: readonly string[]): Promise<void> {
  await writeFile(join(out, 'report.html'), reportPage(outcome))
  for (const [name, text] of charts(outcome)) await writeFile(join(out, name), text)
  const { failures, trends, happened, recorder, summaries } = outcome
  const figures = {
    failures,
    trends,
    minutes: recorder.minutes,
    happened,
    stretches: summaries,
  }
  await writeFile(join(out, 'figures.json'), `${JSON.stringify(figures, plain, 1)}\n`)
  await writeFile(join(out, 'server.log'), `${log.join('\n')}\n`)
}
