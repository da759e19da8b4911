import { createPublicKey, type KeyObject, verify } from 'node:crypto'
import { keyIdOf } from './audit-keys.js'
import { type Signature, signedText } from './log-lines.js'

export type SignatureVerdict = 'good' | 'bad' | 'unknown-key' | 'unchecked'
export type SignatureCheck = (previousHash: string, signature: Signature) => SignatureVerdict

/** For a log whose chain alone is looked at. */
export const CHAIN_ONLY: SignatureCheck = () => 'unchecked'

/** `keys`: Ed25519 public keys by their RFC 7638 thumbprint. */
export function signatureCheckOf(keys: ReadonlyMap<string, KeyObject>): SignatureCheck {
  return (previousHash, { keyId, signature, unsigned }) => {
    const key = keys.get(keyId)
    if (!key) return 'unknown-key'
    // What is signed is UTF-8 text, and comes from bytes that may be none.
    const text = Buffer.concat([Buffer.from(signedText(previousHash, '')), unsigned])
    return verify(null, text, key, Buffer.from(signature, 'base64url')) ? 'good' : 'bad'
  }
}

export type ParsedPublicKey =
  | { readonly ok: true; readonly keyId: string; readonly key: KeyObject }
  | { readonly ok: false; readonly problem: string }

/** Reads the PEM of an Ed25519 public key. The PEM of a private one is refused: nobody needs it to verify. */
export function parseSigningPublicKey(pem: string): ParsedPublicKey {
  if (pem.includes('PRIVATE KEY'))
    return { ok: false, problem: 'it holds a private key; the public one is enough, and safer' }
  let key: KeyObject
  try {
    key = createPublicKey(pem)
  } catch {
    return { ok: false, problem: 'it holds no public key as PEM' }
  }
  if (key.asymmetricKeyType !== 'ed25519') {
    const kind = key.asymmetricKeyType ?? 'unknown'
    return { ok: false, problem: `it holds a key of type ${kind}; checkpoints are signed with Ed25519` }
  }
  return { ok: true, keyId: keyIdOf(key), key }
}
