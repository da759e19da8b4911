import { describe, expect, test } from '@jest/globals'
import { parseOptions } from '../../../bench/soak/options.js'
import { CHANGE_KINDS, schedule } from '../../../bench/soak/schedule.js'

describe('the schedule of a soak', () => {
  test.each([0, 1, 2999, 3000])('%d ms are too short for anything to happen', (durationMs) => {
    expect(schedule(1, durationMs)).toEqual([])
  })

  test('is another one for another seed', () => {
    expect(schedule(1, 600_000)).not.toEqual(schedule(2, 600_000))
  })

  test('is the same for the same seed', () => {
    expect(schedule(7, 600_000)).toEqual(schedule(7, 600_000))
  })

  test.each([25_000, 60_000, 600_000])('of %d ms has every kind, in order, with a calm end', (durationMs) => {
    const changes = schedule(1, durationMs)
    expect(new Set(changes.map(({ kind }) => kind))).toEqual(new Set(CHANGE_KINDS))
    const times = changes.map(({ atMs }) => atMs)
    expect(times).toEqual(times.toSorted((a, b) => a - b))
    expect(times.at(-1)).toBeLessThanOrEqual(durationMs - 1500)
    for (const { draw } of changes) expect(draw >= 0 && draw < 1).toBe(true)
  })

  test('goes on as long as the run does, at the same pace', () => {
    const [ten, hour] = [schedule(1, 600_000), schedule(1, 3_600_000)]
    expect(hour.length / ten.length).toBeGreaterThan(5)
    expect(hour.at(-1)?.atMs).toBeGreaterThan(3_590_000)
  })
})

describe('options of a soak', () => {
  test.each([
    [['--minutes', '1', '--seconds', '2'], 'give one'],
    [['--minutes', 'ten'], '--minutes is `ten`'],
    [['--minutes', ''], '--minutes is ``'],
    [['--seconds', '1'], 'from 5'],
    [['--seed=-1'], '--seed is `-1`'],
    [['--rate', '0'], '--rate is `0`'],
    [['--length', '5'], '--length'],
    [['5'], '5'],
  ])('%j is refused', (args, message) => {
    expect(() => parseOptions(args)).toThrow(message)
  })

  test.each([
    [[], 600_000],
    [['--minutes', '60'], 3_600_000],
    [['--seconds', '30'], 30_000],
    [['--minutes', '0.5', '--seed', '9'], 30_000],
  ])('%j is a run of %d ms', (args, durationMs) => {
    expect(parseOptions(args).durationMs).toBe(durationMs)
  })
})
