import { expect, test } from '@jest/globals'
import { append, coalesce, MAX_OPS } from '../../../src/state/coalesce.js'
import { applyOps, type StateOp, type StateRecord } from '../../../src/state/record.js'

const together = (ops: readonly StateOp[]): readonly StateOp[] => {
  const waiting: StateOp[] = []
  for (const op of ops) coalesce(waiting, op)
  return waiting
}

test('more than can wait are not taken, and what waits stays as it is', () => {
  const ops = Array.from({ length: MAX_OPS }, (_, n): StateOp => ['add', `f${n}`, 1])
  const waiting = { ops: [...ops], expiresAtMs: 5 }
  expect(append(waiting, { ops: [['add', 'one more', 1]], expiresAtMs: 9 })).toBe(false)
  expect(waiting).toEqual({ ops, expiresAtMs: 5 })
})

test.each<{ name: string; ops: StateOp[]; is: StateOp[] }>([
  {
    name: 'a sum without end stays apart',
    ops: [
      ['add', 'n', 1.7e308],
      ['add', 'n', 1.7e308],
    ],
    is: [
      ['add', 'n', 1.7e308],
      ['add', 'n', 1.7e308],
    ],
  },
  {
    name: 'different operations of one field stay in their order',
    ops: [
      ['add', 'n', 1],
      ['max', 'n', 5],
      ['add', 'n', 1],
    ],
    is: [
      ['add', 'n', 1],
      ['max', 'n', 5],
      ['add', 'n', 1],
    ],
  },
  {
    name: 'counts come together',
    ops: [
      ['add', 'n', 1],
      ['add', 'm', 1],
      ['add', 'n', 2],
    ],
    is: [
      ['add', 'n', 3],
      ['add', 'm', 1],
    ],
  },
  {
    name: 'what is dropped needs no counting before',
    ops: [
      ['add', 'n', 1],
      ['drop', 'n'],
      ['add', 'n', 2],
      ['drop', 'n'],
    ],
    is: [['drop', 'n']],
  },
  {
    name: 'a later prune does what an earlier one did',
    ops: [
      ['prune', 'h', 5],
      ['add', 'h6', 1],
      ['add', 'h9', 1],
      ['prune', 'h', 7],
    ],
    is: [
      ['add', 'h9', 1],
      ['prune', 'h', 7],
    ],
  },
  {
    name: 'of texts the later stays',
    ops: [
      ['latest', 't', 5, 'b'],
      ['latest', 't', 5, 'a'],
      ['latest', 't', 4, 'c'],
    ],
    is: [['latest', 't', 5, 'b']],
  },
])('$name', ({ ops, is }) => {
  expect(together(ops)).toEqual(is)
})

test('whatever is put together does the same, in fewer operations', () => {
  let state = 20261125
  const next = (below: number): number => {
    state = (Math.imul(state, 1103515245) + 12345) & 0x7fffffff
    return (state >>> 8) % below
  }
  const someOp = (): StateOp => {
    const field = ['a', 'b', 'h1', 'h5', 'h9'][next(5)] ?? 'a'
    const kind = next(6)
    if (kind === 0) return ['drop', field]
    if (kind === 1) return ['prune', 'h', next(11)]
    if (kind === 2) return ['latest', field, next(4), `${next(3)}`]
    if (kind === 3) return ['max', field, next(20)]
    return kind === 4 ? ['min', field, next(20)] : ['add', field, next(20)]
  }
  const before: StateRecord = new Map<string, number | string>([
    ['a', 4],
    ['h1', 3],
    ['h5', '2|1'],
    ['h9', 9],
  ])
  for (let run = 0; run < 3000; run++) {
    const ops = Array.from({ length: 1 + next(14) }, someOp)
    const fewer = together(ops)
    expect(fewer.length).toBeLessThanOrEqual(ops.length)
    expect({ ops, record: applyOps(before, fewer) }).toEqual({
      ops,
      record: applyOps(before, ops),
    })
  }
})
