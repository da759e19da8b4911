import { expect, test } from '@jest/globals'
import { createDecisionIds } from '../../../src/adapters/decision-ids.js'

const NOW_MS = Date.UTC(2026, 2, 1, 12)
const UUID_V7 = /^[\da-f]{8}-[\da-f]{4}-7[\da-f]{3}-[89ab][\da-f]{3}-[\da-f]{12}$/

test('no id comes twice, within one block of randomness or across blocks', () => {
  const newDecisionId = createDecisionIds(() => NOW_MS)
  const ids = Array.from({ length: 20_000 }, newDecisionId)
  expect(new Set(ids).size).toBe(ids.length)
  expect(ids.filter((id) => !UUID_V7.test(id))).toEqual([])
})

test('two generators at the same time share only the time', () => {
  const [one, other] = [createDecisionIds(() => NOW_MS)(), createDecisionIds(() => NOW_MS)()]
  expect(one.slice(0, 15)).toBe(other.slice(0, 15))
  expect(one.slice(15)).not.toBe(other.slice(15))
})

test('every random position takes every value', () => {
  const newDecisionId = createDecisionIds(() => NOW_MS)
  const seen = Array.from({ length: 36 }, () => new Set<string>())
  for (let i = 0; i < 2_000; i++)
    newDecisionId()
      .split('')
      .forEach((digit, at) => seen[at]?.add(digit))
  expect(seen.map((digits) => digits.size).join(' ')).toBe(
    [...Array<number>(15).fill(1), 16, 16, 16, 1, 4, 16, 16, 16, 1, ...Array<number>(12).fill(16)].join(' '),
  )
})

test('ids sort by time and give it back', () => {
  const times = [0, 1, 255, NOW_MS - 1, NOW_MS, NOW_MS + 0.5 + 1000, 2 ** 47]
  const left = [...times]
  const newDecisionId = createDecisionIds(() => left.shift() ?? 0)
  const ids = times.map(() => newDecisionId())
  expect([...ids].sort()).toEqual(ids)
  expect(ids.map((id) => Number.parseInt(id.slice(0, 8) + id.slice(9, 13), 16))).toEqual(
    times.map(Math.trunc),
  )
})
