import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { mintServiceToken } from '../../src/identity/token.js'
import { asEnvoySends, createAuthority } from '../support/certificate-authority.js'
import type { CheckFields } from '../support/envoy-wire.js'
import { startPortcullis, type TestPortcullis } from '../support/portcullis.js'
import { type RunningRedis, startStandalone } from '../support/redis-servers.js'
import { jwksText, signedToken, testKey, type TestKey } from '../support/tokens.js'

/** A new device alone ends a session, so that two calls do. */
const POLICY = `
apiVersion: portcullis.dev/v1beta1
kind: ServicePolicy
metadata: { name: pay, namespace: shop }
spec:
  endpoints:
    - { name: Pay, paths: [/pay], methods: [POST], workloadScopes: [payments:process] }
    - { name: Look, paths: [/look], methods: [GET], require: User }
    - { name: Login, paths: [/login], methods: [GET], require: None }
  rules:
    - { name: web, from: [{ services: [web] }], to: [{ endpoints: [Pay] }] }
    - { name: users, from: [{ users: true }], to: [{ endpoints: [Look] }] }
    - { name: anybody, from: [{ any: true }], to: [{ endpoints: [Login] }] }
---
apiVersion: portcullis.dev/v1beta1
kind: ServicePolicy
metadata: { name: web, namespace: shop }
spec: { calls: [{ service: pay }] }
---
apiVersion: portcullis.dev/v1beta1
kind: RiskPolicy
metadata: { name: strict }
spec: { factors: { newDevice: { points: 90 } } }
`
const EFFECTIVE_WITHIN_MS = 1000

let redis: RunningRedis
let replicas: TestPortcullis[]
let userKey: TestKey
let webKey: TestKey
const authority = createAuthority({ name: 'root' })
const spiffeId = 'spiffe://cluster.local/ns/shop/sa/web'
const certificate = asEnvoySends(authority.issueSvid({ spiffeId }).certificatePem)

async function replica(onUnavailable: Record<string, unknown>): Promise<TestPortcullis> {
  const { deployment } = redis
  if (deployment.kind !== 'standalone') throw new Error('not one server')
  return startPortcullis(
    {
      'policy/shop.yaml': POLICY,
      'pki/ca.pem': authority.certificatePem,
      'keys/web.pem': webKey.publicKeyPem,
      'keys/idp.json': jwksText(userKey),
    },
    {
      listeners: [
        { name: 'mesh', address: '127.0.0.1:0' },
        {
          name: 'edge',
          address: '127.0.0.1:0',
          role: 'Gateway',
          peerIdentity: 'None',
          target: ['extension'],
        },
      ],
      trustDomains: { 'cluster.local': { bundle: { file: './pki/ca.pem' } } },
      serviceTokens: {
        issuers: { web: { service: 'shop/web', keyFile: './keys/web.pem', scopes: ['payments:*'] } },
      },
      userTokens: {
        issuers: [
          {
            issuer: 'https://idp.example',
            audiences: ['shop'],
            jwksFile: './keys/idp.json',
            algorithms: ['RS256'],
          },
        ],
      },
      store: { type: 'Redis', url: `redis://${deployment.host}:${deployment.port}` },
      onUnavailable,
      alerts: { sinks: [{ type: 'RedisStream', stream: 'portcullis:alerts' }] },
    },
  )
}

beforeAll(async () => {
  userKey = await testKey('RS256', 'idp-1')
  webKey = await testKey('ES256')
  redis = await startStandalone()
  replicas = await Promise.all([replica({ mode: 'Deny' }), replica({ mode: 'LastKnown', for: '3s' })])
}, 30_000)
afterAll(async () => {
  await Promise.all(replicas.map((each) => each.stop()))
  await redis.stop()
})

const at = (index: number): TestPortcullis => {
  const found = replicas[index]
  if (!found) throw new Error('no such replica')
  return found
}

function look(session: string, device: string): CheckFields {
  const now = Math.floor(Date.now() / 1000)
  const claims = { iss: 'https://idp.example', aud: 'shop', sub: session, iat: now, exp: now + 600 }
  const token = signedToken(userKey, { ...claims, session_id: session, device_id: device })
  return { method: 'GET', path: '/look', service: 'shop/pay', headers: { authorization: `Bearer ${token}` } }
}

async function pay(): Promise<CheckFields> {
  const token = await mintServiceToken({
    issuer: 'web',
    audience: 'shop/pay',
    scopes: ['payments:process'],
    key: webKey.privateKeyPem,
  })
  const headers = { 'x-service-token': token }
  return { principal: spiffeId, certificate, method: 'POST', path: '/pay', service: 'shop/pay', headers }
}

const reasonAt = async (index: number, fields: CheckFields, listener = 'edge'): Promise<string> =>
  (await at(index).check(fields, listener)).reason

async function eventually(isSo: () => Promise<boolean>, withinMs: number): Promise<void> {
  const end = Date.now() + withinMs
  while (!(await isSo())) {
    if (Date.now() > end) throw new Error(`not so within ${withinMs} ms`)
    await sleep(20)
  }
}

describe('what one replica learns holds on the other', () => {
  test('a session that one ended is refused by the other', async () => {
    expect(await reasonAt(1, look('shared', 'first'))).toBe('allowed')
    expect(await reasonAt(0, look('shared', 'first'))).toBe('allowed')
    await eventually(async () => (await reasonAt(0, look('shared', 'second'))) === 'session-terminated', 1000)
    await eventually(
      async () => (await reasonAt(1, look('shared', 'first'))) === 'session-terminated',
      EFFECTIVE_WITHIN_MS,
    )
  })

  test('a token that was used on one is a replay on the other, and of many at once one passes', async () => {
    const used = await pay()
    expect(await reasonAt(0, used, 'mesh')).toBe('allowed')
    expect(await reasonAt(1, used, 'mesh')).toBe('service-token-replayed')
    const raced = await pay()
    const reasons = await Promise.all(Array.from({ length: 20 }, (_, n) => reasonAt(n % 2, raced, 'mesh')))
    expect(reasons.filter((reason) => reason === 'allowed')).toHaveLength(1)
  })

  test('alerts stand in the stream', async () => {
    await eventually(
      async () => (await redis.servers[0]?.cli('XLEN', 'portcullis:alerts')) !== '0',
      EFFECTIVE_WITHIN_MS,
    )
    expect(await redis.servers[0]?.cli('XRANGE', 'portcullis:alerts', '-', '+')).toContain(
      '"severity":"HIGH"',
    )
  })
})

test('with a hung store: Deny denies, LastKnown knows its copies for a while, and both recover', async () => {
  const known = look('known', 'first')
  for (const index of [0, 1]) expect(await reasonAt(index, known)).toBe('allowed')
  redis.servers[0]?.hang()
  try {
    await eventually(async () => (await reasonAt(0, known)) === 'state-unavailable', 3000)
    const login = { method: 'GET', path: '/login', service: 'shop/pay' }
    expect(await reasonAt(0, login)).toBe('allowed')
    const startedMs = Date.now()
    expect(await reasonAt(1, known)).toBe('allowed')
    expect(await reasonAt(1, look('stranger', 'first'))).toBe('state-unavailable')
    expect(await reasonAt(1, await pay(), 'mesh')).toBe('state-unavailable')
    expect(Date.now() - startedMs).toBeLessThan(1000)
    await eventually(
      async () =>
        at(1)
          .events()
          .some(({ state }) => state === 'last-known'),
      2000,
    )
    await eventually(async () => (await reasonAt(1, known)) === 'state-unavailable', 6000)
  } finally {
    redis.servers[0]?.goOn()
  }
  for (const index of [0, 1]) await eventually(async () => (await reasonAt(index, known)) === 'allowed', 5000)
  await eventually(async () => (await reasonAt(0, await pay(), 'mesh')) === 'allowed', 5000)
}, 30_000)
