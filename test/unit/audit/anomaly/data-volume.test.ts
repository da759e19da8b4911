import { describe, expect, test } from '@jest/globals'
import type { EventFacts } from '../../../../src/audit/anomaly/facts.js'
import { alice, brief, calls, findingsOf, HOUR_MS, MONDAY_MS, options } from '../../../support/anomaly.js'

const ONLY = options(
  { dataVolume: { enabled: true, times: 10, leastCalls: 50, leastAccesses: 20 } },
  'dataVolume',
)

/** So many calls in each hour, one after the other. */
const hours = (counts: readonly number[], over: (at: number) => Partial<EventFacts> = () => ({})) =>
  counts.flatMap((count, hour) => calls(MONDAY_MS + hour * HOUR_MS, count, HOUR_MS, over))

const steady = (count: number, windows = 8) => Array.from({ length: windows }, () => count)

describe('not found', () => {
  test.each<{ name: string; events: EventFacts[] }>([
    { name: 'busy but steady', events: hours(steady(400, 30)) },
    { name: 'one call that becomes ten', events: hours([...steady(1), 10]) },
    { name: 'ten times of little, at the floor', events: hours([...steady(2), 50]) },
    { name: 'nine times its baseline', events: hours([...steady(20), 180]) },
    { name: 'growth by half every hour', events: hours([20, 30, 45, 68, 102, 153, 230, 345, 518, 777]) },
    { name: 'a first hour, however busy', events: hours([5000]) },
    { name: 'a second and a third one', events: hours([1, 5000, 1, 5000]) },
    {
      name: 'a job that runs for an hour once a day',
      events: Array.from({ length: 10 }, (_, day) =>
        calls(MONDAY_MS + day * 24 * HOUR_MS, 600, HOUR_MS),
      ).flat(),
    },
    {
      name: 'a storm of calls that are all refused',
      events: [
        ...hours(steady(10)),
        ...calls(MONDAY_MS + 8 * HOUR_MS, 3000, HOUR_MS, () => ({
          allowed: false,
          refusedFor: 'call-not-allowed',
        })),
      ],
    },
    {
      name: 'writes of classified data, as many as reads elsewhere would be told',
      events: hours([...steady(2), 45], () => ({ classification: 'restricted', operation: 'Write' })),
    },
  ])('$name', ({ events }) => {
    expect(brief(findingsOf(events, ONLY))).toEqual([])
  })

  test('a peak that was there a week ago', () => {
    const week = [...steady(20, 30), 190, ...steady(20, 130), 205]
    expect(brief(findingsOf(hours(week), ONLY))).toEqual([])
  })
})

describe('found', () => {
  test('more than ten times the baseline, with the numbers and the events of the surge', () => {
    const events = hours([...steady(20), 300])
    const [finding, ...others] = findingsOf(events, ONLY)
    expect(others).toEqual([])
    expect(finding).toMatchObject({
      rule: 'data-volume',
      severity: 'Medium',
      subject: { kind: 'workload', id: 'shop/web' },
      observed: 201,
      baseline: 20,
      unit: 'calls',
      fromMs: MONDAY_MS + 8 * HOUR_MS,
      // From half of the limit on.
      events: { count: 200 },
    })
    expect(finding?.events.decisionIds).toHaveLength(20)
  })

  test('again, and worse, once it is far beyond', () => {
    expect(brief(findingsOf(hours([...steady(20), 1500]), ONLY))).toEqual([
      'data-volume Medium 201',
      'data-volume High 1000',
    ])
  })

  test('the same attack on the next day: the first one did not become usual', () => {
    const found = findingsOf(hours([...steady(20, 12), 900, ...steady(20, 23), 900]), ONLY)
    expect(found.map(({ fromMs }) => (fromMs - MONDAY_MS) / HOUR_MS)).toEqual([12, 36])
  })

  test('reads of classified data by one user, more severe than calls', () => {
    const secret = (at: number) => ({
      user: alice,
      workload: undefined,
      classification: 'restricted',
      operation: at % 2 === 0 ? 'Read' : 'Download',
    })
    expect(brief(findingsOf(hours([...steady(3), 40], secret), ONLY))).toEqual(['data-volume High 31'])
  })
})
