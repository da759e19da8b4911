import { describe, expect, test } from '@jest/globals'
import type { UserPrincipal } from '../../../src/identity/principal.js'
import type { ClaimMapping } from '../../../src/identity/user-claims.js'
import { terminationOf } from '../../../src/session/session-limits.js'
import { bareSubject, effectOf } from '../../../src/signals/effects.js'
import { narrowed } from '../../../src/signals/narrow.js'
import { readSet } from '../../../src/signals/parse-set.js'
import { readSubject } from '../../../src/signals/subject-identifier.js'
import { accountRefusal, certificateRevoked, externalLevel } from '../../../src/signals/told.js'
import { applyOps, EMPTY_RECORD, type StateDelta, stateKey } from '../../../src/state/record.js'
import { userKeys } from '../../../src/state/subjects.js'
import { ALICE, AUDIENCE, alice, CAEP, claimsOf, IDP, NOW, NOW_MS, recalledBy, RISC } from './events.js'

const CART = 'spiffe://corp.example/ns/shop/sa/cart'
const SCOPE = { subjectIssuers: [IDP], trustDomains: ['corp.example'] }
const NO_MAPPING: ClaimMapping = { claims: new Map(), roles: [] }

type Sent = {
  readonly type: string
  readonly payload?: object
  readonly subject?: object
  readonly mapping?: ClaimMapping
}

function tryEffect(
  { type, payload = {}, subject = ALICE, mapping = NO_MAPPING }: Sent,
  before: readonly StateDelta[] = [],
): readonly StateDelta[] | undefined {
  const claims = JSON.parse(JSON.stringify(claimsOf(type, payload, { sub_id: subject })))
  const read = readSet(claims, [AUDIENCE], { eventMaxAgeMs: 1e12, clockSkewMs: 1e12 }, NOW_MS)
  if (!read.ok) throw new Error(read.description)
  const named = readSubject(read.event.subject, bareSubject(read.event), SCOPE)
  if (!named.ok) throw new Error(named.description)
  const recordOf = (key: string) =>
    before
      .filter((delta) => delta.key === key)
      .reduce((record, { ops }) => applyOps(record, ops), EMPTY_RECORD)
  return effectOf(read.event, named.named, { mappingOf: () => mapping, recordOf, nowMs: NOW_MS + 400 })
}

function effect(sent: Sent, before: readonly StateDelta[] = []): readonly StateDelta[] {
  const deltas = tryEffect(sent, before)
  if (!deltas) throw new Error('no effect')
  return deltas
}

/** The reason and, of account refusals, the message. */
function refusalOf(user: UserPrincipal, deltas: readonly StateDelta[]): string {
  const known = recalledBy(user, deltas)
  return (
    terminationOf(known.session, known.user, user, NOW_MS)?.reason ??
    accountRefusal(known, user, NOW_MS)?.message ??
    'none'
  )
}

const session = (id: string, user?: object) => ({
  format: 'complex',
  session: { format: 'opaque', id },
  ...(user ? { user } : {}),
})
const device = (id: string, user?: object) => ({
  format: 'complex',
  device: { format: 'opaque', id },
  ...(user ? { user } : {}),
})
const email = { format: 'email', email: 'ALICE@shop.example' }
const uri = { format: 'uri', uri: CART }
const revoked = (subject: object, at = NOW): Sent => ({
  type: `${CAEP}session-revoked`,
  payload: { event_timestamp: at },
  subject,
})
const TERMINATED = 'session-terminated'
const ENDED = 'the session was terminated; the user has to sign in anew'

describe('an event about the wrong kind of subject has no effect at all', () => {
  test.each<{ name: string; sent: Sent }>([
    { name: 'the sessions of a workload', sent: revoked(uri) },
    {
      name: 'claims of a workload',
      sent: { type: `${CAEP}token-claims-change`, payload: { claims: {} }, subject: uri },
    },
    {
      name: 'compliance of a user',
      sent: { type: `${CAEP}device-compliance-change`, payload: { current_status: 'compliant' } },
    },
    { name: 'the account of a device', sent: { type: `${RISC}account-disabled`, subject: device('d1') } },
    { name: 'the account of a session', sent: { type: `${RISC}sessions-revoked`, subject: session('s1') } },
    {
      name: "a device's risk, told of a user",
      sent: { type: `${CAEP}risk-level-change`, payload: { principal: 'DEVICE', current_level: 'HIGH' } },
    },
    {
      name: 'the risk of something unheard of',
      sent: {
        type: `${CAEP}risk-level-change`,
        payload: { principal: 'constructor', current_level: 'HIGH' },
      },
    },
    {
      name: 'the assurance of a workload',
      sent: {
        type: `${CAEP}assurance-level-change`,
        payload: { namespace: 'NIST-AAL', current_level: 'aal1' },
        subject: uri,
      },
    },
  ])('$name', ({ sent }) => {
    expect(tryEffect(sent)).toBeUndefined()
  })
})

describe('sessions', () => {
  const OTHER_DEVICE = alice({ device_id: 'd2' })
  const NAMELESS = alice({ session_id: undefined })
  test.each<{ name: string; sent: Sent; user?: UserPrincipal; refusal: string }>([
    { name: 'of the user, from before', sent: revoked(ALICE), refusal: TERMINATED },
    { name: 'of the user, at the same second', sent: revoked(ALICE, NOW - 200), refusal: TERMINATED },
    { name: 'of the user, from after', sent: revoked(ALICE, NOW - 201), refusal: 'none' },
    { name: 'of another user', sent: revoked({ ...ALICE, sub: 'bob' }), refusal: 'none' },
    { name: 'this session', sent: revoked(session('s1', ALICE)), refusal: TERMINATED },
    {
      name: 'this session, however old',
      sent: revoked(session('s1', ALICE), NOW - 9999),
      refusal: TERMINATED,
    },
    {
      name: 'a session on this device',
      sent: revoked({ ...device('d1'), ...session('s2') }),
      refusal: 'none',
    },
    { name: 'another session', sent: revoked(session('s2', ALICE)), refusal: 'none' },
    {
      name: 'a session, where the token names none',
      sent: revoked(session('s1', ALICE)),
      user: NAMELESS,
      refusal: ENDED,
    },
    {
      name: 'a session and its user by address, where the token names none',
      sent: revoked(session('s1', email)),
      user: NAMELESS,
      refusal: ENDED,
    },
    {
      name: 'a session, where the token names none and is from after',
      sent: revoked(session('s1', ALICE), NOW - 201),
      user: NAMELESS,
      refusal: 'none',
    },
    {
      name: 'this session of another',
      sent: revoked(session('s1', { ...ALICE, sub: 'bob' })),
      refusal: 'none',
    },
    { name: 'this session, by its name', sent: revoked(session('s1')), refusal: ENDED },
    { name: 'this session, by a bare name', sent: revoked({ format: 'opaque', id: 's1' }), refusal: ENDED },
    { name: 'by address', sent: revoked(email), refusal: ENDED },
    {
      name: 'by address, which the token does not verify',
      sent: revoked(email),
      user: alice({ email_verified: false }),
      refusal: 'none',
    },
    { name: 'on this device', sent: revoked(device('d1', ALICE)), refusal: ENDED },
    { name: 'on another device', sent: revoked(device('d1', ALICE)), user: OTHER_DEVICE, refusal: 'none' },
    {
      name: 'on a device, where the token names none',
      sent: revoked(device('d1', ALICE)),
      user: alice({ device_id: undefined }),
      refusal: ENDED,
    },
    { name: 'on a device, whoever', sent: revoked(device('d1')), refusal: ENDED },
    { name: 'of another device', sent: revoked(device('d1')), user: OTHER_DEVICE, refusal: 'none' },
    {
      name: 'of a tenant',
      sent: revoked({ format: 'complex', tenant: { format: 'opaque', id: 't' } }),
      refusal: 'none',
    },
    ...['credential-compromise', 'account-credential-change-required', 'sessions-revoked'].map((name) => ({
      name,
      sent: { type: RISC + name, payload: { credential_type: 'password' } },
      refusal: TERMINATED,
    })),
    ...['identifier-changed', 'identifier-recycled'].map((name) => ({
      name,
      sent: { type: RISC + name, subject: email },
      refusal: ENDED,
    })),
    ...['opt-in', 'opt-out-effective', 'recovery-activated', 'account-enabled'].map((name) => ({
      name,
      sent: { type: RISC + name },
      refusal: 'none',
    })),
    ...['session-established', 'session-presented'].map((name) => ({
      name,
      sent: { type: CAEP + name },
      refusal: 'none',
    })),
  ])('$name: $refusal', ({ sent, user = alice(), refusal }) => {
    const deltas = effect(sent)
    expect(refusalOf(user, deltas)).toBe(refusal)
    expect(refusalOf(user, [...deltas, ...deltas])).toBe(refusal)
  })

  test('a refreshed token of a session that was seen before goes on no more', () => {
    const user = alice({ auth_time: undefined, iat: NOW + 50 })
    const key = userKeys(user).session ?? ''
    const seen: StateDelta = { key, ops: [['min', 'st', NOW_MS - 1000]], expiresAtMs: NOW_MS + 1 }
    for (const subject of [email, device('d1'), device('d1', ALICE)]) {
      const deltas = effect(revoked(subject))
      expect(refusalOf(user, [...deltas, seen])).toBe(ENDED)
      expect(refusalOf(user, deltas)).toBe('none')
    }
  })

  test('who signs in after it goes on', () => {
    const deltas = [...effect(revoked(ALICE)), ...effect(revoked(email)), ...effect(revoked(device('d1')))]
    expect(refusalOf(alice({ auth_time: NOW + 1, iat: NOW + 1 }), deltas)).toBe('none')
  })
})

describe('accounts', () => {
  const at = (name: string, seconds: number, subject: object = ALICE): readonly StateDelta[] =>
    effect({ type: RISC + name, payload: { event_timestamp: NOW + seconds }, subject })
  const DISABLED = 'the account was disabled by its issuer'
  test.each<{ name: string; deltas: readonly StateDelta[]; refusal: string }>([
    { name: 'disabled', deltas: at('account-disabled', 0), refusal: DISABLED },
    { name: 'purged', deltas: at('account-purged', 0), refusal: DISABLED },
    { name: 'disabled by address', deltas: at('account-disabled', 0, email), refusal: DISABLED },
    {
      name: 'enabled later',
      deltas: [...at('account-disabled', -1), ...at('account-enabled', 0)],
      refusal: 'none',
    },
    {
      name: 'enabled later, told in the wrong order',
      deltas: [...at('account-enabled', 0), ...at('account-disabled', -1)],
      refusal: 'none',
    },
    {
      name: 'an old enabling that comes late',
      deltas: [...at('account-disabled', 0), ...at('account-enabled', -1)],
      refusal: DISABLED,
    },
    {
      name: 'both at one moment',
      deltas: [...at('account-disabled', 0), ...at('account-enabled', 0)],
      refusal: DISABLED,
    },
    {
      name: 'an enabling by a clock that is ahead, then disabled',
      deltas: [...at('account-enabled', 50), ...at('account-disabled', 0)],
      refusal: DISABLED,
    },
    {
      name: 'both at one moment, the other way round',
      deltas: [...at('account-enabled', 0), ...at('account-purged', 0)],
      refusal: DISABLED,
    },
  ])('$name: $refusal', ({ deltas, refusal }) => {
    expect(refusalOf(alice(), deltas)).toBe(refusal)
    // A new authentication doesn't bring a disabled account back.
    expect(refusalOf(alice({ auth_time: NOW + 9, iat: NOW + 9 }), deltas)).toBe(refusal)
  })
})

describe('factors', () => {
  const MFA = { acr: 'mfa', amr: ['pwd', 'otp'], mfa_verified: true }
  const credential = (change: string): Sent => ({
    type: `${CAEP}credential-change`,
    payload: { credential_type: 'fido2-roaming', change_type: change },
  })
  const assurance = (payload: object, subject: object = ALICE): Sent => ({
    type: `${CAEP}assurance-level-change`,
    payload: { namespace: 'NIST-AAL', current_level: 'nist-aal1', ...payload },
    subject,
  })
  test.each<{ name: string; sent: Sent; kept: boolean }>([
    { name: 'a credential revoked', sent: credential('revoke'), kept: false },
    { name: 'a credential deleted', sent: credential('delete'), kept: false },
    { name: 'a credential changed', sent: credential('update'), kept: false },
    { name: 'a credential created', sent: credential('create'), kept: true },
    { name: 'less assurance', sent: assurance({ change_direction: 'decrease' }), kept: false },
    { name: 'less assurance by name', sent: assurance({}, email), kept: false },
    { name: 'less assurance of the session', sent: assurance({}, session('s1', ALICE)), kept: false },
    { name: 'less assurance of another session', sent: assurance({}, session('s2', ALICE)), kept: true },
    { name: 'a level below the one before', sent: assurance({ previous_level: 'nist-aal2' }), kept: false },
    {
      name: 'a level that nobody can compare',
      sent: assurance({ current_level: 'hi-res-scan' }),
      kept: false,
    },
    { name: 'more assurance', sent: assurance({ change_direction: 'increase' }), kept: true },
    {
      name: 'a level above the one before',
      sent: assurance({ current_level: 'nist-aal2', previous_level: 'nist-aal1' }),
      kept: true,
    },
  ])('$name', ({ sent, kept }) => {
    const before = alice({ ...MFA, department: 'x' })
    const deltas = effect(sent)
    const after = narrowed(before, recalledBy(before, deltas))
    if (kept) expect(after).toBe(before)
    else {
      expect(after).toMatchObject({ mfaVerified: false, acr: undefined, amr: [], subject: 'alice' })
      expect(Object.keys(after.claims)).toEqual(expect.not.arrayContaining(Object.keys(MFA)))
      expect(after.claims['department']).toBe('x')
      expect(narrowed(before, recalledBy(before, [...deltas, ...deltas]))).toBe(after)
    }
    const later = alice({ ...MFA, auth_time: NOW + 1, iat: NOW + 1 })
    expect(narrowed(later, recalledBy(later, deltas))).toBe(later)
  })

  test('a new token of an old authentication shows none either', () => {
    const user = alice({ ...MFA, iat: NOW + 50 })
    expect(narrowed(user, recalledBy(user, effect(credential('revoke')))).mfaVerified).toBe(false)
  })
  test('nor does a token without auth_time, refreshed in a session that was seen before', () => {
    const user = alice({ ...MFA, auth_time: undefined, iat: NOW + 50 })
    const key = userKeys(user).session ?? ''
    const seen: StateDelta = { key, ops: [['min', 'st', NOW_MS + 999]], expiresAtMs: NOW_MS + 1 }
    const told = effect(credential('revoke'))
    expect(narrowed(user, recalledBy(user, [...told, seen])).mfaVerified).toBe(false)
    expect(narrowed(user, recalledBy(user, told))).toBe(user)
  })
  test('of one session: neither does a token that names none', () => {
    const user = alice({ ...MFA, session_id: undefined })
    for (const by of [ALICE, email]) {
      const told = effect(assurance({}, session('s2', by)))
      expect(narrowed(user, recalledBy(user, told)).mfaVerified).toBe(false)
    }
  })
  test('an authentication after the issue of its token is not believed', () => {
    const user = alice({ ...MFA, auth_time: NOW + 500 })
    expect(narrowed(user, recalledBy(user, effect(credential('revoke')))).mfaVerified).toBe(false)
  })
})

describe('claims', () => {
  const change = (claims: object, more: Partial<Sent> = {}, at = NOW): Sent => ({
    type: `${CAEP}token-claims-change`,
    payload: { claims, event_timestamp: at },
    ...more,
  })
  const HAD = {
    roles: ['buyer', 'admin'],
    scope: 'read write',
    groups: ['a', 'b'],
    role: 'admin',
    acr: 'mfa',
    amr: ['otp', 'pwd'],
    mfa_verified: true,
    device_trust_level: 'medium',
    department: 'sales',
  }
  const after = (...sent: readonly Sent[]): UserPrincipal => {
    const user = alice(HAD)
    return narrowed(
      user,
      recalledBy(
        user,
        sent.flatMap((one) => effect(one)),
      ),
    )
  }

  test.each<{ name: string; claims: object; user: object; gone?: string }>([
    { name: 'fewer roles', claims: { roles: ['admin'] }, user: { roles: ['admin'] } },
    { name: 'never more roles', claims: { roles: ['admin', 'root'] }, user: { roles: ['admin'] } },
    { name: 'no roles', claims: { roles: [] }, user: { roles: [] } },
    { name: 'roles that are null', claims: { roles: null }, user: { roles: [] }, gone: 'roles' },
    { name: 'fewer scopes', claims: { scope: 'write pay' }, user: { scopes: ['write'] } },
    { name: 'a role by another claim', claims: { role: 'ro-admin' }, user: {}, gone: 'role' },
    {
      name: 'fewer groups',
      claims: { groups: ['b', 'c'] },
      user: { claims: expect.objectContaining({ groups: ['b'] }) },
    },
    { name: 'fewer methods', claims: { amr: ['pwd', 'hwk'] }, user: { amr: ['pwd'] } },
    { name: 'another acr', claims: { acr: 'high' }, user: { acr: undefined }, gone: 'acr' },
    { name: 'the same acr', claims: { acr: 'mfa' }, user: { acr: 'mfa' } },
    { name: 'no MFA', claims: { mfa_verified: false }, user: { mfaVerified: false }, gone: 'mfa_verified' },
    { name: 'less trust', claims: { device_trust_level: 'low' }, user: { deviceTrust: 'low' } },
    { name: 'never more trust', claims: { device_trust_level: 'high' }, user: { deviceTrust: 'medium' } },
    {
      name: 'another department',
      claims: { department: 'support' },
      user: { claims: expect.objectContaining({ department: 'support', role: 'admin' }) },
    },
    {
      name: 'a claim that was not there',
      claims: { trusted_network: false },
      user: { claims: expect.objectContaining({ trusted_network: false }) },
    },
  ])('$name', ({ claims, user, gone }) => {
    const narrower = after(change(claims))
    expect(narrower).toMatchObject(user)
    if (gone !== undefined) expect(gone in narrower.claims).toBe(false)
  })

  const NESTED = { roles: ['admin'], verify: 1 }
  test.each<{ name: string; value: unknown }>([
    { name: 'null', value: null },
    { name: 'empty', value: {} },
    { name: 'without it', value: { verify: 1 } },
    { name: 'text', value: 'none' },
  ])('what a claim of ours is read from, now $name, takes it away', ({ value }) => {
    const mapping = {
      claims: new Map([
        ['roles', 'realm_access.roles'],
        ['scope', 'realm_access.rights.scope'],
      ]),
      roles: [],
    }
    const user = alice({ ...HAD, realm_access: NESTED })
    const told = narrowed(user, recalledBy(user, effect(change({ realm_access: value }, { mapping }))))
    expect(told).toMatchObject({ roles: [], scopes: [], amr: HAD.amr })
    expect('roles' in told.claims || 'scope' in told.claims).toBe(false)
  })

  test('lists under any name only shrink, and nothing becomes a yes', () => {
    const user = alice({
      memberOf: ['user', 'ops'],
      wids: 'a',
      app: { authorities: ['user'], tier: 'free', beta: false },
      details: [{ type: 'read' }, { type: 'pay' }],
      verified: false,
      staff: true,
      lent: true,
    })
    const claims = {
      memberOf: ['admin', 'ops'],
      wids: ['b'],
      app: { authorities: ['user', 'admin'], tier: 'paid', beta: true, more: ['x'] },
      details: [{ type: 'pay' }, { type: 'refund' }],
      verified: true,
      staff: true,
      lent: false,
      chosen: true,
      realm_roles: ['admin'],
    }
    const told = narrowed(user, recalledBy(user, effect(change(claims)))).claims
    expect(told).toMatchObject({
      memberOf: ['ops'],
      app: { authorities: ['user'], tier: 'paid', beta: false },
      details: [{ type: 'pay' }],
      verified: false,
      staff: true,
      lent: false,
    })
    for (const name of ['wids', 'chosen', 'realm_roles']) expect(name in told).toBe(false)
    expect(told['app']).not.toHaveProperty('more')
  })

  test('a list that becomes text, or an object, shrinks too', () => {
    const user = alice({ memberOf: ['user', 'ops'], wids: ['a'] })
    const changed = effect(change({ memberOf: 'ops', wids: { a: 'b' } }))
    expect(narrowed(user, recalledBy(user, changed)).claims).toMatchObject({ memberOf: ['ops'], wids: [] })
  })

  test('nobody gains what the token does not have', () => {
    const user = alice()
    const all = {
      roles: ['admin'],
      scope: 'pay',
      amr: ['otp'],
      acr: 'mfa',
      mfa_verified: true,
      role: 'x',
      groups: ['g'],
    }
    const told = narrowed(user, recalledBy(user, effect(change({ ...all, device_trust_level: 'high' }))))
    const nothing = {
      roles: [],
      scopes: [],
      amr: [],
      acr: undefined,
      mfaVerified: false,
      deviceTrust: undefined,
    }
    expect(told).toMatchObject(nothing)
    expect(Object.keys(told.claims)).toEqual(
      expect.not.arrayContaining([...Object.keys(all), 'device_trust_level']),
    )
  })

  test('nor by the name that the issuer has for rights, or deeper', () => {
    const user = alice({ memberOf: ['a'], realm: { roles: ['a'], city: 'x' }, 'idp:groups': ['g'] })
    const claims = {
      memberOf: ['a', 'b'],
      realm: { roles: ['a', 'b'], city: 'y' },
      'idp:groups': ['g', 'h'],
      authorization_details: [{ type: 'payment' }],
    }
    const mapping = { claims: new Map([['roles', 'memberOf']]), roles: [] }
    const told = narrowed(user, recalledBy(user, effect(change(claims, { mapping })))).claims
    const deep = { claims: new Map([['roles', 'org.members']]), roles: [] }
    const again = alice({ org: { members: ['a'] } })
    const deeper = effect(change({ org: { members: ['a', 'b'] } }, { mapping: deep }))
    expect('org' in narrowed(again, recalledBy(again, deeper)).claims).toBe(false)
    expect('memberOf' in told || 'authorization_details' in told).toBe(false)
    expect(told['realm']).toEqual({ roles: ['a'], city: 'y' })
    expect(told['idp:groups']).toEqual(['g'])
  })

  test('two changes, whatever their order, and the later of one claim', () => {
    const changes = [
      change({ department: 'old', roles: ['buyer'] }, {}, NOW - 50),
      change({ department: 'new' }, { subject: email }, NOW - 20),
      change({ department: 'older' }, {}, NOW - 60),
    ]
    for (const order of [changes, changes.toReversed()]) {
      const user = after(...order)
      expect(user.roles).toEqual(['buyer'])
      expect(user.claims['department']).toBe('new')
    }
  })

  test('a token that is issued after it is left alone', () => {
    const user = alice({ ...HAD, iat: NOW + 1 })
    expect(narrowed(user, recalledBy(user, effect(change({ roles: [] })))).roles).toEqual(HAD.roles)
  })

  test("the issuer's names become ours, and more roles than it may assert are none", () => {
    const mapping = { claims: new Map([['roles', 'realm.roles']]), roles: ['buyer'] }
    const changed = change({ realm: { roles: ['buyer', 'admin'] } }, { mapping })
    expect(after(changed).roles).toEqual(['buyer'])
  })

  const OUTDATED = "its issuer has changed the user's claims since it was issued; a new token is needed"
  test.each<{ name: string; sent: Sent }>([
    { name: 'values too long for a field', sent: change({ note: 'x'.repeat(511) }) },
    { name: 'names too long for a field', sent: change({ [`n${'x'.repeat(128)}`]: 1 }) },
    { name: 'values of the wrong type', sent: change({ roles: [{ name: 'admin' }] }) },
    { name: 'who somebody is', sent: change({ email: 'eve@shop.example', email_verified: true }) },
    { name: 'a risk', sent: change({ risk_score: 90 }) },
    {
      name: 'what the subject is read from',
      sent: change({ uid: 'eve' }, { mapping: { claims: new Map([['sub', 'uid']]), roles: [] } }),
    },
    {
      name: 'what the subject was read from is gone',
      sent: change({ uid: null }, { mapping: { claims: new Map([['sub', 'uid.id']]), roles: [] } }),
    },
    {
      name: 'what the address was read from is gone',
      sent: change({ mail: {} }, { mapping: { claims: new Map([['email', 'mail.work']]), roles: [] } }),
    },
    {
      name: 'too many',
      sent: change(Object.fromEntries(Array.from({ length: 17 }, (_, at) => [`c${at}`, at]))),
    },
  ])('$name: older tokens are refused until they are refreshed', ({ sent }) => {
    const deltas = effect(sent)
    expect(refusalOf(alice(), deltas)).toBe(OUTDATED)
    expect(refusalOf(alice({ iat: NOW + 1 }), deltas)).toBe('none')
  })

  test('of one session: so are tokens that name none', () => {
    const deltas = effect(change({ roles: [] }, { subject: session('s2', ALICE) }))
    expect(refusalOf(alice(), deltas)).toBe('none')
    expect(refusalOf(alice({ session_id: undefined }), deltas)).toBe(OUTDATED)
    expect(refusalOf(alice({ session_id: undefined, iat: NOW + 1 }), deltas)).toBe('none')
  })

  test('a record that has many claims already takes no more', () => {
    const many = effect(change(Object.fromEntries(Array.from({ length: 16 }, (_, at) => [`c${at}`, at]))))
    expect(refusalOf(alice(), many)).toBe('none')
    expect(refusalOf(alice(), [...many, ...effect(change({ c3: 'again' }), many)])).toBe('none')
    expect(refusalOf(alice(), [...many, ...effect(change({ other: 1 }), many)])).toBe(OUTDATED)
  })
})

describe('workloads', () => {
  const x509 = (more: object): Sent => ({
    type: `${CAEP}credential-change`,
    payload: { credential_type: 'x509', change_type: 'revoke', event_timestamp: NOW, ...more },
    subject: uri,
  })
  const after = (...sent: readonly Sent[]) => {
    const deltas = sent.flatMap((one) => effect(one))
    expect(deltas.every(({ key }) => key === stateKey('w', CART))).toBe(true)
    return deltas.reduce((record, { ops }) => applyOps(record, ops), EMPTY_RECORD)
  }
  test.each<{ name: string; sent: Sent; serial?: string; notBefore?: number; is: boolean }>([
    { name: 'the serial', sent: x509({ x509_serial: '0a1b2c' }), is: true },
    { name: 'the serial in capitals with colons', sent: x509({ x509_serial: '0A:1B:2C' }), is: true },
    { name: 'the serial in decimal', sent: x509({ x509_serial: String(0xa1b2c) }), is: true },
    { name: 'another serial', sent: x509({ x509_serial: '0a1b2d' }), is: false },
    { name: 'all from before', sent: x509({}), is: true },
    { name: 'all from before, for a serial of nobody', sent: x509({ x509_serial: 'my serial' }), is: true },
    { name: 'all from before, deleted', sent: x509({ change_type: 'delete' }), is: true },
    { name: 'not what began later', sent: x509({}), notBefore: NOW + 1, is: false },
    { name: 'a new one', sent: x509({ change_type: 'create' }), is: false },
    { name: 'another credential', sent: x509({ credential_type: 'password' }), is: false },
  ])('$name: $is', ({ sent, notBefore = NOW - 60, is }) => {
    expect(certificateRevoked(after(sent), '0a1b2c', notBefore * 1000)).toBe(is)
  })

  test('more serials than are remembered revoke all from before', () => {
    const before: StateDelta[] = []
    for (let serial = 1; serial <= 33; serial += 1) {
      before.push(...effect(x509({ x509_serial: `f${serial.toString(16)}` }), before))
    }
    const record = before.reduce((all, { ops }) => applyOps(all, ops), EMPTY_RECORD)
    expect(record.size).toBe(33)
    expect(certificateRevoked(record, 'abc', NOW_MS)).toBe(true)
  })

  const risk = (current: string, principal = 'APPLICATION', at = NOW): Sent => ({
    type: `${CAEP}risk-level-change`,
    payload: { principal, current_level: current, event_timestamp: at },
    subject: uri,
  })
  test('risk: the latest, at one moment the higher, while it counts', () => {
    const record = after(risk('HIGH'), risk('LOW'), risk('MEDIUM', 'WORKLOAD', NOW - 5))
    expect(externalLevel(record, 1000, NOW_MS + 1000)).toEqual({ level: 'high', beganMs: NOW_MS })
    expect(externalLevel(record, 1000, NOW_MS + 1001)).toBeUndefined()
    expect(externalLevel(EMPTY_RECORD, 1000, NOW_MS)).toBeUndefined()
  })
})

describe('risk and devices', () => {
  const risk = (principal: string, subject: object): Sent => ({
    type: `${CAEP}risk-level-change`,
    payload: { principal, current_level: 'HIGH' },
    subject,
  })
  const both = device('d1', ALICE)
  test.each<{ principal: string; subject: object; raised: string[] }>([
    { principal: 'USER', subject: ALICE, raised: ['user'] },
    { principal: 'USER', subject: email, raised: ['email'] },
    { principal: 'USER', subject: both, raised: ['user'] },
    { principal: 'USER', subject: session('s1', ALICE), raised: ['user'] },
    { principal: 'DEVICE', subject: { ...both, ...session('s1', ALICE) }, raised: ['device'] },
    { principal: 'DEVICE', subject: both, raised: ['device'] },
    { principal: 'DEVICE', subject: { format: 'opaque', id: 'd1' }, raised: ['device'] },
    { principal: 'SESSION', subject: session('s1', ALICE), raised: ['session'] },
    { principal: 'SESSION', subject: { format: 'opaque', id: 's1' }, raised: ['named'] },
    { principal: 'GROUP', subject: ALICE, raised: [] },
  ])('of $principal counts for $raised', ({ principal, subject, raised }) => {
    const {
      user,
      email: byEmail,
      session: own,
      named,
      device: ofDevice,
    } = recalledBy(alice(), effect(risk(principal, subject)))
    const records = Object.entries({
      user,
      email: byEmail,
      session: own ?? EMPTY_RECORD,
      named,
      device: ofDevice,
    })
    const found = records.filter(([, record]) => externalLevel(record, 1000, NOW_MS)?.level === 'high')
    expect(found.map(([name]) => name)).toEqual(raised)
  })

  test('a device that is no longer compliant, and again', () => {
    const at = (status: string, seconds: number) =>
      effect({
        type: `${CAEP}device-compliance-change`,
        payload: { current_status: status, event_timestamp: NOW + seconds },
        subject: device('d1', ALICE),
      })
    const posture = (deltas: readonly StateDelta[]): string | number | undefined =>
      recalledBy(alice(), deltas).device.get('nc')
    expect(posture([...at('not-compliant', 0), ...at('compliant', -1)])).toBe(`${NOW_MS}|1`)
    expect(posture([...at('compliant', -5), ...at('not-compliant', -10)])).toBe(`${NOW_MS - 5000}|0`)
    expect(posture([...at('compliant', 50), ...at('not-compliant', 0)])).toBe(`${NOW_MS}|1`)
    expect(posture([...at('compliant', 0.3), ...at('not-compliant', 0.2)])).toBe(`${NOW_MS + 300}|0`)
  })
})

test('order and repetition make no difference', () => {
  const at = (type: string, seconds: number, payload: object = {}, subject: object = ALICE) =>
    effect({ type, payload: { ...payload, event_timestamp: NOW + seconds }, subject })
  const deltas = [
    ...at(`${CAEP}session-revoked`, -3),
    ...at(`${CAEP}session-revoked`, -9),
    ...at(`${RISC}account-disabled`, -4),
    ...at(`${RISC}account-enabled`, -5),
    ...at(`${CAEP}token-claims-change`, -6, { claims: { roles: ['buyer'] } }),
    ...at(`${CAEP}token-claims-change`, -2, { claims: { roles: [] } }),
    ...at(`${CAEP}credential-change`, -7, { credential_type: 'pin', change_type: 'delete' }),
    ...at(`${CAEP}risk-level-change`, -8, { principal: 'USER', current_level: 'HIGH' }),
    ...at(`${CAEP}risk-level-change`, -1, { principal: 'USER', current_level: 'LOW' }),
  ]
  const fieldsOf = (order: readonly StateDelta[]): string =>
    JSON.stringify([...recalledBy(alice(), order).user].map(String).toSorted((a, b) => (a < b ? -1 : 1)))
  const expected = fieldsOf(deltas)
  for (let turn = 0; turn < deltas.length; turn += 1) {
    const turned = [...deltas.slice(turn), ...deltas.slice(0, turn)]
    expect(fieldsOf(turned)).toBe(expected)
    expect(fieldsOf([...turned.toReversed(), ...turned])).toBe(expected)
  }
})
