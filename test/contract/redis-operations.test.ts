import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { openRedisStore } from '../../src/adapters/redis/store.js'
import { applyOps, EMPTY_RECORD, type StateOp, type StateRecord, stateKey } from '../../src/state/record.js'
import type { StateStore } from '../../src/state/store.js'
import { type RunningRedis, startStandalone } from '../support/redis-servers.js'

const RECORDS = 300
const BATCHES = 6
const OPS = 8
const EXPIRES_AT_MS = Date.now() + 3_600_000

const FIELDS = ['a', 'b', 'h1', 'h2', 'h10', 'h007', 'h1x', 'hü', '\ud83d\ude00', '\uffff', '', 'h']
const TEXTS = ['', 'x', 'y', 'X|Y', '1|', 'ü', '\ud83d\ude00', '\uffff', '\ud800', '\u0000', 'a'.repeat(128)]
const NUMBERS = [0, -0, 1, -1, 0.1, 1 / 3, 1e21, -1e300, 1.7e308, 5e-324, 2 ** 53 + 2, 1764054803123.456]
const TIMES = [0, 1, 1.9, -5, 1764054803123, 1e21, NaN]
const BOUNDS = [0, 2, 10, 11, -Infinity, Infinity, NaN, 1e300]

/** Numbers from a seed, so that a failure comes again. Source: mulberry32. */
function numbersFrom(seed: number): (below: number) => number {
  let state = seed
  return (below) => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below
  }
}

function someOp(next: (below: number) => number): StateOp {
  const pick = <T>(from: readonly T[], otherwise: T): T => from[next(from.length)] ?? otherwise
  const field = next(3) === 0 ? `f${next(120)}` : pick(FIELDS, '')
  switch (next(8)) {
    case 0:
      return ['drop', field]
    case 1:
      return ['prune', pick(['h', 'f', '', 'hx'], ''), pick(BOUNDS, 0)]
    case 2:
    case 3:
      return ['latest', field, pick(TIMES, 0), pick(TEXTS, '')]
    case 4:
      return ['max', field, pick(NUMBERS, 0)]
    case 5:
      return ['min', field, pick(NUMBERS, 0)]
    default:
      return ['add', field, pick(NUMBERS, 0)]
  }
}

/** Zero has no sign in the store. */
const plain = (record: StateRecord): unknown =>
  new Map([...record].map(([name, value]) => [name, value === 0 ? 0 : value]))

let redis: RunningRedis
let writer: StateStore
let reader: StateStore

beforeAll(async () => {
  redis = await startStandalone()
  const open = (replicaId: string): Promise<StateStore> =>
    openRedisStore({
      deployment: redis.deployment,
      replicaId,
      commandTimeoutMs: 2000,
      maxCopies: 1,
      onUnavailable: { mode: 'Deny' },
      now: () => Date.now(),
      warn: () => undefined,
    })
  writer = await open('writer')
  reader = await open('reader')
}, 30_000)

afterAll(async () => {
  await Promise.all([writer.close(Date.now()), reader.close(Date.now())])
  await redis.stop()
})

test('the script does what applyOps does, one operation at a time', async () => {
  const next = numbersFrom(20261125)
  const records = Array.from({ length: RECORDS }, (_, n) => stateKey('u', 'one', `${n}`))
  const expected = new Map<string, StateRecord>()
  for (let batch = 0; batch < BATCHES * OPS; batch++) {
    const deltas = records.map((key) => ({ key, ops: [someOp(next)], expiresAtMs: EXPIRES_AT_MS }))
    for (const { key, ops } of deltas) expected.set(key, applyOps(expected.get(key) ?? EMPTY_RECORD, ops))
    expect(await writer.commit(deltas)).toBe('committed')
  }
  for (const [key, record] of expected) {
    const answer = await reader.read(key, Date.now())
    expect(answer === 'unavailable' ? answer : plain(answer)).toEqual(plain(record))
  }
}, 30_000)

test('a record takes no more fields than applyOps lets it have', async () => {
  const key = stateKey('u', 'fields')
  let expected: StateRecord = EMPTY_RECORD
  for (let n = 0; n < 12; n++) {
    const ops = Array.from({ length: 10 }, (_, m): StateOp => ['add', `f${n * 10 + m}`, 1])
    if (n === 10) ops.unshift(['prune', 'f', 3])
    expected = applyOps(expected, ops)
    await writer.commit([{ key, ops, expiresAtMs: EXPIRES_AT_MS }])
  }
  const answer = await reader.read(key, Date.now())
  expect(answer === 'unavailable' ? answer : plain(answer)).toEqual(plain(expected))
})

test('a record is kept as long as the latest of its changes says', async () => {
  const key = stateKey('u', 'expiry')
  const commit = (expiresAtMs: number): Promise<unknown> =>
    writer.commit([{ key, ops: [['add', 'n', 1]], expiresAtMs }])
  const [server] = redis.servers
  for (const [expiresAtMs, isKeptUntilMs] of [
    [Date.now() + 600_000, Date.now() + 600_000],
    [Date.now() + 900_000, Date.now() + 900_000],
    [Date.now() + 300_000, Date.now() + 900_000],
  ] as const) {
    await commit(expiresAtMs)
    const leftMs = Number(await server?.cli('pttl', `portcullis:{0}:r:${key}`))
    expect(Math.abs(Date.now() + leftMs - isKeptUntilMs)).toBeLessThan(2000)
  }
})

test('a subject with twelve fields takes less than 1 KB', async () => {
  const key = stateKey('u', 'size')
  const ops = Array.from({ length: 10 }, (_, n): StateOp => ['max', `field-${n}`, Date.now() + n / 7])
  await writer.commit([
    {
      key,
      ops: [
        ...ops,
        ['latest', 'agent', Date.now(), 'a'.repeat(40)],
        ['latest', 'place', Date.now(), 'DE|52.5|13.4'],
      ],
      expiresAtMs: EXPIRES_AT_MS,
    },
  ])
  const [server] = redis.servers
  expect(Number(await server?.cli('memory', 'usage', `portcullis:{0}:r:${key}`))).toBeLessThan(1000)
})
