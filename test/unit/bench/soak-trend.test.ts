import { describe, expect, test } from '@jest/globals'
import { Recorder } from '../../../bench/soak/recorder.js'
import { quantile, trend } from '../../../bench/soak/trend.js'

const BOUND = { absolute: 16, share: 0.1 }
const samples = (of: (index: number) => number): number[] =>
  Array.from({ length: 400 }, (_, index) => of(index))
/** Up for a hundred samples, then down: what a collection of garbage looks like. */
const sawtooth = (index: number): number => (index % 20) * 4

describe('a trend', () => {
  test.each<[string, (index: number) => number]>([
    ['a steady leak', (index) => 150 + index * 0.2],
    ['a leak under garbage', (index) => 150 + sawtooth(index) + index * 0.25],
    ['a step in the last quarter', (index) => (index > 290 ? 200 : 150)],
  ])('%s is found', (_name, of) => {
    expect(trend(samples(of), BOUND).isFlat).toBe(false)
  })

  test.each<[string, (index: number) => number]>([
    ['a level', () => 150],
    ['garbage', (index) => 150 + sawtooth(index)],
    ['a warm-up', (index) => 150 + Math.min(index, 100)],
    ['one spike at the end', (index) => (index === 399 ? 900 : 150)],
    ['much that becomes less', (index) => 900 - index],
    ['little that grows by a large share', (index) => 5 + index * 0.04],
    ['a lot that grows by a small share', (index) => 2000 + index * 0.5],
  ])('%s is flat', (_name, of) => {
    expect(trend(samples(of), BOUND).isFlat).toBe(true)
  })

  test('of three samples nobody can be told', () => {
    expect(() => trend([1, 2, 3], BOUND)).toThrow('no quarters')
  })

  test('of nothing there is no quantile', () => {
    expect(quantile([], 0.99)).toBeNaN()
  })
})

test('what is recorded comes out by time, with a minute of its own for each minute', () => {
  const recorder = new Recorder(180_000)
  for (let atMs = 0; atMs < 150_000; atMs += 100) {
    recorder.answered(atMs, 'known', atMs % 1000 === 0 ? 'forbidden' : 'allowed', atMs < 60_000 ? 1 : 5)
  }
  const summaries = recorder.summaries()
  expect(summaries).toHaveLength(150)
  expect(summaries.map(({ checks }) => checks)).toEqual(summaries.map(() => 10))
  expect(summaries[3]?.answers).toEqual(
    new Map([
      ['forbidden', 1],
      ['allowed', 9],
    ]),
  )
  expect(recorder.minutes.map(({ p99Ms }) => p99Ms)).toEqual([1, 5, 5])
  expect(recorder.checks).toBe(1500)
  expect(recorder.countOf('forbidden')).toBe(150)
  expect(recorder.countOf('overloaded')).toBe(0)
})
