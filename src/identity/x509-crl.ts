import { createHash } from 'node:crypto'
import {
  contextConstructedTag,
  contextTag,
  DerError,
  type DerElement,
  DerFields,
  expectTag,
  readBoolean,
  readChildren,
  readFirst,
  readInteger,
  readObjectIdentifier,
  readOctetsOfBitString,
  readTime,
  readWhole,
  TAG,
} from './der.js'
import { decodeBase64 } from './pem.js'
import { KEY_USAGE } from './x509-extensions.js'
import type { X509Certificate } from './x509-certificate.js'
import { isSignedWith, readSignatureAlgorithm, type SignatureAlgorithm } from './x509-key.js'
import { type DistinguishedName, readName } from './x509-name.js'

/** A certificate revocation list as it was read; nothing about it is believed before isSignedByIssuer. */
export type RevocationList = {
  readonly issuer: DistinguishedName
  /** Milliseconds since the epoch. */
  readonly thisUpdateMs: number
  /** Until when it says which certificates are revoked: inclusive, milliseconds since the epoch. */
  readonly nextUpdateMs: number
  /** Serials in lower-case hex without leading zero bytes. */
  readonly revokedSerials: ReadonlySet<string>
  /** SHA-256 of the DER, lower-case hex. */
  readonly sha256Hex: string
  readonly signed: Buffer
  /** Undefined for an algorithm that proves nothing. */
  readonly signatureAlgorithm: SignatureAlgorithm | undefined
  readonly signature: Buffer
}

export type ParsedRevocationList =
  { readonly ok: true; readonly list: RevocationList } | { readonly ok: false; readonly problem: string }

/** About 400,000 entries. The reader of DER takes elements of at most 2^24 - 1 bytes. */
export const MAX_CRL_BYTES = 16 * 1024 * 1024 - 1024
/** A list dated further ahead than the clocks of a mesh may differ is not from now. */
const MAX_AHEAD_MS = 300_000
const PEM_BLOCK = /^\s*-----BEGIN X509 CRL-----([A-Za-z0-9+/=\s]*)-----END X509 CRL-----\s*$/

/**
 * Parses a revocation list of version 2, as DER or as PEM with one X509 CRL block. Refused: delta lists, indirect
 * ones, lists of some reasons only, lists without nextUpdate or number, those with a critical extension that isn't
 * known, on the list or on an entry. Every listed serial counts as revoked, whatever the reason.
 * Limits: 16 MiB; dated at most 5 minutes ahead of `nowMs`. Source: RFC 5280 5.
 */
export function parseRevocationList(content: Buffer, nowMs: number): ParsedRevocationList {
  if (content.length > MAX_CRL_BYTES) return problem(`longer than ${MAX_CRL_BYTES} bytes`)
  const der = content[0] === TAG.sequence ? content : derOfPem(content)
  if (der === undefined) return problem('neither DER nor one PEM block of an X509 CRL')
  try {
    const list = readList(der)
    if (list.thisUpdateMs > nowMs + MAX_AHEAD_MS) return problem('its thisUpdate lies in the future')
    return { ok: true, list }
  } catch (error) {
    if (error instanceof DerError) return problem(error.message)
    throw error
  }
}

/** Whether this CA may sign revocation lists and has signed this one. Synchronous: about 10 ms for 100,000 entries. */
export function isSignedByIssuer(list: RevocationList, issuer: X509Certificate): boolean {
  const { keyUsage, basicConstraints } = issuer.extensions
  if (!basicConstraints?.ca || issuer.subject.key !== list.issuer.key) return false
  if (keyUsage && (keyUsage.bits & KEY_USAGE.crlSign) === 0) return false
  const algorithm = list.signatureAlgorithm
  if (!algorithm || algorithm.kind !== issuer.keyKind()) return false
  const key = issuer.publicKey()
  return key !== undefined && isSignedWith(algorithm, list.signed, key, list.signature)
}

function derOfPem(content: Buffer): Buffer | undefined {
  const body = PEM_BLOCK.exec(content.toString('latin1'))?.[1]
  return body === undefined ? undefined : decodeBase64(body.replace(/\s+/g, ''))
}

function readList(der: Buffer): RevocationList {
  const outer = new DerFields(readWhole(der, TAG.sequence, 'CRL'), 'CRL')
  const tbs = outer.next(TAG.sequence, 'signed part')
  const outerAlgorithm = outer.next(TAG.sequence, 'signature algorithm')
  const signature = readOctetsOfBitString(outer.next(TAG.bitString, 'signature'), 'signature')
  outer.end()

  const fields = new DerFields(tbs, 'signed part')
  if (readInteger(fields.next(TAG.integer, 'version'), 'version').toString('hex') !== '01') {
    throw new DerError('version: not 2')
  }
  const algorithm = fields.next(TAG.sequence, 'signature algorithm')
  if (!algorithm.whole.equals(outerAlgorithm.whole)) {
    throw new DerError('signature algorithm: not the same inside and outside of the signed part')
  }
  const issuer = readName(fields.next(TAG.sequence, 'issuer'), 'issuer')
  if (issuer.parts.length === 0) throw new DerError('issuer: empty')
  const thisUpdateMs = readTime(fields.any('thisUpdate'), 'thisUpdate')
  const nextUpdate = fields.optional(TAG.utcTime) ?? fields.optional(TAG.generalizedTime)
  if (!nextUpdate) throw new DerError('nextUpdate: missing, so nobody could tell when the list is too old')
  const nextUpdateMs = readTime(nextUpdate, 'nextUpdate')
  const entries = fields.optional(TAG.sequence)
  const extensions = fields.optional(contextConstructedTag(0))
  fields.end()
  readListExtensions(extensions)
  return {
    issuer,
    thisUpdateMs,
    nextUpdateMs,
    revokedSerials: readEntries(entries),
    sha256Hex: createHash('sha256').update(der).digest('hex'),
    signed: tbs.whole,
    signatureAlgorithm: readSignatureAlgorithm(algorithm),
    signature,
  }
}

function readEntries(entries: DerElement | undefined): ReadonlySet<string> {
  const serials = new Set<string>()
  const bytes = entries?.content ?? NOTHING
  for (let at = 0; at < bytes.length;) {
    const plainBytes = plainEntryLength(bytes, at)
    if (plainBytes > 0) {
      const serialBytes = bytes[at + 3]!
      // The zero byte that carries the sign is none of the serial.
      const from = at + 4 + (bytes[at + 4] === 0 && serialBytes > 1 ? 1 : 0)
      serials.add(bytes.toString('hex', from, at + 4 + serialBytes))
      at += plainBytes
    } else {
      const entry = readFirst(bytes.subarray(at), 'entry')
      serials.add(readEntry(entry))
      at += entry.whole.length
    }
  }
  return serials
}

const NOTHING = Buffer.alloc(0)
const UTC_TIME_BYTES = 13
/** The extensions of an entry that has a reasonCode and no other, without the reason's byte. */
const REASON = Buffer.from('300c300a0603551d1504030a01', 'hex')

/**
 * The bytes of an entry that is a positive serial, a date and at most a reason, as nearly all are; 0 for any other.
 * A general reader takes 5 µs an entry, so half a second for a large list.
 */
function plainEntryLength(bytes: Buffer, at: number): number {
  const length = bytes[at + 1] ?? 0
  const serialBytes = bytes[at + 3] ?? 0
  const end = at + 2 + length
  if (bytes[at] !== TAG.sequence || length >= 0x80 || end > bytes.length) return 0
  if (bytes[at + 2] !== TAG.integer || serialBytes === 0 || serialBytes > 32) return 0
  const [first, second] = [bytes[at + 4]!, bytes[at + 5]!]
  if (first >= 0x80 || (first === 0 && serialBytes > 1 && second < 0x80)) return 0
  const date = at + 4 + serialBytes
  if (bytes[date] !== TAG.utcTime || bytes[date + 1] !== UTC_TIME_BYTES) return 0
  const rest = date + 2 + UTC_TIME_BYTES
  if (rest === end) return 2 + length
  const isReason =
    rest + REASON.length + 1 === end && bytes.compare(REASON, 0, REASON.length, rest, end - 1) === 0
  return isReason ? 2 + length : 0
}

/** Any entry; its serial. When it was revoked makes no difference. */
function readEntry(entry: DerElement): string {
  const fields = new DerFields(expectTag(entry, TAG.sequence, 'entry'), 'entry')
  const serial = readInteger(fields.next(TAG.integer, 'serial'), 'serial')
  const date = fields.any('revocationDate')
  if (date.tag !== TAG.utcTime && date.tag !== TAG.generalizedTime)
    throw new DerError('revocationDate: unexpected type')
  const extensions = fields.optional(TAG.sequence)
  fields.end()
  if (extensions) readExtensionList(extensions, readEntryExtension)
  return serial.toString('hex').replace(/^00(?=.)/, '')
}

type ReadExtension = (oid: string, critical: boolean, value: Buffer) => void

function readListExtensions(tagged: DerElement | undefined): void {
  const seen = new Set<string>()
  if (tagged) {
    readExtensionList(readWhole(tagged.content, TAG.sequence, 'extensions'), (oid, critical, value) => {
      seen.add(oid)
      readListExtension(oid, critical, value)
    })
  }
  if (!seen.has(CRL_NUMBER)) throw new DerError('cRLNumber: missing')
}

const CRL_NUMBER = '2.5.29.20'
const REASON_CODE = '2.5.29.21'
const INVALIDITY_DATE = '2.5.29.24'
const DELTA_INDICATOR = '2.5.29.27'
const DISTRIBUTION_POINT = '2.5.29.28'
const CERTIFICATE_ISSUER = '2.5.29.29'
const AUTHORITY_KEY_ID = '2.5.29.35'

/** Source: RFC 5280 5.2. The key identifier is a hint; the issuer is found by its name and proved by its key. */
function readListExtension(oid: string, critical: boolean, value: Buffer): void {
  switch (oid) {
    case CRL_NUMBER:
      if (critical) throw new DerError('cRLNumber: critical')
      readInteger(readWhole(value, TAG.integer, 'cRLNumber'), 'cRLNumber')
      return
    case DELTA_INDICATOR:
      throw new DerError('a delta CRL, which says only what has changed')
    case DISTRIBUTION_POINT:
      return readDistributionPoint(value)
    case AUTHORITY_KEY_ID:
      return
    default:
      if (critical) throw new DerError(`the unknown critical extension ${oid}`)
  }
}

/** A list of one distribution point, or of user or CA certificates alone, still revokes what it names. */
function readDistributionPoint(value: Buffer): void {
  const what = 'issuingDistributionPoint'
  const fields = new DerFields(readWhole(value, TAG.sequence, what), what)
  fields.optional(contextConstructedTag(0))
  fields.optional(contextTag(1))
  fields.optional(contextTag(2))
  if (fields.optional(contextTag(3))) throw new DerError('a CRL of some reasons only')
  const indirect = fields.optional(contextTag(4))
  const attributes = fields.optional(contextTag(5))
  fields.end()
  if (indirect && readBoolean({ ...indirect, tag: TAG.boolean }, what)) throw new DerError('an indirect CRL')
  if (attributes && readBoolean({ ...attributes, tag: TAG.boolean }, what)) {
    throw new DerError('a CRL of attribute certificates')
  }
}

/** Source: RFC 5280 5.3. */
function readEntryExtension(oid: string, critical: boolean): void {
  if (oid === REASON_CODE || oid === INVALIDITY_DATE) return
  if (oid === CERTIFICATE_ISSUER) throw new DerError('an indirect CRL')
  if (critical) throw new DerError(`the unknown critical extension ${oid} of an entry`)
}

function readExtensionList(list: DerElement, read: ReadExtension): void {
  const seen = new Set<string>()
  for (const element of readChildren(list, 'extensions')) {
    const fields = new DerFields(expectTag(element, TAG.sequence, 'extension'), 'extension')
    const oid = readObjectIdentifier(fields.next(TAG.objectIdentifier, 'extension').content, 'extension')
    const flag = fields.optional(TAG.boolean)
    const critical = flag !== undefined && readBoolean(flag, 'extension')
    const value = fields.next(TAG.octetString, 'extension').content
    fields.end()
    if (seen.has(oid)) throw new DerError(`extension ${oid} occurs twice`)
    seen.add(oid)
    read(oid, critical, value)
  }
}

function problem(text: string): { readonly ok: false; readonly problem: string } {
  return { ok: false, problem: text }
}
