import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { createAuthority } from '../support/certificate-authority.js'
import { asEnvoySends } from '../support/certificate-authority.js'
import type { CheckFields } from '../support/envoy-wire.js'
import { startPortcullis, type TestPortcullis } from '../support/portcullis.js'
import { forged, hmacWithPublicKey, jwksText, signedToken, testKey, type TestKey } from '../support/tokens.js'
import { NOW_SECONDS, POLICY } from './door.js'

const WEB = 'spiffe://cluster.local/ns/shop/sa/web'
const PAY = 'spiffe://cluster.local/ns/shop/sa/pay'
const GONE = 'spiffe://cluster.local/ns/shop/sa/gone'
const CRON = 'spiffe://cluster.local/ns/shop/sa/cron'
const root = createAuthority({ name: 'root' })
const der = Buffer.from(root.certificatePem.replace(/-----[^-]+-----|\s/g, ''), 'base64').toString('base64')

let local: TestKey
let rsa: TestKey
let partner: TestKey
let user: TestKey
let portcullis: TestPortcullis
let off: TestPortcullis

const bundle = (...keys: readonly TestKey[]): string =>
  JSON.stringify({
    keys: [
      { kty: 'EC', use: 'x509-svid', x5c: [der], crv: 'P-256', x: 'AA', y: 'AA' },
      ...keys.map(({ publicJwk }) => Object.assign({}, publicJwk, { alg: undefined, use: 'jwt-svid' })),
    ],
  })

beforeAll(async () => {
  ;[local, rsa, partner, user] = await Promise.all([
    testKey('ES256', 'local-1'),
    testKey('RS256', 'local-2'),
    testKey('ES256', 'partner-1'),
    testKey('RS256', 'idp-1'),
  ])
  const files = {
    'policy/shop.yaml': POLICY,
    'pki/local.json': bundle(local, rsa),
    'pki/partner.json': bundle(partner),
    'keys/idp.json': jwksText(user),
  }
  const configuration = {
    listeners: [
      { name: 'mesh', address: '127.0.0.1:0' },
      { name: 'lenient', address: '127.0.0.1:0', mtls: 'Permissive' },
      { name: 'edge', address: '127.0.0.1:0', role: 'Gateway', peerIdentity: 'None' },
    ],
    trustDomains: {
      'cluster.local': { bundle: { file: './pki/local.json' } },
      'partner.example': { bundle: { file: './pki/partner.json' } },
    },
    certificates: { revoked: { identities: [GONE] } },
    userTokens: {
      issuers: [{ issuer: 'https://idp.example', audiences: ['shop'], jwksFile: './keys/idp.json' }],
    },
  }
  portcullis = await startPortcullis(files, {
    ...configuration,
    serviceTokens: { jwtSvid: { enabled: true } },
  })
  off = await startPortcullis(files, configuration)
})
afterAll(async () => {
  await portcullis.stop()
  await off.stop()
})

const CLAIMS = { sub: WEB, aud: ['shop/pay'], exp: NOW_SECONDS + 240 }
const svid = (claims: object = {}, header?: object, key = local): string =>
  signedToken(key, { ...CLAIMS, ...claims }, header)
const read = (token: string, scheme = 'Bearer'): CheckFields => ({
  destinationPrincipal: PAY,
  path: '/api/payments/7',
  headers: { authorization: `${scheme} ${token}` },
})
const mtls = (spiffeId: string): CheckFields => ({
  principal: spiffeId,
  certificate: asEnvoySends(root.issueSvid({ spiffeId }).certificatePem),
})
const HEADER = { alg: 'ES256', kid: 'local-1', typ: 'JWT' }

describe('refused where a JWT-SVID may stand in', () => {
  test.each<[string, string, () => string]>([
    ['none of ours', 'user-token-malformed', () => 'abc'],
    ['no SPIFFE ID', 'user-token-issuer', () => svid({ sub: 'web' })],
    [
      'the SPIFFE ID of a trust domain',
      'service-token-malformed',
      () => svid({ sub: 'spiffe://cluster.local' }),
    ],
    ['a SPIFFE ID with a query', 'service-token-issuer', () => svid({ sub: `${WEB}?x` })],
    [
      'a trust domain that nobody configured',
      'service-token-issuer',
      () => svid({ sub: 'spiffe://evil.example/web' }),
    ],
    ["another trust domain's key", 'service-token-signature', () => svid({}, undefined, partner)],
    [
      "another trust domain's key under a local name",
      'service-token-signature',
      () => svid({}, HEADER, partner),
    ],
    ['a wrong signature', 'service-token-signature', () => forged(svid())],
    ['HS256 with the public key', 'user-token-signature', () => hmacWithPublicKey(local, CLAIMS)],
    ['an unknown key', 'service-token-signature', () => svid({}, { ...HEADER, kid: 'x' })],
    ['another typ', 'service-token-malformed', () => svid({}, { ...HEADER, typ: 'at+jwt' })],
    ['a key in the header', 'service-token-malformed', () => svid({}, { ...HEADER, jwk: local.publicJwk })],
    ['an address in the header', 'service-token-malformed', () => svid({}, { ...HEADER, jku: 'https://x' })],
    ['another audience', 'service-token-audience', () => svid({ aud: ['shop/web'] })],
    ['a bare name for audience', 'service-token-audience', () => svid({ aud: ['pay'] })],
    ['two audiences', 'service-token-audience', () => svid({ aud: ['shop/pay', 'shop/web'] })],
    ['no audience', 'service-token-audience', () => svid({ aud: undefined })],
    ['no exp', 'service-token-malformed', () => svid({ exp: undefined })],
    ['expired', 'service-token-expired', () => svid({ exp: NOW_SECONDS - 1 })],
    ['ten minutes long', 'service-token-lifetime', () => svid({ exp: NOW_SECONDS + 600 })],
    ['of tomorrow', 'service-token-lifetime', () => svid({ nbf: NOW_SECONDS + 60 })],
    ['a caller that does not declare the call', 'call-not-allowed', () => svid({ sub: CRON })],
    ['a revoked identity', 'certificate-revoked', () => svid({ sub: GONE })],
    ["a user's token with a SPIFFE ID for subject", 'certificate-required', () => userToken({ sub: WEB })],
  ])('%s: %s', async (_name, reason, token) => {
    const answer = await portcullis.check(read(token()), 'lenient')
    expect(answer).toMatchObject({ outcome: 'deny', reason })
  })

  test.each<[string, string, string, () => CheckFields]>([
    ['without mTLS on a Strict listener', 'mesh', 'certificate-required', () => read(svid())],
    [
      'another workload than the mTLS caller',
      'mesh',
      'service-token-subject',
      () => ({ ...mtls(CRON), ...read(svid()) }),
    ],
    [
      'another workload than the mTLS caller, Permissive',
      'lenient',
      'service-token-subject',
      () => ({ ...mtls(CRON), ...read(svid()) }),
    ],
    [
      'on a Gateway listener',
      'edge',
      'service-token-subject',
      () => ({ ...read(svid({ aud: 'edge/portal' })), service: 'edge/portal', path: '/home' }),
    ],
    ['with the scheme DPoP', 'lenient', 'user-token-issuer', () => read(svid(), 'DPoP')],
  ])('%s', async (_name, listener, reason, fields) => {
    expect(await portcullis.check(fields(), listener)).toMatchObject({ outcome: 'deny', reason })
  })

  test('where JWT-SVIDs are not configured', async () => {
    expect((await off.check(read(svid()), 'lenient')).reason).toBe('user-token-issuer')
  })

  test('one that was taken before, once it has expired', async () => {
    const token = svid({ exp: Math.floor(Date.now() / 1000) + 2 })
    expect((await portcullis.check(read(token), 'lenient')).outcome).toBe('allow')
    await new Promise((resolve) => setTimeout(resolve, 2100))
    expect((await portcullis.check(read(token), 'lenient')).reason).toBe('service-token-expired')
  })

  test('one that was taken before, once its key has left the bundle', async () => {
    const token = svid({}, undefined, rsa)
    expect((await portcullis.check(read(token), 'lenient')).outcome).toBe('allow')
    await portcullis.write('pki/local.json', bundle(local))
    for (let tries = 0; tries < 50; tries++) {
      if ((await portcullis.check(read(token), 'lenient')).outcome === 'deny') break
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
    expect((await portcullis.check(read(token), 'lenient')).reason).toBe('service-token-signature')
    expect((await portcullis.check(read(svid()), 'lenient')).outcome).toBe('allow')
  })
})

const userToken = (claims: object): string =>
  signedToken(user, {
    iss: 'https://idp.example',
    aud: 'shop',
    sub: 'alice',
    exp: NOW_SECONDS + 600,
    ...claims,
  })

describe('taken', () => {
  test.each<[string, () => string]>([
    ['for the target by its name', () => svid()],
    ['for the target by its SPIFFE ID', () => svid({ aud: PAY })],
    ['with an iss of nobody', () => svid({ iss: 'https://spire.example' })],
    ['of type JOSE', () => svid({}, { ...HEADER, typ: 'JOSE' })],
    ['without typ and kid', () => svid({}, { alg: 'ES256' })],
  ])('%s', async (_name, token) => {
    const answer = await portcullis.check(read(token()), 'lenient')
    expect(answer).toMatchObject({ outcome: 'allow' })
    expect(answer.headers.get('x-caller-spiffe-id')).toBe(WEB)
  })

  test('many times, as the same workload as the mTLS caller', async () => {
    const fields = { ...mtls(WEB), ...read(svid()) }
    for (const listener of ['mesh', 'lenient', 'mesh']) {
      expect((await portcullis.check(fields, listener)).outcome).toBe('allow')
    }
  })

  test("a user's token beside mTLS is still a user's", async () => {
    const fields = { ...mtls(WEB), ...read(userToken({})), path: '/profile' }
    for (const _ of [1, 2]) {
      const answer = await portcullis.check(fields)
      expect(answer.headers.get('x-user-id')).toBe('alice')
    }
  })
})
