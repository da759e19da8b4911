import { describe, expect, test } from '@jest/globals'
import type { EventFacts } from '../../../../src/audit/anomaly/facts.js'
import {
  alice,
  brief,
  DAY_MS,
  event,
  findingsOf,
  HOUR_MS,
  MINUTE_MS,
  MONDAY_MS,
  options,
} from '../../../support/anomaly.js'

const ONLY = options({}, 'offHours')
const BERLIN = options({ offHours: { ...ONLY.offHours, zone: 'Europe/Berlin' } }, 'offHours')

const at = (day: number, hour: number, over: Partial<EventFacts> = {}) =>
  event(MONDAY_MS + day * DAY_MS + hour * HOUR_MS, { user: alice, ...over })

/** Two weeks from 9 to 17, Monday to Friday. */
const WORK = [0, 1, 2, 3, 4, 7, 8, 9, 10, 11].flatMap((day) =>
  [9, 11, 13, 15, 16.5].map((hour) => at(day, hour)),
)

describe('not found', () => {
  test.each<{ name: string; events: EventFacts[] }>([
    { name: 'work as ever', events: [...WORK, at(14, 10), at(15, 12)] },
    { name: 'an hour earlier or later', events: [...WORK, at(14, 8.2), at(15, 17.9)] },
    { name: 'at night, without history and without a zone', events: [at(0, 3)] },
    { name: 'four days of history', events: [...WORK.slice(0, 20), at(9, 3)] },
    {
      name: 'somebody who is there at any hour',
      events: [...Array.from({ length: 12 * 16 }, (_, n) => at(Math.floor(n / 16), n % 16)), at(14, 20)],
    },
    { name: 'a workload at night', events: [...WORK, at(14, 3, { user: undefined, workload: 'shop/web' })] },
  ])('$name', ({ events }) => {
    expect(brief(findingsOf(events, ONLY))).toEqual([])
  })

  test('five in the evening there, at night in UTC', () => {
    const tokyo = options({ offHours: { ...ONLY.offHours, zone: 'Pacific/Auckland' } }, 'offHours')
    expect(findingsOf([at(0, 4)], tokyo)).toEqual([])
  })

  test('the summer hour: half past five UTC is half past six in winter and half past seven in summer', () => {
    const [winter, summer] = ['2026-03-28T05:30:00Z', '2026-03-29T05:30:00Z'].map((time) =>
      event(Date.parse(time), { user: alice }),
    )
    expect(
      findingsOf(
        [winter, summer].filter((each) => each !== undefined),
        BERLIN,
      ),
    ).toEqual([])
  })
})

describe('found', () => {
  test('three at night, by one who works from nine to five: once a night', () => {
    const found = findingsOf([...WORK, at(14, 3), at(14, 3.5), at(14, 4.5)], ONLY)
    expect(brief(found)).toEqual(['off-hours Low 3'])
    expect(found[0]).toMatchObject({
      subject: { kind: 'user', id: 'alice' },
      message: 'a call on Monday 03:00, outside the usual hours (11 days known)',
      events: { count: 3 },
    })
  })

  test('a Saturday', () => {
    expect(brief(findingsOf([...WORK, at(19, 11)], ONLY))).toEqual(['off-hours Low 11'])
  })

  test('worse where classified data is read', () => {
    const events = [...WORK, at(14, 3), at(14, 3.1, { classification: 'restricted' })]
    expect(brief(findingsOf(events, ONLY))).toEqual(['off-hours Low 3', 'off-hours Medium 3'])
  })

  test('a second night, and then it is usual', () => {
    const events = [...WORK, at(14, 3), at(15, 3), at(16, 3), at(17, 3)]
    expect(brief(findingsOf(events, ONLY))).toHaveLength(2)
  })

  test('without history in the zone that is given: 22:00 to 06:00 there', () => {
    expect(findingsOf([at(0, 20.9)], BERLIN)).toEqual([])
    expect(brief(findingsOf([at(0, 21.1)], BERLIN))).toEqual(['off-hours Low 22'])
    expect(findingsOf([event(MONDAY_MS + 5 * HOUR_MS + MINUTE_MS, { user: alice })], BERLIN)).toEqual([])
  })

  test('the risk factor of a decision, once while it is carried', () => {
    const found = findingsOf(
      [9, 9.1, 9.2].map((hour) => at(0, hour, { unusualTime: true })),
      ONLY,
    )
    expect(brief(found)).toEqual(['off-hours Low 9'])
    expect(found[0]?.message).toContain('under the risk factor unusual-time')
  })
})
