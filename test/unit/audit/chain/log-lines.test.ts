import { createPublicKey, generateKeyPairSync, verify } from 'node:crypto'
import { describe, expect, it } from '@jest/globals'
import { keyIdOf, parseRecipient, parseSigner } from '../../../../src/audit/chain/audit-keys.js'
import {
  checkpointBody,
  encryptedBody,
  openedBody,
  previousOf,
  retentionBody,
  signatureOf,
  signedBody,
  signedText,
} from '../../../../src/audit/chain/log-lines.js'

const AT_MS = Date.UTC(2026, 2, 1, 12)
const HASH = 'h'.repeat(43)
const PEM = { private: { format: 'pem', type: 'pkcs8' }, public: { format: 'pem', type: 'spki' } } as const
const ed25519 = generateKeyPairSync('ed25519')
const p384 = generateKeyPairSync('ec', { namedCurve: 'P-384' })
const p256 = generateKeyPairSync('ec', { namedCurve: 'P-256' })
const pemOf = (pair: typeof p384, half: 'private' | 'public'): string =>
  half === 'private'
    ? pair.privateKey.export(PEM.private).toString()
    : pair.publicKey.export(PEM.public).toString()

describe('keys', () => {
  it.each([
    ['no key', 'text', 'it holds no private key'],
    ['a public key', pemOf(ed25519, 'public'), 'it holds no private key'],
    ['a key of another kind', pemOf(p256, 'private'), 'its key is not Ed25519'],
  ])('%s does not sign', (_, pem, problem) => {
    expect(parseSigner(pem)).toEqual({ ok: false, problem: expect.stringContaining(problem) })
  })

  it.each([
    ['no key', 'text', 'it holds no public key'],
    ['a private key', pemOf(p384, 'private'), 'it holds a private key'],
    ['another curve', pemOf(p256, 'public'), 'its key is not on P-384'],
    ['a key of another kind', pemOf(ed25519, 'public'), 'its key is not on P-384'],
  ])('%s is no recipient', (_, pem, problem) => {
    expect(parseRecipient(pem)).toEqual({ ok: false, problem: expect.stringContaining(problem) })
  })

  it('are named by RFC 7638: its own example of an Ed25519 key', () => {
    // RFC 8037 A.3.
    const x = '11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo'
    const key = createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x }, format: 'jwk' })
    expect(keyIdOf(key)).toBe('kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k')
  })
})

describe('lines of the log', () => {
  const parsed = (body: string): unknown => JSON.parse(`${body}}`)
  const previous = { seq: 41, hash: HASH }

  it('tell of themselves', () => {
    const common = { schemaVersion: '1.0', timestamp: '2026-03-01T12:00:00.000Z', stream: 'restricted' }
    const at = { atMs: AT_MS, stream: 'restricted' }
    const torn = { bytes: 3, hash: HASH }
    const removed = [{ file: 'f.jsonl', firstSeq: 1, lastSeq: 9, lastHash: HASH }]
    expect(parsed(openedBody({ ...at, reason: 'start', previous, torn }))).toEqual({
      ...common,
      eventType: 'audit-opened',
      reason: 'start',
      previousSeq: 41,
      previousHash: HASH,
      tornBytes: 3,
      tornHash: HASH,
    })
    const streams = new Map([['restricted', previous]])
    expect(parsed(checkpointBody({ ...at, covered: 41, reason: 'close', streams }))).toEqual({
      ...common,
      eventType: 'audit-checkpoint',
      covered: 41,
      reason: 'close',
      streams: { restricted: previous },
    })
    expect(parsed(retentionBody({ ...at, removed }))).toEqual({
      ...common,
      eventType: 'audit-retention',
      removed,
    })
    expect(parsed(encryptedBody('restricted', 'a.b'))).toEqual({ classification: 'restricted', jwe: 'a.b' })
    expect(parsed(encryptedBody(undefined, 'a.b'))).toEqual({ jwe: 'a.b' })
  })

  it('only an audit-opened says what it follows', () => {
    const opened = openedBody({ atMs: AT_MS, stream: 'default', reason: 'start', previous })
    expect(previousOf(Buffer.from(opened))).toEqual(previous)
    const checkpoint = checkpointBody({ atMs: AT_MS, stream: 'default', covered: 1, reason: 'close' })
    expect(previousOf(Buffer.from(checkpoint))).toBeUndefined()
    expect(previousOf(Buffer.from(`{"x":${opened}}`))).toBeUndefined()
  })

  it('are signed over the line before and all before the signature', () => {
    const read = parseSigner(pemOf(ed25519, 'private'))
    if (!read.ok) throw new Error(read.problem)
    const body = signedBody('{"a":"ü"', HASH, read.signer)
    expect(signatureOf(Buffer.from('{"a":1'))).toBeUndefined()
    const found = signatureOf(Buffer.from(body))
    if (!found) throw new Error('not signed')
    expect(found.keyId).toBe(keyIdOf(ed25519.publicKey))
    expect(found.unsigned.toString()).toBe(`{"a":"ü","keyId":"${found.keyId}"`)
    const signature = Buffer.from(found.signature, 'base64url')
    const isGood = (text: string): boolean => verify(null, Buffer.from(text), ed25519.publicKey, signature)
    expect(isGood(signedText(HASH, found.unsigned.toString()))).toBe(true)
    expect(isGood(signedText('i'.repeat(43), found.unsigned.toString()))).toBe(false)
  })
})
