import type { Scenario } from '../scenario.js'
import { bearer, orderToken, type Person } from '../tokens.js'
import { ALLOWED, grpc, GRPC_OK, type HeadersOf, http, tcp, upstreamGot } from './calling.js'

const as =
  (person: Person): HeadersOf =>
  async (mesh) => ({ authorization: await bearer(mesh, person) })

const withOrderToken: HeadersOf = async (mesh) => ({ 'x-service-token': await orderToken(mesh) })
const PASSED = { status: 'open', decision: 'allow', reason: 'allowed' } as const

/** What the policy lets services do among themselves. */
export const SERVICE_CALLS: readonly Scenario[] = [
  http('GET /internal/users/7', {
    caller: 'checkout-service',
    target: 'user-service',
    expected: ALLOWED,
    also: upstreamGot({
      'x-caller-service': 'shop/checkout-service',
      'x-caller-spiffe-id': 'spiffe://cluster.local/ns/shop/sa/checkout-service',
      'x-user-id': null,
    }),
  }),
  http('GET /api/stock/lamp', { caller: 'checkout-service', target: 'inventory-service', expected: ALLOWED }),
  http('POST /internal/orders', { caller: 'checkout-service', target: 'order-service', expected: ALLOWED }),
  http('GET /internal/orders/42', { caller: 'checkout-service', target: 'order-service', expected: ALLOWED }),
  http('POST /api/payments', {
    caller: 'checkout-service',
    target: 'payment-service',
    note: 'user in role payment-processor',
    headers: as('paula, payments'),
    expected: ALLOWED,
    also: upstreamGot({ 'x-user-id': 'paula', 'x-user-roles': 'payment-processor' }),
  }),
  http('GET /api/stock/lamp', { caller: 'order-service', target: 'inventory-service', expected: ALLOWED }),
  http('POST /api/stock/lamp/reservations', {
    caller: 'order-service',
    target: 'inventory-service',
    expected: ALLOWED,
  }),
  http('POST /api/settlements', {
    caller: 'order-service',
    target: 'payment-service',
    note: 'with a service token',
    headers: withOrderToken,
    expected: ALLOWED,
  }),
  http('GET /api/payments/9', { caller: 'order-service', target: 'payment-service', expected: ALLOWED }),
  http('POST /api/emails', { caller: 'order-service', target: 'email-service', expected: ALLOWED }),
  http('POST /api/emails', { caller: 'payment-service', target: 'email-service', expected: ALLOWED }),
  http('GET /internal/orders/42', {
    caller: 'admin-service',
    target: 'order-service',
    note: 'intermediate by Chain',
    expected: ALLOWED,
  }),
  http('PUT /internal/users/7/suspension', {
    caller: 'admin-service',
    target: 'user-service',
    note: 'admin with MFA',
    headers: as('root, MFA'),
    expected: ALLOWED,
  }),
  http('POST /api/payments/9/refund', {
    caller: 'admin-service',
    target: 'payment-service',
    note: 'admin with MFA',
    headers: as('root, MFA'),
    expected: ALLOWED,
  }),
  grpc('shop.v1.Payments/Refund', {
    caller: 'admin-service',
    target: 'payment-service',
    note: 'admin with MFA',
    headers: as('root, MFA'),
    expected: GRPC_OK,
    also: upstreamGot({ 'x-user-id': 'root', 'x-caller-service': 'shop/admin-service' }),
  }),
  http('GET /metrics', {
    caller: 'prometheus',
    target: 'inventory-service',
    note: 'allowed by the baseline',
    way: (mesh) => mesh.straightTo('inventory-service', mesh.pki.svid('monitoring/prometheus')),
    expected: ALLOWED,
  }),
  tcp({ caller: 'user-service', target: 'database-service', expected: PASSED }),
  tcp({ caller: 'order-service', target: 'database-service', expected: PASSED }),
  tcp({ caller: 'payment-service', target: 'database-service', expected: PASSED }),
  tcp({ caller: 'order-service', target: 'cache-service', expected: PASSED }),
]
