import { createHash, type KeyObject } from 'node:crypto'
import {
  contextConstructedTag,
  contextTag,
  DerError,
  DerFields,
  readInteger,
  readOctetsOfBitString,
  readTime,
  readWhole,
  TAG,
} from './der.js'
import { type Extensions, readExtensions } from './x509-extensions.js'
import {
  importKey,
  type KeyKind,
  readKeyKind,
  readSignatureAlgorithm,
  type SignatureAlgorithm,
} from './x509-key.js'
import { type DistinguishedName, readName } from './x509-name.js'

/** A certificate as it was read; nothing about it is believed yet. Its buffers are views of the DER. */
export type X509Certificate = {
  /** The part that is signed. */
  readonly signed: Buffer
  /** Lower-case hex without leading zero bytes. */
  readonly serialHex: string
  readonly issuer: DistinguishedName
  readonly subject: DistinguishedName
  /** Inclusive, milliseconds since the epoch. */
  readonly notBeforeMs: number
  /** Inclusive, milliseconds since the epoch. */
  readonly notAfterMs: number
  /** SubjectPublicKeyInfo. */
  readonly publicKeyInfo: Buffer
  /** Undefined for an algorithm that proves nothing. */
  readonly signatureAlgorithm: SignatureAlgorithm | undefined
  readonly signature: Buffer
  readonly extensions: Extensions
  /** SHA-256 of the DER, lower-case hex. */
  readonly sha256Hex: string
  /** The kind of its key, or why the key is refused. */
  readonly keyKind: () => KeyKind | { readonly weakness: string }
  /** Its key, imported once; undefined where the bytes are no key. Only after keyKind took it. */
  readonly publicKey: () => KeyObject | undefined
}

export type ParsedCertificate =
  | { readonly ok: true; readonly certificate: X509Certificate }
  | { readonly ok: false; readonly problem: string }

export const MAX_CERTIFICATE_BYTES = 48 * 1024
/** 20 bytes of number and one of sign. */
const MAX_SERIAL_BYTES = 21

/**
 * Parses an X.509 certificate of version 3, strictly: DER only, no extension twice, the same signature algorithm
 * inside and outside, a serial that is not negative. Limits: 48 KiB. Source: RFC 5280 4.1.
 */
export function parseCertificate(der: Buffer): ParsedCertificate {
  if (der.length > MAX_CERTIFICATE_BYTES)
    return { ok: false, problem: `longer than ${MAX_CERTIFICATE_BYTES} bytes` }
  try {
    return { ok: true, certificate: readCertificate(der) }
  } catch (error) {
    if (error instanceof DerError) return { ok: false, problem: error.message }
    throw error
  }
}

function readCertificate(der: Buffer): X509Certificate {
  const outer = new DerFields(readWhole(der, TAG.sequence, 'certificate'), 'certificate')
  const tbs = outer.next(TAG.sequence, 'signed part')
  const outerAlgorithm = outer.next(TAG.sequence, 'signature algorithm')
  const signature = readOctetsOfBitString(outer.next(TAG.bitString, 'signature'), 'signature')
  outer.end()

  const fields = new DerFields(tbs, 'signed part')
  const version = fields.next(contextConstructedTag(0), 'version')
  if (readInteger(readWhole(version.content, TAG.integer, 'version'), 'version').toString('hex') !== '02') {
    throw new DerError('version: not 3')
  }
  const serial = readInteger(fields.next(TAG.integer, 'serial'), 'serial')
  if (serial[0]! >= 0x80) throw new DerError('serial: negative')
  if (serial.length > MAX_SERIAL_BYTES) throw new DerError(`serial: longer than ${MAX_SERIAL_BYTES} bytes`)
  const algorithm = fields.next(TAG.sequence, 'signature algorithm')
  if (!algorithm.whole.equals(outerAlgorithm.whole)) {
    throw new DerError('signature algorithm: not the same inside and outside of the signed part')
  }
  const issuer = readName(fields.next(TAG.sequence, 'issuer'), 'issuer')
  const validity = new DerFields(fields.next(TAG.sequence, 'validity'), 'validity')
  const notBeforeMs = readTime(validity.any('notBefore'), 'notBefore')
  const notAfterMs = readTime(validity.any('notAfter'), 'notAfter')
  validity.end()
  const subject = readName(fields.next(TAG.sequence, 'subject'), 'subject')
  const publicKeyInfo = fields.next(TAG.sequence, 'public key').whole
  fields.optional(contextTag(1))
  fields.optional(contextTag(2))
  const extensions = fields.optional(contextConstructedTag(3))
  fields.end()

  return {
    signed: tbs.whole,
    serialHex: serial.toString('hex').replace(/^00(?=.)/, ''),
    issuer,
    subject,
    notBeforeMs,
    notAfterMs,
    publicKeyInfo,
    signatureAlgorithm: readSignatureAlgorithm(algorithm),
    signature,
    extensions: readExtensions(extensions && readWhole(extensions.content, TAG.sequence, 'extensions')),
    sha256Hex: createHash('sha256').update(der).digest('hex'),
    keyKind: once(() => tryKeyKind(publicKeyInfo)),
    publicKey: once(() => importKey(publicKeyInfo)),
  }
}

function tryKeyKind(publicKeyInfo: Buffer): KeyKind | { readonly weakness: string } {
  try {
    return readKeyKind(publicKeyInfo)
  } catch (error) {
    if (error instanceof DerError) return { weakness: error.message }
    throw error
  }
}

function once<T>(make: () => T): () => T {
  let made: { readonly value: T } | undefined
  return () => (made ??= { value: make() }).value
}
