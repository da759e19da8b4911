import { createHash, createPrivateKey, createPublicKey, type KeyObject, sign } from 'node:crypto'

/** Those whose signature costs little on the request's way; RSA takes ten times as long. */
export const ASSERTION_ALGORITHMS = ['ES256', 'EdDSA'] as const
export type AssertionAlgorithm = (typeof ASSERTION_ALGORITHMS)[number]

/** A private key that signs assertions, and its public half as it is published. */
export type AssertionKey = {
  /** RFC 7638 thumbprint. */
  readonly kid: string
  readonly algorithm: AssertionAlgorithm
  readonly publicJwk: Readonly<Record<string, unknown>>
  /** JWS signature over these bytes. */
  readonly sign: (bytes: Buffer) => Buffer
}

export type ParsedAssertionKey =
  { readonly ok: true; readonly key: AssertionKey } | { readonly ok: false; readonly problem: string }

const PRIVATE_BLOCK = /^-----BEGIN (?:EC )?PRIVATE KEY-----$/gm

/**
 * Reads the one private key of a PEM text (PKCS#8 or SEC1, not encrypted): EC on P-256 for ES256, Ed25519 for EdDSA.
 * No problem repeats anything of the text.
 */
export function parseAssertionKey(text: string, algorithm: AssertionAlgorithm): ParsedAssertionKey {
  const blocks = text.match(PRIVATE_BLOCK)?.length ?? 0
  if (blocks !== 1) return problem(`it holds ${blocks} unencrypted private keys as PEM instead of one`)
  let privateKey: KeyObject
  try {
    privateKey = createPrivateKey(text)
  } catch {
    return problem('its private key can not be read')
  }
  const { asymmetricKeyType: type, asymmetricKeyDetails: details } = privateKey
  const fits =
    algorithm === 'EdDSA' ? type === 'ed25519' : type === 'ec' && details?.namedCurve === 'prime256v1'
  if (!fits) {
    const needed = algorithm === 'EdDSA' ? 'an Ed25519 key' : 'an EC key on P-256'
    return problem(`${algorithm} needs ${needed}, this one is of another kind`)
  }
  const { kty, crv, x, y } = createPublicKey(privateKey).export({ format: 'jwk' })
  const members = { crv, kty, x, ...(y === undefined ? {} : { y }) }
  // Source: RFC 7638 3: the required members in the order of their names.
  const kid = createHash('sha256').update(JSON.stringify(members)).digest('base64url')
  const digest = algorithm === 'EdDSA' ? null : 'sha256'
  const options = { key: privateKey, dsaEncoding: 'ieee-p1363' } as const
  return {
    ok: true,
    key: {
      kid,
      algorithm,
      publicJwk: { ...members, kid, alg: algorithm, use: 'sig' },
      sign: (bytes) => sign(digest, bytes, options),
    },
  }
}

export type RotationTimes = {
  /** How long a new key is published before it signs, milliseconds. */
  readonly overlapMs: number
  /** How long what an old key signed last is valid, milliseconds. */
  readonly lifetimeMs: number
}

/** Added to the time an old key stays published: verifiers' clocks differ. */
const CLOCK_DIFFERENCE_MS = 60_000

/**
 * The keys of assertions over time. The first signs at once; another one is published first and signs once every
 * verifier has had `overlapMs` to fetch it; the one before stays published until all it signed has expired.
 */
export class AssertionKeys {
  readonly #times: RotationTimes
  #signing: AssertionKey
  #next: { readonly key: AssertionKey; readonly fromMs: number } | undefined
  #retired: readonly { readonly key: AssertionKey; readonly untilMs: number }[] = []

  constructor(first: AssertionKey, times: RotationTimes) {
    this.#signing = first
    this.#times = times
  }

  /** A key to sign with from now plus the overlap; one that waited is dropped for it. False: it signs or waits already. */
  offer(key: AssertionKey, nowMs: number): boolean {
    const signing = this.signer(nowMs)
    if (key.kid === this.#next?.key.kid) return false
    if (key.kid === signing.kid) {
      this.#next = undefined
      return false
    }
    this.#next = { key, fromMs: nowMs + this.#times.overlapMs }
    return true
  }

  signer(nowMs: number): AssertionKey {
    if (this.#next !== undefined && nowMs >= this.#next.fromMs) {
      const untilMs = nowMs + this.#times.lifetimeMs + CLOCK_DIFFERENCE_MS
      this.#retired = [...this.#retired, { key: this.#signing, untilMs }]
      this.#signing = this.#next.key
      this.#next = undefined
    }
    return this.#signing
  }

  /** Public keys: the one that signs, the one that will, and those whose assertions may still be valid. */
  published(nowMs: number): readonly AssertionKey['publicJwk'][] {
    const signing = this.signer(nowMs)
    this.#retired = this.#retired.filter(({ untilMs }) => nowMs < untilMs)
    const keys = [signing, ...(this.#next ? [this.#next.key] : []), ...this.#retired.map(({ key }) => key)]
    return [...new Map(keys.map((key) => [key.kid, key.publicJwk])).values()]
  }
}

function problem(text: string): { readonly ok: false; readonly problem: string } {
  return { ok: false, problem: text }
}
