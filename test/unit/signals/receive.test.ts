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
import { userKeys } from '../../../src/state/subjects.js'
import { forged, jwksText, signedToken, type TestKey, testKey, unsignedToken } from '../../support/tokens.js'
import { alice, AUDIENCE, CAEP, claimsOf, IDP, NOW, NOW_MS, RISC, SSF } from './events.js'

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
