import { createHash, createPrivateKey, createPublicKey, type KeyObject, sign } from 'node:crypto'
import type { LogSigner } from './log-lines.js'

/** Whose private key opens what is encrypted for it. */
export type Recipient = {
  /** RFC 7638 thumbprint. */
  readonly keyId: string
  /** EC on P-384. */
  readonly publicKey: KeyObject
}

export type ParsedSigner =
  { readonly ok: true; readonly signer: LogSigner } | { readonly ok: false; readonly problem: string }
export type ParsedRecipient =
  { readonly ok: true; readonly recipient: Recipient } | { readonly ok: false; readonly problem: string }

/** Reads an Ed25519 private key as PEM. No problem repeats anything of the text. */
export function parseSigner(pem: string): ParsedSigner {
  let privateKey: KeyObject
  try {
    privateKey = createPrivateKey(pem)
  } catch {
    return { ok: false, problem: 'it holds no private key as PEM that is not encrypted' }
  }
  if (privateKey.asymmetricKeyType !== 'ed25519') {
    return { ok: false, problem: 'its key is not Ed25519 (portcullis keys generate --algorithm EdDSA)' }
  }
  return {
    ok: true,
    signer: {
      keyId: keyIdOf(createPublicKey(privateKey)),
      sign: (text) => sign(null, Buffer.from(text), privateKey).toString('base64url'),
    },
  }
}

/** Reads a public key on P-384 as PEM. A private key is refused: it must not be where events are written. */
export function parseRecipient(pem: string): ParsedRecipient {
  if (/-----BEGIN [A-Z ]*PRIVATE KEY-----/.test(pem)) {
    return { ok: false, problem: 'it holds a private key; a recipient is given by the public one alone' }
  }
  let publicKey: KeyObject
  try {
    publicKey = createPublicKey(pem)
  } catch {
    return { ok: false, problem: 'it holds no public key as PEM' }
  }
  if (publicKey.asymmetricKeyType !== 'ec' || publicKey.asymmetricKeyDetails?.namedCurve !== 'secp384r1') {
    return {
      ok: false,
      problem: 'its key is not on P-384 (portcullis keys generate --algorithm ECDH-ES)',
    }
  }
  return { ok: true, recipient: { keyId: keyIdOf(publicKey), publicKey } }
}

/** RFC 7638 thumbprint of a public key, EC or Ed25519, in base64url: its required members in the order of their names. */
export function keyIdOf(publicKey: KeyObject): string {
  const { crv, kty, x, y } = publicKey.export({ format: 'jwk' })
  const members = { crv, kty, x, ...(y === undefined ? {} : { y }) }
  return createHash('sha256').update(JSON.stringify(members)).digest('base64url')
}
