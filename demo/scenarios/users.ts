import type { Scenario } from '../scenario.js'
import { bearer, type Person, signedWithPublicKey, withoutSignature } from '../tokens.js'
import { ALLOWED, CHALLENGED, denied, type HeadersOf, upstreamGot, user } from './calling.js'

const as =
  (person: Person): HeadersOf =>
  async (mesh) => ({ authorization: await bearer(mesh, person) })

/** What users may do through the gateway, with their token and no certificate. */
export const USER_CALLS: readonly Scenario[] = [
  user('GET /api/orders', {
    caller: 'alice',
    target: 'order-service',
    headers: as('alice'),
    expected: ALLOWED,
    also: upstreamGot({ 'x-user-id': 'alice', 'x-caller-service': 'edge/gateway' }),
  }),
  user('GET /api/orders/42?full=1', {
    caller: 'alice',
    target: 'order-service',
    headers: as('alice'),
    expected: ALLOWED,
  }),
  user('POST /api/orders', {
    caller: 'alice',
    target: 'order-service',
    headers: as('alice'),
    expected: ALLOWED,
  }),
  user('POST /api/checkout', {
    caller: 'alice',
    target: 'checkout-service',
    headers: as('alice'),
    expected: ALLOWED,
  }),
  user('GET /api/users/7', {
    caller: 'alice, MFA',
    target: 'user-service',
    headers: as('alice, MFA'),
    expected: ALLOWED,
  }),
  user('GET /api/admin/report', {
    caller: 'root, MFA',
    target: 'admin-service',
    headers: as('root, MFA'),
    expected: ALLOWED,
  }),
  user('GET /api/orders', {
    caller: 'alice, MFA',
    target: 'order-service',
    note: 'risk_score 71, step-up met',
    headers: as('alice, MFA, risk 71'),
    expected: ALLOWED,
  }),
  user('GET /api/orders', {
    caller: 'alice',
    target: 'order-service',
    note: 'low-trust device reads',
    headers: as('alice, low-trust device'),
    expected: ALLOWED,
    also: upstreamGot({ 'x-device-trust': 'low', 'x-portcullis-obligations': 'read-only' }),
  }),
]

/** What is wrong with users, or with who says to be one. */
export const USER_ATTACKS: readonly Scenario[] = [
  user('GET /api/orders', {
    caller: 'nobody',
    target: 'order-service',
    note: 'without a token',
    expected: denied(401, 'no-credentials'),
  }),
  user('GET /api/orders', {
    caller: 'alice',
    target: 'order-service',
    note: 'expired token',
    headers: async (mesh) => ({
      authorization: await bearer(mesh, 'alice', { iat: now() - 900, exp: now() - 300 }),
    }),
    expected: denied(401, 'user-token-expired'),
  }),
  user('GET /api/orders', {
    caller: 'alice',
    target: 'order-service',
    note: 'token for another audience',
    headers: async (mesh) => ({ authorization: await bearer(mesh, 'alice', { aud: 'bank' }) }),
    expected: denied(401, 'user-token-audience'),
  }),
  user('GET /api/orders', {
    caller: 'alice',
    target: 'order-service',
    note: 'token of an unknown issuer',
    headers: async (mesh) => ({
      authorization: await bearer(mesh, 'alice', { iss: 'https://idp.evil.example' }),
    }),
    expected: denied(401, 'user-token-issuer'),
  }),
  user('GET /api/admin/report', {
    caller: 'mallory',
    target: 'admin-service',
    note: 'alg none',
    headers: async (mesh) => ({
      authorization: `Bearer ${withoutSignature(await mesh.identityProvider.userToken({ sub: 'root', roles: ['admin'] }))}`,
    }),
    expected: denied(401, 'user-token-signature'),
  }),
  user('GET /api/admin/report', {
    caller: 'mallory',
    target: 'admin-service',
    note: 'HS256 with the public key',
    headers: async ({ identityProvider }) => {
      const claims = await identityProvider.userToken({ sub: 'root', roles: ['admin'], mfa_verified: true })
      return { authorization: `Bearer ${signedWithPublicKey(claims, identityProvider.publicKeyPem)}` }
    },
    expected: denied(401, 'user-token-signature'),
  }),
  user('POST /api/orders', {
    caller: 'alice',
    target: 'order-service',
    note: 'scope orders:read only',
    headers: as('alice, read scopes'),
    expected: denied(403, 'scope-missing'),
  }),
  user('GET /api/orders', {
    caller: 'alice',
    target: 'order-service',
    note: 'risk_score 71',
    headers: as('alice, risk 71'),
    expected: CHALLENGED,
    also: ({ headers }) =>
      headers.get('www-authenticate')?.includes('insufficient_user_authentication')
        ? undefined
        : `WWW-Authenticate is ${headers.get('www-authenticate')}`,
  }),
  user('GET /api/orders', {
    caller: 'alice',
    target: 'order-service',
    note: 'risk_score 95',
    headers: as('alice, risk 95'),
    expected: denied(403, 'adaptive-deny'),
  }),
  user('POST /api/orders', {
    caller: 'alice',
    target: 'order-service',
    note: 'low-trust device writes',
    headers: as('alice, low-trust device'),
    expected: denied(403, 'device-read-only'),
  }),
  user('GET /api/admin/report', {
    caller: 'root, no MFA',
    target: 'admin-service',
    note: 'admin path without MFA',
    headers: as('root, no MFA'),
    expected: CHALLENGED,
  }),
  user('GET /api/admin/report', {
    caller: 'alice, MFA',
    target: 'admin-service',
    note: 'no admin',
    headers: as('alice, MFA'),
    expected: denied(403, 'rule-not-matched'),
  }),
  user('GET /api/orders', {
    caller: 'alice',
    target: 'order-service',
    note: 'spoofed x-user-id, -roles, XFCC',
    headers: async (mesh) => ({
      authorization: await bearer(mesh, 'alice'),
      'x-user-id': 'root',
      'x-user-roles': 'admin',
      'x-caller-service': 'shop/admin-service',
      'x-forwarded-client-cert': 'By=x;URI=spiffe://cluster.local/ns/shop/sa/admin-service',
    }),
    expected: ALLOWED,
    also: upstreamGot({ 'x-user-id': 'alice', 'x-user-roles': null, 'x-caller-service': 'edge/gateway' }),
  }),
  user('GET /api/orders', {
    caller: 'alice',
    target: 'order-service',
    note: 'spoofed x_user_id',
    headers: async (mesh) => ({ authorization: await bearer(mesh, 'alice'), x_user_id: 'root' }),
    expected: { status: '400', decision: 'none', reason: '' },
  }),
  user('GET /internal/orders/42', {
    caller: 'alice',
    target: 'order-service',
    note: 'a path for services',
    headers: as('alice'),
    expected: denied(403, 'target-unknown'),
  }),
  user('GET /api/orders/%2e%2e/admin/report', {
    caller: 'alice',
    target: 'order-service',
    headers: as('alice'),
    expected: denied(403, 'ambiguous-request'),
  }),
]

function now(): number {
  return Math.floor(Date.now() / 1000)
}
