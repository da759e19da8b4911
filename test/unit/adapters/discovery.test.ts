import { afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import { UrlKeySource } from '../../../src/adapters/jwks/url-key-source.js'
import { JwksServer } from '../../support/jwks-server.js'
import { testKey, type TestKey } from '../../support/tokens.js'

let key: TestKey
let server: JwksServer
let elsewhere: JwksServer
let open: UrlKeySource[]
beforeAll(async () => {
  key = await testKey('ES256', 'a')
})
beforeEach(async () => {
  server = await JwksServer.start({ kind: 'serve', keys: [key.publicJwk] })
  elsewhere = await JwksServer.start({ kind: 'serve', keys: [key.publicJwk] })
  open = []
})
afterEach(async () => {
  for (const source of open) source.close()
  await Promise.all([server.close(), elsewhere.close()])
})

const OPENID = '/.well-known/openid-configuration'
const OAUTH = '/.well-known/oauth-authorization-server'
const metadata = (issuer: string, more: object = {}): string =>
  JSON.stringify({ issuer, jwks_uri: server.url, ...more })

async function start(issuer: string): Promise<UrlKeySource> {
  const created = UrlKeySource.create({
    from: { issuer },
    allowedHosts: ['127.0.0.1'],
    now: () => 0,
    timeoutMs: 300,
  })
  if (!created.ok) throw new Error(created.problem)
  open.push(created.source)
  await created.source.start()
  return created.source
}

describe('an issuer may not be asked', () => {
  test.each([
    ['no URL', 'web'],
    ['http elsewhere', 'http://idp.example'],
    ['a host that is not allowed', 'https://idp.example'],
    ['a query', 'https://127.0.0.1/?a=b'],
    ['a fragment', 'https://127.0.0.1/#a'],
    ['a password', 'https://a:b@127.0.0.1/'],
  ])('%s', (_name, issuer) => {
    const created = UrlKeySource.create({ from: { issuer }, allowedHosts: ['127.0.0.1'], now: () => 0 })
    expect(created).toMatchObject({ ok: false })
  })
})

describe('an issuer that answers badly gives no key, in bounded time', () => {
  test.each<[string, () => string | undefined, RegExp]>([
    ['not JSON', () => '<html>', /not strict JSON/],
    ['a list', () => '[]', /not a JSON object/],
    ['another issuer', () => metadata('https://evil.example'), /another issuer/],
    ['the issuer with a slash', () => metadata(`${server.origin}/`), /another issuer/],
    ['two issuers', () => `{"issuer":"x",${metadata(server.origin).slice(1)}`, /not strict JSON/],
    ['no key set', () => metadata(server.origin, { jwks_uri: undefined }), /names no/],
    [
      'a key set on another host',
      () => metadata(server.origin, { jwks_uri: 'https://10.0.0.1/' }),
      /not allowed/,
    ],
    [
      'a key set in the metadata service',
      () => metadata(server.origin, { jwks_uri: 'http://169.254.169.254/latest' }),
      /only https/,
    ],
    ['a key set in a file', () => metadata(server.origin, { jwks_uri: 'file:///etc/passwd' }), /only https/],
  ])('%s', async (_name, text, problem) => {
    server.documents.set(OPENID, text())
    const source = await start(server.origin)
    expect(source.health).toMatchObject({ keys: 0, lastError: expect.stringMatching(problem) })
    expect(await source.find('a', 'ES256')).toMatchObject({ found: 'unavailable' })
  })

  test('a redirect to an inside address', async () => {
    server.behaviour = { kind: 'redirect', location: elsewhere.url }
    expect((await start(server.origin)).health.lastError).toMatch(/answered 302/)
    expect(elsewhere.requests).toBe(0)
  })
  test('silence, in the time of one fetch', async () => {
    server.behaviour = { kind: 'hang' }
    const startedMs = performance.now()
    expect((await start(server.origin)).health.lastError).toMatch(/no answer/)
    expect(performance.now() - startedMs).toBeLessThan(600)
  })
  test('metadata and then silence, in the time of one fetch', async () => {
    server.documents.set(OPENID, metadata(server.origin))
    server.behaviour = { kind: 'drip' }
    const startedMs = performance.now()
    expect((await start(server.origin)).health.lastError).toMatch(/no answer/)
    expect(performance.now() - startedMs).toBeLessThan(600)
  })
})

describe('an issuer names its key set', () => {
  test.each([
    ['by OpenID Connect Discovery', '', OPENID],
    ['with a path', '/realms/shop', `/realms/shop${OPENID}`],
    ['with a slash at its end', '/', OPENID],
    ['by RFC 8414', '', OAUTH],
    ['by RFC 8414 with a path', '/realms/shop', `${OAUTH}/realms/shop`],
  ])('%s', async (_name, path, place) => {
    const issuer = server.origin + path
    const openId = path === '/realms/shop' ? `/realms/shop${OPENID}` : OPENID
    server.documents.set(openId, undefined)
    server.documents.set(place, metadata(issuer))
    const source = await start(issuer)
    expect(source.health).toMatchObject({ keys: 1, lastError: undefined })
    expect(source.find('a', 'ES256')).toMatchObject({ found: 'key' })
  })
})
