import { chmodSync, mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { callHttp, type Way } from '../../demo/calls.js'
import { envoyBinary } from '../../demo/envoy-binary.js'
import { type Mesh, startMesh } from '../../demo/mesh.js'
import { GATEWAY, PORTS, SERVICES, WEB_HOST } from '../../demo/services.js'
import { startLoad } from './support/load.js'
import { openGrpc, type Opened, openTcp, openWebSocket } from './support/open-calls.js'

const HOLD_MS = 2500
/** Two routes of order-service have these instead. */
const BRIEF_MS = 1000
const LONGER_MS = 3500
/** Age at which a sidecar asks for a new connection. */
const RENEWED_MS = 1000
/** Envoy cuts an HTTP/1 connection at once and closes it later, by `delayed_close_timeout`. */
const CLOSING_MS = 1000
/** Of a machine that has much to do. */
const LATE_MS = 1500

/** A device that was not seen before ends a session: two calls do. */
const policyOf = (mayCall: boolean): string => `
apiVersion: portcullis.dev/v1beta1
kind: ServicePolicy
metadata: { name: order-service, namespace: shop }
spec:
  endpoints:
    - { name: Feed, paths: [/api/orders/feed], methods: [GET], protocol: WebSocket, require: Both }
    - { name: Brief, paths: [/api/orders/brief], methods: [GET], protocol: WebSocket, require: Both }
    - { name: List, paths: [/api/orders], methods: [GET], require: Both }
    - { name: Count, paths: [/internal/orders], methods: [GET] }
    - { name: Watch, grpc: [shop.v1.Orders/Watch, shop.v1.Orders/Follow] }
  rules: [{ name: users, from: [{ users: true }] }, { name: checkout, from: [{ services: [checkout-service] }] }]
---
apiVersion: portcullis.dev/v1beta1
kind: ServicePolicy
metadata: { name: database-service, namespace: shop }
spec:
  endpoints: [{ name: sql, protocol: TCP, ports: [5432] }]
  rules: [{ name: checkout, from: [{ services: [checkout-service] }] }]
---
apiVersion: portcullis.dev/v1beta1
kind: ServicePolicy
metadata: { name: checkout-service, namespace: shop }
spec: { calls: [${mayCall ? '{ service: order-service }, { service: database-service }' : ''}] }
---
apiVersion: portcullis.dev/v1beta1
kind: ServicePolicy
metadata: { name: gateway, namespace: edge }
spec: { calls: [{ service: shop/order-service }] }
---
apiVersion: portcullis.dev/v1beta1
kind: RiskPolicy
metadata: { name: strict }
spec: { factors: { newDevice: { points: 90 } } }
---
# Nobody's device is known here, and that is not what this is about.
apiVersion: portcullis.dev/v1beta1
kind: AdaptivePolicy
metadata: { name: default }
spec: { rules: [] }
`

/** Envoy as shipped but for how long decisions stand and connections live; two routes have a time of their own. */
const hurried = (envoy: string): string => `#!/bin/sh
set -eu
sed -Ei 's/(max_stream_duration|max_downstream_connection_duration): 900s/\\1: ${HOLD_MS / 1000}s/; s/max_connection_duration: 900s/max_connection_duration: ${RENEWED_MS / 1000}s/' "$2"
sed -i 's|{ match: { prefix: / }, route: { cluster: application,|${ownTime('/api/orders/brief', BRIEF_MS)}, ${ownTime('/shop.v1.Orders/Follow', LONGER_MS)}, &|' "$2"
grep -Eq 'duration: ${HOLD_MS / 1000}s' "$2"
exec ${envoy} "$@"
`

function ownTime(path: string, ms: number): string {
  return `{ match: { path: ${path} }, route: { cluster: application, timeout: 0s, max_stream_duration: { max_stream_duration: ${ms / 1000}s } } }`
}

let directory: string
let mesh: Mesh

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'portcullis-long-lived-'))
  const envoy = join(directory, 'envoy')
  writeFileSync(envoy, hurried(envoyBinary()))
  chmodSync(envoy, 0o755)
  writePolicy(true)
  const names = new Set(['order-service', 'checkout-service', 'database-service'])
  mesh = await startMesh({
    envoy,
    policyDirectory: join(directory, 'policy'),
    services: [...SERVICES.filter(({ name }) => names.has(name)), GATEWAY],
    askTimeoutSeconds: 3,
  })
}, 120_000)

afterAll(async () => {
  await mesh.stop()
  mesh.forget()
  rmSync(directory, { recursive: true, force: true })
}, 30_000)

function writePolicy(mayCall: boolean): void {
  const policy = join(directory, 'policy')
  mkdirSync(policy, { recursive: true })
  writeFileSync(join(policy, '.next'), policyOf(mayCall))
  renameSync(join(policy, '.next'), join(policy, 'shop.yaml'))
}

const CHECKOUT = 'shop/checkout-service'
const asCheckout = (target: string): Way => mesh.straightTo(target, mesh.pki.svid(CHECKOUT))
type Claims = Readonly<Record<string, unknown>>
const userOf = async (session: string, claims: Claims = {}): Promise<Record<string, string>> => {
  const who = { sub: 'ursa', session_id: session, device_id: 'laptop', ...claims }
  return { authorization: `Bearer ${await mesh.identityProvider.userToken(who)}` }
}
const feed = async (session: string, claims?: Claims, path = '/api/orders/feed'): Promise<Opened> =>
  openWebSocket(mesh.throughGateway(), path, WEB_HOST, await userOf(session, claims))
const watch = (method = 'Watch'): Promise<Opened> =>
  openGrpc(asCheckout('order-service'), `shop.v1.Orders/${method}`, 'order-service', { 'x-echo-hold': '1' })

const ordinary = async (): Promise<string> => {
  const headers = await userOf('s-3', { sub: 'otto' })
  const call = { method: 'GET', path: '/api/orders', host: WEB_HOST, headers }
  return (await callHttp(mesh.throughGateway(), call)).status
}

/** Bytes came until then, and not after. */
function expectSilenceAt(ms: number, opened: Opened): void {
  expect(opened.heardMs()).toBeGreaterThan(ms - 500)
  expect(opened.heardMs()).toBeLessThan(ms + LATE_MS)
}

describe('what was open when its caller lost the right to it', () => {
  test('a WebSocket of a session that ended goes on until its time is up, and is not opened again', async () => {
    const [open, brief] = await Promise.all([feed('s-1'), feed('s-1', {}, '/api/orders/brief')])
    expect([open.status, brief.status]).toEqual(['open', 'open'])
    const openedAtMs = performance.now()
    expect((await feed('s-1', { device_id: 'phone' })).status).toBe('401 session-terminated')
    expect((await feed('s-1')).status).toBe('401 session-terminated')
    const refusedAfterMs = performance.now() - openedAtMs

    const { afterMs } = await open.ended
    expect(open.heardMs()).toBeGreaterThan(refusedAfterMs)
    expectSilenceAt(HOLD_MS, open)
    expect(afterMs).toBeLessThan(HOLD_MS + CLOSING_MS + LATE_MS)
    await brief.ended
    expectSilenceAt(BRIEF_MS, brief)
    expect(brief.heardMs()).toBeLessThan(open.heardMs())
    expect((await feed('s-1')).status).toBe('401 session-terminated')
    const another = await feed('s-2', { mfa_verified: true, auth_time: Math.ceil(Date.now() / 1000) + 1 })
    expect(another.status).toBe('open')
    another.close()
  }, 15_000)

  test('a gRPC stream and a TCP connection of a workload that lost its edges end likewise', async () => {
    const open = await Promise.all([watch(), watch('Follow'), openTcp(asCheckout('database-service'))])
    const [stream, longer, connection] = open
    expect(open.map(({ status }) => status)).toEqual(['open', 'open', 'open'])
    const openedAtMs = performance.now()
    writePolicy(false)
    await eventually(async () => (await watchAnew()) === 'grpc 7 call-not-allowed')
    expect((await openTcp(asCheckout('database-service'))).status).toBe('closed')
    const refusedAfterMs = performance.now() - openedAtMs

    const [streamEnd, , connectionEnd] = await Promise.all(open.map(({ ended }) => ended))
    expect(stream.heardMs()).toBeGreaterThan(refusedAfterMs)
    expect(connection.heardMs()).toBeGreaterThan(refusedAfterMs)
    expectSilenceAt(HOLD_MS, stream)
    expectSilenceAt(HOLD_MS, connection)
    expectSilenceAt(LONGER_MS, longer)
    expect(streamEnd?.how).toMatch(/INTERNAL_ERROR/)
    expect(connectionEnd?.how).toBe('closed')
    expect(await watchAnew()).toBe('grpc 7 call-not-allowed')

    writePolicy(true)
    await eventually(async () => (await watchAnew()) === 'open')
  }, 15_000)
})

test('ordinary calls pass, and none fails while connections are renewed', async () => {
  expect(await ordinary()).toBe('200')
  const request = { method: 'GET', path: '/internal/orders', host: 'order-service' }
  const load = startLoad(mesh.throughSidecar('checkout-service'), request, 2, 10_000)
  await sleep(2.5 * RENEWED_MS)
  const statuses = await load.stop()
  expect([...statuses.keys()]).toEqual(['200'])
  expect(await connectionsOf('checkout-service')).toBeGreaterThan(2)
}, 15_000)

async function watchAnew(): Promise<string> {
  const opened = await watch()
  opened.close()
  return opened.status
}

/** Connections that the service's Envoy has opened to order-service so far. */
async function connectionsOf(service: string): Promise<number> {
  const admin = { host: mesh.addressOf(service), port: PORTS.admin }
  const path = '/stats?filter=cluster.order-service.upstream_cx_total'
  const { body } = await callHttp(admin, { method: 'GET', path, host: 'localhost' })
  return Number(/: (\d+)/.exec(body)?.[1])
}

async function eventually(isSo: () => Promise<boolean>): Promise<void> {
  const end = Date.now() + 3000
  while (!(await isSo())) {
    if (Date.now() > end) throw new Error('waited in vain for the policy to be taken')
    await sleep(50)
  }
}
