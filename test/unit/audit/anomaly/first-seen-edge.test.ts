import { describe, expect, test } from '@jest/globals'
import type { EventFacts } from '../../../../src/audit/anomaly/facts.js'
import {
  brief,
  DAY_MS,
  event,
  findingsOf,
  HOUR_MS,
  MINUTE_MS,
  MONDAY_MS,
  options,
} from '../../../support/anomaly.js'

const ONLY = options({}, 'firstSeenEdge')
const at = (ms: number, target: string, over: Partial<EventFacts> = {}) =>
  event(MONDAY_MS + ms, { target, ...over })

/** Eight days, an hour apart. */
const USUAL = Array.from({ length: 8 * 24 }, (_, hour) => at(hour * HOUR_MS, 'shop/pay'))

describe('not found', () => {
  test.each<{ name: string; events: EventFacts[] }>([
    {
      name: 'anything within the learning time',
      events: Array.from({ length: 100 }, (_, n) => at(n * HOUR_MS, `a/t${n}`)),
    },
    { name: 'the edge as ever', events: [...USUAL, at(8 * DAY_MS, 'shop/pay')] },
    {
      name: "a new deployment's first hour",
      events: [
        ...USUAL,
        ...Array.from({ length: 30 }, (_, n) =>
          at(8 * DAY_MS + n * MINUTE_MS, `a/t${n}`, { workload: 'shop/new' }),
        ),
      ],
    },
    {
      name: 'a call that is refused',
      events: [...USUAL, at(8 * DAY_MS, 'a/b', { allowed: false, refusedFor: 'call-not-allowed' })],
    },
    {
      name: 'a call that a mode let pass',
      events: [...USUAL, at(8 * DAY_MS, 'a/b', { allowed: false, refusedFor: 'rule-not-matched' })],
    },
    { name: 'a call without a target', events: [...USUAL, { ...at(8 * DAY_MS, ''), target: undefined }] },
  ])('$name', ({ events }) => {
    expect(brief(findingsOf(events, ONLY))).toEqual([])
  })
})

describe('found', () => {
  test('another endpoint of a known target, once', () => {
    const events = [
      ...USUAL,
      at(8 * DAY_MS, 'shop/pay', { endpoint: 'Refund' }),
      at(9 * DAY_MS, 'shop/pay', { endpoint: 'Refund' }),
    ]
    const found = findingsOf(events, ONLY)
    expect(brief(found)).toEqual(['first-seen-edge Low 1'])
    expect(found[0]).toMatchObject({
      message: 'let pass where it never called before: shop/pay:Refund',
      events: { count: 1 },
    })
  })

  test('a target of classified data is more severe', () => {
    const found = findingsOf([...USUAL, at(8 * DAY_MS, 'hr/pay', { classification: 'restricted' })], ONLY)
    expect(brief(found)).toEqual(['first-seen-edge Medium 1'])
  })

  test('many within an hour are one finding that gets worse', () => {
    const many = Array.from({ length: 25 }, (_, n) => at(8 * DAY_MS + n * MINUTE_MS, `a/t${n}`))
    const found = findingsOf([...USUAL, ...many], ONLY)
    expect(brief(found)).toEqual([
      'first-seen-edge Low 1',
      'first-seen-edge Medium 5',
      'first-seen-edge High 20',
    ])
    expect(found[2]?.events.count).toBe(25)
  })
})
