import { constants, verify, type VerifyKeyObjectInput } from 'node:crypto'
import type { Algorithm, Jws } from './jwt.js'
import type { Key } from './key-set.js'

/**
 * Checks a JWS signature with one key that its algorithm is bound to. On the thread pool, so that a flood of
 * never-seen tokens delays no call whose token is known. A wrong length is refused before any cryptography.
 */
export function verifySignature(jws: Jws, key: Key): Promise<boolean> {
  if (!key.algorithms.includes(jws.algorithm) || jws.signature.length !== key.signatureBytes) {
    return Promise.resolve(false)
  }
  const { digest, options } = PRIMITIVES[jws.algorithm]
  return new Promise((resolve, reject) => {
    verify(digest, jws.signed, { key: key.key, ...options }, jws.signature, (error, valid) => {
      if (error) reject(error)
      else resolve(valid)
    })
  })
}

type Primitive = {
  readonly digest: string | null
  readonly options: Omit<VerifyKeyObjectInput, 'key'>
}

const PKCS1 = { padding: constants.RSA_PKCS1_PADDING }
const PSS = { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: constants.RSA_PSS_SALTLEN_DIGEST }
const ECDSA = { dsaEncoding: 'ieee-p1363' } as const

/** Source: RFC 7518 3.3 to 3.5, RFC 8037 3.1. */
const PRIMITIVES: Readonly<Record<Algorithm, Primitive>> = {
  RS256: { digest: 'sha256', options: PKCS1 },
  RS384: { digest: 'sha384', options: PKCS1 },
  RS512: { digest: 'sha512', options: PKCS1 },
  PS256: { digest: 'sha256', options: PSS },
  PS384: { digest: 'sha384', options: PSS },
  PS512: { digest: 'sha512', options: PSS },
  ES256: { digest: 'sha256', options: ECDSA },
  ES384: { digest: 'sha384', options: ECDSA },
  ES512: { digest: 'sha512', options: ECDSA },
  EdDSA: { digest: null, options: {} },
}
