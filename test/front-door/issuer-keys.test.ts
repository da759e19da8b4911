import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import { encodeCheck, type CheckFields } from '../support/envoy-wire.js'
import { JwksServer, type JwksBehaviour } from '../support/jwks-server.js'
import { startPortcullis, type TestPortcullis } from '../support/portcullis.js'
import { jwksText, signedToken, testKey, type TestKey } from '../support/tokens.js'
import { NOW_SECONDS, POLICY } from './door.js'

const KNOWN = 'https://known.example'
let key: TestKey
let server: JwksServer
let inside: JwksServer
let running: TestPortcullis | undefined

beforeEach(async () => {
  key ??= await testKey('RS256', 'k')
  server = await JwksServer.start({ kind: 'serve', keys: [key.publicJwk] })
  inside = await JwksServer.start({ kind: 'serve', keys: [key.publicJwk] })
})
afterEach(async () => {
  await running?.stop()
  running = undefined
  await Promise.all([server.close(), inside.close()])
})

/** Two issuers: one whose keys are in a file, one whose keys are fetched, by discovery where `jwksUri` is absent. */
async function start(fetched: object, jwks: object = {}): Promise<TestPortcullis> {
  running = await startPortcullis(
    { 'policy/shop.yaml': POLICY, 'keys/idp.json': jwksText(key) },
    {
      listeners: [{ name: 'edge', address: '127.0.0.1:0', role: 'Gateway', peerIdentity: 'None' }],
      userTokens: {
        issuers: [
          { issuer: KNOWN, audiences: ['shop'], jwksFile: './keys/idp.json' },
          { issuer: server.origin, audiences: ['shop'], ...fetched },
        ],
      },
      jwks: { timeout: '100ms', ...jwks },
    },
  )
  return running
}
let count = 0
const call = (iss: string, header: object = {}): CheckFields => {
  const claims = { iss, aud: 'shop', sub: `user-${++count}`, exp: NOW_SECONDS + 600 }
  const token = signedToken(key, claims, { alg: 'RS256', kid: 'k', ...header })
  return { service: 'edge/portal', path: '/home', headers: { authorization: `Bearer ${token}` } }
}

describe('keys that can not be had', () => {
  test.each<[string, () => JwksBehaviour]>([
    ['a server that never answers', () => ({ kind: 'hang' })],
    ['a server that drips', () => ({ kind: 'drip' })],
    ['10 MB', () => ({ kind: 'oversized', bytes: 10_000_000 })],
    ['a redirect to an inside address', () => ({ kind: 'redirect', location: inside.url })],
    ['an error', () => ({ kind: 'status', status: 500 })],
    ['a page', () => ({ kind: 'text', text: '<html></html>' })],
    ['JSON nested 100,000 deep', () => ({ kind: 'text', text: `{"keys":${'['.repeat(100_000)}` })],
  ])(
    '%s: refused in time, others unaffected',
    async (_name, behaviour) => {
      server.behaviour = { kind: 'status', status: 500 }
      const portcullis = await start({ jwksUri: server.url }, { timeout: '5s', cooldown: '100ms' })
      expect((await portcullis.check(encodeCheck(call(KNOWN)))).outcome).toBe('allow')
      const [unknown, known] = [server.origin, KNOWN].map((iss) =>
        Array.from({ length: 20 }, () => encodeCheck(call(iss))),
      )
      server.behaviour = behaviour()
      await new Promise((resolve) => setTimeout(resolve, 120))
      const ask = (messages: readonly Buffer[] = []) =>
        Promise.all(messages.map((message) => portcullis.check(message, 'edge', Infinity)))
      const startedMs = performance.now()
      const [refused, allowed] = await Promise.all([ask(unknown), ask(known)])
      expect(new Set(allowed.map(({ outcome }) => outcome))).toEqual(new Set(['allow']))
      expect(new Set(refused.map(({ reason }) => reason))).toEqual(new Set(['state-unavailable']))
      expect(refused[0]?.httpStatus).toBe(503)
      // The checks bring no deadline, so `limits.deadline` (200 ms) is theirs; a fetch may take 5 s.
      expect(performance.now() - startedMs).toBeLessThan(1000)
      expect(inside.requests).toBe(0)
    },
    15_000,
  )

  test('by discovery of another issuer', async () => {
    server.documents.set(
      '/.well-known/openid-configuration',
      JSON.stringify({ issuer: 'https://evil.example', jwks_uri: server.url }),
    )
    const portcullis = await start({})
    expect((await portcullis.check(call(server.origin))).reason).toBe('state-unavailable')
  })

  test('for longer than they are believed', async () => {
    const portcullis = await start({ jwksUri: server.url }, { refreshInterval: '1s', maxStale: '1s' })
    const fields = call(server.origin)
    expect((await portcullis.check(fields)).outcome).toBe('allow')
    server.behaviour = { kind: 'status', status: 500 }
    await new Promise((resolve) => setTimeout(resolve, 1300))
    expect((await portcullis.check(fields)).outcome).toBe('allow')
    await new Promise((resolve) => setTimeout(resolve, 1900))
    expect((await portcullis.check(fields)).reason).toBe('state-unavailable')
  }, 15_000)

  test('of a name that the issuer does not have', async () => {
    const portcullis = await start({ jwksUri: server.url })
    expect((await portcullis.check(call(server.origin, { kid: 'x' }))).reason).toBe('user-token-signature')
  })

  test('because the issuer withdrew them', async () => {
    const portcullis = await start({ jwksUri: server.url }, { refreshInterval: '1s', maxStale: '1m' })
    const fields = call(server.origin)
    expect((await portcullis.check(fields)).outcome).toBe('allow')
    const other = await testKey('RS256', 'other')
    server.behaviour = { kind: 'serve', keys: [other.publicJwk] }
    await new Promise((resolve) => setTimeout(resolve, 1300))
    expect((await portcullis.check(fields)).reason).toBe('user-token-signature')
  }, 15_000)
})

describe('keys that are fetched', () => {
  test('by their address', async () => {
    const portcullis = await start({ jwksUri: server.url })
    expect(await portcullis.check(call(server.origin))).toMatchObject({ outcome: 'allow' })
  })
  test('by discovery', async () => {
    server.documents.set(
      '/.well-known/openid-configuration',
      JSON.stringify({ issuer: server.origin, jwks_uri: `${server.origin}/keys` }),
    )
    const portcullis = await start({})
    expect(await portcullis.check(call(server.origin))).toMatchObject({ outcome: 'allow' })
  })
})
