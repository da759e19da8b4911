import { expect, test } from '@jest/globals'
import { bucketIndex, bucketsOf, parseEpoch, redisKey } from '../../../../src/adapters/redis/buckets.js'
import { fromBytes, readRecord, toBytes } from '../../../../src/adapters/redis/wire.js'
import { effective, MAX_NAME, MAX_TEXT, type StateOp, stateKey } from '../../../../src/state/record.js'

const TEXTS = [
  '',
  'a',
  'b',
  '\u007f',
  '\u0080',
  'ü',
  '\u07ff',
  '\u0800',
  '\ud800',
  '\ud83d\ude00',
  '\udfff',
  '\uffff',
]

test('any text comes back, and the bytes are in the order of the texts', () => {
  const bytes = TEXTS.map((text) => Buffer.from(toBytes(text)))
  const texts = (all: readonly Buffer[]): string[] => all.map((one) => fromBytes(one))
  expect(texts(bytes)).toEqual(TEXTS)
  expect(texts(bytes.toSorted((a, b) => a.compare(b)))).toEqual(TEXTS.toSorted())
})

test.each([
  Buffer.from([0xff]),
  Buffer.from([0xe2, 0x82]),
  Buffer.from([0x80, 0x80]),
  Buffer.alloc(100_000, 0xc3),
])('other bytes are some text (%#)', (bytes) => {
  expect(typeof fromBytes(bytes)).toBe('string')
})

test('operations that change nothing are left out', () => {
  const [longName, longText] = ['x'.repeat(MAX_NAME + 1), 'x'.repeat(MAX_TEXT + 1)]
  const bad: StateOp[] = [
    ['add', 'f', NaN],
    ['max', 'f', Infinity],
    ['latest', 'f', 1, longText],
    ['latest', 'f', NaN, ''],
    ['add', longName, 1],
    ['prune', 'f', NaN],
  ]
  const good: StateOp[] = [
    ['prune', 'f', Infinity],
    ['drop', 'f'],
    ['latest', 'x'.repeat(MAX_NAME), 1, 'x'.repeat(MAX_TEXT)],
  ]
  expect(effective([...bad, ...good])).toEqual(good)
})

test('numbers and texts are read as what they are', () => {
  const flat = ['n', '0.1', 'z', '-0', 'i', '-inf', 't', '5|7'].map((text) => Buffer.from(text))
  expect(Object.fromEntries(readRecord(['ok', 1, ...flat], 2))).toEqual({
    n: 0.1,
    z: 0,
    i: -Infinity,
    t: '5|7',
  })
})

test('two names are never one key', () => {
  const [bucket] = bucketsOf('p', { kind: 'cluster', nodes: [] })
  if (!bucket) throw new Error('no bucket')
  const names = ['\ud800', '\udc00', '\ufffd', 'a', '"a"', 'ü']
  expect(
    new Set(names.map((name) => Buffer.from(redisKey('p', bucket, 'r', name)).toString('hex'))).size,
  ).toBe(6)
})

test('subjects spread over the buckets', () => {
  const counts = Array.from({ length: 32 }, () => 0)
  for (let n = 0; n < 32_000; n++) {
    const index = bucketIndex(stateKey('u', `${n}`), 32)
    counts[index] = (counts[index] ?? 0) + 1
  }
  expect(Math.min(...counts)).toBeGreaterThan(800)
  expect(Math.max(...counts)).toBeLessThan(1200)
})

test('a damaged epoch is one of no time', () => {
  expect(parseEpoch('x')).toEqual({ text: 'x', id: 'x', createdAtMs: 0, isLost: false })
})
