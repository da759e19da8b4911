import { expect, test } from '@jest/globals'
import { RecentCommits } from '../../../../src/adapters/redis/recent.js'
import type { StateDelta, StateOp } from '../../../../src/state/record.js'

const delta = (key: string, ...ops: StateOp[]): StateDelta => ({ key, ops, expiresAtMs: 1_000_000 })
const repeatable = (
  commits: readonly (readonly [at: number, StateDelta])[],
  now: number,
): readonly StateDelta[] => {
  const recent = new RecentCommits()
  for (const [at, committed] of commits) recent.add(committed, at)
  return [...recent.repeatable(now)]
}

test.each<{ name: string; commits: [number, StateDelta][]; now: number; is: StateDelta[] }>([
  { name: 'nothing', commits: [], now: 0, is: [] },
  { name: 'what counts twice', commits: [[0, delta('a', ['add', 'n', 1])]], now: 1, is: [] },
  { name: 'what takes away', commits: [[0, delta('a', ['drop', 'n'], ['prune', 'h', 5])]], now: 1, is: [] },
  {
    name: 'what is older than ten seconds',
    commits: [[0, delta('a', ['max', 'n', 1])]],
    now: 10_001,
    is: [],
  },
  {
    name: 'what was dropped since',
    commits: [
      [0, delta('a', ['max', 'n', 1])],
      [1, delta('a', ['drop', 'n'])],
    ],
    now: 2,
    is: [],
  },
])('is not done again: $name', ({ commits, now, is }) => {
  expect(repeatable(commits, now)).toEqual(is)
})

test('all that was committed of one record is done again', () => {
  const commits = [
    [0, delta('a', ['max', 'terminatedAt', 7])],
    [5000, delta('b', ['latest', 'reason', 3, 'x'])],
    [9000, delta('a', ['max', 'uses', 1], ['add', 'calls', 1])],
    [9500, delta('a', ['max', 'uses', 2])],
  ] as const
  const [a, b] = [
    delta('a', ['max', 'terminatedAt', 7], ['max', 'uses', 2]),
    delta('b', ['latest', 'reason', 3, 'x']),
  ]
  expect(repeatable(commits, 9600)).toEqual([b, a])
  expect(repeatable(commits, 15_001)).toEqual([a])
  expect(repeatable(commits, 19_501)).toEqual([])
})

test('of more than can be put together the last commit is done again', () => {
  const many = Array.from({ length: 300 }, (_, n): StateOp => ['max', `f${n}`, n])
  const more = Array.from({ length: 300 }, (_, n): StateOp => ['max', `g${n}`, n])
  const commits = [
    [0, delta('a', ...many)],
    [1, delta('a', ...more)],
  ] as const
  expect(repeatable(commits, 2)).toEqual([delta('a', ...more)])
})
