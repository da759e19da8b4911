import { createSecretKey, generateKeyPairSync } from 'node:crypto'
import { describe, expect, test } from '@jest/globals'
import { parseJwt } from '../../../src/identity/jwt.js'
import { chooseKey, parseKeySet } from '../../../src/identity/key-set.js'
import { verifySignature } from '../../../src/identity/signature.js'
import {
  generateKeyPair,
  mintServiceToken,
  type SigningAlgorithm,
  type SigningKey,
} from '../../../src/identity/token.js'

const ed = generateKeyPairSync('ed25519')
const REQUEST = { issuer: 'order-service', audience: 'shop/payment-service', key: ed.privateKey }

describe('mintServiceToken throws', () => {
  test.each<[string, object]>([
    ['for an empty issuer', { issuer: '' }],
    ['for an empty audience', { audience: '' }],
    ['for an empty jti', { jti: '' }],
    ['for no lifetime', { lifetimeSeconds: 0 }],
    ['for half a second', { lifetimeSeconds: 0.5 }],
    ['for a public key', { key: ed.publicKey }],
    ['for a secret', { key: createSecretKey(Buffer.alloc(32)) }],
    [
      'for a key that it can not use',
      { key: generateKeyPairSync('ec', { namedCurve: 'secp256k1' }).privateKey },
    ],
    ['for text that is no key', { key: 'key' }],
    ['for a key of another algorithm', { algorithm: 'ES256' }],
  ])('%s', async (_name, more) => {
    await expect(mintServiceToken({ ...REQUEST, ...more })).rejects.toThrow()
  })
})

test.each<SigningAlgorithm>(['ES256', 'ES384', 'ES512', 'EdDSA', 'RS256', 'PS512'])(
  'a generated %s key signs what its public forms verify',
  async (algorithm) => {
    const pair = await generateKeyPair(algorithm)
    expect(Object.keys(pair.publicJwk)).not.toContain('d')
    const token = await mintServiceToken({ ...REQUEST, key: pair.privateKeyPem, algorithm })
    const parsed = parseJwt(token)
    if (!parsed.ok) throw new Error(parsed.problem)
    for (const text of [pair.publicKeyPem, JSON.stringify({ keys: [pair.publicJwk] })]) {
      const keys = parseKeySet(text)
      if (!keys.ok) throw new Error(keys.problem)
      const key = chooseKey(keys.keys, undefined, algorithm)
      expect(key && (await verifySignature(parsed.jwt, key))).toBe(true)
    }
  },
)

test('a token holds what was asked for and no more, 30 seconds long', async () => {
  const jwk = { ...ed.privateKey.export({ format: 'jwk' }), kid: 'k1' }
  for (const [key, kid] of [
    [jwk, 'k1'],
    [ed.privateKey, undefined],
  ] as [SigningKey, string | undefined][]) {
    const parsed = parseJwt(
      await mintServiceToken({ ...REQUEST, key, scopes: ['a'], nowMs: 1_700_000_000_999, jti: 'j' }),
    )
    expect(parsed).toMatchObject({ ok: true, jwt: { algorithm: 'EdDSA', kid, typ: 'JWT' } })
    expect({ ...(parsed.ok && parsed.jwt.claims) }).toEqual({
      iss: 'order-service',
      aud: 'shop/payment-service',
      scopes: ['a'],
      iat: 1_700_000_000,
      exp: 1_700_000_030,
      jti: 'j',
    })
  }
})

test('each token has a jti of its own', async () => {
  expect(await mintServiceToken(REQUEST)).not.toBe(await mintServiceToken(REQUEST))
})
