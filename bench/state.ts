import { type ChildProcess, fork } from 'node:child_process'
import { mkdtemp, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { openEmbeddedStore } from '../src/adapters/embedded-store/store.js'
import { openRedisStore } from '../src/adapters/redis/store.js'
import { type StateDelta, stateKey } from '../src/state/record.js'
import type { StateStore } from '../src/state/store.js'
import { startStandalone } from '../test/support/redis-servers.js'
import { lineChart } from './plot/line-chart.js'
import { writePlot } from './plots.js'
import { lines, machineLine, median, table } from './report.js'

const SUBJECTS = Number(process.env['BENCH_SUBJECTS'] ?? 1_000_000)
const CHANGES = 200
const BATCH = 5000
const READS = 20_000
const SIZES = [1, 10_000, SUBJECTS].filter((size) => size <= SUBJECTS)

/** The store as three processes share it. */
export function openShared(port: number, replicaId: string): Promise<StateStore> {
  return openRedisStore({
    deployment: { kind: 'standalone', host: '127.0.0.1', port },
    // Long, since a busy machine is no fault here: what is measured is how long things take.
    commandTimeoutMs: 30_000,
    onUnavailable: { mode: 'Deny' },
    replicaId,
    now: Date.now,
    warn: (message) => process.stderr.write(`${message}\n`),
  })
}

/** What state costs: shared by three processes over Redis, and embedded; in the process of the bench. */
export async function measureState(): Promise<string> {
  const redis = await overRedis()
  const own = await embedded()
  writePlot(
    'subjects',
    lineChart({
      title: 'A record of the embedded store by number of subjects',
      x: { label: 'subjects', scale: 'log' },
      y: { label: 'microseconds', min: 0 },
      series: [
        { name: 'read from the file', points: own.reads.map(({ subjects, coldUs }) => [subjects, coldUs]) },
        { name: 'known already', points: own.reads.map(({ subjects, warmUs }) => [subjects, warmUs]) },
      ],
      height: 300,
    }),
  )
  return lines(
    '## State',
    `${machineLine(`${CHANGES} changes, ${READS.toLocaleString('en')} reads at most`)} On loopback, ` +
      `${SUBJECTS.toLocaleString('en')} subjects of a user's usual record: a place, two devices, two user agents, ` +
      'failures of an hour.',
    table(['', ''], [...redis, ...own.rows]),
    'A read of the embedded store, by number of subjects; those read are spread over all:',
    table(
      ['subjects', 'µs, from the file', 'µs, known already', 'disk for a subject, bytes'],
      own.reads.map(({ subjects, coldUs, warmUs, bytes }) => [
        subjects.toLocaleString('en'),
        coldUs.toFixed(1),
        warmUs.toFixed(2),
        (bytes / subjects).toFixed(0),
      ]),
    ),
    '![A record of the embedded store by number of subjects](plots/subjects.svg)',
  )
}

type Read = {
  readonly subjects: number
  readonly coldUs: number
  readonly warmUs: number
  readonly bytes: number
}

async function overRedis(): Promise<string[][]> {
  const redis = await startStandalone()
  const children: ChildProcess[] = []
  try {
    const { deployment } = redis
    if (deployment.kind !== 'standalone') throw new Error('not one server')
    const store = await openShared(deployment.port, 'writer')
    for (let n = 0; n < 2; n++) {
      const child = fork(
        fileURLToPath(new URL('state-replica.ts', import.meta.url)),
        [String(deployment.port)],
        {
          execArgv: ['--import', fileURLToPath(new URL('../test/support/ts.js', import.meta.url))],
        },
      )
      children.push(child)
      await new Promise((resolve) => child.once('message', resolve))
    }
    const delays: number[] = []
    const commits: number[] = []
    for (let change = 1; change <= CHANGES; change++) {
      const key = stateKey('s', 'bench', String(change % 10))
      const seen = children.map(
        (child) =>
          new Promise<number>((resolve) =>
            child.once('message', ({ atMs }: { atMs: number }) => resolve(atMs)),
          ),
      )
      for (const child of children) child.send({ key, value: change })
      await sleep(5)
      const startedMs = Date.now()
      const startedAt = performance.now()
      const done = await store.commit([
        { key, ops: [['max', 'x', change]], expiresAtMs: Date.now() + 600_000 },
      ])
      if (done !== 'committed') throw new Error('a commit failed')
      commits.push(performance.now() - startedAt)
      delays.push(Math.max(...(await Promise.all(seen))) - startedMs)
    }
    const memoryOf = async (): Promise<number> =>
      Number(/used_memory:(\d+)/.exec((await redis.servers[0]?.cli('info', 'memory')) ?? '')?.[1])
    const before = await memoryOf()
    await fill(store, 0, SUBJECTS)
    const after = await memoryOf()
    await store.close(Date.now())
    return [
      ['Redis: a change of one process seen by both others, median ms', median(delays).toFixed(0)],
      [`the slowest of ${CHANGES}, ms`, Math.max(...delays).toFixed(0)],
      ['a commit, median ms', median(commits).toFixed(2)],
      ['memory of Redis for a subject, bytes', ((after - before) / SUBJECTS).toFixed(0)],
    ]
  } finally {
    for (const child of children) child.disconnect()
    await redis.stop()
  }
}

async function embedded(): Promise<{ readonly rows: string[][]; readonly reads: readonly Read[] }> {
  const directory = await mkdtemp(join(tmpdir(), 'portcullis-bench-state-'))
  const openIt = (): ReturnType<typeof openEmbeddedStore> =>
    openEmbeddedStore({
      directory,
      startedAtMs: 0,
      now: Date.now,
      warn: (message) => process.stderr.write(`${message}\n`),
    })
  try {
    const reads: Read[] = []
    const openedMs: number[] = []
    const commits: number[] = []
    let fillingMs = 0
    let filled = 0
    for (const subjects of SIZES) {
      const store = await openIt()
      const beginMs = performance.now()
      await fill(store, filled, subjects)
      fillingMs += performance.now() - beginMs
      filled = subjects
      const changes = subjects === SUBJECTS ? CHANGES : 0
      for (let n = 0; n < changes; n++) {
        const startedMs = performance.now()
        await store.commit([usual(n)])
        commits.push(performance.now() - startedMs)
      }
      await store.close(Date.now())
      const { size } = await stat(join(directory, 'subjects.mdb'))
      const startedMs = performance.now()
      const again = await openIt()
      openedMs.push(performance.now() - startedMs)
      const coldUs = await readSome(again, subjects, Math.min(READS, subjects))
      const warmUs = await readSome(again, subjects, READS)
      reads.push({ subjects, coldUs, warmUs, bytes: size })
      await again.close(Date.now())
    }
    await rm(join(directory, 'subjects.clean'))
    const crashedMs = performance.now()
    const checked = await openIt()
    const checkedMs = performance.now() - crashedMs
    await checked.close(Date.now())
    const rows = [
      ['embedded: start with all subjects, s', ((openedMs.at(-1) ?? Number.NaN) / 1000).toFixed(2)],
      ['the same after a crash, every value checked, s', (checkedMs / 1000).toFixed(2)],
      ['a commit, on disk, median ms', median(commits).toFixed(2)],
      ['records noted and written, a second', Math.round((filled / fillingMs) * 1000).toLocaleString('en')],
    ]
    return { rows, reads }
  } finally {
    await rm(directory, { recursive: true, force: true })
  }
}

/** Microseconds a read of `count` times, of subjects spread over all. */
async function readSome(store: StateStore, subjects: number, count: number): Promise<number> {
  const different = Math.min(READS, subjects)
  const step = Math.floor(subjects / different)
  const nowMs = Date.now()
  const startedMs = performance.now()
  for (let n = 0; n < count; n++) {
    const read = store.read(keyOf((n % different) * step), nowMs)
    if (read instanceof Promise) await read
  }
  return ((performance.now() - startedMs) * 1000) / count
}

async function fill(store: StateStore, first: number, end: number): Promise<void> {
  for (let from = first; from < end; from += BATCH) {
    const batch = Array.from({ length: Math.min(BATCH, end - from) }, (_, n) => usual(from + n))
    // Also the way to wait: what was noted is bounded.
    if ((await store.commit(batch)) !== 'committed') throw new Error('a commit failed')
  }
}

function keyOf(subject: number): string {
  return stateKey('u', 'https://idp.example', String(subject))
}

function usual(subject: number): StateDelta {
  const nowMs = Date.now()
  return {
    key: keyOf(subject),
    ops: [
      ['latest', 'loc', nowMs, '52.52,13.40'],
      ['max', 'ua:aBcDeFgHiJk', nowMs],
      ['max', 'ua:lMnOpQrStUv', nowMs],
      ['max', 'dv:aBcDeFgHiJk', nowMs],
      ['max', 'dv:lMnOpQrStUv', nowMs],
      ['add', 'f:2976543', 2],
      ['add', 'f:2976544', 1],
      ['max', 'fl', nowMs],
    ],
    expiresAtMs: nowMs + 30 * 24 * 3_600_000,
  }
}
