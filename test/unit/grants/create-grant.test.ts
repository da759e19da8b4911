import { describe, expect, test } from '@jest/globals'
import { createGrant, type CreatedGrant } from '../../../src/grants/create-grant.js'
import { type GrantRequest, GrantRequestSchema, GrantSchema, readGrant } from '../../../src/grants/grant.js'
import { limitedUse, grantUsed } from '../../../src/grants/grant-use.js'
import { liveGrants, revokeOps } from '../../../src/grants/grant-record.js'
import { matchesShape, shapeFindings } from '../../../src/schema/shape.js'
import { applyOps, EMPTY_RECORD, type StateRecord } from '../../../src/state/record.js'
import { NOW_MS } from '../../support/facts.js'

const HOUR_MS = 3_600_000
const LIMITS = { maxDurationMs: 24 * HOUR_MS, breakGlassMaxDurationMs: HOUR_MS }
const BY = { name: 'carol' }

const aRequest = (changed: Partial<GrantRequest> = {}): GrantRequest => ({
  subject: { issuer: 'https://idp.example', subject: 'alice' },
  service: 'lab/records',
  operations: ['Read'],
  requester: 'bob',
  ticket: 'SEC-7',
  reason: 'study 12',
  duration: '1h',
  ...changed,
})

/** The request without some of its fields. */
const without = (request: GrantRequest, ...fields: readonly (keyof GrantRequest)[]): GrantRequest => {
  const rest = { ...request }
  for (const field of fields) delete rest[field]
  return rest
}

const create = (
  request: GrantRequest,
  existing: StateRecord = EMPTY_RECORD,
  { by = BY, nowMs = NOW_MS, id = 'g2' } = {},
): CreatedGrant => {
  if (!matchesShape(GrantRequestSchema, request)) throw new Error(`does not fit: ${JSON.stringify(request)}`)
  return createGrant(request, by, existing, LIMITS, nowMs, id)
}

const faults = (created: CreatedGrant) =>
  created.ok ? ['created'] : created.problems.map(({ pointer, code }) => `${pointer.join('/')} ${code}`)

describe('bodies that do not fit', () => {
  test.each<{ name: string; body: unknown; found: readonly string[] }>([
    { name: 'an unknown field', body: { ...aRequest(), aprover: 'x' }, found: ['aprover unknown-field'] },
    { name: 'no reason', body: without(aRequest(), 'reason'), found: [' missing-field'] },
    { name: 'no requester', body: without(aRequest(), 'requester'), found: [' missing-field'] },
    {
      name: 'no subject',
      body: { ...aRequest(), subject: { subject: 'a' } },
      found: ['subject missing-field'],
    },
    { name: 'a bare service', body: aRequest({ service: 'records' }), found: ['service wrong-value'] },
    { name: 'no operations', body: aRequest({ operations: [] }), found: ['operations wrong-value'] },
    {
      name: 'an unknown operation',
      body: { ...aRequest(), operations: ['Delete'] },
      found: ['operations/0 wrong-word'],
    },
    {
      name: 'an operation twice',
      body: aRequest({ operations: ['Read', 'Read'] }),
      found: ['operations wrong-value'],
    },
    { name: 'no endpoints', body: aRequest({ endpoints: [] }), found: ['endpoints wrong-value'] },
    { name: 'no uses', body: aRequest({ maxUses: 0 }), found: ['maxUses wrong-value'] },
    { name: 'too many uses', body: aRequest({ maxUses: 10_001 }), found: ['maxUses wrong-value'] },
    { name: 'half a use', body: aRequest({ maxUses: 1.5 }), found: ['maxUses wrong-type'] },
    { name: 'a line break', body: aRequest({ reason: 'a\nb' }), found: ['reason wrong-value'] },
    { name: 'a terminal escape', body: aRequest({ ticket: 'a\u001b[2J' }), found: ['ticket wrong-value'] },
    {
      name: 'a text that runs backwards',
      body: aRequest({ requester: 'bob\u202e' }),
      found: ['requester wrong-value'],
    },
    {
      name: 'half a character',
      body: aRequest({ requester: 'bob\ud800' }),
      found: ['requester wrong-value'],
    },
    { name: 'blanks around', body: aRequest({ requester: ' bob' }), found: ['requester wrong-value'] },
    { name: 'blanks alone', body: aRequest({ reason: '   ' }), found: ['reason wrong-value'] },
    { name: 'a long reason', body: aRequest({ reason: 'x'.repeat(501) }), found: ['reason wrong-value'] },
    { name: 'a long name', body: aRequest({ requester: 'x'.repeat(129) }), found: ['requester wrong-value'] },
    { name: 'a duration without unit', body: aRequest({ duration: '60' }), found: ['duration wrong-value'] },
  ])('$name', ({ body, found }) => {
    const findings = shapeFindings(GrantRequestSchema, body)
    expect(findings.map(({ pointer, code }) => `${pointer.join('/')} ${code}`)).toEqual(found)
  })
})

describe('requests that are refused', () => {
  type Row = {
    readonly name: string
    readonly request: GrantRequest
    readonly by?: { readonly name: string }
    readonly found: readonly string[]
  }
  const breakGlass = (changed: Partial<GrantRequest> = {}) =>
    without(aRequest({ requester: 'carol', breakGlass: true, ...changed }), 'ticket')
  const subject = (name: string) => ({ issuer: 'https://idp.example', subject: name })
  test.each<Row>([
    { name: 'the approver asks', request: aRequest({ requester: 'carol' }), found: ['approver same-person'] },
    { name: 'the subject asks', request: aRequest({ requester: 'alice' }), found: ['requester same-person'] },
    {
      name: 'the subject approves',
      request: aRequest(),
      by: { name: 'alice' },
      found: ['approver same-person'],
    },
    {
      name: 'one person for all',
      request: aRequest({ requester: 'carol', subject: subject('carol') }),
      found: ['requester same-person', 'approver same-person', 'approver same-person'],
    },
    { name: 'another case', request: aRequest({ requester: 'CAROL' }), found: ['approver same-person'] },
    { name: 'another width', request: aRequest({ requester: 'ｃarol' }), found: ['approver same-person'] },
    {
      name: 'blanks within',
      request: aRequest({ requester: 'ca rol' }),
      found: ['approver same-person'],
    },
    {
      name: 'letters that look alike',
      request: aRequest({ requester: 'сaｒоΙ'.replace('Ι', 'l') }),
      found: ['approver same-person'],
    },
    {
      name: 'what nobody sees',
      request: aRequest({ requester: 'carol\ufe0f' }),
      found: ['approver same-person'],
    },
    {
      name: 'an e-mail address of the approver',
      request: aRequest({ requester: 'carol@corp.example' }),
      found: ['approver same-person'],
    },
    {
      name: 'two e-mail addresses',
      request: aRequest({ requester: 'Alice@a.example', subject: subject('alice@b.example') }),
      found: ['requester same-person'],
    },
    {
      name: 'an address with a tag',
      request: aRequest({ requester: 'carol+x@corp.example' }),
      found: ['approver same-person'],
    },
    { name: 'another approver', request: aRequest({ approver: 'dan' }), found: ['approver not-the-caller'] },
    { name: 'no ticket', request: without(aRequest(), 'ticket'), found: ['ticket missing-field'] },
    { name: 'no end', request: without(aRequest(), 'duration'), found: ['duration missing-field'] },
    {
      name: 'two ends',
      request: aRequest({ expiresAt: '2026-11-23T22:30:00Z' }),
      found: ['expiresAt wrong-value'],
    },
    { name: 'no time at all', request: aRequest({ duration: '0s' }), found: ['duration in-the-past'] },
    { name: 'too long', request: aRequest({ duration: '86400001ms' }), found: ['duration too-long'] },
    {
      name: 'longer than can be counted',
      request: aRequest({ duration: '285427y' }),
      found: ['duration too-long'],
    },
    ...(
      [
        ['in the past', '2026-11-23T21:29:59Z', 'in-the-past'],
        ['now', '2026-11-23T21:30:00Z', 'in-the-past'],
        ['too late', '2026-11-24T21:30:01Z', 'too-long'],
        ['of no zone', '2026-11-23T22:30:00', 'wrong-value'],
        ['a date', '2026-11-24', 'wrong-value'],
        ['of no such day', '2027-02-29T00:00:00Z', 'wrong-value'],
        ['of no such hour', '2026-11-23T24:00:00Z', 'wrong-value'],
        ['no time', 'tomorrow', 'wrong-value'],
      ] as const
    ).map(([name, expiresAt, code]) => ({
      name: `an end ${name}`,
      request: without(aRequest({ expiresAt }), 'duration'),
      found: [`expiresAt ${code}`],
    })),
    {
      name: 'break-glass with an approver',
      request: breakGlass({ approver: 'dan' }),
      found: ['approver break-glass-approver'],
    },
    {
      name: 'break-glass for somebody who asked',
      request: breakGlass({ requester: 'bob' }),
      found: ['requester not-the-caller'],
    },
    {
      name: 'break-glass for oneself',
      request: breakGlass({ subject: subject('carol') }),
      found: ['requester same-person'],
    },
    {
      name: 'break-glass beyond its own limit',
      request: breakGlass({ duration: '3600001ms' }),
      found: ['duration too-long'],
    },
    {
      name: 'everything at once',
      request: without(aRequest({ requester: 'carol', approver: 'dan', duration: '2d' }), 'ticket'),
      found: ['approver not-the-caller', 'approver same-person', 'ticket missing-field', 'duration too-long'],
    },
    {
      name: 'too long for the record',
      request: aRequest({ endpoints: Array.from({ length: 10 }, (_, index) => `${index}${'x'.repeat(60)}`) }),
      found: ['endpoints too-long'],
    },
  ])('$name', ({ request, by, found }) => {
    expect(faults(create(request, EMPTY_RECORD, by && { by }))).toEqual(found)
  })
})

const created = (outcome: CreatedGrant) => {
  if (!outcome.ok) throw new Error(JSON.stringify(outcome.problems))
  return outcome
}

describe('overlaps', () => {
  const before = created(
    create(aRequest({ endpoints: ['A', 'B'], operations: ['Read', 'Write'], roles: ['admin'] }), undefined, {
      id: 'g1',
    }),
  )
  const existing = applyOps(EMPTY_RECORD, before.ops)
  const same = aRequest({ endpoints: ['B', 'C'], operations: ['Write'], roles: ['admin', 'root'] })
  test.each([
    { name: 'endpoints, operations and roles', request: same },
    { name: 'all endpoints', request: without(same, 'endpoints') },
    { name: 'no roles', request: without(same, 'roles') },
  ])('a live grant with the same $name', ({ request }) => {
    const outcome = create(request, existing)
    expect(outcome).toMatchObject({ ok: false, conflict: 'g1' })
    expect(faults(outcome)).toEqual(['service overlapping-grant'])
  })

  test.each([
    { name: 'another service', request: { ...same, service: 'lab/other' }, record: existing },
    { name: 'other endpoints', request: { ...same, endpoints: ['C'] }, record: existing },
    { name: 'other operations', request: { ...same, operations: ['Download' as const] }, record: existing },
    { name: 'other roles', request: { ...same, roles: ['root'] }, record: existing },
    { name: 'a revoked one', request: same, record: applyOps(existing, revokeOps('g1', NOW_MS)) },
  ])('none with $name', ({ request, record }) => {
    expect(faults(create(request, record))).toEqual(['created'])
  })

  test('none with one that is over', () => {
    expect(faults(create(same, existing, { nowMs: NOW_MS + HOUR_MS }))).toEqual(['created'])
    expect(faults(create(same, existing, { nowMs: NOW_MS + HOUR_MS - 1 }))).toEqual([
      'service overlapping-grant',
    ])
  })
})

test('a grant is stored whole, and calls are decided on its short form', () => {
  const outcome = created(
    create(aRequest({ approver: 'carol', endpoints: ['Get'], roles: ['admin'], maxUses: 3 })),
  )
  expect(outcome.grant).toEqual({
    id: 'g2',
    subject: { issuer: 'https://idp.example', subject: 'alice' },
    service: 'lab/records',
    endpoints: ['Get'],
    operations: ['Read'],
    roles: ['admin'],
    requester: 'bob',
    approver: 'carol',
    breakGlass: false,
    ticket: 'SEC-7',
    reason: 'study 12',
    createdAtMs: NOW_MS,
    expiresAtMs: NOW_MS + HOUR_MS,
    maxUses: 3,
  })
  expect(matchesShape(GrantSchema, outcome.grant)).toBe(true)
  expect(readGrant(JSON.stringify(outcome.grant))).toEqual(outcome.grant)
  const record = applyOps(EMPTY_RECORD, outcome.ops)
  const [live] = liveGrants(record, NOW_MS)
  expect(live).toEqual({
    id: 'g2',
    service: 'lab/records',
    endpoints: ['Get'],
    operations: ['Read'],
    roles: ['admin'],
    maxUses: 3,
    usesLeft: 3,
    expiresAtMs: NOW_MS + HOUR_MS,
    breakGlass: false,
  })
  expect(live && limitedUse('g:key', live)).toMatchObject({ key: 'g:key', field: 'u:g2', limit: 3 })
  expect(live && grantUsed('k', live, NOW_MS).ops).toEqual([['max', 'l:g2', NOW_MS]])
})

test('a break-glass grant has no approver and may have no ticket', () => {
  const request = without(aRequest({ requester: 'carol', breakGlass: true }), 'ticket')
  const { grant } = created(create(request))
  expect(Object.keys(grant)).not.toContain('approver')
  expect(grant).toMatchObject({ breakGlass: true, requester: 'carol' })
  expect(readGrant(JSON.stringify(grant))).toEqual(grant)
})

test.each(['', 'null', '[]', '{}', '{"id":"a"}', 'not json'])('%j is no stored grant', (text) => {
  expect(readGrant(text)).toBeUndefined()
})
