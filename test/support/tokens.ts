import { constants, createHmac, sign, type KeyObject } from 'node:crypto'
import { createPrivateKey, createPublicKey } from 'node:crypto'
import { generateKeyPair, type GeneratedKeyPair, type SigningAlgorithm } from '../../src/identity/token.js'

/** An issuer's key in every form a test may need. */
export type TestKey = GeneratedKeyPair & {
  readonly kid: string
  readonly privateKey: KeyObject
  readonly publicKey: KeyObject
}

export async function testKey(algorithm: SigningAlgorithm = 'ES256', kid?: string): Promise<TestKey> {
  const pair = await generateKeyPair(algorithm)
  const name = kid ?? pair.publicJwk.kid ?? ''
  return {
    ...pair,
    kid: name,
    publicJwk: { ...pair.publicJwk, kid: name },
    privateKey: createPrivateKey(pair.privateKeyPem),
    publicKey: createPublicKey(pair.publicKeyPem),
  }
}

export function jwksText(...keys: readonly TestKey[]): string {
  return JSON.stringify({ keys: keys.map((key) => key.publicJwk) })
}

export function encode(value: unknown): string {
  return Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url')
}

/**
 * A token with a right signature over any header and payload; both may be raw text, so that duplicates and
 * nonsense can be signed. The header's `alg` is what is claimed, the key's algorithm what is done.
 */
export function signedToken(key: TestKey, payload: unknown, header?: unknown): string {
  const head = header ?? { alg: key.algorithm, kid: key.kid, typ: 'JWT' }
  const input = `${encode(head)}.${encode(payload)}`
  return `${input}.${signatureOf(key, input)}`
}

function signatureOf(key: TestKey, input: string): string {
  const digest = key.algorithm === 'EdDSA' ? null : `sha${key.algorithm.slice(2)}`
  const pss = { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: constants.RSA_PSS_SALTLEN_DIGEST }
  const options = key.algorithm.startsWith('PS') ? pss : { dsaEncoding: 'ieee-p1363' as const }
  return sign(digest, Buffer.from(input), { key: key.privateKey, ...options }).toString('base64url')
}

/** The classic attack: HS256 with the issuer's public key, as PEM text, for the secret. */
export function hmacWithPublicKey(key: TestKey, payload: unknown): string {
  const input = `${encode({ alg: 'HS256', kid: key.kid, typ: 'JWT' })}.${encode(payload)}`
  return `${input}.${createHmac('sha256', key.publicKeyPem).update(input).digest('base64url')}`
}

/** `alg: none`, with the signature part as given. */
export function unsignedToken(payload: unknown, alg = 'none', signature = ''): string {
  return `${encode({ alg, typ: 'JWT' })}.${encode(payload)}.${signature}`
}

/** The same token with one bit of its signature flipped, still canonical. */
export function forged(token: string): string {
  const dot = token.lastIndexOf('.')
  const signature = Buffer.from(token.slice(dot + 1), 'base64url')
  signature[0] = (signature[0] ?? 0) ^ 1
  return `${token.slice(0, dot)}.${signature.toString('base64url')}`
}
