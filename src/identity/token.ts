import {
  createPrivateKey,
  generateKeyPair as generate,
  KeyObject,
  randomUUID,
  type JsonWebKey,
} from 'node:crypto'
import { promisify } from 'node:util'
import { calculateJwkThumbprint, SignJWT, type JWK } from 'jose'

/** Algorithms that a service token can be signed with. ES256 and EdDSA keys are small; RS256 is the cheapest to verify. */
export type SigningAlgorithm =
  'ES256' | 'ES384' | 'ES512' | 'EdDSA' | 'RS256' | 'RS384' | 'RS512' | 'PS256' | 'PS384' | 'PS512'

/** A private key: a node KeyObject, PEM text (PKCS#8, SEC1 or PKCS#1), or a private JWK. */
export type SigningKey = KeyObject | string | JsonWebKey

export type ServiceTokenRequest = {
  /** `iss`: the name of the calling service's entry under `serviceTokens.issuers`. */
  readonly issuer: string
  /** `aud`: the target as `namespace/name` or its SPIFFE ID; a bare name within the issuer's own namespace. */
  readonly audience: string
  /** Scopes asked for. Portcullis cuts them to what the issuer may claim. */
  readonly scopes?: readonly string[]
  /** `sub`: one of the calling service's SPIFFE IDs. */
  readonly subject?: string
  readonly key: SigningKey
  /** `kid`. Default: the JWK's own; needed where the issuer's key set holds several keys. */
  readonly keyId?: string
  /** Default: the JWK's own `alg`, else by the kind of key: ES256, ES384, ES512, EdDSA or RS256. */
  readonly algorithm?: SigningAlgorithm
  /** Seconds from `iat` to `exp`. Default 30, the most that Portcullis takes unless configured otherwise. */
  readonly lifetimeSeconds?: number
  /** Milliseconds since the epoch. Default: this computer's clock. */
  readonly nowMs?: number
  /** `jti`. Default: a random UUID. Portcullis takes each one once. */
  readonly jti?: string
}

export const DEFAULT_LIFETIME_SECONDS = 30

/**
 * Mints a token for the `x-service-token` header of one call: short-lived, for one target, usable once.
 *
 * ```ts
 * const token = await mintServiceToken({
 *   issuer: 'order-service',
 *   audience: 'shop/payment-service',
 *   scopes: ['payments:process'],
 *   key: readFileSync('order-service.pem', 'utf8'),
 * })
 * ```
 *
 * Throws a TypeError for a key that can't sign and a RangeError for an empty name or a lifetime that is not a positive
 * whole number of seconds: these are mistakes of the calling program.
 */
export async function mintServiceToken(request: ServiceTokenRequest): Promise<string> {
  const {
    issuer,
    audience,
    subject,
    lifetimeSeconds = DEFAULT_LIFETIME_SECONDS,
    jti = randomUUID(),
  } = request
  for (const [name, value] of Object.entries({ issuer, audience, jti })) {
    if (value === '') throw new RangeError(`${name} is empty`)
  }
  if (!Number.isSafeInteger(lifetimeSeconds) || lifetimeSeconds <= 0) {
    throw new RangeError('lifetimeSeconds is not a positive whole number')
  }
  const key = privateKeyOf(request.key)
  const own = ownNames(request.key)
  const keyId = request.keyId ?? own.kid
  const issuedAt = Math.floor((request.nowMs ?? Date.now()) / 1000)
  const token = new SignJWT({ scopes: [...(request.scopes ?? [])] })
    .setProtectedHeader({
      typ: 'JWT',
      alg: request.algorithm ?? own.alg ?? defaultAlgorithm(key),
      ...(keyId === undefined ? {} : { kid: keyId }),
    })
    .setIssuer(issuer)
    .setAudience(audience)
    .setJti(jti)
    .setIssuedAt(issuedAt)
    .setExpirationTime(issuedAt + lifetimeSeconds)
  if (subject !== undefined) token.setSubject(subject)
  return token.sign(key)
}

export type GeneratedKeyPair = {
  readonly algorithm: SigningAlgorithm
  /** PKCS#8 PEM. */
  readonly privateKeyPem: string
  /** SPKI PEM: what `serviceTokens.issuers.<iss>.keyFile` takes. */
  readonly publicKeyPem: string
  /** With `kid` (its RFC 7638 thumbprint), `alg` and `use`: for a key set. */
  readonly publicJwk: JWK
}

/** Generates a key pair for signing: RSA with 3072 bits, EC on the algorithm's curve, or Ed25519. */
export async function generateKeyPair(algorithm: SigningAlgorithm = 'ES256'): Promise<GeneratedKeyPair> {
  const { privateKey, publicKey } = await generateFor(algorithm)
  const jwk = publicKey.export({ format: 'jwk' }) as JWK
  const kid = await calculateJwkThumbprint(jwk)
  return {
    algorithm,
    privateKeyPem: privateKey.export({ format: 'pem', type: 'pkcs8' }).toString(),
    publicKeyPem: publicKey.export({ format: 'pem', type: 'spki' }).toString(),
    publicJwk: { ...jwk, kid, alg: algorithm, use: 'sig' },
  }
}

const RSA_BITS = 3072
const CURVES: Partial<Record<SigningAlgorithm, string>> = { ES256: 'P-256', ES384: 'P-384', ES512: 'P-521' }
const CURVE_ALGORITHMS: Readonly<Record<string, SigningAlgorithm>> = {
  prime256v1: 'ES256',
  secp384r1: 'ES384',
  secp521r1: 'ES512',
}

function generateFor(algorithm: SigningAlgorithm): Promise<{ privateKey: KeyObject; publicKey: KeyObject }> {
  const namedCurve = CURVES[algorithm]
  if (namedCurve !== undefined) return promisify(generate)('ec', { namedCurve })
  if (algorithm === 'EdDSA') return promisify(generate)('ed25519')
  return promisify(generate)('rsa', { modulusLength: RSA_BITS })
}

function privateKeyOf(key: SigningKey): KeyObject {
  const object =
    key instanceof KeyObject ? key : createPrivateKey(typeof key === 'string' ? key : { key, format: 'jwk' })
  if (object.type !== 'private') throw new TypeError('the key is not a private key')
  return object
}

function ownNames(key: SigningKey): { readonly kid: string | undefined; readonly alg: string | undefined } {
  if (typeof key === 'string' || key instanceof KeyObject) return { kid: undefined, alg: undefined }
  const { kid, alg } = key
  return { kid: typeof kid === 'string' ? kid : undefined, alg: typeof alg === 'string' ? alg : undefined }
}

function defaultAlgorithm(key: KeyObject): SigningAlgorithm {
  const { asymmetricKeyType: type, asymmetricKeyDetails: details } = key
  if (type === 'rsa') return 'RS256'
  if (type === 'ed25519') return 'EdDSA'
  const algorithm = type === 'ec' ? CURVE_ALGORITHMS[details?.namedCurve ?? ''] : undefined
  if (algorithm === undefined)
    throw new TypeError('the key is not RSA, EC on P-256, P-384 or P-521, or Ed25519')
  return algorithm
}
