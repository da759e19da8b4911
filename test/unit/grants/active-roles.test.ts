import { describe, expect, test } from '@jest/globals'
import { cutRoles } from '../../../src/grants/active-roles.js'
import type { LiveGrant } from '../../../src/grants/live-grant.js'
import type { UserPrincipal } from '../../../src/identity/principal.js'
import { aUser, NOW_MS } from '../../support/facts.js'

const GRANT_ONLY: ReadonlySet<string> = new Set(['admin', 'root'])

const aGrant = (grant: Partial<LiveGrant> = {}): LiveGrant => ({
  id: 'g1',
  service: 'lab/records',
  endpoints: ['ReadRecords'],
  operations: ['Read'],
  roles: ['admin'],
  maxUses: undefined,
  usesLeft: undefined,
  expiresAtMs: NOW_MS + 1,
  breakGlass: false,
  ...grant,
})

const cut = (
  user: UserPrincipal,
  grants: readonly LiveGrant[] = [],
  {
    target = 'lab/records',
    endpoint = 'ReadRecords',
    operation = 'Read',
    nowMs = NOW_MS,
  }: {
    readonly target?: string | undefined
    readonly endpoint?: string | undefined
    readonly operation?: 'Read' | 'Write' | undefined
    readonly nowMs?: number
  } = {},
) => cutRoles(user, GRANT_ONLY, grants, target, endpoint, operation, nowMs)

describe('a grant-only role does not count', () => {
  test.each([
    { name: 'without a grant', grants: [] },
    { name: 'with a grant that names no role', grants: [aGrant({ roles: [] })] },
    { name: 'with a grant of another role', grants: [aGrant({ roles: ['root'] })] },
    { name: 'with a grant of another service', grants: [aGrant({ service: 'lab/other' })] },
    { name: 'with a grant of another endpoint', grants: [aGrant({ endpoints: ['Other'] })] },
    { name: 'with a grant of another operation', grants: [aGrant({ operations: ['Write'] })] },
    { name: 'with a grant at its end', grants: [aGrant({ expiresAtMs: NOW_MS })] },
    { name: 'with a grant that is used up', grants: [aGrant({ maxUses: 1, usesLeft: 0 })] },
  ])('$name', ({ grants }) => {
    const user = aUser({ roles: ['admin', 'reader'], claims: { roles: ['admin', 'reader'] } })
    const { user: left, suppressed, grants: used } = cut(user, grants)
    expect(left.roles).toEqual(['reader'])
    expect(left.claims['roles']).toEqual(['reader'])
    expect(suppressed).toEqual(['admin'])
    expect(used).toEqual([])
    expect(user.roles).toEqual(['admin', 'reader'])
    expect(user.claims['roles']).toEqual(['admin', 'reader'])
  })

  test('at a target that no document names, or of an operation that may be a write', () => {
    const user = aUser({ roles: ['admin'] })
    const grants = [aGrant({ endpoints: undefined })]
    expect(cutRoles(user, GRANT_ONLY, grants, undefined, undefined, 'Read', NOW_MS).suppressed).toEqual([
      'admin',
    ])
    expect(
      cutRoles(user, GRANT_ONLY, grants, 'lab/records', undefined, undefined, NOW_MS).suppressed,
    ).toEqual(['admin'])
    expect(cutRoles(user, GRANT_ONLY, grants, 'lab/records', undefined, 'Read', NOW_MS).suppressed).toEqual(
      [],
    )
  })

  test.each([
    { name: 'a claim `role` as text', claims: { role: 'admin', sub: 'a' }, left: { sub: 'a' } },
    { name: 'a claim `role` as a list', claims: { role: ['admin', 7, 'x'] }, left: { role: [7, 'x'] } },
    { name: 'a claim `roles` as text', claims: { roles: 'root' }, left: {} },
    {
      name: 'no other claim',
      claims: { role: 'admin', team: 'admin', groups: ['admin'] },
      left: { team: 'admin', groups: ['admin'] },
    },
  ])('nor as $name', ({ claims, left }) => {
    const { user } = cut(aUser({ claims }))
    expect({ ...user.claims }).toEqual(left)
    expect(Object.getPrototypeOf(user.claims)).toBeNull()
  })
})

describe('it counts', () => {
  const user = aUser({ roles: ['admin', 'root', 'reader'] })
  test('while a grant of it covers the call, the others do not', () => {
    const { user: left, suppressed, grants } = cut(user, [aGrant()])
    expect(left.roles).toEqual(['admin', 'reader'])
    expect(suppressed).toEqual(['root'])
    expect(grants.map(({ id }) => id)).toEqual(['g1'])
  })

  test('and the user is untouched where every one does', () => {
    const both = cut(user, [aGrant({ roles: ['root', 'admin'] }), aGrant({ id: 'g2' })])
    expect(both.user).toBe(user)
    expect(both.grants.map(({ id }) => id)).toEqual(['g1'])
    const each = cut(user, [aGrant(), aGrant({ id: 'g2', roles: ['root'] })])
    expect(each.grants.map(({ id }) => id)).toEqual(['g1', 'g2'])
  })

  test('only for who has it: a grant gives no role', () => {
    const reader = aUser({ roles: ['reader'] })
    const left = cut(reader, [aGrant()])
    expect(left).toEqual({ user: reader, suppressed: [], grants: [] })
    expect(left.user).toBe(reader)
  })

  test('always where no role is grant-only', () => {
    const left = cutRoles(user, new Set(), [], 'lab/records', 'ReadRecords', 'Read', NOW_MS)
    expect(left.user).toBe(user)
  })
})

test('one object for one user and one set of roles', () => {
  const user = aUser({ roles: ['admin', 'root'] })
  const none = cut(user).user
  expect(cut(user).user).toBe(none)
  const root = cut(user, [aGrant({ roles: ['root'] })]).user
  expect(root).not.toBe(none)
  expect(cut(user, [aGrant({ id: 'g9', roles: ['root'] })]).user).toBe(root)
  expect(cut(aUser({ roles: ['admin', 'root'] })).user).not.toBe(none)
})
