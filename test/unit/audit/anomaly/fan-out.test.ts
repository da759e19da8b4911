import { describe, expect, test } from '@jest/globals'
import type { EventFacts } from '../../../../src/audit/anomaly/facts.js'
import { brief, event, findingsOf, HOUR_MS, MONDAY_MS, options, SECOND_MS } from '../../../support/anomaly.js'

const ONLY = options({}, 'fanOut')

/** So many different targets in each hour, each asked for twice. */
const breadths = (counts: readonly number[], over: Partial<EventFacts> = {}) =>
  counts.flatMap((count, hour) =>
    Array.from({ length: 2 * count }, (_, at) =>
      event(MONDAY_MS + hour * HOUR_MS + at * SECOND_MS, { target: `a/t${at % count}`, ...over }),
    ),
  )

describe('not found', () => {
  test.each<{ name: string; counts: number[] }>([
    { name: 'wide but steady', counts: [60, 60, 60, 60, 60, 60] },
    { name: "a new deployment's first hour", counts: [80] },
    { name: 'and its second and third', counts: [80, 80, 80] },
    { name: 'little that becomes ten', counts: [1, 1, 1, 1, 10] },
    { name: 'growth within bounds', counts: [5, 8, 12, 18, 27, 40] },
    { name: 'a window as wide as one before', counts: [4, 30, 4, 4, 4, 30] },
  ])('$name', ({ counts }) => {
    expect(brief(findingsOf(breadths(counts), ONLY))).toEqual([])
  })

  test('one target, however often', () => {
    const events = Array.from({ length: 5000 }, (_, at) => event(MONDAY_MS + at * 10 * SECOND_MS))
    expect(findingsOf(events, ONLY)).toEqual([])
  })
})

describe('found', () => {
  test('many more targets than in earlier hours, let pass or not', () => {
    const found = findingsOf(breadths([3, 3, 3, 3, 40]), ONLY)
    expect(brief(found)).toEqual(['fan-out Medium 11', 'fan-out High 31'])
    expect(found[0]).toMatchObject({
      baseline: 3,
      unit: 'targets',
      subject: { kind: 'workload', id: 'shop/web' },
    })
    expect(found[0]?.message).toContain('The latest: a/t10, a/t9')
    const denied = breadths([3, 3, 3, 3, 40], { allowed: false, refusedFor: 'user-token-expired' })
    expect(brief(findingsOf(denied, ONLY))).toEqual(['fan-out Medium 11', 'fan-out High 31'])
  })

  test('again on the next day', () => {
    expect(brief(findingsOf(breadths([3, 3, 3, 3, 25, 3, 3, 3, 3, 3, 3, 25]), ONLY))).toHaveLength(2)
  })
})
