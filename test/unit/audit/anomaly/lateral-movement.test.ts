import { describe, expect, test } from '@jest/globals'
import type { EventFacts } from '../../../../src/audit/anomaly/facts.js'
import {
  alice,
  brief,
  event,
  findingsOf,
  HOUR_MS,
  MINUTE_MS,
  MONDAY_MS,
  options,
  refused,
  SECOND_MS,
} from '../../../support/anomaly.js'

const ONLY = options({}, 'lateralMovement')

/** Tries so many targets, one a second. */
const tries = (fromMs: number, targets: number, over: Partial<EventFacts> = {}) =>
  Array.from({ length: targets }, (_, at) =>
    refused(MONDAY_MS + fromMs + at * SECOND_MS, `ns/target-${at}`, over),
  )

describe('not found', () => {
  test.each<{ name: string; events: EventFacts[] }>([
    {
      name: 'a storm of retries at one target',
      events: Array.from({ length: 5000 }, (_, at) => refused(MONDAY_MS + at, 'a/b')),
    },
    { name: 'four targets', events: tries(0, 4) },
    {
      name: 'many targets, each in a window of its own',
      events: Array.from({ length: 20 }, (_, at) => refused(MONDAY_MS + at * 11 * MINUTE_MS, `a/t${at}`)),
    },
    { name: 'an expired token at every target', events: tries(0, 20, { refusedFor: 'user-token-expired' }) },
    { name: 'a store that is away', events: tries(0, 20, { refusedFor: 'state-unavailable' }) },
    {
      name: 'a step-up that is asked for everywhere',
      events: tries(0, 20, { refusedFor: 'step-up-required' }),
    },
    {
      name: 'many targets that let it pass',
      events: Array.from({ length: 50 }, (_, at) => event(MONDAY_MS + at, { target: `a/t${at}` })),
    },
    {
      name: 'one refusal each of many workloads',
      events: Array.from({ length: 50 }, (_, at) =>
        refused(MONDAY_MS + at, `a/t${at}`, { workload: `a/w${at}` }),
      ),
    },
    { name: 'nobody', events: tries(0, 20, { workload: undefined }) },
    {
      name: 'targets that nobody can name',
      events: tries(0, 20, { target: undefined }),
    },
  ])('$name', ({ events }) => {
    expect(brief(findingsOf(events, ONLY))).toEqual([])
  })

  test('a gateway whose users are refused by six targets all day is told once and then no more', () => {
    const events = Array.from({ length: 48 }, (_, half) => tries(half * 30 * MINUTE_MS, 6)).flat()
    expect(findingsOf(events, ONLY)).toHaveLength(1)
  })
})

describe('found', () => {
  test('a workload that tries many targets: as soon as it is remarkable, and again as it gets worse', () => {
    const events = tries(0, 25)
    const found = findingsOf(events, ONLY)
    expect(brief(found)).toEqual([
      'lateral-movement Medium 5',
      'lateral-movement High 10',
      'lateral-movement Critical 20',
    ])
    expect(found[0]).toMatchObject({
      subject: { kind: 'workload', id: 'shop/web' },
      unit: 'targets',
      fromMs: MONDAY_MS,
      atMs: MONDAY_MS + 4 * SECOND_MS,
      message:
        'refused by 5 different targets: ns/target-0, ns/target-1, ns/target-2, ns/target-3, ns/target-4',
    })
    expect(found[2]?.events).toMatchObject({
      count: 25,
      decisionIds: events.slice(0, 20).map(({ decisionId }) => decisionId),
    })
  })

  test.each(['caller-unknown', 'rule-not-matched', 'forbidden', 'endpoint-not-exposed'])(
    'refused for %s',
    (refusedFor) => {
      expect(findingsOf(tries(0, 5, { refusedFor }), ONLY)).toHaveLength(1)
    },
  )

  test('a user', () => {
    const [finding] = findingsOf(tries(0, 5, { user: alice, workload: undefined }), ONLY)
    expect(finding?.subject).toEqual({ kind: 'user', id: 'alice', issuer: 'https://idp.example' })
  })

  test('twenty targets, however slowly a caller got there', () => {
    const steps = [4, 5, 6, 7, 8, 10, 12, 14, 17, 20]
    const events = steps.flatMap((targets, step) => tries(step * 11 * MINUTE_MS, targets))
    expect(brief(findingsOf(events, ONLY)).at(-1)).toMatch(/critical/i)
  })

  test('the same in the next hour: the first did not become usual', () => {
    expect(findingsOf([...tries(0, 9), ...tries(HOUR_MS, 9)], ONLY)).toHaveLength(2)
  })

  test('events of two replicas whose clocks differ', () => {
    const skewed = Array.from({ length: 5 }, (_, at) =>
      refused(MONDAY_MS + at * SECOND_MS - (at % 2) * MINUTE_MS, `ns/target-${at}`),
    )
    expect(findingsOf(skewed, ONLY)).toHaveLength(1)
  })

  test('a target without a name, by the host that was asked for', () => {
    const events = Array.from({ length: 5 }, (_, at) =>
      refused(MONDAY_MS + at, `host-${at}.example`, { refusedFor: 'target-unknown' }),
    )
    expect(findingsOf(events, ONLY)).toHaveLength(1)
  })
})
