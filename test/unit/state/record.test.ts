import { describe, expect, test } from '@jest/globals'
import {
  applyOps,
  EMPTY_RECORD,
  latestOf,
  MAX_FIELDS,
  MAX_NAME,
  MAX_TEXT,
  numberOf,
  stateKey,
  type StateOp,
  type StateRecord,
} from '../../../src/state/record.js'

const after = (...ops: readonly StateOp[]): Record<string, unknown> =>
  Object.fromEntries(applyOps(EMPTY_RECORD, ops))

describe('applyOps', () => {
  test.each<[string, readonly StateOp[], Record<string, unknown>]>([
    ['NaN is no number', [['add', 'n', NaN]], {}],
    ['nor is infinity', [['max', 'n', Infinity]], {}],
    ['a time that is none', [['latest', 'p', NaN, 'x']], {}],
    ['a text that is too long', [['latest', 'p', 1, 'x'.repeat(MAX_TEXT + 1)]], {}],
    ['a name that is too long', [['add', 'x'.repeat(MAX_NAME + 1), 1]], {}],
    ['what is not there goes', [['drop', 'n']], {}],
    [
      'a prefix alone is no number',
      [
        ['add', 'f:', 1],
        ['add', 'f:x', 1],
        ['add', 'f:-1', 1],
        ['prune', 'f:', 99],
      ],
      { 'f:': 1, 'f:x': 1, 'f:-1': 1 },
    ],
    [
      'counters',
      [
        ['add', 'n', 2],
        ['add', 'n', -0.5],
      ],
      { n: 1.5 },
    ],
    [
      'the larger and the smaller',
      [
        ['max', 'a', 1],
        ['max', 'a', 3],
        ['max', 'a', 2],
        ['min', 'b', 2],
        ['min', 'b', 1],
        ['min', 'b', 3],
      ],
      { a: 3, b: 1 },
    ],
    [
      'the latest text',
      [
        ['latest', 'p', 2, 'b'],
        ['latest', 'p', 1, 'z'],
      ],
      { p: '2|b' },
    ],
    [
      'of two at one time the greater',
      [
        ['latest', 'p', 1, 'a'],
        ['latest', 'p', 1, 'b'],
        ['latest', 'p', 1, 'a'],
      ],
      { p: '1|b' },
    ],
    [
      'old buckets go',
      [
        ['add', 'f:9', 1],
        ['add', 'f:10', 1],
        ['add', 'g:1', 1],
        ['prune', 'f:', 10],
      ],
      { 'f:10': 1, 'g:1': 1 },
    ],
  ])('%s', (_name, ops, expected) => {
    expect(after(...ops)).toEqual(expected)
  })

  test('a record takes no more fields than its limit, and goes on counting those that it has', () => {
    const many = Array.from({ length: 1000 }, (_, n): StateOp => ['add', `n:${n}`, 1])
    const record = applyOps(applyOps(EMPTY_RECORD, many), [['add', 'n:0', 1]])
    expect(record.size).toBe(MAX_FIELDS)
    expect(numberOf(record, 'n:0')).toBe(2)
    expect(numberOf(applyOps(record, [['max', 'x', 1]]), 'x')).toBe(1)
  })

  test('nothing changes the record that was there', () => {
    const before: StateRecord = new Map([['n', 1]])
    applyOps(before, [
      ['add', 'n', 1],
      ['drop', 'n'],
    ])
    expect(before).toEqual(new Map([['n', 1]]))
  })

  test('operations that commute come to the same record in any order', () => {
    let seed = 7
    const random = (below: number): number => {
      seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648
      return seed % below
    }
    const ops = Array.from({ length: 60 }, (): StateOp => {
      const field = ['a', 'b', 'c'][random(3)] ?? ''
      switch (random(4)) {
        case 0:
          return ['add', `+${field}`, random(10)]
        case 1:
          return ['max', `>${field}`, random(100)]
        case 2:
          return ['min', `<${field}`, random(100)]
        default:
          return ['latest', `@${field}`, random(5), String(random(10))]
      }
    })
    const expected = after(...ops)
    for (let round = 0; round < 50; round++) {
      const shuffled = ops.map((op) => ({ op, at: random(1_000_000) })).toSorted((a, b) => a.at - b.at)
      expect(after(...shuffled.map(({ op }) => op))).toEqual(expected)
    }
  })
})

describe('reading', () => {
  test.each([
    ['', undefined],
    ['|x', undefined],
    ['x|y', undefined],
    ['5', undefined],
    ['5|', { atMs: 5, text: '' }],
    ['5|a|b', { atMs: 5, text: 'a|b' }],
  ])('a text field %j', (stored, expected) => {
    expect(latestOf(new Map([['p', stored]]), 'p')).toEqual(expected)
  })

  test('a field of the other kind is none', () => {
    const record: StateRecord = new Map<string, string | number>([
      ['n', 1],
      ['p', '1|x'],
    ])
    expect(latestOf(record, 'n')).toBeUndefined()
    expect(numberOf(record, 'p')).toBeUndefined()
  })
})

describe('stateKey', () => {
  test('tells parts apart, whatever they hold', () => {
    const keys = [
      stateKey('u', 'a', 'b'),
      stateKey('u', 'ab'),
      stateKey('u', 'ab', ''),
      stateKey('u', '', 'ab'),
      stateKey('s', 'a', 'b'),
      stateKey('u', 'a\n1:b'),
      stateKey('u', 'x'.repeat(10_000_000)),
    ]
    expect(new Set(keys).size).toBe(keys.length)
    for (const key of keys) expect(key).toMatch(/^[us]:[\w-]{22}$/)
  })
})
