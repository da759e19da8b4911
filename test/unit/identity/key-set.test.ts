import { generateKeyPairSync, type JsonWebKey, type KeyObject } from 'node:crypto'
import { describe, expect, test } from '@jest/globals'
import { chooseKey, parseKeySet } from '../../../src/identity/key-set.js'
import { jwksText, testKey } from '../../support/tokens.js'

const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' })
const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 })
const jwk = (key: KeyObject, more: object = {}): JsonWebKey => ({ ...key.export({ format: 'jwk' }), ...more })
const set = (...keys: object[]): string => JSON.stringify({ keys })
const pem = (key: KeyObject): string => key.export({ format: 'pem', type: 'spki' }).toString()

describe('parseKeySet refuses the whole set', () => {
  test.each([
    ['nothing', ''],
    ['text', 'not a key'],
    ['a list', '[]'],
    ['keys that are no list', '{"keys":{}}'],
    ['a member twice', '{"keys":[],"keys":[]}'],
    ['more than 1 MiB', `{"keys":[],"x":"${'x'.repeat(1024 * 1024)}"}`],
    ['more than 256 keys', set(...Array.from({ length: 257 }, () => jwk(ec.publicKey)))],
    ['one kid twice', set(jwk(ec.publicKey, { kid: 'a' }), jwk(rsa.publicKey, { kid: 'a' }))],
    ['a kid that is no text', set(jwk(ec.publicKey, { kid: 1 }))],
    ['a symmetric key beside a good one', set(jwk(ec.publicKey), { kty: 'oct', k: 'AAAA' })],
    ['a private key', set(jwk(ec.privateKey))],
    ['a private key beside a good one', set(jwk(rsa.publicKey), jwk(rsa.privateKey))],
    ['a private PEM', ec.privateKey.export({ format: 'pem', type: 'pkcs8' }).toString()],
    [
      'a private PEM behind a public one',
      pem(ec.publicKey) + ec.privateKey.export({ format: 'pem', type: 'sec1' }).toString(),
    ],
    ['a certificate', '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n'],
    ['a broken PEM', '-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n'],
  ])('%s', (_name, text) => {
    expect(parseKeySet(text)).toMatchObject({ ok: false })
  })
})

const weak = generateKeyPairSync('rsa', { modulusLength: 1024 }).publicKey
const otherCurve = generateKeyPairSync('ec', { namedCurve: 'secp256k1' }).publicKey
const pss = generateKeyPairSync('rsa-pss', { modulusLength: 2048 }).publicKey
describe('parseKeySet leaves out', () => {
  test.each([
    ['an RSA key of 1024 bits', jwk(weak)],
    ['an RSA key with exponent 1', jwk(rsa.publicKey, { e: 'AQ' })],
    ['an RSA key with an even exponent', jwk(rsa.publicKey, { e: 'AQAC' })],
    ['an RSA key with a huge exponent', jwk(rsa.publicKey, { e: 'AQAAAAAAAAE' })],
    ['an RSA key with a padded modulus', jwk(rsa.publicKey, { n: `${jwk(rsa.publicKey).n}==` })],
    ['an encryption key', jwk(rsa.publicKey, { use: 'enc' })],
    ['a key for other operations', jwk(rsa.publicKey, { key_ops: ['encrypt'] })],
    ['a key whose key_ops is no list', jwk(rsa.publicKey, { key_ops: 'verify' })],
    ['a key with an encryption alg', jwk(rsa.publicKey, { alg: 'RSA-OAEP' })],
    ['a key with a symmetric alg', jwk(rsa.publicKey, { alg: 'HS256' })],
    ['an EC key for another curve', jwk(ec.publicKey, { alg: 'ES384' })],
    ['an EC key with an RSA alg', jwk(ec.publicKey, { alg: 'RS256' })],
    ['secp256k1', jwk(otherCurve)],
    ['a point that is not on the curve', jwk(ec.publicKey, { y: jwk(ec.publicKey).x })],
    ['a coordinate that is too long', jwk(ec.publicKey, { x: `AA${jwk(ec.publicKey).x}A` })],
    ['X25519', { kty: 'OKP', crv: 'X25519', x: 'A'.repeat(43) }],
    ['another kind', { kty: 'AKP', alg: 'ML-DSA-44', pub: 'AAAA' }],
    ['a kind that is an inherited name', { kty: 'toString' }],
  ])('%s', (_name, key) => {
    const parsed = parseKeySet(set(key, jwk(ec.publicKey, { kid: 'good' })))
    expect(parsed).toMatchObject({ ok: true, keys: [{ kid: 'good' }], skipped: [{}] })
    expect(parseKeySet(set(key))).toMatchObject({ ok: false })
  })
  test('a weak or a PSS-only PEM', () => {
    expect(parseKeySet(pem(weak))).toMatchObject({ ok: false, problem: expect.stringContaining('1024') })
    expect(parseKeySet(pem(pss))).toMatchObject({ ok: false })
  })
})

describe('parseKeySet takes', () => {
  test('each kind, with the algorithms its key is for', () => {
    const okp = generateKeyPairSync('ed25519').publicKey
    const parsed = parseKeySet(
      set(
        jwk(rsa.publicKey),
        jwk(rsa.publicKey, { alg: 'PS384' }),
        jwk(ec.publicKey, { use: 'sig' }),
        jwk(okp, { key_ops: ['verify'] }),
      ),
    )
    expect(
      parsed.ok &&
        parsed.keys.map(({ algorithms, signatureBytes }) => [algorithms.join(' '), signatureBytes]),
    ).toEqual([
      ['RS256 RS384 RS512 PS256 PS384 PS512', 256],
      ['PS384', 256],
      ['ES256', 64],
      ['EdDSA', 64],
    ])
  })
  test('one JWK alone, SPKI, PKCS#1 and several PEM blocks', () => {
    const pkcs1 = rsa.publicKey.export({ format: 'pem', type: 'pkcs1' }).toString()
    expect(parseKeySet(JSON.stringify(jwk(ec.publicKey)))).toMatchObject({
      ok: true,
      keys: [{ kid: undefined }],
    })
    expect(parseKeySet(pem(ec.publicKey) + pkcs1)).toMatchObject({ ok: true, keys: [{}, {}] })
  })
})

describe('chooseKey', () => {
  test('an algorithm is bound to its key; nothing is tried out', async () => {
    const [a, b, c] = [await testKey('ES256', 'a'), await testKey('ES256', 'b'), await testKey('RS256', 'c')]
    const parsed = parseKeySet(jwksText(a, b, c))
    if (!parsed.ok) throw new Error(parsed.problem)
    const { keys } = parsed
    expect(chooseKey(keys, 'd', 'ES256')).toBeUndefined()
    expect(chooseKey(keys, 'c', 'ES256')).toBeUndefined()
    expect(chooseKey(keys, 'a', 'RS256')).toBeUndefined()
    expect(chooseKey(keys, 'c', 'PS256')).toBeUndefined()
    expect(chooseKey(keys, undefined, 'ES256')).toBeUndefined()
    expect(chooseKey(keys, 'b', 'ES256')?.kid).toBe('b')
    expect(chooseKey(keys, undefined, 'RS256')?.kid).toBe('c')
  })
  test('a PEM key answers to every name', () => {
    const parsed = parseKeySet(pem(ec.publicKey))
    if (!parsed.ok) throw new Error(parsed.problem)
    expect(chooseKey(parsed.keys, 'any', 'ES256')).toBeDefined()
    expect(chooseKey(parsed.keys, 'any', 'ES384')).toBeUndefined()
  })
})

test('an empty key set is one: its issuer has withdrawn every key', () => {
  expect(parseKeySet('{"keys":[]}')).toEqual({ ok: true, keys: [], skipped: [] })
})
