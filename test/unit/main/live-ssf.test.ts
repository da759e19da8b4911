import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from '@jest/globals'
import { type EmbeddedStore, openEmbeddedStore } from '../../../src/adapters/embedded-store/store.js'
import { FileKeySource } from '../../../src/adapters/jwks/file-key-source.js'
import type { TransmitterConfig } from '../../../src/config/ssf.js'
import { type LiveSsf, openSsf, type SignalRecord } from '../../../src/main/live-ssf.js'
import { StartFailure } from '../../../src/main/log.js'
import { eventually } from '../../support/eventually.js'
import { forged, jwksText, signedToken, type TestKey, testKey, unsignedToken } from '../../support/tokens.js'
import { AUDIENCE, CAEP, claimsOf, IDP, NOW_MS, SSF } from '../signals/events.js'

let directory: string
let store: EmbeddedStore
let key: TestKey
let opened: LiveSsf[]
let logged: string[]
let recorded: SignalRecord[]

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'portcullis-ssf-'))
  store = await openEmbeddedStore({
    directory: join(directory, 'state'),
    startedAtMs: 0,
    now: () => NOW_MS,
    warn: () => undefined,
  })
  key = await testKey('ES256', 'k1')
  opened = []
  logged = []
  recorded = []
})
afterEach(async () => {
  await Promise.all(opened.map((ssf) => ssf.close()))
  await store.close(NOW_MS)
  rmSync(directory, { recursive: true, force: true })
})

const transmitter = (more: Partial<TransmitterConfig> = {}): TransmitterConfig => ({
  issuer: IDP,
  audiences: [AUDIENCE],
  keys: { kind: 'file', path: 'idp.json' },
  algorithms: ['ES256'],
  subjectIssuers: [IDP],
  trustDomains: [],
  streamId: 'stream-1',
  delivery: { kind: 'push', tokenFile: undefined },
  ...more,
})

function open(...transmitters: readonly TransmitterConfig[]): LiveSsf {
  const keys = FileKeySource.parse(jwksText(key))
  if (!keys.ok) throw new Error(keys.problem)
  const config = {
    ssf: { transmitters, eventMaxAgeMs: 1e9, clockSkewMs: 60_000 },
    userTokens: { clockSkewMs: 0, dpop: { origins: [], maxAgeMs: 0, nonce: false }, issuers: [] },
  }
  const ssf = openSsf(
    config,
    { of: () => keys.source },
    store,
    {
      log: (level, message, fields) => void logged.push(`${level} ${message} ${JSON.stringify(fields)}`),
      audit: (signal) => void recorded.push(signal),
    },
    () => NOW_MS,
  )
  opened.push(ssf)
  return ssf
}

const set = (claims: object): string =>
  signedToken(key, claims, { alg: 'ES256', kid: 'k1', typ: 'secevent+jwt' })

async function push(ssf: LiveSsf, text: string, authorization?: string): Promise<number | undefined> {
  return (await ssf.push?.({ contentType: 'application/secevent+jwt', authorization, text }))?.status
}

test('a token that can not be read or is empty: nothing starts', () => {
  const tokenFile = join(directory, 'token')
  const start = (): LiveSsf => open(transmitter({ delivery: { kind: 'push', tokenFile } }))
  expect(start).toThrow(StartFailure)
  writeFileSync(tokenFile, '\n')
  expect(start).toThrow(`ssf.transmitters.0.push.tokenFile: ${tokenFile} is empty`)
})

test('what is refused is counted and logged without its content; what is first is recorded once', async () => {
  const ssf = open(transmitter())
  const right = set(claimsOf(`${CAEP}session-revoked`))
  expect(await push(ssf, forged(right))).toBe(400)
  expect(await push(ssf, set(claimsOf(`${CAEP}session-revoked`, {}, { iss: 'https://x.example' })))).toBe(400)
  expect(recorded).toEqual([])
  expect(await push(ssf, right)).toBe(202)
  expect(await push(ssf, right)).toBe(202)
  expect(await push(ssf, set(claimsOf(`${CAEP}session-presented`, {}, { jti: 'jti-2' })))).toBe(202)
  expect(recorded).toEqual([
    {
      atMs: NOW_MS,
      action: 'signal',
      transmitter: IDP,
      eventType: `${CAEP}session-revoked`,
      subject: `user alice of ${IDP}`,
      jti: 'jti-1',
      effective: true,
    },
    expect.objectContaining({ jti: 'jti-2', effective: false }),
  ])
  const counts = { accepted: 3, repeated: 1, ignored: 1, refused: 1, unavailable: 0, problem: undefined }
  expect(ssf.health().get(IDP)).toMatchObject({ ...counts, stream: 'enabled', lastReceivedMs: NOW_MS })
  expect(logged).toEqual([
    `warn signal refused {"transmitter":"${IDP}","err":"authentication_failed","problem":"its signature is wrong"}`,
  ])
})

test('text that can not be read is said to be so; a SET of up to 64 KiB finds its pusher', async () => {
  const ssf = open(transmitter())
  const answer = async (text: string) => {
    const sent = { contentType: 'application/secevent+jwt', authorization: undefined, text }
    const { status, body } = (await ssf.push?.(sent)) ?? {}
    return { status, err: body ? JSON.parse(body) : undefined }
  }
  const right = set(claimsOf(`${CAEP}session-revoked`, { note: 'x'.repeat(40_000) }))
  for (const [text, description] of [
    ['lunch', 'not three parts joined by dots'],
    [`${right}\n`, 'a part is not canonical base64url'],
    [unsignedToken(claimsOf(`${CAEP}session-revoked`)), 'its algorithm is not an asymmetric one'],
    ['x'.repeat(65_537), 'longer than 65536 bytes'],
  ] as const) {
    expect(await answer(text)).toEqual({ status: 400, err: { err: 'invalid_request', description } })
  }
  expect(await answer(set({ iss: 'https://x.example' }))).toMatchObject({ err: { err: 'invalid_issuer' } })
  expect((await answer(right)).status).toBe(202)
})

test('a renewed token counts at once', async () => {
  const tokenFile = join(directory, 'token')
  writeFileSync(tokenFile, 'old\n')
  const ssf = open(transmitter({ delivery: { kind: 'push', tokenFile } }))
  const text = set(claimsOf(`${CAEP}session-revoked`))
  expect(await push(ssf, text, 'Bearer new')).toBe(401)
  writeFileSync(tokenFile, 'new\n')
  expect(await push(ssf, text, 'Bearer old')).toBe(401)
  expect(await push(ssf, text, 'Bearer new')).toBe(202)
  rmSync(tokenFile)
  expect(await push(ssf, text, 'Bearer new')).toBe(202)
})

test('a paused stream is a problem until it goes on, whatever comes late', async () => {
  const ssf = open(transmitter())
  const at = (status: string, seconds: number): string => {
    const about = { sub_id: { format: 'opaque', id: 'stream-1' }, jti: status, iat: NOW_MS / 1000 + seconds }
    return set(claimsOf(`${SSF}stream-updated`, { status }, about))
  }
  await push(ssf, at('paused', 1))
  expect(ssf.health().get(IDP)?.problem).toBe('the stream is paused')
  await push(ssf, at('enabled', 2))
  await push(ssf, at('disabled', 0))
  expect(ssf.health().get(IDP)?.problem).toBeUndefined()
})

test('signals are fetched, and acknowledged once they are durable', async () => {
  const tokenFile = join(directory, 'token')
  writeFileSync(tokenFile, 'secret')
  const bodies: string[] = []
  const server = createServer((request, response) => {
    let text = ''
    request.on('data', (chunk: Buffer) => (text += chunk.toString()))
    request.on('end', () => {
      bodies.push(text)
      const sets = bodies.length === 1 ? { 'jti-1': set(claimsOf(`${CAEP}session-revoked`)), x: 'lunch' } : {}
      response.end(JSON.stringify({ sets }))
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('the server does not listen')
  try {
    const url = `http://127.0.0.1:${address.port}/`
    const ssf = open(transmitter({ delivery: { kind: 'poll', url, tokenFile, intervalMs: 5 } }))
    expect(ssf.push).toBeUndefined()
    await eventually(() => expect(bodies.length).toBeGreaterThan(1))
    expect(JSON.parse(bodies[1] ?? '')).toMatchObject({
      ack: ['jti-1'],
      setErrs: { x: { err: 'invalid_request' } },
    })
    expect(ssf.health().get(IDP)).toMatchObject({ accepted: 1, refused: 1, problem: undefined })
    expect(recorded).toHaveLength(1)
  } finally {
    server.closeAllConnections()
    server.close()
  }
})
