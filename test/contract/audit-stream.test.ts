import { afterEach, describe, expect, test } from '@jest/globals'
import {
  type AuditStreamOptions,
  createAuditStream,
  type EntryAppender,
  openEntryAppender,
} from '../../src/adapters/redis/audit-stream.js'
import type { AuditEvent, EventSink } from '../../src/audit/event-sink.js'
import { createTrail } from '../../src/audit/trail.js'
import { POLICY } from '../front-door/door.js'
import { eventually } from '../support/eventually.js'
import { startPortcullis } from '../support/portcullis.js'
import {
  type RedisServer,
  type RunningRedis,
  startCluster,
  startSentinel,
  startStandalone,
} from '../support/redis-servers.js'

const STREAM = 'portcullis:audit'
const KEPT = ['--appendonly', 'yes', '--appendfsync', 'always']
const RECOVERS_WITHIN_MS = 8000
const appenders: EntryAppender[] = []
const sinks: EventSink[] = []
const redises: RunningRedis[] = []

afterEach(async () => {
  await Promise.all(sinks.splice(0).map(async (sink) => sink.drain(0)))
  for (const appender of appenders.splice(0)) appender.close()
  await Promise.all(redises.splice(0).map(async (redis) => redis.stop()))
})

const event = (n: number): AuditEvent => ({ line: `{"n":${n}}`, classification: undefined, atMs: 0 })
const upTo = (last: number, from = 1): number[] => Array.from({ length: last - from + 1 }, (_, n) => n + from)

function sinkOn(redis: RunningRedis, over: Partial<AuditStreamOptions> = {}) {
  const appender = openEntryAppender({
    ...redis,
    onUnavailable: { mode: 'Deny' },
    replicaId: 'test',
    now: Date.now,
    warn: () => undefined,
  })
  appenders.push(appender)
  const told: string[] = []
  const sink = createAuditStream({
    name: 'RedisStream 0',
    append: appender.append,
    stream: STREAM,
    maxLength: 1_000_000,
    buffer: 10_000,
    render: ({ line }) => line,
    backoff: { firstMs: 20, mostMs: 200 },
    random: () => 1,
    tell: (_level, message) => told.push(message),
    ...over,
  })
  sinks.push(sink)
  const take = (numbers: readonly number[]): void => {
    for (const n of numbers) void sink.take(event(n))
  }
  return { sink, take, told }
}

async function started(
  start: () => Promise<RunningRedis>,
): Promise<{ redis: RunningRedis; server: RedisServer }> {
  const redis = await start()
  redises.push(redis)
  const [server] = redis.servers
  if (!server) throw new Error('no server')
  return { redis, server }
}

/** Numbers of the events in the stream, in order. */
async function entries(server: RedisServer): Promise<number[]> {
  const listed = await server.cli('xrange', STREAM, '-', '+')
  return Array.from(listed.matchAll(/^event\n\{"n":(\d+)\}$/gm), ([, n]) => Number(n))
}

/** In order, each once, but for repetitions of the batch whose answer was lost. */
function expectEachInOrder(found: readonly number[], last: number): void {
  expect([...new Set(found)]).toEqual(upTo(last))
}

type Fault = {
  readonly name: string
  readonly start: () => Promise<RunningRedis>
  readonly break: (server: RedisServer) => unknown
  readonly mend: (server: RedisServer) => unknown
  readonly problem: RegExp
}

const faults: Fault[] = [
  {
    name: 'killed',
    start: () => startStandalone(...KEPT),
    break: (server) => server.kill(),
    mend: (server) => server.start(),
    problem: /^the store is away/,
  },
  {
    name: 'hung',
    start: startStandalone,
    break: (server) => server.hang(),
    mend: (server) => server.goOn(),
    problem: /^the store (is away|does not answer)/,
  },
  {
    name: 'full',
    start: startStandalone,
    break: (server) => server.cli('config', 'set', 'maxmemory', '1'),
    mend: (server) => server.cli('config', 'set', 'maxmemory', '0'),
    problem: /^Redis answers OOM$/,
  },
  {
    name: 'read-only, since its replicas are gone',
    start: startStandalone,
    break: (server) => server.cli('config', 'set', 'min-replicas-to-write', '1'),
    mend: (server) => server.cli('config', 'set', 'min-replicas-to-write', '0'),
    problem: /^Redis answers NOREPLICAS$/,
  },
  {
    name: 'holding something else under that key',
    start: startStandalone,
    break: async (server) => {
      await server.cli('rename', STREAM, 'kept')
      await server.cli('set', STREAM, 'text')
    },
    mend: async (server) => {
      await server.cli('rename', 'kept', STREAM)
    },
    problem: /^Redis answers WRONGTYPE$/,
  },
]

describe.each(faults)('a Redis that is $name', (fault) => {
  test('events wait, within the buffer, and all of them come afterwards in order', async () => {
    const { redis, server } = await started(fault.start)
    const { sink, take, told } = sinkOn(redis, { buffer: 50 })
    take([1])
    await eventually(() => expect(sink.figures().written).toBe(1))
    await fault.break(server)
    take(upTo(51, 2))
    await eventually(() => expect(sink.figures().problem).toMatch(fault.problem), RECOVERS_WITHIN_MS)
    expect(sink.figures()).toMatchObject({ pending: 50, written: 1, lost: 0, isBroken: false })
    expect(sink.hasRoom()).toBe(false)
    await fault.mend(server)
    await eventually(
      () => expect(sink.figures()).toMatchObject({ pending: 0, written: 51, lost: 0, problem: undefined }),
      RECOVERS_WITHIN_MS,
    )
    const found = await entries(server)
    expectEachInOrder(found, 51)
    expect(found.length).toBeLessThanOrEqual(51 + 2 * 50)
    expect(told.at(-1)).toBe('the stream takes events again')
  }, 30_000)
})

test('a Redis that was never there: what waits at the end counts as lost, and is told', async () => {
  const { redis, server } = await started(startStandalone)
  await server.kill()
  const { sink, take, told } = sinkOn(redis)
  take(upTo(5))
  await eventually(() => expect(sink.figures().problem).toMatch(/^the store is away/))
  const startedMs = performance.now()
  await sink.drain(200)
  expect(performance.now() - startedMs).toBeLessThan(1000)
  expect(sink.figures()).toMatchObject({ pending: 0, written: 0, lost: 5 })
  expect(told.at(-1)).toBe('security events are lost')
  expect(sink.hasRoom()).toBe(false)
})

test('those who wait for room are let in, in their order', async () => {
  const { redis, server } = await started(startStandalone)
  const { sink } = sinkOn(redis, { buffer: 3 })
  const trail = createTrail({ sinks: [{ sink, overflow: 'Block' }], nowMs: Date.now })
  const answers = await Promise.all(upTo(20).map(async (n) => trail.accept(event(n), 5000)))
  expect(answers).toEqual(Array(20).fill('accepted'))
  await trail.drain(2000)
  expectEachInOrder(await entries(server), 20)
})

test('killed and started again and again under load: nothing is missing, nothing out of order', async () => {
  const { redis, server } = await started(() => startStandalone(...KEPT))
  const { sink, take } = sinkOn(redis, { buffer: 1_000_000 })
  let last = 0
  for (let round = 0; round < 4; round++) {
    for (let step = 0; step < 40; step++) {
      take(upTo(last + 25, last + 1))
      last += 25
      await new Promise((resolve) => setTimeout(resolve, 2))
    }
    await server.kill()
    await server.start()
  }
  await eventually(
    () => expect(sink.figures()).toMatchObject({ pending: 0, written: last, lost: 0 }),
    RECOVERS_WITHIN_MS,
  )
  const found = await entries(server)
  expectEachInOrder(found, last)
}, 60_000)

test('the stream keeps about as many entries as it is told', async () => {
  const { redis, server } = await started(startStandalone)
  const { sink, take } = sinkOn(redis, { maxLength: 1000 })
  take(upTo(5000))
  await sink.drain(5000)
  expect(sink.figures()).toMatchObject({ written: 5000, lost: 0 })
  const length = Number(await server.cli('xlen', STREAM))
  expect(length).toBeGreaterThanOrEqual(1000)
  expect(length).toBeLessThan(1200)
})

test.each([
  { name: 'Sentinel', start: startSentinel },
  { name: 'Cluster', start: startCluster },
])(
  '$name takes events in order',
  async ({ start }) => {
    const { redis } = await started(start)
    const { sink, take } = sinkOn(redis)
    take(upTo(1000))
    await eventually(() => expect(sink.figures().written).toBe(1000), RECOVERS_WITHIN_MS)
    const found = await Promise.all(redis.servers.map(async (server) => entries(server)))
    expectEachInOrder(found.find((each) => each.length > 0) ?? [], 1000)
  },
  60_000,
)

test('a whole Portcullis writes its decisions there', async () => {
  const { server } = await started(startStandalone)
  const portcullis = await startPortcullis(
    { 'policy/shop.yaml': POLICY },
    {
      listeners: [{ name: 'mesh', address: '127.0.0.1:0', peerIdentity: 'None' }],
      store: { type: 'Redis', url: `redis://127.0.0.1:${server.port}` },
      audit: { sinks: [{ type: 'RedisStream', format: 'Event', stream: 'audit' }] },
      drain: { delay: '0s', timeout: '1s' },
    },
  )
  try {
    const answer = await portcullis.check({ method: 'GET', path: '/nowhere', host: 'pay.shop' })
    const id = answer.headers.get('x-portcullis-decision-id') ?? 'none'
    await eventually(async () => expect(await server.cli('xrange', 'audit', '-', '+')).toContain(id))
  } finally {
    await portcullis.stop()
  }
})
