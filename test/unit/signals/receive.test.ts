import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import { type EmbeddedStore, openEmbeddedStore } from '../../../src/adapters/embedded-store/store.js'
import { FileKeySource } from '../../../src/adapters/jwks/file-key-source.js'
import { terminationOf } from '../../../src/session/session-limits.js'
import {
  receiveSet,
  type Received,
  type ReceiverParts,
  type Transmitter,
} from '../../../src/signals/receive.js'
import { NOTHING_KNOWN, recall } from '../../../src/state/recall.js'
import { namedSessionKey, sessionKey, userKey, userKeys } from '../../../src/state/subjects.js'
import { forged, jwksText, signedToken, type TestKey, testKey, unsignedToken } from '../../support/tokens.js'
import { ALICE, alice, AUDIENCE, CAEP, claimsOf, IDP, NOW, NOW_MS, RISC, SSF } from './events.js'

let key: TestKey
let stranger: TestKey
let transmitter: Transmitter
let directory: string
let store: EmbeddedStore

beforeAll(async () => {
  key = await testKey('RS256', 'k1')
  stranger = await testKey('RS256', 'k1')
  const keys = FileKeySource.parse(jwksText(key, await testKey('ES256', 'k2')))
  if (!keys.ok) throw new Error(keys.problem)
  transmitter = {
    issuer: IDP,
    audiences: [AUDIENCE],
    keys: keys.source,
    algorithms: ['RS256'],
    subjectIssuers: [IDP],
    trustDomains: [],
    streamId: 'stream-1',
  }
})
beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'portcullis-signals-'))
  store = await openEmbeddedStore({ directory, startedAtMs: 0, now: () => NOW_MS, warn: () => undefined })
})
afterEach(async () => {
  await store.close(NOW_MS)
  rmSync(directory, { recursive: true, force: true })
})

const REVOKED = `${CAEP}session-revoked`
const HEADER = { alg: 'RS256', kid: 'k1', typ: 'secevent+jwt' }
const set = (claims: object, header: object = HEADER, by = key): string => signedToken(by, claims, header)
const opaque = (id: string) => ({ sub_id: { format: 'opaque', id } })

function receive(text: string, parts: Partial<ReceiverParts> = {}): Promise<Received> {
  const all: ReceiverParts = {
    store,
    times: { eventMaxAgeMs: 7 * 86_400_000, clockSkewMs: 60_000 },
    mappingOf: () => ({ claims: new Map(), roles: [] }),
    ...parts,
  }
  return receiveSet(text, transmitter, all, NOW_MS)
}

async function isEnded(): Promise<boolean> {
  const user = alice()
  const keys = { ...NOTHING_KNOWN.keys, ...userKeys(user) }
  const known = await recall(keys, store, NOW_MS)
  if (known === 'unavailable') throw new Error('the store is away')
  return terminationOf(known.session, known.user, user, NOW_MS) !== undefined
}

describe('refused, and nothing is changed', () => {
  const FOREIGN = { sub_id: { format: 'iss_sub', iss: 'https://other.example', sub: 'alice' } }
  test.each<{ name: string; text: () => string; err: string }>([
    { name: 'no token', text: () => 'lunch', err: 'invalid_request' },
    { name: 'none as its algorithm', text: () => unsignedToken(claimsOf(REVOKED)), err: 'invalid_request' },
    { name: 'a wrong signature', text: () => forged(set(claimsOf(REVOKED))), err: 'authentication_failed' },
    {
      name: 'the key of a stranger',
      text: () => set(claimsOf(REVOKED), HEADER, stranger),
      err: 'authentication_failed',
    },
    {
      name: 'an unknown key',
      text: () => set(claimsOf(REVOKED), { ...HEADER, kid: 'k9' }),
      err: 'invalid_key',
    },
    {
      name: 'an algorithm that is not its own',
      text: () => set(claimsOf(REVOKED), { ...HEADER, alg: 'ES256' }),
      err: 'invalid_key',
    },
    {
      name: 'an access token',
      text: () => set(claimsOf(REVOKED), { ...HEADER, typ: 'at+jwt' }),
      err: 'invalid_request',
    },
    {
      name: 'no type',
      text: () => set(claimsOf(REVOKED), { alg: 'RS256', kid: 'k1' }),
      err: 'invalid_request',
    },
    {
      name: 'another issuer',
      text: () => set(claimsOf(REVOKED, {}, { iss: 'https://other.example' })),
      err: 'invalid_issuer',
    },
    {
      name: 'another audience',
      text: () => set(claimsOf(REVOKED, {}, { aud: 'x' })),
      err: 'invalid_audience',
    },
    {
      name: 'a future event',
      text: () => set(claimsOf(REVOKED, { event_timestamp: NOW + 61 })),
      err: 'invalid_request',
    },
    { name: 'exp', text: () => set(claimsOf(REVOKED, {}, { exp: NOW + 60 })), err: 'invalid_request' },
    { name: "somebody else's user", text: () => set(claimsOf(REVOKED, {}, FOREIGN)), err: 'access_denied' },
    {
      name: "somebody else's user, though nothing would change",
      text: () => set(claimsOf(`${CAEP}session-presented`, {}, FOREIGN)),
      err: 'access_denied',
    },
    {
      name: 'a subject of a format of nobody',
      text: () => set(claimsOf(REVOKED, {}, { sub_id: { format: 'phone_number', phone_number: '+1' } })),
      err: 'invalid_request',
    },
    {
      name: 'an event about the wrong kind of subject',
      text: () => set(claimsOf(`${RISC}account-disabled`, {}, opaque('s1'))),
      err: 'invalid_request',
    },
    {
      name: 'an unknown stream',
      text: () => set(claimsOf(`${SSF}verification`, {}, opaque('stream-2'))),
      err: 'invalid_request',
    },
    {
      name: 'a stream that is a user',
      text: () => set(claimsOf(`${SSF}stream-updated`, { status: 'paused' })),
      err: 'invalid_request',
    },
  ])('$name: $err', async ({ text, err }) => {
    expect(await receive(text())).toMatchObject({ status: 'refused', err })
    expect(await isEnded()).toBe(false)
    const right = set(claimsOf(`${CAEP}session-presented`))
    expect(await receive(right)).toMatchObject({ status: 'accepted', first: true })
  })
})

describe('to be sent again', () => {
  test('while its keys or the store are away', async () => {
    const away = {
      ...transmitter,
      keys: { generation: 0, find: () => ({ found: 'unavailable', message: 'no keys' }) as const },
    }
    const times = { eventMaxAgeMs: 1e9, clockSkewMs: 0 }
    const parts: ReceiverParts = { store, times, mappingOf: () => ({ claims: new Map(), roles: [] }) }
    expect(await receiveSet(set(claimsOf(REVOKED)), away, parts, NOW_MS)).toEqual({
      status: 'unavailable',
      problem: 'no keys',
    })
    const closed = {
      read: () => 'unavailable' as const,
      commit: async () => 'unavailable' as const,
      claims: store.claims,
      documents: store.documents,
    }
    for (const claims of [
      claimsOf(REVOKED),
      claimsOf(`${CAEP}token-claims-change`, { claims: { roles: [] } }),
    ]) {
      expect(await receive(set(claims), { store: closed })).toMatchObject({ status: 'unavailable' })
    }
    expect(await receive(set(claimsOf(REVOKED)))).toMatchObject({ status: 'accepted', first: true })
  })
})

describe('accepted', () => {
  test('a session that is revoked is over once it is answered, also when it is told again', async () => {
    expect(await isEnded()).toBe(false)
    expect(await receive(set(claimsOf(REVOKED)))).toEqual({
      status: 'accepted',
      first: true,
      issuer: IDP,
      jti: 'jti-1',
      atMs: NOW_MS,
      type: REVOKED,
      subject: `user alice of ${IDP}`,
      effective: true,
      stream: undefined,
    })
    expect(await isEnded()).toBe(true)
    expect(await receive(set(claimsOf(REVOKED)))).toMatchObject({
      status: 'accepted',
      first: false,
      effective: true,
    })
    expect(await receive(set(claimsOf(REVOKED, {}, { jti: 'jti-2' })))).toMatchObject({ first: true })
  })

  test('another SET of a used jti is taken and recorded; the same text is a repetition', async () => {
    expect(await receive(set(claimsOf(`${RISC}opt-in`)))).toMatchObject({ first: true })
    const other = set(claimsOf(REVOKED))
    expect(await receive(other)).toMatchObject({ first: true })
    expect(await receive(other)).toMatchObject({ first: false })
  })

  test('64 KiB of it, and no more', async () => {
    const about = (length: number) => set(claimsOf(REVOKED, { reason_admin: { en: 'x'.repeat(length) } }))
    expect(await receive(about(44_000))).toMatchObject({ status: 'accepted', effective: true })
    const description = 'longer than 65536 bytes'
    expect(await receive(about(60_000))).toEqual({ status: 'refused', err: 'invalid_request', description })
  })

  const S1 = { format: 'complex', user: ALICE, session: { format: 'opaque', id: 's1' } }
  const LISTED = { issuer: IDP, subject: 'alice', endedAtMs: NOW_MS, endedBy: IDP }
  test.each<{ name: string; claims: object; key: string; listed?: object }>([
    {
      name: 'all of a user',
      claims: claimsOf(REVOKED),
      key: userKey(IDP, 'alice'),
      listed: { ...LISTED, reason: 'session revoked' },
    },
    {
      name: 'one of a user',
      claims: claimsOf(REVOKED, {}, { sub_id: S1 }),
      key: sessionKey(IDP, 'alice', 's1'),
      listed: { ...LISTED, sessionId: 's1', reason: 'session revoked' },
    },
    {
      name: 'all of a user, by a RISC event',
      claims: claimsOf(`${RISC}credential-compromise`),
      key: userKey(IDP, 'alice'),
      listed: { ...LISTED, reason: 'credential compromise' },
    },
    {
      name: 'not the user, of whom one session is over',
      claims: claimsOf(REVOKED, {}, { sub_id: S1 }),
      key: userKey(IDP, 'alice'),
    },
    {
      name: 'not of an event that ends none',
      claims: claimsOf(`${CAEP}token-claims-change`, { claims: { roles: [] } }),
      key: userKey(IDP, 'alice'),
    },
    {
      name: 'not by a name of nobody',
      claims: claimsOf(REVOKED, {}, opaque('s1')),
      key: namedSessionKey(IDP, 's1'),
    },
  ])('ended sessions are listed: $name', async ({ claims, key: name, listed }) => {
    expect(await receive(set(claims))).toMatchObject({ status: 'accepted', effective: true })
    const stored = await store.documents.get('sessions', name)
    if (stored === 'unavailable') throw new Error('the store is away')
    expect(stored && JSON.parse(stored.text)).toEqual(listed)
  })

  test.each<{ name: string; claims: object; says: object }>([
    {
      name: 'an event nobody knows',
      claims: claimsOf('https://vendor.example/lunch', {}, opaque('x')),
      says: { subject: '' },
    },
    {
      name: 'an event without effect',
      claims: claimsOf(`${RISC}opt-in`),
      says: { subject: `user alice of ${IDP}` },
    },
    {
      name: 'a tenant',
      claims: claimsOf(REVOKED, {}, { sub_id: { format: 'complex', tenant: { format: 'opaque', id: 't' } } }),
      says: { subject: '' },
    },
    {
      name: 'a verification',
      claims: claimsOf(`${SSF}verification`, { state: 'x' }, opaque('stream-1')),
      says: { stream: undefined },
    },
    {
      name: 'a stream that pauses',
      claims: claimsOf(`${SSF}stream-updated`, { status: 'paused' }, opaque('stream-1')),
      says: { stream: 'paused', subject: 'stream stream-1' },
    },
  ])('without effect: $name', async ({ claims, says }) => {
    expect(await receive(set(claims))).toMatchObject({
      status: 'accepted',
      first: true,
      effective: false,
      ...says,
    })
    expect(await isEnded()).toBe(false)
  })

  test('what it says outlives a restart', async () => {
    await receive(set(claimsOf(REVOKED)))
    await store.close(NOW_MS)
    store = await openEmbeddedStore({
      directory,
      startedAtMs: NOW_MS,
      now: () => NOW_MS,
      warn: () => undefined,
    })
    expect(await isEnded()).toBe(true)
    expect(await receive(set(claimsOf(REVOKED)))).toMatchObject({ first: false })
  })
})
