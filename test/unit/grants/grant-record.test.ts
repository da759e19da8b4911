import { describe, expect, test } from '@jest/globals'
import type { Grant } from '../../../src/grants/grant.js'
import { grantState } from '../../../src/grants/grant.js'
import { grantOps, liveGrants, MAX_GRANTS, revokeOps } from '../../../src/grants/grant-record.js'
import { limitedUse, useOf, grantUsed } from '../../../src/grants/grant-use.js'
import type { LiveGrant } from '../../../src/grants/live-grant.js'
import { applyOps, EMPTY_RECORD, MAX_FIELDS, type StateRecord } from '../../../src/state/record.js'
import { NOW_MS } from '../../support/facts.js'

const HOUR_MS = 3_600_000

const aGrant = (grant: Partial<Grant> = {}): Grant => ({
  id: 'g1',
  subject: { issuer: 'https://idp.example', subject: 'alice' },
  service: 'lab/records',
  operations: ['Read'],
  requester: 'bob',
  approver: 'carol',
  breakGlass: false,
  ticket: 'SEC-7',
  reason: 'study 12',
  createdAtMs: NOW_MS,
  expiresAtMs: NOW_MS + HOUR_MS,
  ...grant,
})

const put = (record: StateRecord, grant: Grant, nowMs = NOW_MS): StateRecord => {
  const made = grantOps(grant, record, nowMs)
  if (!made.ok) throw new Error(made.problem)
  return applyOps(record, made.ops)
}

const recordOf = (...grants: readonly Grant[]): StateRecord =>
  grants.reduce((record, grant) => put(record, grant), EMPTY_RECORD)

const idsOf = (record: StateRecord, nowMs = NOW_MS) => liveGrants(record, nowMs).map(({ id }) => id)

/** What a store's `consume` does to the record. */
const consumed = (record: StateRecord) => applyOps(record, [['add', 'u:g1', 1]])

describe('no live grant', () => {
  const sound = recordOf(aGrant())
  const text = (value: unknown) => new Map<string, string | number>([['g:g1', `1|${JSON.stringify(value)}`]])
  const short = { s: 'lab/records', o: 'R', x: NOW_MS + 1 }
  test.each<{ name: string; record: StateRecord; nowMs?: number }>([
    { name: 'an empty record', record: EMPTY_RECORD },
    { name: 'one at its very end', record: sound, nowMs: NOW_MS + HOUR_MS },
    { name: 'at a time that is none', record: sound, nowMs: Number.NaN },
    { name: 'a revoked one', record: applyOps(sound, revokeOps('g1', NOW_MS)) },
    { name: 'one revoked by a clock ahead', record: applyOps(sound, revokeOps('g1', NOW_MS + HOUR_MS)) },
    { name: 'one revoked before it came', record: put(applyOps(EMPTY_RECORD, revokeOps('g1', 5)), aGrant()) },
    { name: 'one that is used up', record: consumed(recordOf(aGrant({ maxUses: 1 }))) },
    { name: 'one used too often', record: consumed(consumed(recordOf(aGrant({ maxUses: 1 })))) },
    { name: 'a number', record: new Map([['g:g1', 1]]) },
    { name: 'no JSON', record: new Map([['g:g1', '1|{']]) },
    { name: 'another JSON', record: text(['lab/records']) },
    { name: 'no end', record: text({ ...short, x: undefined }) },
    { name: 'no operations', record: text({ ...short, o: '' }) },
    { name: 'unknown operations', record: text({ ...short, o: 'RX' }) },
    { name: 'an empty list of endpoints', record: text({ ...short, e: [] }) },
    { name: 'a part that this version does not know', record: text({ ...short, until: 'noon' }) },
    { name: 'no service', record: text({ ...short, s: '' }) },
  ])('of $name', ({ record, nowMs }) => {
    expect(idsOf(record, nowMs)).toEqual([])
  })

  test('the text above is one otherwise', () => {
    expect(idsOf(text(short))).toEqual(['g1'])
  })
})

describe('live grants', () => {
  test('the same list on every call, until one of them ends', () => {
    const record = recordOf(aGrant(), aGrant({ id: 'g2', expiresAtMs: NOW_MS + 2 * HOUR_MS }))
    const list = liveGrants(record, NOW_MS)
    expect(list.map(({ id }) => id)).toEqual(['g1', 'g2'])
    expect(liveGrants(record, NOW_MS + HOUR_MS - 1)).toBe(list)
    expect(idsOf(record, NOW_MS + HOUR_MS)).toEqual(['g2'])
    expect(idsOf(record, NOW_MS)).toEqual(['g1', 'g2'])
    expect(liveGrants(EMPTY_RECORD, NOW_MS)).toBe(liveGrants(new Map(), NOW_MS))
  })

  test('the approved before break-glass, the unlimited before the limited, whatever their order', () => {
    const grants = [
      aGrant({ id: 'a', breakGlass: true }),
      aGrant({ id: 'b', maxUses: 2 }),
      aGrant({ id: 'c', expiresAtMs: NOW_MS + 2 * HOUR_MS }),
      aGrant({ id: 'd' }),
      aGrant({ id: 'e' }),
    ]
    expect(idsOf(recordOf(...grants))).toEqual(['d', 'e', 'c', 'b', 'a'])
    expect(idsOf(recordOf(...grants.toReversed()))).toEqual(['d', 'e', 'c', 'b', 'a'])
  })
})

describe('uses', () => {
  const only = (record: StateRecord): LiveGrant => {
    const [live] = liveGrants(record, NOW_MS)
    if (!live) throw new Error('no live grant')
    return live
  }

  test('of a grant without a limit are counted behind the call', () => {
    const grant = aGrant()
    let record = recordOf(grant)
    expect(useOf(grant, record)).toEqual({ uses: 0, lastUsedMs: undefined })
    for (const atMs of [NOW_MS + 5, NOW_MS + 3]) {
      expect(limitedUse('k', only(record))).toBeUndefined()
      record = applyOps(record, grantUsed('k', only(record), atMs).ops)
    }
    expect(useOf(grant, record)).toEqual({ uses: 2, lastUsedMs: NOW_MS + 5 })
  })

  test('of one with a limit are consumed before it', () => {
    const grant = aGrant({ maxUses: 2 })
    let record = recordOf(grant)
    for (const left of [2, 1]) {
      expect(only(record).usesLeft).toBe(left)
      record = applyOps(consumed(record), grantUsed('k', only(record), NOW_MS).ops)
    }
    expect(idsOf(record)).toEqual([])
    expect(useOf(grant, record)).toEqual({ uses: 2, lastUsedMs: NOW_MS })
    expect(grantState(grant, useOf(grant, record), NOW_MS)).toBe('exhausted')
  })

  test('are what the document kept, once the record has them no more', () => {
    expect(useOf(aGrant(), EMPTY_RECORD)).toBeUndefined()
    const kept = aGrant({ finalUse: { uses: 4, lastUsedAtMs: NOW_MS } })
    expect(useOf(kept, applyOps(EMPTY_RECORD, [['add', 'u:g1', 1]]))).toEqual({ uses: 4, lastUsedMs: NOW_MS })
  })

  test.each([
    { grant: aGrant({ revoked: { atMs: 1, by: 'dan', reason: 'x' } }), nowMs: NOW_MS, state: 'revoked' },
    { grant: aGrant({ maxUses: 1 }), nowMs: NOW_MS + HOUR_MS, state: 'expired' },
    { grant: aGrant({ maxUses: 1 }), nowMs: NOW_MS, state: 'live' },
  ])('$state', ({ grant, nowMs, state }) => {
    expect(grantState(grant, undefined, nowMs)).toBe(state)
  })
})

describe('a full record', () => {
  const many = (count: number, grant: Partial<Grant> = {}) =>
    Array.from({ length: count }, (_, index) => aGrant({ id: `g${index}`, ...grant }))

  test('takes no more live grants, and those it has can all be revoked and used', () => {
    const record = recordOf(...many(MAX_GRANTS))
    expect(record.size).toBe(MAX_FIELDS)
    expect(grantOps(aGrant({ id: 'more' }), record, NOW_MS)).toEqual({ ok: false, problem: 'too-many' })
    const live = liveGrants(record, NOW_MS)
    const used = applyOps(
      record,
      live.flatMap((grant) => grantUsed('k', grant, NOW_MS).ops),
    )
    const revoked = applyOps(
      used,
      live.flatMap(({ id }) => revokeOps(id, NOW_MS)),
    )
    expect(live).toHaveLength(MAX_GRANTS)
    expect(idsOf(revoked)).toEqual([])
    expect(revoked.size).toBe(MAX_FIELDS)
  })

  test('keeps what ended within the last hour', () => {
    const record = recordOf(...many(MAX_GRANTS))
    const later = NOW_MS + 2 * HOUR_MS
    expect(grantOps(aGrant({ id: 'more' }), record, later - 1)).toEqual({ ok: false, problem: 'too-many' })
    expect(grantOps(aGrant({ id: 'more' }), record, later).ok).toBe(true)
  })

  test('lets the longest ended go, with its counts', () => {
    let record = recordOf(
      ...many(MAX_GRANTS - 1, { expiresAtMs: NOW_MS + 24 * HOUR_MS }),
      aGrant({ id: 'old' }),
    )
    record = applyOps(record, [
      ['add', 'u:old', 7],
      ['max', 'l:old', NOW_MS + 9],
    ])
    const later = NOW_MS + 3 * HOUR_MS
    const made = grantOps(aGrant({ id: 'new', expiresAtMs: later + 1 }), record, later)
    expect(made).toMatchObject({ ok: true, retired: [{ id: 'old', uses: 7, lastUsedMs: NOW_MS + 9 }] })
    const next = made.ok ? applyOps(record, made.ops) : record
    expect([...next.keys()].filter((field) => field.endsWith(':old'))).toEqual([])
    expect(idsOf(next, later)).toContain('new')
  })

  test('a revoked grant goes an hour after its revocation', () => {
    const day = { expiresAtMs: NOW_MS + 24 * HOUR_MS }
    const record = applyOps(recordOf(...many(MAX_GRANTS, day)), revokeOps('g3', NOW_MS))
    expect(grantOps(aGrant({ id: 'more' }), record, NOW_MS + HOUR_MS - 1).ok).toBe(false)
    const made = grantOps(aGrant({ id: 'more' }), record, NOW_MS + HOUR_MS)
    expect(made).toMatchObject({ ok: true, retired: [{ id: 'g3' }] })
  })

  test('what a late use left behind makes no grant and goes first', () => {
    const record = applyOps(recordOf(...many(MAX_GRANTS - 1)), [['add', 'u:gone', 1]])
    const made = grantOps(aGrant({ id: 'more' }), record, NOW_MS)
    expect(made).toMatchObject({ ok: true, retired: [] })
    const next = made.ok ? applyOps(record, made.ops) : record
    expect(idsOf(next)).toHaveLength(MAX_GRANTS)
    expect(next.has('u:gone')).toBe(false)
  })

  test('with room nothing goes', () => {
    const record = recordOf(aGrant())
    expect(grantOps(aGrant({ id: 'g2' }), record, NOW_MS + 99 * HOUR_MS)).toMatchObject({ retired: [] })
  })
})
