import { afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import { FileKeySource } from '../../../src/adapters/jwks/file-key-source.js'
import { UrlKeySource, type UrlKeySourceOptions } from '../../../src/adapters/jwks/url-key-source.js'
import { JwksServer, type JwksBehaviour } from '../../support/jwks-server.js'
import { jwksText, testKey, type TestKey } from '../../support/tokens.js'

const OPTIONS = { allowedHosts: ['127.0.0.1'], now: () => 0 }

describe('UrlKeySource.create refuses', () => {
  test.each([
    ['no URL', 'jwks.json'],
    ['http elsewhere', 'http://idp.example/jwks'],
    ['http to a name that only begins like loopback', 'http://localhost.evil.example/jwks'],
    ['http to a private address', 'http://10.0.0.1/jwks'],
    ['another scheme', 'file:///etc/passwd'],
    ['a password', 'https://a:b@127.0.0.1/jwks'],
    ['a host that is not allowed', 'https://other.example/jwks'],
  ])('%s', (_name, url) => {
    expect(
      UrlKeySource.create({
        ...OPTIONS,
        allowedHosts: ['127.0.0.1', 'idp.example', '10.0.0.1', 'localhost.evil.example'],
        from: { url },
      }),
    ).toMatchObject({ ok: false })
  })
})

let a: TestKey
let b: TestKey
let server: JwksServer
let nowMs: number
let open: UrlKeySource[]
beforeAll(async () => {
  ;[a, b] = await Promise.all([testKey('ES256', 'a'), testKey('ES256', 'b')])
})
beforeEach(async () => {
  server = await JwksServer.start({ kind: 'serve', keys: [a.publicJwk] })
  nowMs = 1_700_000_000_000
  open = []
})
afterEach(async () => {
  for (const source of open) source.close()
  await server.close()
})

async function start(more: Partial<UrlKeySourceOptions> = {}): Promise<UrlKeySource> {
  const created = UrlKeySource.create({
    from: more.from ?? { url: server.url },
    allowedHosts: ['127.0.0.1'],
    now: () => nowMs,
    timeoutMs: 300,
    ...more,
  })
  if (!created.ok) throw new Error(created.problem)
  open.push(created.source)
  await created.source.start()
  return created.source
}
const found = async (source: UrlKeySource, kid: string): Promise<string> =>
  (await source.find(kid, 'ES256')).found

describe('an endpoint that answers badly gives no key, in bounded time', () => {
  test.each<[string, JwksBehaviour, RegExp]>([
    ['hangs', { kind: 'hang' }, /no answer within 300 ms/],
    ['drips', { kind: 'drip' }, /no answer within 300 ms/],
    ['fails', { kind: 'status', status: 500 }, /answered 500/],
    ['has nothing', { kind: 'status', status: 204 }, /answered 204/],
    ['redirects inside', { kind: 'redirect', location: 'http://169.254.169.254/' }, /answered 302/],
    ['answers 10 MB', { kind: 'oversized', bytes: 10_000_000 }, /more than 1048576 bytes/],
    ['answers HTML', { kind: 'text', text: '{"keys":[]}', contentType: 'text/html' }, /did not answer JSON/],
    ['answers no JSON', { kind: 'text', text: '<html>' }, /neither a JSON/],
    ['answers no usable keys', { kind: 'serve', keys: [{ kty: 'EC', crv: 'P-256K' }] }, /no usable key/],
    ['answers a secret', { kind: 'serve', keys: [{ kty: 'oct', k: 'AAAA' }] }, /symmetric/],
  ])('%s', async (_name, behaviour, error) => {
    server.behaviour = behaviour
    const source = await start()
    expect(source.health).toMatchObject({
      lastSuccessMs: undefined,
      lastError: expect.stringMatching(error),
      keys: 0,
    })
    expect(await found(source, 'a')).toBe('unavailable')
    expect(server.requests).toBe(1)
  })
  test('is not there', async () => {
    const url = server.url
    await server.close()
    const source = await start({ from: { url } })
    expect(source.health.lastError).toMatch(/ECONNREFUSED/)
    server = await JwksServer.start({ kind: 'hang' })
  })
})

describe('UrlKeySource', () => {
  test('an empty key set withdraws every key', async () => {
    const source = await start({ refreshMs: 50 })
    expect(await found(source, 'a')).toBe('key')
    server.behaviour = { kind: 'serve', keys: [] }
    for (let attempt = 0; attempt < 40 && source.health.keys > 0; attempt++) {
      await new Promise((resolve) => setTimeout(resolve, 25))
    }
    nowMs += 30_000
    expect(await found(source, 'a')).toBe('none')
  })
  test('a key that came right after the start is found at once', async () => {
    const source = await start()
    server.behaviour = { kind: 'serve', keys: [a.publicJwk, b.publicJwk] }
    expect(await found(source, b.kid)).toBe('key')
  })
  test('a flood of unknown names causes one fetch per cooldown', async () => {
    const source = await start()
    nowMs += 30_000
    const answers = await Promise.all(Array.from({ length: 500 }, (_, at) => found(source, `x${at}`)))
    expect(new Set(answers)).toEqual(new Set(['none']))
    expect(server.requests).toBe(2)
    nowMs += 29_999
    expect(source.find('y', 'ES256')).toEqual({ found: 'none' })
    expect(server.requests).toBe(2)
    nowMs += 1
    expect(await found(source, 'y')).toBe('none')
    expect(server.requests).toBe(3)
  })
  test('only 64 wait for one fetch; the others are told at once', async () => {
    const source = await start()
    nowMs += 30_000
    server.behaviour = { kind: 'slow', delayMs: 50, keys: [a.publicJwk] }
    const answers = Array.from({ length: 100 }, (_, at) => source.find(`x${at}`, 'ES256'))
    expect(answers.filter((answer) => answer instanceof Promise)).toHaveLength(64)
    expect(source.find('a', 'ES256')).toMatchObject({ found: 'key' })
    for (const answer of answers) await answer
  })
  test('a hundred first questions share one fetch', async () => {
    const created = UrlKeySource.create({ from: { url: server.url }, ...OPTIONS, now: () => nowMs })
    if (!created.ok) throw new Error(created.problem)
    open.push(created.source)
    server.behaviour = { kind: 'slow', delayMs: 50, keys: [a.publicJwk] }
    const answers = await Promise.all(Array.from({ length: 50 }, () => found(created.source, 'a')))
    expect(new Set(answers)).toEqual(new Set(['key']))
    expect(server.requests).toBe(1)
  })
  test('a new key is found, a removed one is gone, and the generation says so', async () => {
    const source = await start()
    const first = source.generation
    expect(await found(source, 'a')).toBe('key')
    server.behaviour = { kind: 'serve', keys: [b.publicJwk] }
    nowMs += 30_000
    expect(await found(source, 'b')).toBe('key')
    expect(await found(source, 'a')).toBe('none')
    expect(source.generation).toBeGreaterThan(first)
  })
  test('the same keys again are no new generation', async () => {
    const source = await start()
    const first = source.generation
    nowMs += 30_000
    await found(source, 'x')
    expect(server.requests).toBe(2)
    expect(source.generation).toBe(first)
  })
  test('through an outage the keys serve for maxStale, then nothing does, and it recovers', async () => {
    const source = await start({ refreshMs: 600_000, maxStaleMs: 3_600_000 })
    const first = source.generation
    server.behaviour = { kind: 'status', status: 503 }
    nowMs += 4_200_000
    expect(source.generation).toBe(first)
    expect(await found(source, 'a')).toBe('key')
    nowMs += 1
    expect(source.generation).toBeGreaterThan(first)
    expect(await found(source, 'a')).toBe('unavailable')
    expect(source.health).toMatchObject({ lastError: 'answered 503', keys: 0 })
    server.behaviour = { kind: 'serve', keys: [a.publicJwk] }
    nowMs += 30_000
    expect(await found(source, 'a')).toBe('key')
    expect(source.health).toMatchObject({ lastError: undefined, lastSuccessMs: nowMs })
  })
  test('refreshes by itself until closed, and closing ends a fetch that hangs', async () => {
    const source = await start({ refreshMs: 20 })
    while (server.requests < 3) await new Promise((resolve) => setTimeout(resolve, 5))
    server.behaviour = { kind: 'hang' }
    const before = server.requests
    while (server.requests === before) await new Promise((resolve) => setTimeout(resolve, 5))
    source.close()
    const after = server.requests
    await new Promise((resolve) => setTimeout(resolve, 60))
    expect(server.requests).toBe(after)
    expect(source.health.lastError).toBe('closed')
  })
})

test('FileKeySource keeps its keys when the new text is bad', () => {
  const parsed = FileKeySource.parse(jwksText(a))
  if (!parsed.ok) throw new Error(parsed.problem)
  const { source } = parsed
  const first = source.generation
  expect(source.replace('{"keys":')).toMatchObject({ ok: false })
  expect(source.find('a', 'ES256').found).toBe('key')
  expect(source.generation).toBe(first)
  expect(source.replace(jwksText(b))).toBeUndefined()
  expect(source.find('a', 'ES256').found).toBe('none')
  expect(source.generation).toBeGreaterThan(first)
  expect(FileKeySource.parse('nothing')).toMatchObject({ ok: false })
})

test.each([
  ['holds only unusable keys', (_listed: object) => ({ keys: [{ kty: 'EC' }] }), 'none'],
  ['marks the key for another use', (listed: object) => ({ keys: [{ ...listed, use: 'enc' }] }), 'none'],
  ['is refused and no longer lists it', (_listed: object) => ({ keys: [{ kty: 'oct', k: 'AAAA' }] }), 'none'],
  [
    'is refused and lists it still',
    (listed: object) => ({ keys: [listed, { kty: 'oct', k: 'AAAA' }] }),
    'key',
  ],
])('a believed key, when the set %s', async (_name, document, expected) => {
  const parsed = FileKeySource.parse(jwksText(a))
  if (!parsed.ok) throw new Error(parsed.problem)
  expect(parsed.source.replace(JSON.stringify(document(a.publicJwk)))).toMatchObject({ ok: false })
  expect(parsed.source.find('a', 'ES256').found).toBe(expected)

  const source = await start({ refreshMs: 30 })
  server.behaviour = { kind: 'text', text: JSON.stringify(document(a.publicJwk)) }
  for (let attempt = 0; attempt < 40 && source.health.lastError === undefined; attempt++) {
    await new Promise((resolve) => setTimeout(resolve, 25))
  }
  const answer = await source.find('a', 'ES256')
  expect(answer.found).toBe(expected)
})
