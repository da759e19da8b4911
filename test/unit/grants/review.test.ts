import { describe, expect, test } from '@jest/globals'
import type { Grant, GrantUse } from '../../../src/grants/grant.js'
import { reviewAccess, type ReviewInput } from '../../../src/grants/review.js'
import { writeReviewCsv, writeReviewTable } from '../../../src/grants/write-review.js'
import { NOW_MS } from '../../support/facts.js'

const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS

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
  createdAtMs: NOW_MS - HOUR_MS,
  expiresAtMs: NOW_MS + HOUR_MS,
  ...grant,
})

const unused: GrantUse = { uses: 0, lastUsedMs: undefined }
const used: GrantUse = { uses: 2, lastUsedMs: NOW_MS - 60_000 }

const rule = (name: string, lastUsedMs?: number) => ({
  id: `lab/records/${name}`,
  source: `lab.yaml:${name}`,
  service: 'lab/records',
  name,
  lastUsedMs,
})

const review = (input: Partial<ReviewInput> = {}) =>
  reviewAccess({
    grants: [],
    rules: [],
    observedSinceMs: NOW_MS - 30 * DAY_MS,
    unusedForMs: 30 * DAY_MS,
    nowMs: NOW_MS,
    ...input,
  })

describe('what nobody knows is not said', () => {
  test('a grant whose uses nobody counts any more is not unused', () => {
    const report = review({ grants: [{ grant: aGrant(), use: undefined }] })
    expect(report.unused).toEqual([])
    expect(report.live[0]?.uses).toBeUndefined()
  })

  test.each([
    { name: 'not at all', observedSinceMs: undefined, enough: false },
    { name: 'too short', observedSinceMs: NOW_MS - 30 * DAY_MS + 1, enough: false },
    { name: 'just long enough', observedSinceMs: NOW_MS - 30 * DAY_MS, enough: true },
  ])('observed $name', ({ observedSinceMs, enough }) => {
    expect(review({ observedSinceMs }).rules.observedLongEnough).toBe(enough)
    const table = writeReviewTable(review({ observedSinceMs, rules: [rule('a')] }))
    expect(table.includes('too short to be sure')).toBe(!enough)
    const csv = writeReviewCsv(review({ observedSinceMs, rules: [rule('a')] }))
    expect(csv.includes(',unused,')).toBe(enough)
  })
})

function emergency(changed: Partial<Grant>): Grant {
  const grant = aGrant({ breakGlass: true, ...changed })
  delete grant.approver
  delete grant.ticket
  return grant
}

const GRANTS = [
  { grant: aGrant(), use: used },
  { grant: aGrant({ id: 'g2', expiresAtMs: NOW_MS }), use: unused },
  { grant: aGrant({ id: 'g3', maxUses: 2 }), use: used },
  {
    grant: aGrant({ id: 'g4', revoked: { atMs: NOW_MS - 5000, by: 'dan', reason: 'left' } }),
    use: unused,
  },
  {
    grant: emergency({ id: 'g0', roles: ['admin'] }),
    use: unused,
  },
]

test('every grant is in one list, those never used in one more', () => {
  const report = review({ grants: GRANTS })
  const ids = (lines: readonly { readonly id: string }[]) => lines.map(({ id }) => id)
  expect(ids(report.live)).toEqual(['g0', 'g1'])
  expect(ids(report.expired)).toEqual(['g2', 'g3'])
  expect(ids(report.revoked)).toEqual(['g4'])
  expect(ids(report.unused)).toEqual(['g2', 'g0', 'g4'])
  expect(report.expired[1]).toMatchObject({ state: 'exhausted', uses: 2, maxUses: 2 })
  expect(report.revoked[0]).toMatchObject({ revokedAt: '2026-11-23T21:29:55Z', revokedBy: 'dan' })
})

test('a rule is unused when its last use is longer ago than asked for', () => {
  const rules = [
    rule('never'),
    rule('long-ago', NOW_MS - 30 * DAY_MS - 1),
    rule('then', NOW_MS - 30 * DAY_MS),
    rule('now', NOW_MS),
  ]
  expect(review({ rules }).rules.unused.map(({ name }) => name)).toEqual(['never', 'long-ago'])
})

test('the table', () => {
  const grants = GRANTS.slice(0, 2)
  expect(writeReviewTable(review({ grants, rules: [rule('readers')] })))
    .toBe(`Access review of 2026-11-23T21:30:00Z

Live grants: 1
  GRANT  SUBJECT  SERVICE      OPERATIONS  ROLES  APPROVER  TICKET  ENDS                  USES
  g1     alice    lab/records  Read        -      carol     SEC-7   2026-11-23T22:30:00Z  2

Expired or used up: 1
  GRANT  SUBJECT  SERVICE      OPERATIONS  ROLES  APPROVER  TICKET  ENDS                  USES
  g2     alice    lab/records  Read        -      carol     SEC-7   2026-11-23T21:30:00Z  0

Revoked: 0

Grants never used: 1
  GRANT  SUBJECT  SERVICE      OPERATIONS  ROLES  APPROVER  TICKET  ENDS                  USES
  g2     alice    lab/records  Read        -      carol     SEC-7   2026-11-23T21:30:00Z  0

Rules not used in 30 days: 1
  RULE     SERVICE      WRITTEN AT        LAST USED
  readers  lab/records  lab.yaml:readers  never
`)
})

test('a table shows no control characters', () => {
  const grants = [{ grant: aGrant({ ticket: 'a\u001b[31m\u202eb\n' }), use: unused }]
  expect(writeReviewTable(review({ grants }))).toContain('a?[31m?b?')
})

describe('CSV', () => {
  const reasons = (reason: string) =>
    writeReviewCsv(review({ grants: [{ grant: aGrant({ reason }), use: unused }] }))

  test.each([
    { name: 'a formula', reason: '=cmd()', cell: ",'=cmd()," },
    { name: 'a plus', reason: '+1', cell: ",'+1," },
    { name: 'a minus', reason: '-1', cell: ",'-1," },
    { name: 'an at', reason: '@SUM(A1)', cell: ",'@SUM(A1)," },
    { name: 'a wide equals sign', reason: '＝1', cell: ",'＝1," },
    { name: 'a tab', reason: '\t=1', cell: ",'\t=1," },
    { name: 'a comma', reason: 'a, b', cell: ',"a, b",' },
    { name: 'quotes', reason: 'a "b"', cell: ',"a ""b""",' },
    { name: 'a formula with quotes', reason: '=A1&","', cell: `,"'=A1&"",""",` },
    { name: 'line ends', reason: 'a\r\nb', cell: ',"a\r\nb",' },
  ])('$name', ({ reason, cell }) => {
    expect(reasons(reason)).toContain(cell)
  })

  test('every grant once, then the rules', () => {
    const text = writeReviewCsv(review({ grants: GRANTS, rules: [rule('readers')] }))
    const rows = text.split('\r\n')
    expect(rows.pop()).toBe('')
    expect(rows[0]).toBe(
      'record,id,state,issuer,subject,service,name,source,endpoints,operations,roles,requester,approver,breakGlass,' +
        'ticket,reason,createdAt,expiresAt,revokedAt,revokedBy,uses,maxUses,lastUsedAt',
    )
    expect(rows[2]).toBe(
      'grant,g1,live,https://idp.example,alice,lab/records,,,,Read,,bob,carol,false,SEC-7,study 12,' +
        '2026-11-23T20:30:00Z,2026-11-23T22:30:00Z,,,2,,2026-11-23T21:29:00Z',
    )
    expect(rows.at(-1)).toBe(
      'rule,lab/records/readers,unused,,,lab/records,readers,lab.yaml:readers' + ','.repeat(15),
    )
    expect(rows.map((row) => row.split(',').length)).toEqual(rows.map(() => 23))
    expect(rows).toHaveLength(7)
  })
})
