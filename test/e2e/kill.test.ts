import { type ChildProcess, spawn } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import * as grpc from '@grpc/grpc-js'
import { afterEach, beforeEach, expect, test } from '@jest/globals'
import { stringify } from 'yaml'
import { REPOSITORY } from '../../demo/lay.js'
import { mintServiceToken } from '../../src/identity/token.js'
import { asEnvoySends, createAuthority } from '../support/certificate-authority.js'
import { AUTHORIZATION, type CheckFields, encodeCheck } from '../support/envoy-wire.js'
import { readAnswer } from '../support/portcullis.js'
import { jwksText, signedToken, testKey } from '../support/tokens.js'

const ROUNDS = 12

/** A new device alone ends a session, so that two calls do. */
const POLICY = `
apiVersion: portcullis.dev/v1beta1
kind: ServicePolicy
metadata: { name: pay, namespace: shop }
spec:
  endpoints:
    - { name: Pay, paths: [/pay], methods: [POST], workloadScopes: [payments:process] }
    - { name: Look, paths: [/look], methods: [GET], require: User }
  rules:
    - { name: web, from: [{ services: [web] }], to: [{ endpoints: [Pay] }] }
    - { name: users, from: [{ users: true }], to: [{ endpoints: [Look] }] }
---
apiVersion: portcullis.dev/v1beta1
kind: ServicePolicy
metadata: { name: web, namespace: shop }
spec: { calls: [{ service: pay }] }
---
apiVersion: portcullis.dev/v1beta1
kind: RiskPolicy
metadata: { name: strict }
spec: { factors: { newDevice: { points: 90 }, failedAttempts: { tiers: [{ above: 1000000, points: 1 }] }, tokenReplay: { points: 0 } } }
`

let directory: string
const running = new Set<ChildProcess>()

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'portcullis-kill-'))
})
afterEach(() => {
  for (const child of running) child.kill('SIGKILL')
  rmSync(directory, { recursive: true, force: true })
})

function write(name: string, text: string): void {
  mkdirSync(join(directory, name, '..'), { recursive: true })
  writeFileSync(join(directory, name), text)
}

type Server = {
  check(fields: CheckFields, listener: string): Promise<string>
  kill(): Promise<void>
}

/** `portcullis serve` in a process of its own, ready. */
async function serve(): Promise<Server> {
  const args = [
    join(REPOSITORY, 'dist/cli/portcullis.js'),
    'serve',
    '--config',
    join(directory, 'portcullis.yaml'),
  ]
  const child = spawn(process.execPath, args, {
    stdio: ['ignore', 'ignore', 'pipe'],
    env: { ...process.env, NODE_OPTIONS: '' },
  })
  running.add(child)
  const exited = new Promise<void>((resolve) => child.once('exit', () => resolve()))
  const addresses = new Map<string, string>()
  for await (const line of createInterface({ input: child.stderr })) {
    const found = /"listeners":(\[[^\]]*\])/.exec(line)?.[1]
    if (found === undefined) continue
    const listeners: string[] = JSON.parse(found)
    for (const each of listeners) {
      const [name = '', address = ''] = each.split(' ')
      addresses.set(name, address)
    }
    break
  }
  child.stderr.resume()
  const clients = new Map(
    [...addresses].map(([name, address]) => [
      name,
      new grpc.Client(address, grpc.credentials.createInsecure()),
    ]),
  )
  return {
    check: async (fields, listener) => {
      const client = clients.get(listener)
      if (!client) throw new Error(`no listener ${listener}`)
      const reply = await new Promise<Buffer>((resolve, reject) => {
        client.makeUnaryRequest(
          AUTHORIZATION.path,
          (bytes: Buffer) => bytes,
          (bytes: Buffer) => bytes,
          encodeCheck(fields),
          { deadline: Date.now() + 5000 },
          (error, answer) => (error || !answer ? reject(error ?? new Error('no reply')) : resolve(answer)),
        )
      })
      return readAnswer(reply).reason
    },
    kill: async () => {
      child.kill('SIGKILL')
      await exited
      running.delete(child)
      for (const client of clients.values()) client.close()
    },
  }
}

test('killed at any moment, nothing that was acknowledged is lost', async () => {
  const authority = createAuthority({ name: 'root' })
  const userKey = await testKey('RS256', 'idp-1')
  const webKey = await testKey('ES256')
  write('policy/shop.yaml', POLICY)
  write('pki/ca.pem', authority.certificatePem)
  write('keys/web.pem', webKey.publicKeyPem)
  write('keys/idp.json', jwksText(userKey))
  write(
    'portcullis.yaml',
    stringify({
      apiVersion: 'portcullis.dev/v1beta1',
      kind: 'Configuration',
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
      policy: { directory: './policy' },
      health: { listen: '' },
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
    }),
  )
  const spiffeId = 'spiffe://cluster.local/ns/shop/sa/web'
  const certificate = asEnvoySends(authority.issueSvid({ spiffeId }).certificatePem)

  const look = (session: string, device: string): CheckFields => {
    const now = Math.floor(Date.now() / 1000)
    const claims = { iss: 'https://idp.example', aud: 'shop', sub: session, iat: now, exp: now + 600 }
    const token = signedToken(userKey, { ...claims, session_id: session, device_id: device })
    return {
      method: 'GET',
      path: '/look',
      service: 'shop/pay',
      headers: { authorization: `Bearer ${token}` },
    }
  }
  const pay = (token: string): CheckFields => ({
    principal: spiffeId,
    certificate,
    method: 'POST',
    path: '/pay',
    service: 'shop/pay',
    headers: { 'x-service-token': token },
  })
  const mint = (): Promise<string> =>
    mintServiceToken({
      issuer: 'web',
      audience: 'shop/pay',
      scopes: ['payments:process'],
      key: webKey.privateKeyPem,
    })

  const ended: string[] = []
  let latestTokens: string[] = []
  for (let round = 0; round < ROUNDS; round++) {
    const server = await serve()
    for (const token of latestTokens) {
      expect(await server.check(pay(token), 'mesh')).toBe('service-token-replayed')
    }
    for (const session of ended) {
      expect(await server.check(look(session, 'first'), 'edge')).toBe('session-terminated')
    }
    latestTokens = []
    // Between nothing and some forty acknowledged changes, then the end at once.
    const changes = (round * 7) % 20
    for (let change = 0; change <= changes; change++) {
      const session = `session-${round}-${change}`
      expect(await server.check(look(session, 'first'), 'edge')).toBe('allowed')
      expect(await server.check(look(session, 'second'), 'edge')).toBe('session-terminated')
      ended.push(session)
      const token = await mint()
      expect(await server.check(pay(token), 'mesh')).toBe('allowed')
      latestTokens.push(token)
    }
    await server.kill()
  }
  expect(ended.length).toBeGreaterThan(ROUNDS)
}, 120_000)
