import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { type Answer, callGrpc, callHttp } from '../../demo/calls.js'
import { envoyBinary } from '../../demo/envoy-binary.js'
import { type Mesh, startMesh } from '../../demo/mesh.js'
import { GATEWAY, SERVICES, WEB_HOST } from '../../demo/services.js'

const POLICY = `
apiVersion: portcullis.dev/v1beta1
kind: ServicePolicy
metadata: { name: order-service, namespace: shop }
spec:
  endpoints:
    - { name: Cancel, paths: [/api/orders/cancel], methods: [POST], grpc: [shop.v1.Orders/Cancel], require: Both, mfa: Required, maxAuthAge: 5m }
  rules: [{ name: users, from: [{ users: true }] }]
---
apiVersion: portcullis.dev/v1beta1
kind: ServicePolicy
metadata: { name: checkout-service, namespace: shop }
spec: { calls: [{ service: order-service }] }
---
apiVersion: portcullis.dev/v1beta1
kind: ServicePolicy
metadata: { name: gateway, namespace: edge }
spec: { calls: [{ service: shop/order-service }] }
---
# Nobody's device is known here, and that is not what this is about.
apiVersion: portcullis.dev/v1beta1
kind: AdaptivePolicy
metadata: { name: default }
spec: { rules: [] }
`
const CHALLENGE = /^Bearer error="insufficient_user_authentication", acr_values="mfa", max_age="300"/

let policyDirectory: string
let mesh: Mesh

beforeAll(async () => {
  policyDirectory = mkdtempSync(join(tmpdir(), 'portcullis-step-up-'))
  writeFileSync(join(policyDirectory, 'shop.yaml'), POLICY)
  const names = new Set(['order-service', 'checkout-service'])
  mesh = await startMesh({
    envoy: envoyBinary(),
    policyDirectory,
    services: [...SERVICES.filter(({ name }) => names.has(name)), GATEWAY],
    askTimeoutSeconds: 3,
  })
}, 120_000)

afterAll(async () => {
  await mesh.stop()
  mesh.forget()
  rmSync(policyDirectory, { recursive: true, force: true })
}, 30_000)

type Claims = Readonly<Record<string, unknown>>
const SESSION: Claims = { sub: 'ursa', session_id: 's-1' }
const withMfa = (secondsAgo: number): Claims => ({
  ...SESSION,
  acr: 'mfa',
  auth_time: Math.floor(Date.now() / 1000) - secondsAgo,
})

const bearer = async (claims: Claims): Promise<Record<string, string>> => ({
  authorization: `Bearer ${await mesh.identityProvider.userToken(claims)}`,
})
const byHttp = async (claims: Claims): Promise<Answer> =>
  callHttp(mesh.throughGateway(), {
    method: 'POST',
    path: '/api/orders/cancel',
    host: WEB_HOST,
    headers: await bearer(claims),
  })
const byGrpc = async (headers: Record<string, string>): Promise<Answer> =>
  callGrpc(mesh.throughSidecar('checkout-service'), {
    method: 'shop.v1.Orders/Cancel',
    host: 'order-service',
    headers,
  })

test('an HTTP client is told how to step up, and passes when it did', async () => {
  for (const claims of [SESSION, withMfa(400)]) {
    const challenged = await byHttp(claims)
    expect(challenged.status).toBe('401')
    expect(challenged.headers.get('www-authenticate')).toMatch(CHALLENGE)
    expect(challenged.headers.get('content-type')).toBe('application/json')
    expect(challenged.reason).toBe('step-up-required')
    expect(JSON.parse(challenged.body)).toEqual({
      error: 'step-up-required',
      challenge: 'mfa',
      factor: 'mfa',
      session_id: 's-1',
      decision_id: challenged.headers.get('x-portcullis-decision-id'),
    })
  }
  expect((await byHttp(withMfa(0))).status).toBe('200')
})

test('a gRPC client is told likewise, through both sidecars; a workload alone is denied', async () => {
  for (const claims of [SESSION, withMfa(400)]) {
    const challenged = await byGrpc(await bearer(claims))
    expect(challenged).toMatchObject({
      status: 'grpc 16',
      body: 'Authentication is required or was not accepted. (step-up-required)',
      reason: 'step-up-required',
    })
    expect(challenged.headers.get('www-authenticate')).toMatch(CHALLENGE)
    expect(challenged.headers.get('x-portcullis-decision-id')).toMatch(/^[0-9a-f-]{36}$/)
  }
  expect(await byGrpc(await bearer(withMfa(0)))).toMatchObject({ status: 'grpc 0' })
  const alone = await byGrpc({})
  expect(alone).toMatchObject({ status: 'grpc 7', reason: 'user-required' })
  expect(alone.headers.has('www-authenticate')).toBe(false)
})
