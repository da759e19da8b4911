/** What state costs: shared by three processes over Redis, and embedded. The last part of `make bench`. */
import { type ChildProcess, fork } from 'node:child_process'
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { openEmbeddedStore } from '../src/adapters/embedded-store/store.js'
import { openRedisStore } from '../src/adapters/redis/store.js'
import { type StateDelta, stateKey } from '../src/state/record.js'
import type { StateStore } from '../src/state/store.js'
import { startStandalone } from '../test/support/redis-servers.js'

const SUBJECTS = Number(process.env['BENCH_SUBJECTS'] ?? 1_000_000)
const CHANGES = 200
const BATCH = 5000

const [role, address] = process.argv.slice(2)
if (role === 'replica') await beReplica(Number(address))
else await measure()

function open(port: number, replicaId: string): Promise<StateStore> {
  return openRedisStore({
    deployment: { kind: 'standalone', host: '127.0.0.1', port },
    commandTimeoutMs: 2000,
    onUnavailable: { mode: 'Deny' },
    replicaId,
    now: Date.now,
    warn: (message) => process.stderr.write(`${message}\n`),
  })
}

/** Holds copies of the subjects that are asked for, and tells when it first sees each change. */
async function beReplica(port: number): Promise<void> {
  const store = await open(port, `replica-${process.pid}`)
  process.on('message', (message: { readonly key: string; readonly value: number }) => {
    void (async () => {
      for (;;) {
        const record = await store.read(message.key, Date.now())
        if (record !== 'unavailable' && record.get('x') === message.value) break
        await sleep(1)
      }
      process.send?.({ atMs: Date.now() })
    })()
  })
  process.on('disconnect', () => process.exit(0))
  process.send?.('ready')
}

async function measure(): Promise<void> {
  const report = [
    '## State',
    '',
    `On loopback, one machine, ${SUBJECTS.toLocaleString('en')} subjects of a user's usual record: a place, two devices, two user agents, failures of an hour.`,
    '',
    '| | |',
    '|---|---:|',
    ...(await overRedis()),
    ...(await embedded()),
    '',
  ].join('\n')
  process.stdout.write(`\n${report}`)
  const results = new URL('RESULTS.md', import.meta.url)
  const before = (await readFile(results, 'utf8')).split('\n## State\n')[0] ?? ''
  await writeFile(results, `${before.trimEnd()}\n\n${report}`)
}

async function overRedis(): Promise<string[]> {
  const redis = await startStandalone()
  const children: ChildProcess[] = []
  try {
    const { deployment } = redis
    if (deployment.kind !== 'standalone') throw new Error('not one server')
    const store = await open(deployment.port, 'writer')
    for (let n = 0; n < 2; n++) {
      const child = fork(fileURLToPath(import.meta.url), ['replica', String(deployment.port)], {
        execArgv: ['--import', fileURLToPath(new URL('../test/support/ts.js', import.meta.url))],
      })
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
    await fill(store)
    const after = await memoryOf()
    await store.close(Date.now())
    return [
      `| Redis: a change of one process seen by both others, median ms | ${middle(delays).toFixed(0)} |`,
      `| the slowest of ${CHANGES}, ms | ${Math.max(...delays).toFixed(0)} |`,
      `| a commit, median ms | ${middle(commits).toFixed(2)} |`,
      `| memory of Redis for a subject, bytes | ${((after - before) / SUBJECTS).toFixed(0)} |`,
    ]
  } finally {
    for (const child of children) child.disconnect()
    await redis.stop()
  }
}

async function embedded(): Promise<string[]> {
  const directory = await mkdtemp(join(tmpdir(), 'portcullis-bench-state-'))
  const openIt = (): ReturnType<typeof openEmbeddedStore> =>
    openEmbeddedStore({
      directory,
      startedAtMs: 0,
      now: Date.now,
      warn: (message) => process.stderr.write(`${message}\n`),
    })
  try {
    const store = await openIt()
    const fillingMs = performance.now()
    await fill(store)
    const filledMs = performance.now() - fillingMs
    const commits: number[] = []
    for (let n = 0; n < CHANGES; n++) {
      const startedMs = performance.now()
      await store.commit([usual(n)])
      commits.push(performance.now() - startedMs)
    }
    await store.close(Date.now())
    const { size } = await stat(join(directory, 'subjects.mdb'))
    const startedMs = performance.now()
    const again = await openIt()
    const openedMs = performance.now() - startedMs
    const readMs = performance.now()
    const READS = 100_000
    for (let n = 0; n < READS; n++) await again.read(keyOf((n * 7919) % SUBJECTS), Date.now())
    const coldUs = ((performance.now() - readMs) * 1000) / READS
    await again.close(Date.now())
    await rm(join(directory, 'subjects.clean'))
    const crashedMs = performance.now()
    const checked = await openIt()
    const checkedMs = performance.now() - crashedMs
    await checked.close(Date.now())
    return [
      `| embedded: start with all subjects, s | ${(openedMs / 1000).toFixed(2)} |`,
      `| the same after a crash, every value checked, s | ${(checkedMs / 1000).toFixed(2)} |`,
      `| a commit, on disk, median ms | ${middle(commits).toFixed(2)} |`,
      `| records noted and written, a second | ${Math.round((SUBJECTS / filledMs) * 1000).toLocaleString('en')} |`,
      `| a record that is not in memory, µs | ${coldUs.toFixed(1)} |`,
      `| disk for a subject, bytes | ${(size / SUBJECTS).toFixed(0)} |`,
    ]
  } finally {
    await rm(directory, { recursive: true, force: true })
  }
}

async function fill(store: StateStore): Promise<void> {
  for (let from = 0; from < SUBJECTS; from += BATCH) {
    const batch = Array.from({ length: Math.min(BATCH, SUBJECTS - from) }, (_, n) => usual(from + n))
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

function middle(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? NaN
}
