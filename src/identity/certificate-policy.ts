import type { RefusalReason } from '../decision/reason.js'
import type { RevocationLists } from './revocation-lists.js'
import { compileSpiffePattern, type SpiffeId, type SpiffePattern } from './spiffe-id.js'
import { attributeKey } from './x509-name.js'

/** What an operator wrote. Source: FORMATS 2 `certificates`. */
export type CertificateRules = {
  readonly maxLifetimeMs: number
  /** Added to the lifetime allowed, never to a certificate's notAfter. */
  readonly gracePeriodMs: number
  readonly revoked: {
    /** Hex, colons allowed, and from which issuer: `4F:A1@CN=Mesh CA,O=Shop`. Without one: from any. */
    readonly serials: readonly string[]
    /** SHA-256 of a certificate's DER in hex, colons allowed. */
    readonly fingerprints: readonly string[]
    /** SPIFFE IDs, where `*` stands for one path segment. */
    readonly identities: readonly string[]
  }
}

export type CertificatePolicy = {
  readonly maxLifetimeMs: number
  readonly gracePeriodMs: number
  /** Serial in hex, or serial, `@` and the key of the issuer's name. */
  readonly revokedSerials: ReadonlySet<string>
  readonly revokedSha256: ReadonlySet<string>
  readonly revokedIdentities: ReadonlySet<string>
  readonly revokedPatterns: readonly SpiffePattern[]
  /** Undefined: no revocation list is configured. */
  readonly lists: RevocationLists | undefined
}

export type CompiledCertificatePolicy =
  | { readonly ok: true; readonly policy: CertificatePolicy }
  | { readonly ok: false; readonly problems: readonly RevocationProblem[] }

/** `index` is the entry's place in `certificates.revoked.<list>`. */
export type RevocationProblem = {
  readonly list: 'serials' | 'fingerprints' | 'identities'
  readonly index: number
  readonly problem: string
}

/** By what one certificate of a path can be revoked. */
export type CertificateMarks = {
  readonly serialHex: string
  /** `serialHex@` and the key of the issuer's name. */
  readonly serialOfIssuer: string
  /** The key of the issuer's name. */
  readonly issuerKey: string
  readonly sha256Hex: string
}

/** What the checks on every call look at. */
export type DatedIdentity = {
  readonly spiffeId: SpiffeId
  /** The time in which the whole path is valid: inclusive, milliseconds since the epoch. */
  readonly notBeforeMs: number
  readonly notAfterMs: number
  /** From the leaf's own notBefore to its notAfter. */
  readonly lifetimeMs: number
  /** From the leaf to the anchor. */
  readonly path: readonly CertificateMarks[]
}

export type CertificateRefusal = { readonly reason: RefusalReason; readonly message: string }

const ATTRIBUTES: ReadonlyMap<string, string> = new Map([
  ['CN', '2.5.4.3'],
  ['SERIALNUMBER', '2.5.4.5'],
  ['C', '2.5.4.6'],
  ['L', '2.5.4.7'],
  ['ST', '2.5.4.8'],
  ['STREET', '2.5.4.9'],
  ['O', '2.5.4.10'],
  ['OU', '2.5.4.11'],
  ['UID', '0.9.2342.19200300.100.1.1'],
  ['DC', '0.9.2342.19200300.100.1.25'],
  ['EMAILADDRESS', '1.2.840.113549.1.9.1'],
])

/** Compiles the operator's rules; every wrong entry is reported at once. `lists` is asked on every call. */
export function compileCertificatePolicy(
  { revoked, ...lifetime }: CertificateRules,
  lists?: RevocationLists,
): CompiledCertificatePolicy {
  const problems: RevocationProblem[] = []
  const revokedSerials = new Set<string>()
  const revokedSha256 = new Set<string>()
  const revokedIdentities = new Set<string>()
  const revokedPatterns: SpiffePattern[] = []
  for (const [index, entry] of revoked.serials.entries()) {
    const keys = serialKeys(entry)
    for (const key of keys) revokedSerials.add(key)
    if (keys.length === 0)
      problems.push({ list: 'serials', index, problem: 'not SERIAL or SERIAL@ISSUER, serial in hex' })
  }
  for (const [index, entry] of revoked.fingerprints.entries()) {
    const hex = readHex(entry)
    if (hex?.length === 64) revokedSha256.add(hex)
    else problems.push({ list: 'fingerprints', index, problem: 'not a SHA-256 in hex' })
  }
  for (const [index, entry] of revoked.identities.entries()) {
    const pattern = compileSpiffePattern(entry)
    if (!pattern.ok) problems.push({ list: 'identities', index, problem: pattern.problem })
    else if (pattern.exact) revokedIdentities.add(entry)
    else revokedPatterns.push(pattern)
  }
  if (problems.length > 0) return { ok: false, problems }
  return {
    ok: true,
    policy: { ...lifetime, revokedSerials, revokedSha256, revokedIdentities, revokedPatterns, lists },
  }
}

/**
 * What must be asked on every call, because time and revocations move on while a verdict on the certificate is
 * remembered. Undefined when nothing is wrong. Revocation comes first: it holds in every mode.
 */
export function checkCertificate(
  certificate: DatedIdentity,
  policy: CertificatePolicy,
  nowMs: number,
): CertificateRefusal | undefined {
  if (isRevoked(certificate, policy)) return REVOKED
  const listed = policy.lists?.refusal(certificate.spiffeId.trustDomain, certificate.path, nowMs)
  if (listed) return listed
  if (nowMs > certificate.notAfterMs) return EXPIRED
  if (nowMs < certificate.notBeforeMs) return NOT_YET_VALID
  if (certificate.lifetimeMs > policy.maxLifetimeMs + policy.gracePeriodMs) return LIFETIME
  return undefined
}

/** Whether a certificate is on the deny-list or on a revocation list in force. */
export function isRevokedNow(
  certificate: Pick<DatedIdentity, 'spiffeId' | 'path'>,
  policy: CertificatePolicy,
  nowMs: number,
): boolean {
  if (isRevoked(certificate, policy)) return true
  return policy.lists?.refusal(certificate.spiffeId.trustDomain, certificate.path, nowMs) !== undefined
}

export const REVOKED = refusal(
  'certificate-revoked',
  'the certificate, its issuer or its identity is revoked',
)
const EXPIRED = refusal('certificate-expired', 'the certificate or one of its issuers has expired')
const NOT_YET_VALID = refusal(
  'certificate-not-yet-valid',
  'the certificate or one of its issuers is not yet valid',
)
const LIFETIME = refusal('certificate-lifetime', 'the certificate is valid for longer than this mesh allows')

function refusal(reason: RefusalReason, message: string): CertificateRefusal {
  return { reason, message }
}

/** For callers that no certificate stands for: their identity alone can be revoked. */
export function isRevokedIdentity(spiffeId: SpiffeId, policy: CertificatePolicy): boolean {
  if (policy.revokedIdentities.has(spiffeId.text)) return true
  for (const pattern of policy.revokedPatterns) if (pattern.matches(spiffeId)) return true
  return false
}

/** Whether the operator's deny-list names the identity or a certificate of the path. */
export function isRevoked(
  { spiffeId, path }: Pick<DatedIdentity, 'spiffeId' | 'path'>,
  policy: CertificatePolicy,
): boolean {
  if (isRevokedIdentity(spiffeId, policy)) return true
  for (const { serialHex, serialOfIssuer, sha256Hex } of path) {
    if (policy.revokedSha256.has(sha256Hex)) return true
    if (policy.revokedSerials.has(serialHex) || policy.revokedSerials.has(serialOfIssuer)) return true
  }
  return false
}

/** One key, or with an issuer one for either order of writing its name; none for a wrong entry. */
function serialKeys(entry: string): readonly string[] {
  const at = entry.indexOf('@')
  const serial = readHex(at < 0 ? entry : entry.slice(0, at))?.replace(/^(?:00)+(?=.)/, '')
  if (serial === undefined) return []
  if (at < 0) return [serial]
  const parts = readNameText(entry.slice(at + 1))
  if (parts === undefined) return []
  return [parts, parts.toReversed()].map((order) => `${serial}@${JSON.stringify(order)}`)
}

/** `CN=Mesh CA,O=Shop` as `openssl -issuer` or RFC 4514 write it; a backslash takes the next character as it is. */
function readNameText(text: string): string[] | undefined {
  const parts: string[] = []
  for (const part of text.match(/(?:\\.|[^,\\])+/g) ?? []) {
    const [, name, value] = /^\s*([A-Za-z]+|[0-9]+(?:\.[0-9]+)+)\s*=(.*)$/s.exec(part) ?? []
    const oid = name?.includes('.') ? name : ATTRIBUTES.get(name?.toUpperCase() ?? '')
    if (oid === undefined || value === undefined) return undefined
    parts.push(attributeKey(oid, value.replace(/\\(.)/gs, '$1')))
  }
  return parts.length === 0 ? undefined : parts
}

/** Lower-case hex of whole bytes. */
function readHex(text: string): string | undefined {
  const hex = text.trim().replaceAll(':', '').toLowerCase()
  if (!/^[0-9a-f]{1,64}$/.test(hex)) return undefined
  return hex.length % 2 === 0 ? hex : `0${hex}`
}
