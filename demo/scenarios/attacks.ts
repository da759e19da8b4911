import { callHttp } from '../calls.js'
import type { Scenario } from '../scenario.js'
import {
  bearer,
  orderToken,
  publicKeyPem,
  type ServiceTokenChoices,
  signedWithPublicKey,
  withoutSignature,
} from '../tokens.js'
import { ALLOWED, denied, grpc, type HeadersOf, http, tcp, upstreamGot } from './calling.js'

const CHECKOUT = 'shop/checkout-service'

/** What an Envoy of ours does not let through to begin with. */
function refusedByEnvoy(alert: string): Scenario['expected'] {
  return { status: `tls: ${alert}`, decision: 'none', reason: '' }
}

/** Certificates: first an Envoy as shipped, then one that forgot to verify, so that Portcullis has to. */
const CERTIFICATES: readonly Scenario[] = [
  http('POST /api/payments', {
    caller: 'stranger',
    target: 'payment-service',
    note: 'no certificate',
    way: (mesh) => mesh.straightTo('payment-service'),
    expected: refusedByEnvoy('certificate required'),
  }),
  http('POST /api/payments', {
    caller: 'stranger',
    target: 'payment-service',
    note: 'foreign root',
    way: (mesh) => mesh.straightTo('payment-service', mesh.pki.foreignSvid(CHECKOUT)),
    expected: refusedByEnvoy('unknown ca'),
  }),
  http('POST /api/payments', {
    caller: 'checkout-service',
    target: 'payment-service',
    note: 'expired leaf',
    way: (mesh) => mesh.straightTo('payment-service', mesh.pki.expiredSvid(CHECKOUT)),
    expected: refusedByEnvoy('certificate expired'),
  }),
  http('POST /api/payments', {
    caller: 'stranger',
    target: 'payment-service',
    note: 'no certificate, careless Envoy',
    way: (mesh) => mesh.straightTo('payment-careless'),
    expected: denied(401, 'certificate-required'),
  }),
  http('POST /api/payments', {
    caller: 'stranger',
    target: 'payment-service',
    note: 'foreign root, careless Envoy',
    way: (mesh) => mesh.straightTo('payment-careless', mesh.pki.foreignSvid(CHECKOUT)),
    expected: denied(401, 'certificate-invalid'),
  }),
  http('POST /api/payments', {
    caller: 'checkout-service',
    target: 'payment-service',
    note: 'expired leaf, careless Envoy',
    way: (mesh) => mesh.straightTo('payment-careless', mesh.pki.expiredSvid(CHECKOUT)),
    expected: denied(401, 'certificate-expired'),
  }),
  http('GET /api/stock/lamp', {
    caller: 'undocumented',
    target: 'inventory-service',
    note: 'our root, no document',
    way: (mesh) => mesh.straightTo('inventory-service', mesh.pki.svid('shop/undocumented')),
    expected: denied(403, 'caller-unknown'),
  }),
]

/** The right identity, where it has no business. */
const EDGES: readonly Scenario[] = [
  http('GET /api/payments/9', {
    caller: 'email-service',
    target: 'payment-service',
    note: 'wrong edge',
    expected: denied(403, 'call-not-allowed'),
  }),
  http('POST /internal/orders', {
    caller: 'inventory-service',
    target: 'order-service',
    note: 'wrong edge',
    expected: denied(403, 'call-not-allowed'),
  }),
  http('GET /api/payments/9', {
    caller: 'checkout-service',
    target: 'payment-service',
    note: 'endpoint not in its calls',
    expected: denied(403, 'call-not-allowed'),
  }),
  http('DELETE /api/payments/9', {
    caller: 'order-service',
    target: 'payment-service',
    note: 'not exposed',
    expected: denied(403, 'endpoint-not-exposed'),
  }),
  http('GET /actuator/env', {
    caller: 'checkout-service',
    target: 'inventory-service',
    note: 'not exposed',
    expected: denied(403, 'endpoint-not-exposed'),
  }),
  http('GET /debug/pprof/heap', {
    caller: 'order-service',
    target: 'inventory-service',
    note: 'forbidden everywhere',
    expected: denied(403, 'forbidden'),
  }),
  http('GET /api/payments/9', {
    caller: 'order-service',
    target: 'payment-service',
    note: 'x-test-run is forbidden',
    headers: async () => ({ 'x-test-run': '1' }),
    expected: denied(403, 'forbidden'),
  }),
  http('POST /api/payments', {
    caller: 'checkout-service',
    target: 'payment-service',
    note: 'without the user',
    expected: denied(403, 'user-required'),
  }),
  http('POST /api/payments', {
    caller: 'checkout-service',
    target: 'payment-service',
    note: 'user in another role',
    headers: async (mesh) => ({ authorization: await bearer(mesh, 'alice') }),
    expected: denied(403, 'rule-not-matched'),
  }),
  grpc('shop.v1.Payments/Wipe', {
    caller: 'admin-service',
    target: 'payment-service',
    note: 'gRPC method not exposed',
    headers: async (mesh) => ({ authorization: await bearer(mesh, 'root, MFA') }),
    expected: { status: 'grpc 7', decision: 'deny', reason: 'endpoint-not-exposed' },
  }),
  grpc('shop.v1.Payments/Refund', {
    caller: 'admin-service',
    target: 'payment-service',
    note: 'admin without MFA',
    headers: async (mesh) => ({ authorization: await bearer(mesh, 'root, no MFA') }),
    expected: { status: 'grpc 16', decision: 'challenge', reason: 'step-up-required' },
  }),
  tcp({
    caller: 'checkout-service',
    target: 'database-service',
    note: 'no edge',
    expected: { status: 'closed', decision: 'deny', reason: 'call-not-allowed' },
  }),
  tcp({
    caller: 'email-service',
    target: 'cache-service',
    note: 'no edge',
    expected: { status: 'closed', decision: 'deny', reason: 'call-not-allowed' },
  }),
  tcp({
    caller: 'stranger',
    target: 'database-service',
    note: 'foreign root',
    way: (mesh) => mesh.straightTo('database-service', mesh.pki.foreignSvid('shop/order-service')),
    expected: refusedByEnvoy('unknown ca'),
  }),
]

/** Requests that two parsers would read differently, and headers that only Portcullis may write. */
const DISGUISES: readonly Scenario[] = [
  ...[
    'GET /api/stock/%2e%2e/%2e%2e/debug',
    'GET /api/stock/..%2f..%2fdebug',
    'GET /api/stock/../../debug',
    'GET //api/stock/lamp',
    'GET /api/stock/lamp;v=1',
    'GET /api%5cstock%5clamp',
  ].map((request) =>
    http(request, {
      caller: 'checkout-service',
      target: 'inventory-service',
      expected: denied(403, 'ambiguous-request'),
    }),
  ),
  http('GET /api/stock/lamp', {
    caller: 'checkout-service',
    target: 'inventory-service',
    note: 'X-HTTP-Method-Override',
    headers: async () => ({ 'x-http-method-override': 'DELETE' }),
    expected: denied(403, 'ambiguous-request'),
  }),
  http('GET /api/stock/lamp', {
    caller: 'checkout-service',
    target: 'inventory-service',
    note: 'spoofed x-user-id, x_user_id',
    headers: async () => ({ 'x-user-id': 'root', x_user_id: 'root', 'x-portcullis-obligations': 'none' }),
    expected: ALLOWED,
    also: upstreamGot({ 'x-user-id': null, x_user_id: null, 'x-portcullis-obligations': null }),
  }),
  http('GET /api/payments/9', {
    caller: 'email-service',
    target: 'payment-service',
    note: 'spoofed XFCC of order-service',
    headers: async () => ({
      'x-forwarded-client-cert':
        'By=spiffe://cluster.local/ns/shop/sa/payment-service;URI=spiffe://cluster.local/ns/shop/sa/order-service',
    }),
    way: (mesh) => mesh.straightTo('payment-service', mesh.pki.svid('shop/email-service')),
    expected: denied(403, 'call-not-allowed'),
  }),
]

const token =
  (choices: ServiceTokenChoices): HeadersOf =>
  async (mesh) => ({ 'x-service-token': await orderToken(mesh, choices) })

/** order-service settles by a service token. These are the wrong ones. */
const SERVICE_TOKENS: readonly Scenario[] = [
  settles('no token, so no scope', async () => ({}), denied(403, 'scope-missing')),
  settles('token without the scope', token({ scopes: ['payments:read'] }), denied(403, 'scope-missing')),
  settles('token of 10 minutes', token({ lifetimeSeconds: 600 }), denied(401, 'service-token-lifetime')),
  settles(
    'token for another',
    token({ audience: 'shop/user-service' }),
    denied(401, 'service-token-audience'),
  ),
  settles(
    'alg none',
    async (mesh) => ({ 'x-service-token': withoutSignature(await orderToken(mesh)) }),
    denied(401, 'service-token-signature'),
  ),
  settles(
    'HS256 with the public key',
    async (mesh) => {
      const claims = await orderToken(mesh)
      return { 'x-service-token': signedWithPublicKey(claims, publicKeyPem(mesh, 'order-service')) }
    },
    denied(401, 'service-token-signature'),
  ),
  http('POST /api/settlements', {
    caller: 'checkout-service',
    target: 'payment-service',
    note: 'stolen from order-service',
    headers: token({}),
    expected: denied(401, 'service-token-subject'),
  }),
  {
    caller: 'order-service',
    target: 'payment-service',
    request: 'POST /api/settlements  replayed token',
    expected: denied(401, 'service-token-replayed'),
    async call(mesh) {
      const headers = { 'x-service-token': await orderToken(mesh) }
      const request = { method: 'POST', path: '/api/settlements', host: 'payment-service', headers }
      const way = mesh.throughSidecar('order-service')
      const first = await callHttp(way, request)
      return first.status === '200' ? await callHttp(way, request) : first
    },
  },
]

function settles(note: string, headers: HeadersOf, expected: Scenario['expected']): Scenario {
  return http('POST /api/settlements', {
    caller: 'order-service',
    target: 'payment-service',
    note,
    headers,
    expected,
  })
}

export const SERVICE_ATTACKS: readonly Scenario[] = [
  ...CERTIFICATES,
  ...EDGES,
  ...DISGUISES,
  ...SERVICE_TOKENS,
]
