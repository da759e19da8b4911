import { describe, expect, test } from '@jest/globals'
import { dpopProof, thumbprint } from '../support/dpop.js'
import type { CheckFields } from '../support/envoy-wire.js'
import { signedToken, testKey } from '../support/tokens.js'
import { frontDoor, NOW_SECONDS } from './door.js'

const ENVOY = 'https://envoy-verified.example'
const NAMED = 'https://named.example'
const OWN = 'https://idp.example'
const door = frontDoor({
  userTokens: {
    issuers: [
      { issuer: ENVOY, audiences: ['shop'], verifiedBy: 'Envoy', claims: { roles: 'groups' } },
      { issuer: NAMED, audiences: ['shop'], verifiedBy: 'Envoy', metadataKey: 'named_payload' },
      { issuer: OWN, audiences: ['shop'], jwksFile: './keys/idp.json' },
    ],
  },
})
/** Nobody here believes Envoy. */
const unbelieving = frontDoor()

const WEB = 'spiffe://cluster.local/ns/shop/sa/web'
const PAY = 'spiffe://cluster.local/ns/shop/sa/pay'
const FILTER = 'envoy.filters.http.jwt_authn'
const CLAIMS = { iss: ENVOY, aud: 'shop', sub: 'alice', iat: NOW_SECONDS - 10, exp: NOW_SECONDS + 600 }

const call = (kept: unknown, headers: Record<string, string> = {}, from = door): CheckFields => ({
  ...from.peer(WEB),
  destinationPrincipal: PAY,
  path: '/profile',
  headers,
  ...(kept === undefined ? {} : { metadata: { [FILTER]: kept } }),
})
const payload = (claims: object = {}): object => ({ payload: { ...CLAIMS, ...claims } })
const bearer = (claims: object): Record<string, string> => ({
  authorization: `Bearer ${signedToken(door.userKey, { ...CLAIMS, ...claims })}`,
})

/** A payload within so many objects. */
const deep = (levels: number): object => (levels === 0 ? {} : { a: deep(levels - 1) })

describe('refused', () => {
  test.each<[string, string, () => CheckFields]>([
    [
      'a payload of an issuer that nobody configured',
      'user-required',
      () => call(payload({ iss: 'https://x' })),
    ],
    ['a payload of an issuer that is verified here', 'user-required', () => call(payload({ iss: OWN }))],
    ['a payload of an issuer in other letters', 'user-required', () => call(payload({ iss: `${ENVOY}/` }))],
    ['a payload under another key than configured', 'user-required', () => call(payload({ iss: NAMED }))],
    [
      'the namespace of another filter',
      'user-required',
      () => ({ ...call(undefined), metadata: { 'envoy.filters.http.lua': payload() } }),
    ],
    ['claims that lie loose', 'user-required', () => call(CLAIMS)],
    ['a payload as text', 'user-required', () => call({ payload: JSON.stringify(CLAIMS) })],
    ['another audience', 'user-token-audience', () => call(payload({ aud: 'bank' }))],
    ['no audience', 'user-token-audience', () => call(payload({ aud: undefined, x: 1 }))],
    ['an expired token', 'user-token-expired', () => call(payload({ exp: NOW_SECONDS - 60 }))],
    ['no exp', 'user-token-malformed', () => call(payload({ exp: null }))],
    ['a token of tomorrow', 'user-token-not-yet-valid', () => call(payload({ nbf: NOW_SECONDS + 86_400 }))],
    ['no subject', 'user-token-malformed', () => call(payload({ sub: '' }))],
    ['a risk that is text', 'user-token-malformed', () => call(payload({ risk_score: '3' }))],
    ['a risk over the limit', 'step-up-required', () => call(payload({ risk_score: 91 }))],
    [
      'a key for which there is no proof',
      'sender-constraint',
      () => call(payload({ cnf: { jkt: 'A'.repeat(43) } })),
    ],
    ['an actor who does not call', 'sender-constraint', () => call(payload({ act: { sub: PAY } }))],
    ['claims nested too deep', 'ambiguous-request', () => call(payload({ deep: deep(21) }))],
    ['70 kB of claims', 'user-token-malformed', () => call(payload({ fill: 'x'.repeat(70_000) }))],
    ['a number that is none', 'user-token-malformed', () => call(payload({ exp: Number.NaN }))],
    ['payloads of two users', 'ambiguous-request', () => call({ a: CLAIMS, b: { ...CLAIMS, sub: 'bob' } })],
    [
      'payloads of two issuers',
      'ambiguous-request',
      () => call({ a: CLAIMS, named_payload: { ...CLAIMS, iss: NAMED } }),
    ],
    ["a user of ours beside Envoy's", 'ambiguous-request', () => call(payload(), bearer({ iss: OWN }))],
    [
      "a token of nobody's beside Envoy's",
      'ambiguous-request',
      () => call(payload(), bearer({ iss: 'https://x' })),
    ],
    [
      "another token of the same issuer beside Envoy's",
      'ambiguous-request',
      () => call(payload(), bearer({ sub: 'bob' })),
    ],
    [
      "a token beside Envoy's that claims more",
      'ambiguous-request',
      () => call(payload(), bearer({ roles: ['admin'] })),
    ],
    [
      "a user beside Envoy's that is no token",
      'user-token-malformed',
      () => call(payload(), { authorization: 'Basic YTpi' }),
    ],
    ['a token that Envoy did not verify', 'user-token-signature', () => call(undefined, bearer({}))],
    [
      'a token that Envoy did not verify, with a payload of nobody',
      'user-token-signature',
      () => call({ x: {} }, bearer({})),
    ],
  ])('%s: %s', async (_name, reason, fields) => {
    expect(await door.portcullis.check(fields())).toMatchObject({ outcome: 'deny', reason })
  })

  test("ours beside Envoy's also when ours is known", async () => {
    const headers = bearer({ iss: OWN })
    expect((await door.portcullis.check(call(undefined, headers))).outcome).toBe('allow')
    expect((await door.portcullis.check(call(payload(), headers))).reason).toBe('ambiguous-request')
  })

  test('metadata where no issuer is verified by Envoy', async () => {
    const answer = await unbelieving.portcullis.check(call(payload({ iss: OWN }), {}, unbelieving))
    expect(answer.reason).toBe('user-required')
  })
})

describe('taken', () => {
  test.each<[string, () => CheckFields]>([
    ['a payload alone', () => call(payload())],
    ['a payload under the configured key', () => call({ named_payload: { ...CLAIMS, iss: NAMED } })],
    [
      'beside parts of it and failures',
      () => call({ ...payload(), header: { alg: 'RS256' }, status: { code: 3 } }),
    ],
    ['the token itself beside its payload', () => call(payload(), bearer({}))],
    ['an actor who calls', () => call(payload({ act: { sub: WEB } }))],
    ['every kind of claim', () => call(payload({ a: [1, 'x', null, true, { b: [] }], deep: deep(15) }))],
    ['a user of ours without metadata', () => call(undefined, bearer({ iss: OWN }))],
    [
      'a user of ours beside metadata of nobody',
      () => call(payload({ iss: 'https://x' }), bearer({ iss: OWN })),
    ],
  ])('%s', async (_name, fields) => {
    const answer = await door.portcullis.check(fields())
    expect(answer).toMatchObject({ outcome: 'allow' })
    expect(answer.headers.get('x-user-id')).toBe('alice')
  })

  test('claims are mapped as those of other tokens', async () => {
    const answer = await door.portcullis.check(
      call(payload({ groups: ['ops', 'dev'], roles: ['self-made'] })),
    )
    expect(answer.headers.get('x-user-roles')).toBe('ops,dev')
  })

  test('a bound token that Envoy verified, with its proof', async () => {
    const key = await testKey('ES256')
    const claims = { cnf: { jkt: thumbprint(key) } }
    const token = signedToken(door.userKey, { ...CLAIMS, ...claims })
    const headers = {
      authorization: `DPoP ${token}`,
      dpop: dpopProof(key, { token, uri: 'https://svc/profile' }),
    }
    expect(await door.portcullis.check(call(payload(claims), headers))).toMatchObject({ outcome: 'allow' })
  })
})
