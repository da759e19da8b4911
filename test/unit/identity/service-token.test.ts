import { beforeAll, describe, expect, test } from '@jest/globals'
import { EmbeddedReplayGuard } from '../../../src/adapters/embedded-store/replay-guard.js'
import { FileKeySource } from '../../../src/adapters/jwks/file-key-source.js'
import type { TokenHolder } from '../../../src/identity/identify.js'
import type { ReplayGuard } from '../../../src/identity/replay.js'
import {
  serviceTokenVerifier,
  type ServiceTokenClaims,
  type ServiceTokenRules,
} from '../../../src/identity/service-token.js'
import { tokenVerdicts } from '../../../src/identity/signed-token.js'
import { parseSpiffeId, type SpiffeId } from '../../../src/identity/spiffe-id.js'
import { mintServiceToken } from '../../../src/identity/token.js'
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
const id = (text: string): SpiffeId => {
  const parsed = parseSpiffeId(text)
  if (!parsed.ok) throw new Error(parsed.problem)
  return parsed.id
}
const ORDER = id('spiffe://cluster.local/ns/shop/sa/order-service')
const PAYMENT = id('spiffe://cluster.local/ns/shop/sa/payment-service')
const SERVICES = new Map([
  [ORDER.text, 'shop/order-service'],
  ['spiffe://cluster.local/ns/shop/sa/order-batch', 'shop/order-service'],
  [PAYMENT.text, 'shop/payment-service'],
  ['spiffe://cluster.local/ns/bank/sa/payment-service', 'bank/payment-service'],
])
const HOLDER: TokenHolder = {
  workload: { spiffeId: ORDER, verifiedBy: 'certificate' },
  mayStandIn: false,
  target: { id: 'shop/payment-service', spiffeId: PAYMENT },
  serviceOf: (spiffeId) => SERVICES.get(spiffeId.text),
}
const CLAIMS = {
  iss: 'order-service',
  aud: 'shop/payment-service',
  iat: NOW,
  exp: NOW + 30,
  jti: 'j1',
  scopes: ['payments:process', 'users:read'],
}

let key: TestKey
let other: TestKey
let rsa: TestKey
beforeAll(async () => {
  ;[key, other, rsa] = await Promise.all([
    testKey('ES256', 'k1'),
    testKey('ES256', 'k1'),
    testKey('RS256', 'r1'),
  ])
})

function source(text: string): FileKeySource {
  const parsed = FileKeySource.parse(text)
  if (!parsed.ok) throw new Error(parsed.problem)
  return parsed.source
}
function guard(maxEntries = 1000): EmbeddedReplayGuard {
  return new EmbeddedReplayGuard('/nowhere', { watermarkSecond: 0, sweptSecond: 0, used: [] }, maxEntries)
}
function rules(replay: ReplayGuard = guard(), keys = source(jwksText(key, rsa))): ServiceTokenRules {
  return {
    issuers: new Map([
      ['order-service', { service: 'shop/order-service', keys, scopes: ['payments:*', 'orders:read'] }],
      ['payment-service', { service: 'shop/payment-service', keys: source(jwksText(other)), scopes: [] }],
    ]),
    maxLifetimeMs: 30_000,
    trustDomain: 'cluster.local',
    replay,
    verdicts: tokenVerdicts<ServiceTokenClaims>({
      maxAccepted: 100,
      maxRefused: 100,
      maxPending: 8,
      maxKeyLength: 16_384,
    }),
  }
}
async function reasonOf(token: string, holder = HOLDER, nowMs = NOW_MS, given = rules()): Promise<string> {
  const verified = await serviceTokenVerifier(given)(token, holder, nowMs)
  return verified.ok ? 'ok' : verified.refusal.reason
}

describe('a service token is refused', () => {
  test.each<[string, string, () => string]>([
    ['that is no token', 'malformed', () => 'x'],
    [
      'with a duplicate claim',
      'malformed',
      () => signedToken(key, JSON.stringify(CLAIMS).replace('{', '{"jti":"j0",')),
    ],
    [
      'with crit',
      'malformed',
      () => signedToken(key, CLAIMS, { alg: 'ES256', kid: 'k1', crit: ['x'], x: 1 }),
    ],
    [
      'of another type',
      'malformed',
      () => signedToken(key, CLAIMS, { alg: 'ES256', kid: 'k1', typ: 'secevent+jwt' }),
    ],
    ['with a blank behind', 'malformed', () => `${signedToken(key, CLAIMS)} `],
    ['without signature (none)', 'signature', () => unsignedToken(CLAIMS)],
    [
      'without signature (None) but with bytes there',
      'signature',
      () => unsignedToken(CLAIMS, 'None', 'AAAA'),
    ],
    ['as HS256 with the public key', 'signature', () => hmacWithPublicKey(key, CLAIMS)],
    ['with one bit flipped', 'signature', () => forged(signedToken(key, CLAIMS))],
    ['by another key of the same name', 'signature', () => signedToken(other, CLAIMS)],
    ['by a key of an unknown name', 'signature', () => signedToken(key, CLAIMS, { alg: 'ES256', kid: 'k9' })],
    [
      'by an RSA key under the name of an EC key',
      'signature',
      () => signedToken(rsa, CLAIMS, { alg: 'RS256', kid: 'k1' }),
    ],
    [
      'as PS256 with a key for RS256',
      'signature',
      () => signedToken(rsa, CLAIMS, { alg: 'PS256', kid: 'r1' }),
    ],
    [
      'by the key in its own header',
      'signature',
      () => signedToken(other, CLAIMS, { alg: 'ES256', kid: 'k1', jwk: other.publicJwk }),
    ],
    ['of an unknown issuer', 'issuer', () => signedToken(key, { ...CLAIMS, iss: 'nobody' })],
    ['of an inherited name', 'issuer', () => signedToken(key, { ...CLAIMS, iss: 'constructor' })],
    ['without issuer', 'issuer', () => signedToken(key, { ...CLAIMS, iss: undefined })],
    ['whose issuer is a list', 'issuer', () => signedToken(key, { ...CLAIMS, iss: ['order-service'] })],
    ['without exp', 'malformed', () => signedToken(key, { ...CLAIMS, exp: undefined })],
    ['without iat', 'malformed', () => signedToken(key, { ...CLAIMS, iat: undefined })],
    ['with exp as text', 'malformed', () => signedToken(key, { ...CLAIMS, exp: String(NOW + 30) })],
    ['with exp in milliseconds', 'malformed', () => signedToken(key, { ...CLAIMS, exp: NOW_MS + 30_000 })],
    ['with a negative iat', 'malformed', () => signedToken(key, { ...CLAIMS, iat: -1 })],
    ['without jti', 'malformed', () => signedToken(key, { ...CLAIMS, jti: undefined })],
    ['with an empty jti', 'malformed', () => signedToken(key, { ...CLAIMS, jti: '' })],
    ['with a number for jti', 'malformed', () => signedToken(key, { ...CLAIMS, jti: 1 })],
    [
      'with a jti of 257 characters',
      'malformed',
      () => signedToken(key, { ...CLAIMS, jti: 'j'.repeat(257) }),
    ],
    ['with a number for audience', 'malformed', () => signedToken(key, { ...CLAIMS, aud: 1 })],
    ['without audience', 'audience', () => signedToken(key, { ...CLAIMS, aud: undefined })],
    [
      'with two audiences',
      'audience',
      () => signedToken(key, { ...CLAIMS, aud: ['shop/payment-service', 'x'] }),
    ],
    ['with scopes and scope', 'malformed', () => signedToken(key, { ...CLAIMS, scope: 'payments:process' })],
    ['with scopes that are no texts', 'malformed', () => signedToken(key, { ...CLAIMS, scopes: [1] })],
    [
      'with a sub that is no SPIFFE ID',
      'malformed',
      () => signedToken(key, { ...CLAIMS, sub: 'order-service' }),
    ],
    ['of 10 minutes', 'lifetime', () => signedToken(key, { ...CLAIMS, exp: NOW + 600 })],
    ['of 31 seconds', 'lifetime', () => signedToken(key, { ...CLAIMS, iat: NOW - 1 })],
    ['that ends before it begins', 'lifetime', () => signedToken(key, { ...CLAIMS, exp: NOW - 1 })],
    ['issued 6 s from now', 'lifetime', () => signedToken(key, { ...CLAIMS, iat: NOW + 6, exp: NOW + 36 })],
    ['not before 6 s from now', 'lifetime', () => signedToken(key, { ...CLAIMS, nbf: NOW + 6 })],
    ['that expires now', 'expired', () => signedToken(key, { ...CLAIMS, iat: NOW - 30, exp: NOW })],
    ['for another service', 'audience', () => signedToken(key, { ...CLAIMS, aud: 'shop/order-service' })],
    [
      'for the same name elsewhere',
      'audience',
      () => signedToken(key, { ...CLAIMS, aud: 'bank/payment-service' }),
    ],
    [
      'for a name in another case',
      'audience',
      () => signedToken(key, { ...CLAIMS, aud: 'shop/Payment-Service' }),
    ],
    [
      'for an identity of another service',
      'audience',
      () => signedToken(key, { ...CLAIMS, aud: ORDER.text }),
    ],
    [
      'for a SPIFFE ID that is none',
      'audience',
      () => signedToken(key, { ...CLAIMS, aud: 'spiffe://x/../y' }),
    ],
    ['with the sub of another service', 'subject', () => signedToken(key, { ...CLAIMS, sub: PAYMENT.text })],
    [
      'with a sub that nobody is',
      'subject',
      () => signedToken(key, { ...CLAIMS, sub: 'spiffe://cluster.local/ns/x/sa/y' }),
    ],
  ])('%s: %s', async (_name, reason, make) => {
    expect(await reasonOf(make())).toBe(`service-token-${reason}`)
  })

  test('when another service brings it (stolen)', async () => {
    const thief: TokenHolder = { ...HOLDER, workload: { spiffeId: PAYMENT, verifiedBy: 'certificate' } }
    expect(await reasonOf(signedToken(key, CLAIMS), thief)).toBe('service-token-subject')
  })
  test('when an unknown workload brings it', async () => {
    const nobody = id('spiffe://elsewhere/ns/shop/sa/order-service')
    const holder: TokenHolder = { ...HOLDER, workload: { spiffeId: nobody, verifiedBy: 'certificate' } }
    expect(await reasonOf(signedToken(key, CLAIMS), holder)).toBe('service-token-subject')
  })
  test('without a workload where it may not stand in', async () => {
    expect(await reasonOf(signedToken(key, CLAIMS), { ...HOLDER, workload: undefined })).toBe(
      'service-token-subject',
    )
  })
  test('with a bare audience from another namespace', async () => {
    const target = { id: 'bank/payment-service', spiffeId: undefined }
    expect(
      await reasonOf(signedToken(key, { ...CLAIMS, aud: 'payment-service' }), { ...HOLDER, target }),
    ).toBe('service-token-audience')
  })
  test('the second time, also as another token with the same jti; another issuer may use that jti', async () => {
    const given = rules()
    expect(await reasonOf(signedToken(key, CLAIMS), HOLDER, NOW_MS, given)).toBe('ok')
    expect(await reasonOf(signedToken(key, CLAIMS), HOLDER, NOW_MS, given)).toBe('service-token-replayed')
    expect(await reasonOf(signedToken(key, { ...CLAIMS, exp: NOW + 29 }), HOLDER, NOW_MS, given)).toBe(
      'service-token-replayed',
    )
    const back: TokenHolder = {
      ...HOLDER,
      workload: { spiffeId: PAYMENT, verifiedBy: 'certificate' },
      target: { id: 'shop/order-service', spiffeId: ORDER },
    }
    const theirs = signedToken(other, { ...CLAIMS, iss: 'payment-service', aud: 'order-service' })
    expect(await reasonOf(theirs, back, NOW_MS, given)).toBe('ok')
  })
  test('a refused call burns nothing', async () => {
    const given = rules()
    const token = signedToken(key, CLAIMS)
    const target = { id: 'shop/order-service', spiffeId: ORDER }
    expect(await reasonOf(token, { ...HOLDER, target }, NOW_MS, given)).toBe('service-token-audience')
    expect(await reasonOf(token, HOLDER, NOW_MS, given)).toBe('ok')
  })
  test('when its use can not be remembered', async () => {
    expect(await reasonOf(signedToken(key, CLAIMS), HOLDER, NOW_MS, rules(guard(0)))).toBe(
      'state-unavailable',
    )
  })
  test('when its issuer took its key back, also a remembered one', async () => {
    const keys = source(jwksText(key))
    const given = rules(guard(), keys)
    expect(await reasonOf(signedToken(key, CLAIMS), HOLDER, NOW_MS, given)).toBe('ok')
    expect(keys.replace(jwksText(rsa))).toBeUndefined()
    expect(await reasonOf(signedToken(key, CLAIMS), HOLDER, NOW_MS, given)).toBe('service-token-signature')
  })
  test('when too many are being verified', async () => {
    const verify = serviceTokenVerifier(rules())
    const tokens = Array.from({ length: 9 }, (_, at) => signedToken(key, { ...CLAIMS, jti: `j${at}` }))
    const verified = await Promise.all(tokens.map(async (token) => verify(token, HOLDER, NOW_MS)))
    expect(verified.map((one) => (one.ok ? 'ok' : one.refusal.reason))).toEqual([
      ...Array<string>(8).fill('ok'),
      'overloaded',
    ])
  })
})

test('no refusal repeats the token', async () => {
  const marked = {
    ...CLAIMS,
    iss: 'order-service',
    sub: 'marked-content',
    aud: 'marked-content',
    jti: 'marked-content',
  }
  for (const claims of [marked, { ...marked, sub: undefined }, { ...marked, iss: 'marked-content' }]) {
    const verified = await serviceTokenVerifier(rules())(signedToken(key, claims), HOLDER, NOW_MS)
    expect(verified.ok).toBe(false)
    expect(JSON.stringify(verified)).not.toContain('marked-content')
  }
})

describe('a service token is taken', () => {
  test.each<[string, () => object]>([
    ['for namespace/name', () => ({})],
    ['for a list of one', () => ({ aud: ['shop/payment-service'] })],
    ['for the SPIFFE ID', () => ({ aud: PAYMENT.text })],
    ['for the bare name in its namespace', () => ({ aud: 'payment-service' })],
    ['with its sub', () => ({ sub: ORDER.text })],
    [
      'with another identity of the service',
      () => ({ sub: 'spiffe://cluster.local/ns/shop/sa/order-batch' }),
    ],
    ['issued 5 s ahead', () => ({ iat: NOW + 5, exp: NOW + 35 })],
    ['in its last millisecond', () => ({ iat: NOW - 29.999, exp: NOW + 0.001 })],
  ])('%s', async (_name, more) => {
    expect(await reasonOf(signedToken(key, { ...CLAIMS, ...more() }))).toBe('ok')
  })
  test('by its library, with scopes cut to what the issuer may claim', async () => {
    for (const signer of [key, rsa]) {
      const token = await mintServiceToken({
        issuer: 'order-service',
        audience: 'shop/payment-service',
        scopes: ['payments:process', 'payments:process', 'users:write', 'orders:read', 'orders:reader'],
        subject: ORDER.text,
        key: signer.privateKeyPem,
        keyId: signer.kid,
        nowMs: NOW_MS,
        jti: 'lib',
      })
      expect(await serviceTokenVerifier(rules())(token, HOLDER, NOW_MS)).toEqual({
        ok: true,
        value: {
          token: {
            issuer: 'order-service',
            service: 'shop/order-service',
            scopes: ['payments:process', 'orders:read'],
            jti: 'lib',
          },
          workload: HOLDER.workload,
        },
      })
    }
  })
  test('as the workload where it may stand in: by sub, else by the default identity', async () => {
    const holder: TokenHolder = { ...HOLDER, workload: undefined, mayStandIn: true }
    const batch = 'spiffe://cluster.local/ns/shop/sa/order-batch'
    for (const [sub, expected] of [
      [batch, batch],
      [undefined, ORDER.text],
    ] as const) {
      const verified = await serviceTokenVerifier(rules())(
        signedToken(key, { ...CLAIMS, sub }),
        holder,
        NOW_MS,
      )
      expect(verified).toMatchObject({
        ok: true,
        value: { workload: { spiffeId: { text: expected }, verifiedBy: 'service-token' } },
      })
    }
    const elsewhere = { ...rules(), trustDomain: 'elsewhere' }
    expect(await reasonOf(signedToken(key, CLAIMS), holder, NOW_MS, elsewhere)).toBe('service-token-subject')
  })
})
