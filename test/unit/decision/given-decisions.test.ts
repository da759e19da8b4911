import { describe, expect, test } from '@jest/globals'
import { GivenDecisions } from '../../../src/decision/given-decisions.js'

const NOW_MS = 1_790_000_000_000
const ENVOY = 'spiffe://cluster.local/ns/shop/sa/payment-service'
type Subject = { readonly user: string }
const ALICE: Subject = { user: 'alice' }
const BOB: Subject = { user: 'bob' }
const OTHER = 'spiffe://cluster.local/ns/shop/sa/order-service'

describe('what does not count', () => {
  test.each([
    { name: 'an id that nobody was given', id: 'd2', asker: ENVOY, afterMs: 0, why: 'unknown' },
    { name: "another Envoy's", id: 'd1', asker: OTHER, afterMs: 0, why: 'foreign' },
    { name: 'an asker without identity', id: 'd1', asker: undefined, afterMs: 0, why: 'foreign' },
    { name: 'too late', id: 'd1', asker: ENVOY, afterMs: 600_001, why: 'unknown' },
  ])('$name', ({ id, asker, afterMs, why }) => {
    const given = new GivenDecisions<Subject>()
    given.remember('d1', ENVOY, ALICE, NOW_MS)
    expect(given.take(id, asker, NOW_MS + afterMs)).toBe(why)
    expect(given.notTaken).toEqual({ unknown: 0, foreign: 0, repeated: 0, [why]: 1 })
    expect(given.taken).toBe(0)
  })

  test('a second time', () => {
    const given = new GivenDecisions<Subject>()
    given.remember('d1', ENVOY, ALICE, NOW_MS)
    expect([given.take('d1', ENVOY, NOW_MS), given.take('d1', ENVOY, NOW_MS)]).toEqual([ALICE, 'repeated'])
    expect(given.notTaken).toEqual({ unknown: 0, foreign: 0, repeated: 1 })
  })
})

describe('what counts', () => {
  test('a decision of the last ten minutes, by its Envoy alone, whatever others tried', () => {
    const given = new GivenDecisions<Subject>()
    given.remember('d1', ENVOY, ALICE, NOW_MS)
    given.take('d1', OTHER, NOW_MS)
    expect(given.take('d1', ENVOY, NOW_MS + 600_000)).toBe(ALICE)
  })

  test('on a listener that knows no askers', () => {
    const given = new GivenDecisions<Subject>()
    given.remember('d1', undefined, ALICE, NOW_MS)
    expect(given.take('d1', undefined, NOW_MS)).toBe(ALICE)
  })

  test('a clock that went backwards', () => {
    const given = new GivenDecisions<Subject>()
    given.remember('d1', ENVOY, ALICE, NOW_MS)
    given.remember('d2', ENVOY, BOB, NOW_MS - 3_600_000)
    expect(given.take('d1', ENVOY, NOW_MS - 3_600_000)).toBe(ALICE)
    expect(given.take('d2', ENVOY, NOW_MS - 3_600_000)).toBe(BOB)
  })
})

describe.each([1, 2, 3, 100, 128])('a book of %i', (size) => {
  test('is bounded: the latest are there, each once, and the others are unknown', () => {
    const given = new GivenDecisions<{ readonly at: number }>(size)
    for (let at = 0; at < 1000; at++) given.remember(`d${at}`, ENVOY, { at }, NOW_MS + at)
    expect(given.size).toBe(size)
    for (let round = 0; round < 2; round++) {
      const found = Array.from({ length: 1000 }, (_, at) => given.take(`d${at}`, ENVOY, NOW_MS + 1000))
      const latest = Array.from({ length: size }, (_, at) => ({ at: 1000 - size + at }))
      expect(found.filter((taken) => typeof taken !== 'string')).toEqual(round === 0 ? latest : [])
    }
    expect(given.notTaken).toEqual({ unknown: 2 * (1000 - size), foreign: 0, repeated: size })
  })

  test('takes what comes while others are taken', () => {
    const given = new GivenDecisions<{ readonly at: number }>(size)
    for (let at = 0; at < 1000; at++) {
      given.remember(`d${at}`, ENVOY, { at }, NOW_MS)
      expect(given.take(`d${at}`, ENVOY, NOW_MS)).toEqual({ at })
      if (at >= size) expect(given.take(`d${at - size}`, ENVOY, NOW_MS)).toBe('unknown')
    }
    expect(given.taken).toBe(1000)
  })
})
