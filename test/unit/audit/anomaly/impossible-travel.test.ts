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

const ONLY = options({}, 'impossibleTravel')
const [PARIS, TOKYO, NEAR_PARIS, LONDON, SOMEWHERE] = [1, 2, 3, 4, 5].map((last) => `203.0.113.${last}`)

const from = (userIp: string | undefined, atMs: number, over: Partial<EventFacts> = {}) =>
  event(MONDAY_MS + atMs, { user: alice, userIp, ...over })

describe('not found', () => {
  test.each<{ name: string; events: EventFacts[] }>([
    { name: 'a flight of half a day', events: [from(PARIS, 0), from(TOKYO, 12 * HOUR_MS)] },
    { name: 'a train of an hour', events: [from(PARIS, 0), from(LONDON, HOUR_MS)] },
    { name: 'two addresses of one town at once', events: [from(PARIS, 0), from(NEAR_PARIS, 0)] },
    {
      name: 'clocks of two replicas that differ by a minute, in one town',
      events: [from(PARIS, MINUTE_MS), from(NEAR_PARIS, 0), from(PARIS, MINUTE_MS)],
    },
    { name: 'an address of which the country alone is known', events: [from(PARIS, 0), from(SOMEWHERE, 1)] },
    { name: 'an unknown address', events: [from(PARIS, 0), from('192.0.2.1', 1)] },
    { name: 'calls whose address is not the user’s', events: [from(PARIS, 0), from(undefined, 1)] },
    {
      name: 'two users at two places',
      events: [from(PARIS, 0), from(TOKYO, 1, { user: { ...alice, key: 'bob', id: 'bob' } })],
    },
  ])('$name', ({ events }) => {
    expect(findingsOf(events, ONLY)).toEqual([])
  })
})

describe('found', () => {
  test('Paris and Tokyo within ten minutes, with both events', () => {
    const events = [from(PARIS, 0), from(PARIS, MINUTE_MS), from(TOKYO, 11 * MINUTE_MS)]
    const [finding, ...others] = findingsOf(events, ONLY)
    expect(others).toEqual([])
    expect(finding).toMatchObject({
      rule: 'impossible-travel',
      severity: 'High',
      subject: { kind: 'user', id: 'alice', issuer: 'https://idp.example' },
      fromMs: MONDAY_MS + MINUTE_MS,
      atMs: MONDAY_MS + 11 * MINUTE_MS,
      baseline: 1000,
      events: { decisionIds: [events[1]?.decisionId, events[2]?.decisionId], count: 2 },
    })
    expect(finding?.observed).toBeGreaterThan(50_000)
    expect(finding?.message).toMatch(
      /203\.0\.113\.1 \(FR\) and 203\.0\.113\.2 \(JP\), 97\d\d km apart within 600 s/,
    )
  })

  test('the later event first', () => {
    expect(findingsOf([from(TOKYO, MINUTE_MS), from(PARIS, 0)], ONLY)).toHaveLength(1)
  })

  test('back and forth once a day', () => {
    const events = Array.from({ length: 30 }, (_, hour) =>
      from(hour % 2 === 0 ? PARIS : TOKYO, hour * HOUR_MS),
    )
    expect(brief(findingsOf(events, ONLY))).toHaveLength(2)
  })

  test('the risk factor of a decision, once while a session carries it', () => {
    const events = [0, 1, 2, 3].map((hour) => from(undefined, hour * DAY_MS, { impossibleTravel: hour > 0 }))
    const found = findingsOf(events, ONLY)
    expect(found.map(({ message }) => message)).toEqual([
      'the decision was made under the risk factor impossible-travel',
    ])
  })

  test('less far where the limit is lower', () => {
    const events = [from(PARIS, 0), from(LONDON, HOUR_MS)]
    expect(
      findingsOf(events, { ...ONLY, impossibleTravel: { enabled: true, maxSpeedKmh: 300 } }),
    ).toHaveLength(1)
  })
})
