import { createHash, randomUUID } from 'node:crypto'
import { signedToken, type TestKey } from './tokens.js'

export type ProofFields = {
  readonly token: string
  readonly method?: string
  readonly uri?: string
  /** Milliseconds since the epoch. */
  readonly nowMs?: number
  /** Over the claims; undefined leaves one out. */
  readonly claims?: Readonly<Record<string, unknown>>
  /** Over the header. */
  readonly header?: Readonly<Record<string, unknown>>
}

/** A DPoP proof as a client makes it. */
export function dpopProof(key: TestKey, fields: ProofFields): string {
  const { token, method = 'GET', uri = 'https://svc/', nowMs = Date.now() } = fields
  const claims = {
    jti: randomUUID(),
    htm: method,
    htu: uri,
    iat: Math.floor(nowMs / 1000),
    ath: createHash('sha256').update(token).digest('base64url'),
    ...fields.claims,
  }
  const header = { typ: 'dpop+jwt', alg: key.algorithm, jwk: publicMembers(key), ...fields.header }
  return signedToken(key, claims, header)
}

/** RFC 7638 thumbprint, written apart from the product's. */
export function thumbprint(key: TestKey): string {
  const { kty, crv, x, y, n, e } = key.publicJwk
  const text =
    kty === 'RSA'
      ? `{"e":"${e}","kty":"RSA","n":"${n}"}`
      : kty === 'OKP'
        ? `{"crv":"${crv}","kty":"OKP","x":"${x}"}`
        : `{"crv":"${crv}","kty":"EC","x":"${x}","y":"${y}"}`
  return createHash('sha256').update(text).digest('base64url')
}

export function publicMembers(key: TestKey): Readonly<Record<string, unknown>> {
  return key.publicKey.export({ format: 'jwk' })
}
