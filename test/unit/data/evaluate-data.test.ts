import { describe, expect, test } from '@jest/globals'
import type { AccessRule, DataPolicy } from '../../../src/data/data-policy.js'
import { type DataCall, evaluateData } from '../../../src/data/evaluate-data.js'
import type { Step } from '../../../src/decision/decision.js'
import type { LiveGrant } from '../../../src/grants/live-grant.js'
import type { UserPrincipal } from '../../../src/identity/principal.js'
import { aUser, NOW_MS } from '../../support/facts.js'

const LIMITS = { maxAuthAgeMs: 900_000, maxAuthAgeFrom: undefined }

const rule = (role: string, operations: AccessRule['operations'], needs: string = ''): AccessRule => ({
  role,
  operations,
  needsApproval: needs.includes('approval'),
  needsMfa: needs.includes('mfa'),
  source: `data.yaml:${role}`,
})

const policyOf = (...access: readonly AccessRule[]): DataPolicy => ({
  name: 'restricted',
  source: 'data.yaml:1:1',
  access,
  hasAccessRules: access.length > 0,
  audit: {
    name: 'restricted',
    level: 'Full',
    retention: '7y',
    alert: true,
    retentionMs: 7 * 365 * 86_400_000,
    encrypted: false,
    keyRotationMs: undefined,
  },
})

const aGrant = (grant: Partial<LiveGrant> = {}): LiveGrant => ({
  id: 'g1',
  service: 'lab/records',
  endpoints: undefined,
  operations: ['Read'],
  roles: [],
  maxUses: undefined,
  usesLeft: undefined,
  expiresAtMs: NOW_MS + 1,
  breakGlass: false,
  ...grant,
})

const POLICY = policyOf(
  rule('scientist', ['Read'], 'approval'),
  rule('admin', ['Read', 'Write'], 'approval mfa'),
  rule('steward', ['Read', 'Download'], 'mfa'),
  rule('curator', ['Read', 'Write']),
)

const words = ({ refusal, grant }: ReturnType<typeof evaluateData>) =>
  refusal ? `${refusal.reason} ${refusal.rule ?? ''}`.trim() : `pass${grant ? ` by ${grant.id}` : ''}`

const ask = (
  user: Partial<UserPrincipal> | undefined,
  grants: readonly LiveGrant[] = [],
  call: Partial<DataCall> = {},
  policy: DataPolicy | undefined = POLICY,
  steps?: Step[],
) =>
  evaluateData(
    policy,
    {
      user: user && aUser(user),
      operation: 'Read',
      target: 'lab/records',
      endpoint: 'ReadRecords',
      nowMs: NOW_MS,
      ...call,
    },
    grants,
    LIMITS,
    steps,
  )

describe('refused', () => {
  type Row = {
    readonly name: string
    readonly user: Partial<UserPrincipal> | undefined
    readonly grants?: readonly LiveGrant[]
    readonly call?: Partial<DataCall>
    readonly found: string
  }
  const scientist = { roles: ['scientist'] }
  test.each<Row>([
    { name: 'nobody', user: undefined, found: 'user-required restricted' },
    { name: 'no role', user: {}, found: 'data-policy restricted' },
    { name: 'a role that is not named', user: { roles: ['Scientist'] }, found: 'data-policy restricted' },
    {
      name: 'a role for another operation, with a grant of this one',
      user: scientist,
      call: { operation: 'Write' },
      grants: [aGrant({ operations: ['Write'] })],
      found: 'data-policy restricted',
    },
    {
      name: 'an operation that nobody can tell is a Write',
      user: scientist,
      call: { operation: undefined },
      grants: [aGrant()],
      found: 'data-policy restricted',
    },
    { name: 'no grant', user: scientist, found: 'approval-required scientist' },
    {
      name: 'a grant of another operation',
      user: scientist,
      grants: [aGrant({ operations: ['Write', 'Download'] })],
      found: 'approval-required scientist',
    },
    {
      name: 'a grant of another service',
      user: scientist,
      grants: [aGrant({ service: 'lab/record' })],
      found: 'approval-required scientist',
    },
    {
      name: 'a grant of another endpoint',
      user: scientist,
      grants: [aGrant({ endpoints: ['ListRecords'] })],
      found: 'approval-required scientist',
    },
    {
      name: 'a grant of an endpoint, and no endpoint known',
      user: scientist,
      grants: [aGrant({ endpoints: ['ReadRecords'] })],
      call: { endpoint: undefined },
      found: 'approval-required scientist',
    },
    {
      name: 'a target that no document names',
      user: scientist,
      grants: [aGrant()],
      call: { target: undefined },
      found: 'approval-required scientist',
    },
    {
      name: 'a grant at its very end',
      user: scientist,
      grants: [aGrant({ expiresAtMs: NOW_MS })],
      found: 'approval-required scientist',
    },
    {
      name: 'a grant that is used up',
      user: scientist,
      grants: [aGrant({ maxUses: 3, usesLeft: 0 })],
      found: 'approval-required scientist',
    },
    {
      name: 'MFA without a grant',
      user: { roles: ['admin'], mfaVerified: true },
      found: 'approval-required admin',
    },
    {
      name: 'neither: a step-up alone would not help',
      user: { roles: ['admin'] },
      found: 'approval-required admin',
    },
    {
      name: 'a grant without MFA',
      user: { roles: ['admin'] },
      grants: [aGrant()],
      found: 'step-up-required admin',
    },
    { name: 'no MFA', user: { roles: ['steward'] }, found: 'step-up-required steward' },
    {
      name: 'a step-up before an approval',
      user: { roles: ['scientist', 'steward'] },
      found: 'step-up-required steward',
    },
  ])('$name: $found', ({ user, grants, call, found }) => {
    expect(words(ask(user, grants, call))).toBe(found)
  })

  test('a challenge says what meets it, and which grant it would pass by', () => {
    const { refusal, grant, data } = ask({ roles: ['admin'] }, [aGrant()])
    expect(refusal).toEqual({
      reason: 'step-up-required',
      message: 'the DataPolicy restricted lets the role admin Read only with multi-factor authentication',
      stepUp: { factor: 'mfa', maxAgeSeconds: 900 },
      rule: 'admin',
      ruleSource: 'data.yaml:admin',
    })
    expect(grant?.id).toBe('g1')
    expect(data?.name).toBe('restricted')
  })

  test('a missing approval says which grant would do', () => {
    expect(ask({ roles: ['scientist'] }).refusal?.message).toBe(
      'the DataPolicy restricted lets the role scientist Read only with an approval: ' +
        'a live grant to the user of Read on lab/records, endpoint ReadRecords',
    )
  })
})

describe('passes', () => {
  test.each([
    { name: 'a role that needs nothing more', user: { roles: ['curator'] }, found: 'pass' },
    { name: 'MFA by amr', user: { roles: ['steward'], amr: ['mfa'] }, found: 'pass' },
    {
      name: 'a grant of the service',
      user: { roles: ['scientist'] },
      grants: [aGrant()],
      found: 'pass by g1',
    },
    {
      name: 'a grant of the endpoint',
      user: { roles: ['scientist'] },
      grants: [aGrant({ endpoints: ['Other', 'ReadRecords'], operations: ['Write', 'Read'] })],
      found: 'pass by g1',
    },
    {
      name: 'a grant with one use left',
      user: { roles: ['scientist'] },
      grants: [aGrant({ maxUses: 3, usesLeft: 1 })],
      found: 'pass by g1',
    },
    {
      name: 'the first of several',
      user: { roles: ['scientist'] },
      grants: [aGrant({ id: 'g0', operations: ['Write'] }), aGrant({ id: 'g2' }), aGrant({ id: 'g3' })],
      found: 'pass by g2',
    },
    {
      name: 'a grant and MFA',
      user: { roles: ['admin'], mfaVerified: true },
      grants: [aGrant({ operations: ['Write'] })],
      call: { operation: 'Write' as const },
      found: 'pass by g1',
    },
    {
      name: 'a role that needs nothing uses no grant',
      user: { roles: ['scientist', 'curator'] },
      grants: [aGrant()],
      found: 'pass',
    },
    {
      name: 'MFA uses no grant where it is enough',
      user: { roles: ['scientist', 'steward'], mfaVerified: true },
      grants: [aGrant()],
      found: 'pass',
    },
    {
      name: 'a grant where MFA is missing for the other rule',
      user: { roles: ['admin', 'scientist'] },
      grants: [aGrant()],
      found: 'pass by g1',
    },
  ])('$name: $found', ({ user, grants, call, found }) => {
    expect(words(ask(user, grants, call))).toBe(found)
  })
})

test('without a policy there is nothing, without access rules the audit alone', () => {
  expect(
    evaluateData(
      undefined,
      { user: undefined, operation: 'Read', target: undefined, endpoint: undefined, nowMs: NOW_MS },
      [],
      LIMITS,
    ),
  ).toEqual({ refusal: undefined, grant: undefined, data: undefined })
  const open = policyOf()
  expect(ask(undefined, [], {}, open)).toEqual({ refusal: undefined, grant: undefined, data: open.audit })
})

test('steps tell what was found', () => {
  const steps: Step[] = []
  ask({ roles: ['scientist'] }, [aGrant()], {}, POLICY, steps)
  ask({}, [], {}, POLICY, steps)
  expect(steps).toEqual([
    { step: 'data', outcome: 'pass', detail: 'the DataPolicy restricted is met, approved by the grant g1' },
    {
      step: 'data',
      outcome: 'fail',
      detail: "the DataPolicy restricted lets none of the user's roles Read",
    },
  ])
})
