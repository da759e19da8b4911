import { constants, createPublicKey, type KeyObject, verify } from 'node:crypto'
import {
  contextConstructedTag,
  DerError,
  type DerElement,
  DerFields,
  expectTag,
  readObjectIdentifier,
  readOctetsOfBitString,
  readPositiveInteger,
  readSmallInteger,
  readWhole,
  TAG,
} from './der.js'
import { rsaWeakness } from './rsa-strength.js'

export type KeyKind = 'rsa' | 'ec' | 'ed25519'

/** How a certificate was signed. */
export type SignatureAlgorithm = {
  readonly kind: KeyKind
  readonly digest: 'sha256' | 'sha384' | 'sha512' | null
  readonly pss: boolean
}

type Digest = 'sha256' | 'sha384' | 'sha512'

const PKCS1 = new Map<string, Digest>([
  ['1.2.840.113549.1.1.11', 'sha256'],
  ['1.2.840.113549.1.1.12', 'sha384'],
  ['1.2.840.113549.1.1.13', 'sha512'],
])
const ECDSA = new Map<string, Digest>([
  ['1.2.840.10045.4.3.2', 'sha256'],
  ['1.2.840.10045.4.3.3', 'sha384'],
  ['1.2.840.10045.4.3.4', 'sha512'],
])
const HASHES = new Map<string, { readonly digest: Digest; readonly bytes: number }>([
  ['2.16.840.1.101.3.4.2.1', { digest: 'sha256', bytes: 32 }],
  ['2.16.840.1.101.3.4.2.2', { digest: 'sha384', bytes: 48 }],
  ['2.16.840.1.101.3.4.2.3', { digest: 'sha512', bytes: 64 }],
])
/** Bytes of an uncompressed point. */
const CURVES = new Map([
  ['1.2.840.10045.3.1.7', 65],
  ['1.3.132.0.34', 97],
  ['1.3.132.0.35', 133],
])
const PSS = '1.2.840.113549.1.1.10'
const MGF1 = '1.2.840.113549.1.1.8'
const ED25519 = '1.3.101.112'
const RSA_KEY = '1.2.840.113549.1.1.1'
const EC_KEY = '1.2.840.10045.2.1'
/** Bounds the work on a hostile key before its strength is looked at. */
const MAX_RSA_BYTES = 1024

/**
 * Reads an AlgorithmIdentifier of a signature; undefined for one that proves nothing here (SHA-1, MD5, DSA,
 * unknown ones, PSS with odd parameters). Throws DerError on malformed ones. Source: RFC 4055, 5758, 8410.
 */
export function readSignatureAlgorithm(element: DerElement): SignatureAlgorithm | undefined {
  const fields = new DerFields(expectTag(element, TAG.sequence, 'signature algorithm'), 'signature algorithm')
  const oid = readObjectIdentifier(
    fields.next(TAG.objectIdentifier, 'signature algorithm').content,
    'algorithm',
  )
  if (oid === PSS) {
    const parameters = fields.next(TAG.sequence, 'PSS parameters')
    fields.end()
    const digest = readPssDigest(parameters)
    return digest && { kind: 'rsa', digest, pss: true }
  }
  const pkcs1 = PKCS1.get(oid)
  if (pkcs1) {
    expectNull(fields.next(TAG.null, 'signature algorithm'))
    fields.end()
    return { kind: 'rsa', digest: pkcs1, pss: false }
  }
  const ecdsa = ECDSA.get(oid)
  if (!ecdsa && oid !== ED25519) return undefined
  fields.end()
  return ecdsa ? { kind: 'ec', digest: ecdsa, pss: false } : { kind: 'ed25519', digest: null, pss: false }
}

/** One hash for message and mask, salt as long as the hash, standard trailer: what everybody writes. */
function readPssDigest(parameters: DerElement): Digest | undefined {
  const fields = new DerFields(parameters, 'PSS parameters')
  const hash = fields.optional(contextConstructedTag(0))
  const mask = fields.optional(contextConstructedTag(1))
  const salt = fields.optional(contextConstructedTag(2))
  const trailer = fields.optional(contextConstructedTag(3))
  fields.end()
  if (!hash || !mask || !salt) return undefined
  const chosen = HASHES.get(readHash(readWhole(hash.content, TAG.sequence, 'PSS hash')))
  const generator = new DerFields(readWhole(mask.content, TAG.sequence, 'PSS mask'), 'PSS mask')
  const oid = readObjectIdentifier(generator.next(TAG.objectIdentifier, 'PSS mask').content, 'PSS mask')
  const maskHash = HASHES.get(readHash(generator.next(TAG.sequence, 'PSS mask')))
  generator.end()
  const saltBytes = readSmallInteger(readWhole(salt.content, TAG.integer, 'PSS salt'), 'PSS salt')
  if (
    trailer &&
    readSmallInteger(readWhole(trailer.content, TAG.integer, 'PSS trailer'), 'PSS trailer') !== 1
  ) {
    return undefined
  }
  return oid === MGF1 && chosen !== undefined && chosen === maskHash && saltBytes === chosen.bytes
    ? chosen.digest
    : undefined
}

function readHash(element: DerElement): string {
  const fields = new DerFields(element, 'hash algorithm')
  const oid = readObjectIdentifier(
    fields.next(TAG.objectIdentifier, 'hash algorithm').content,
    'hash algorithm',
  )
  const parameters = fields.optional(TAG.null)
  if (parameters) expectNull(parameters)
  fields.end()
  return oid
}

/**
 * Reads a SubjectPublicKeyInfo as far as its strength shows. Throws DerError on malformed and on weak keys:
 * RSA under 2048 bits or with a bad exponent, curves other than P-256, P-384 and P-521, explicit curve
 * parameters, compressed points, other algorithms. Source: RFC 3279 2.3, 5480, 8410.
 */
export function readKeyKind(spki: Buffer): KeyKind {
  const fields = new DerFields(readWhole(spki, TAG.sequence, 'public key'), 'public key')
  const algorithm = new DerFields(fields.next(TAG.sequence, 'public key'), 'public key algorithm')
  const bits = readOctetsOfBitString(fields.next(TAG.bitString, 'public key'), 'public key')
  fields.end()
  const oid = readObjectIdentifier(algorithm.next(TAG.objectIdentifier, 'public key').content, 'public key')
  switch (oid) {
    case RSA_KEY: {
      expectNull(algorithm.next(TAG.null, 'public key algorithm'))
      algorithm.end()
      expectStrongRsa(bits)
      return 'rsa'
    }
    case EC_KEY: {
      const curve = algorithm.any('public key curve')
      algorithm.end()
      if (curve.tag !== TAG.objectIdentifier) throw new DerError('public key: explicit curve parameters')
      const pointBytes = CURVES.get(readObjectIdentifier(curve.content, 'public key curve'))
      if (pointBytes === undefined)
        throw new DerError('public key: a curve other than P-256, P-384 and P-521')
      if (bits.length !== pointBytes || bits[0] !== 4)
        throw new DerError('public key: not an uncompressed point')
      return 'ec'
    }
    case ED25519:
      algorithm.end()
      if (bits.length !== 32) throw new DerError('public key: not 32 bytes of Ed25519')
      return 'ed25519'
    default:
      throw new DerError('public key: an algorithm other than RSA, EC and Ed25519')
  }
}

function expectStrongRsa(bits: Buffer): void {
  const fields = new DerFields(readWhole(bits, TAG.sequence, 'RSA key'), 'RSA key')
  const modulus = readPositiveInteger(fields.next(TAG.integer, 'RSA key'), 'RSA modulus')
  const exponent = readPositiveInteger(fields.next(TAG.integer, 'RSA key'), 'RSA exponent')
  fields.end()
  if (modulus.length > MAX_RSA_BYTES || exponent.length > MAX_RSA_BYTES)
    throw new DerError('RSA key: too long')
  const weakness = rsaWeakness(modulus, exponent)
  if (weakness !== undefined) throw new DerError(weakness)
}

/** The key of a SubjectPublicKeyInfo that readKeyKind took; undefined where it is no key after all. */
export function importKey(spki: Buffer): KeyObject | undefined {
  try {
    return createPublicKey({ key: spki, format: 'der', type: 'spki' })
  } catch {
    return undefined
  }
}

/** Checks a signature on the thread pool, so that never-seen certificates delay no other request. */
export function verifyWithKey(
  algorithm: SignatureAlgorithm,
  signed: Buffer,
  key: KeyObject,
  signature: Buffer,
): Promise<boolean> {
  return new Promise((resolve) => {
    verify(algorithm.digest, signed, { key, ...paddingOf(algorithm) }, signature, (error, valid) => {
      resolve(error === null && valid)
    })
  })
}

/** Checks a signature here and now, for what an operator gives and not a peer. */
export function isSignedWith(
  algorithm: SignatureAlgorithm,
  signed: Buffer,
  key: KeyObject,
  signature: Buffer,
): boolean {
  try {
    return verify(algorithm.digest, signed, { key, ...paddingOf(algorithm) }, signature)
  } catch {
    return false
  }
}

function paddingOf({ pss }: SignatureAlgorithm): { padding?: number; saltLength?: number } {
  return pss ? { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: constants.RSA_PSS_SALTLEN_DIGEST } : {}
}

function expectNull(element: DerElement): void {
  if (element.content.length !== 0) throw new DerError('algorithm: NULL with content')
}
