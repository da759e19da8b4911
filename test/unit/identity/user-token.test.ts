import { beforeAll, describe, expect, test } from '@jest/globals'
import { FileKeySource } from '../../../src/adapters/jwks/file-key-source.js'
import { DpopProofs } from '../../../src/identity/dpop.js'
import type { UserEvidence } from '../../../src/identity/identify.js'
import { tokenVerdicts } from '../../../src/identity/signed-token.js'
import {
  userTokenVerifier,
  type UserTokenClaims,
  type UserTokenIssuer,
  type UserTokenRules,
} from '../../../src/identity/user-token.js'
import { requestOf } from '../../support/mesh.js'
import {
  forged,
  hmacWithPublicKey,
  jwksText,
  signedToken,
  testKey,
  unsignedToken,
  type TestKey,
} from '../../support/tokens.js'

const NOW_MS = 1_700_000_000_000
const NOW = NOW_MS / 1000
const ISSUER = 'https://idp.example'
const CLAIMS = { iss: ISSUER, sub: 'alice', aud: 'shop', exp: NOW + 600, iat: NOW }

let key: TestKey
let ec: TestKey
beforeAll(async () => {
  ;[key, ec] = await Promise.all([testKey('RS256', 'r1'), testKey('ES256', 'e1')])
})

function rules(more: Partial<UserTokenIssuer> = {}): UserTokenRules {
  const parsed = FileKeySource.parse(jwksText(key, ec))
  if (!parsed.ok) throw new Error(parsed.problem)
  const issuer: UserTokenIssuer = {
    audiences: ['shop', 'shop-admin'],
    keys: parsed.source,
    algorithms: ['RS256'],
    mapping: { claims: new Map(), roles: [] },
    requireAccessTokenType: false,
    senderConstraint: 'Optional',
    ...more,
  }
  return {
    issuers: new Map([[ISSUER, issuer]]),
    envoyIssuers: new Map(),
    dpop: new DpopProofs({
      origins: [],
      maxAgeMs: 60_000,
      clockSkewMs: 5_000,
      nonces: undefined,
      replay: { claim: () => 'first' },
      maxPending: 8,
    }),
    clockSkewMs: 5_000,
    verdicts: tokenVerdicts<UserTokenClaims>({
      maxAccepted: 100,
      maxRefused: 100,
      maxPending: 8,
      maxKeyLength: 16_384,
    }),
  }
}
const evidenceOf = (authorization: string): UserEvidence => ({
  request: requestOf({}),
  listener: 'mesh',
  workload: undefined,
  authorization,
})
async function verify(authorization: string, given = rules(), nowMs = NOW_MS) {
  return userTokenVerifier(given)(evidenceOf(authorization), nowMs)
}
async function reasonOf(authorization: string, given = rules(), nowMs = NOW_MS): Promise<string> {
  const verified = await verify(authorization, given, nowMs)
  return verified.ok ? 'ok' : verified.refusal.reason
}
const bearer = (claims: object, header?: object): string => `Bearer ${signedToken(key, claims, header)}`

describe('an authorization header is refused', () => {
  test.each<[string, string, () => string]>([
    ['empty', 'user-token-malformed', () => ''],
    ['Basic', 'user-token-malformed', () => 'Basic YTpi'],
    ['DPoP with an unbound token', 'sender-constraint', () => bearer(CLAIMS).replace('Bearer', 'DPoP')],
    ['without scheme', 'user-token-malformed', () => signedToken(key, CLAIMS)],
    ['Bearer alone', 'user-token-malformed', () => 'Bearer '],
    ['two blanks', 'user-token-malformed', () => bearer(CLAIMS).replace(' ', '  ')],
    ['a tab', 'user-token-malformed', () => bearer(CLAIMS).replace(' ', '\t')],
    ['a blank before', 'user-token-malformed', () => ` ${bearer(CLAIMS)}`],
    ['a newline behind', 'user-token-malformed', () => `${bearer(CLAIMS)}\n`],
    ['two tokens by comma', 'user-token-malformed', () => `${bearer(CLAIMS)}, ${bearer(CLAIMS)}`],
    ['two tokens by blank', 'user-token-malformed', () => `${bearer(CLAIMS)} ${signedToken(key, CLAIMS)}`],
    ['an opaque token', 'user-token-malformed', () => 'Bearer abcdef'],
    ['alg none', 'user-token-signature', () => `Bearer ${unsignedToken(CLAIMS)}`],
    ['HS256 with the public key', 'user-token-signature', () => `Bearer ${hmacWithPublicKey(key, CLAIMS)}`],
    ['one bit flipped', 'user-token-signature', () => `Bearer ${forged(signedToken(key, CLAIMS))}`],
    [
      'an algorithm that the issuer does not use',
      'user-token-signature',
      () => `Bearer ${signedToken(ec, CLAIMS)}`,
    ],
    ['an unknown key', 'user-token-signature', () => bearer(CLAIMS, { alg: 'RS256', kid: 'x' })],
    ['another issuer', 'user-token-issuer', () => bearer({ ...CLAIMS, iss: `${ISSUER}/` })],
    ['another audience', 'user-token-audience', () => bearer({ ...CLAIMS, aud: ['bank', 'Shop'] })],
    ['no audience', 'user-token-audience', () => bearer({ ...CLAIMS, aud: undefined })],
    [
      'an audience that is an object',
      'user-token-malformed',
      () => bearer({ ...CLAIMS, aud: { shop: true } }),
    ],
    ['no exp', 'user-token-malformed', () => bearer({ ...CLAIMS, exp: undefined })],
    ['exp as text', 'user-token-malformed', () => bearer({ ...CLAIMS, exp: '9999999999' })],
    ['exp null', 'user-token-malformed', () => bearer({ ...CLAIMS, exp: null })],
    ['nbf as text', 'user-token-malformed', () => bearer({ ...CLAIMS, nbf: 'now' })],
    ['exp 5 s ago', 'user-token-expired', () => bearer({ ...CLAIMS, exp: NOW - 5 })],
    ['nbf in 6 s', 'user-token-not-yet-valid', () => bearer({ ...CLAIMS, nbf: NOW + 6 })],
    ['iat in 6 s', 'user-token-not-yet-valid', () => bearer({ ...CLAIMS, iat: NOW + 6 })],
    [
      'a logout token',
      'user-token-type',
      () => bearer(CLAIMS, { alg: 'RS256', kid: 'r1', typ: 'logout+jwt' }),
    ],
    ['a token bound to a key', 'sender-constraint', () => bearer({ ...CLAIMS, cnf: { jkt: 'x' } })],
    ['no sub', 'user-token-malformed', () => bearer({ ...CLAIMS, sub: undefined })],
    ['an empty sub', 'user-token-malformed', () => bearer({ ...CLAIMS, sub: '' })],
    ['a sub with a line break', 'user-token-malformed', () => bearer({ ...CLAIMS, sub: 'a\nb' })],
    ['a number for sub', 'user-token-malformed', () => bearer({ ...CLAIMS, sub: 7 })],
    ...['"71"', '-1', '100.1', 'null', 'true', '[5]'].map((text): [string, string, () => string] => [
      `risk_score ${text}`,
      'user-token-malformed',
      () => bearer({ ...CLAIMS, risk_score: JSON.parse(text) as unknown }),
    ]),
    ...['"HIGH"', '""', 'null', '["high"]', '1', '"toString"'].map((text): [string, string, () => string] => [
      `device_trust_level ${text}`,
      'user-token-malformed',
      () => bearer({ ...CLAIMS, device_trust_level: JSON.parse(text) as unknown }),
    ]),
    ['roles of numbers', 'user-token-malformed', () => bearer({ ...CLAIMS, roles: ['a', 1] })],
    ['roles as an object', 'user-token-malformed', () => bearer({ ...CLAIMS, roles: { admin: true } })],
    ['a scope with a quote', 'user-token-malformed', () => bearer({ ...CLAIMS, scope: 'a"b' })],
    ['a session_id that is a number', 'user-token-malformed', () => bearer({ ...CLAIMS, session_id: 1 })],
    ['auth_time as text', 'user-token-malformed', () => bearer({ ...CLAIMS, auth_time: '1' })],
    ['amr of objects', 'user-token-malformed', () => bearer({ ...CLAIMS, amr: [{}] })],
  ])('%s', async (_name, reason, make) => {
    expect(await reasonOf(make())).toBe(reason)
  })

  test('where an access token is required and the type is another or absent', async () => {
    const given = rules({ requireAccessTokenType: true })
    expect(await reasonOf(bearer(CLAIMS), given)).toBe('user-token-type')
    expect(await reasonOf(bearer(CLAIMS, { alg: 'RS256', kid: 'r1' }), given)).toBe('user-token-type')
    for (const typ of ['at+jwt', 'application/at+jwt', 'AT+JWT']) {
      expect(await reasonOf(bearer(CLAIMS, { alg: 'RS256', kid: 'r1', typ }), given)).toBe('ok')
    }
  })

  test('a remembered token once it has expired, at once', async () => {
    const given = rules()
    const authorization = bearer(CLAIMS)
    expect(await reasonOf(authorization, given)).toBe('ok')
    const verifyAgain = userTokenVerifier(given)
    expect(verifyAgain(evidenceOf(authorization), NOW_MS + 604_999)).toMatchObject({ ok: true })
    expect(verifyAgain(evidenceOf(authorization), NOW_MS + 605_000)).toMatchObject({
      ok: false,
      refusal: { reason: 'user-token-expired' },
    })
  })
})

async function userOf(more: object, issuer: Partial<UserTokenIssuer> = {}) {
  const verified = await verify(bearer({ ...CLAIMS, ...more }), rules(issuer))
  if (!verified.ok) throw new Error(verified.refusal.reason)
  if (!verified.value) throw new Error('nobody')
  return verified.value
}

describe('a user token becomes a user', () => {
  test('absent claims give no rights', async () => {
    expect(await userOf({})).toMatchObject({
      issuer: ISSUER,
      subject: 'alice',
      email: undefined,
      roles: [],
      scopes: [],
      deviceTrust: undefined,
      riskScore: undefined,
      mfaVerified: false,
      sessionId: undefined,
      amr: [],
      authTimeMs: undefined,
    })
  })
  test.each([['true'], [1], [null], ['yes'], [['true']], [{}]])(
    'mfa_verified %j is not MFA',
    async (mfa_verified) => {
      expect((await userOf({ mfa_verified })).mfaVerified).toBe(false)
    },
  )
  test.each([[undefined], ['true'], [false], [1]])(
    'email_verified %j hides the email everywhere',
    async (email_verified) => {
      const user = await userOf({ email: 'a@b.example', email_verified })
      expect(user.email).toBeUndefined()
      expect(user.claims['email']).toBeUndefined()
    },
  )
  test('every claim that is used', async () => {
    const user = await userOf({
      aud: ['x', 'shop-admin'],
      email: 'a@b.example',
      email_verified: true,
      roles: ['admin'],
      scope: 'a b',
      device_id: 'd1',
      device_trust_level: 'low',
      risk_score: 71,
      mfa_verified: true,
      sid: 's1',
      acr: 'mfa',
      amr: ['pwd', 'otp'],
      auth_time: NOW,
      zoneinfo: 'Europe/Berlin',
      azp: 'web',
    })
    expect(user).toMatchObject({
      email: 'a@b.example',
      roles: ['admin'],
      scopes: ['a', 'b'],
      deviceId: 'd1',
      deviceTrust: 'low',
      riskScore: 71,
      mfaVerified: true,
      sessionId: 's1',
      acr: 'mfa',
      amr: ['pwd', 'otp'],
      authTimeMs: NOW_MS,
      zone: 'Europe/Berlin',
      clientId: 'web',
    })
  })
  test('mapped claims: exact names before paths, and a mapped name has no other source', async () => {
    const claims = new Map([
      ['roles', 'realm_access.roles'],
      ['clearance', 'https://idp.example/clearance'],
      ['scope', 'scp'],
      ['department', 'org.unit.name'],
    ])
    const user = await userOf(
      {
        roles: ['self-made'],
        department: 'forged',
        realm_access: { roles: ['admin', 'auditor'] },
        'https://idp.example/clearance': 'secret',
        scp: ['a'],
      },
      { mapping: { claims, roles: ['auditor'] } },
    )
    expect(user.roles).toEqual(['auditor'])
    expect(user.claims['roles']).toEqual(['auditor'])
    expect(user.scopes).toEqual(['a'])
    expect(user.claims['clearance']).toBe('secret')
    expect('department' in user.claims).toBe(false)
  })
  test('a path never leaves own members', async () => {
    const claims = new Map([['roles', 'a.constructor.name']])
    expect((await userOf({ a: { b: 1 } }, { mapping: { claims, roles: [] } })).roles).toEqual([])
  })
  test('a bound token where the issuer has no sender constraint', async () => {
    expect(await userOf({ cnf: { jkt: 'x' } }, { senderConstraint: 'None' })).toMatchObject({
      subject: 'alice',
    })
  })
  test('at once, as the same object, when it was seen before', async () => {
    const verifyAgain = userTokenVerifier(rules())
    const authorization = bearer(CLAIMS).replace('Bearer', 'bearer')
    const first = await verifyAgain(evidenceOf(authorization), NOW_MS)
    expect(verifyAgain(evidenceOf(authorization), NOW_MS)).toBe(first)
  })
})
