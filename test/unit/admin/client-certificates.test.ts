import { X509Certificate } from 'node:crypto'
import { Agent } from 'node:https'
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import type { ShownCertificate } from '../../../src/admin/client-certificate.js'
import type { AdminTls } from '../../../src/admin/listener.js'
import type { AdminServer } from '../../../src/admin/server.js'
import { createAuthority } from '../../support/certificate-authority.js'
import { type Asked, call, knownState, startApi } from './running-api.js'

const TRUST = 'spiffe://cluster.local/ns/ops/sa'
const authority = createAuthority({ name: 'admin roots', trustDomain: 'cluster.local' })
const stranger = createAuthority({ name: 'somebody else', trustDomain: 'cluster.local' })
const own = authority.issueSvid({ spiffeId: `${TRUST}/portcullis`, dnsNames: ['localhost'] })
const tls: AdminTls = { certificate: own.chainPem, key: own.keyPem, clientCa: authority.rootPem }
const deployer = authority.issueSvid({ spiffeId: `${TRUST}/deployer` })

const known = knownState()
const clock = { nowMs: Date.now() }
/** SPIFFE IDs and fingerprints. */
const revoked = new Set<string>()
let api: AdminServer
beforeAll(async () => {
  const clients = [
    { name: 'deployer', identity: `${TRUST}/deployer`, role: 'Admin' as const },
    { name: 'dashboard', identity: `${TRUST}/dashboard`, role: 'Reader' as const },
  ]
  const isRevoked = ({ spiffeId, path }: ShownCertificate): boolean =>
    revoked.has(spiffeId.text) || path.some(({ sha256Hex }) => revoked.has(sha256Hex))
  api = await startApi(known, { tls, clients, clock, isRevoked })
})
afterAll(() => api.close())

const by = (issued?: { readonly chainPem: string; readonly keyPem: string }): Asked => ({
  token: undefined,
  tls: { ca: authority.rootPem, ...(issued && { cert: issued.chainPem, key: issued.keyPem }) },
})
const dashboard = authority.issueSvid({ spiffeId: `${TRUST}/dashboard` })
const quarantine = {
  body: { workload: `${TRUST}/x`, duration: '1h', reason: 'odd' },
}

test.each([
  { name: 'no certificate', asked: by() },
  { name: 'one of other roots', asked: by(stranger.issueSvid({ spiffeId: `${TRUST}/deployer` })) },
  { name: 'one that nobody configured', asked: by(authority.issueSvid({ spiffeId: `${TRUST}/other` })) },
  {
    name: 'one that is over',
    asked: by(
      authority.issueSvid({
        spiffeId: `${TRUST}/deployer`,
        notBefore: new Date(Date.now() - 7_200_000),
        ttlSeconds: 3600,
      }),
    ),
  },
  { name: 'a wrong token beside a right certificate', asked: { ...by(deployer), token: 'x'.repeat(40) } },
])('401: $name', async ({ asked }) => {
  expect((await call(api, 'GET', '/v1/policy', asked)).status).toBe(401)
})

test('403: a Reader changes nothing', async () => {
  expect((await call(api, 'GET', '/v1/policy', by(dashboard))).status).toBe(200)
  expect((await call(api, 'POST', '/v1/quarantine', { ...by(dashboard), ...quarantine })).status).toBe(403)
})

test('older TLS', async () => {
  const asked = { ...by(deployer), tls: { ...by(deployer).tls, agent: new Agent({ maxVersion: 'TLSv1.2' }) } }
  await expect(call(api, 'GET', '/v1/policy', asked)).rejects.toThrow(/alert protocol version|version/)
})

test('a client is named by its certificate', async () => {
  known.events.length = 0
  expect((await call(api, 'POST', '/v1/quarantine', { ...by(deployer), ...quarantine })).status).toBe(201)
  expect(known.events).toMatchObject([{ actor: 'deployer', role: 'Admin', success: true }])
})

test.each([
  { name: 'its identity', mark: `${TRUST}/deployer` },
  { name: 'the certificate', mark: fingerprintOf(deployer.certificatePem) },
  { name: 'its root', mark: fingerprintOf(authority.rootPem) },
])('one that is revoked counts no more, on an open connection too: $name', async ({ mark }) => {
  // Failures of the tests before don't count any more.
  clock.nowMs += 61_000
  const agent = new Agent({ keepAlive: true, maxSockets: 1 })
  const asked: Asked = { ...by(deployer), tls: { ...by(deployer).tls, agent } }
  expect((await call(api, 'GET', '/v1/policy', asked)).status).toBe(200)
  revoked.add(mark)
  expect((await call(api, 'GET', '/v1/policy', asked)).status).toBe(401)
  expect((await call(api, 'GET', '/v1/policy', by(deployer))).status).toBe(401)
  revoked.clear()
  expect((await call(api, 'GET', '/v1/policy', asked)).status).toBe(200)
  agent.destroy()
})

test('a token does without certificate', async () => {
  expect((await call(api, 'GET', '/v1/policy', { tls: { ca: authority.rootPem } })).status).toBe(200)
})

test('a certificate that runs out on an open connection, and roots that change', async () => {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 })
  const asked: Asked = { ...by(deployer), tls: { ...by(deployer).tls, agent } }
  expect((await call(api, 'GET', '/v1/policy', asked)).status).toBe(200)
  const before = clock.nowMs
  clock.nowMs += 2 * 3_600_000
  expect((await call(api, 'GET', '/v1/policy', asked)).status).toBe(401)
  clock.nowMs = before
  expect((await call(api, 'GET', '/v1/policy', asked)).status).toBe(200)
  expect(() => api.updateTls({ ...tls, key: deployer.keyPem })).toThrow(/key/)
  expect((await call(api, 'GET', '/v1/policy', asked)).status).toBe(200)
  api.updateTls({ ...tls, clientCa: stranger.rootPem })
  expect((await call(api, 'GET', '/v1/policy', asked)).status).toBe(401)
  agent.destroy()
  expect((await call(api, 'GET', '/v1/policy', by(deployer))).status).toBe(401)
  const theirs = stranger.issueSvid({ spiffeId: `${TRUST}/deployer` })
  expect((await call(api, 'GET', '/v1/policy', by(theirs))).status).toBe(200)
})

function fingerprintOf(pem: string): string {
  return new X509Certificate(pem).fingerprint256.replaceAll(':', '').toLowerCase()
}
