import {
  type CertificateMarks,
  checkCertificate,
  type CertificatePolicy,
  type CertificateRefusal,
  type DatedIdentity,
} from './certificate-policy.js'
import { readPemCertificates } from './pem.js'
import type { WorkloadPrincipal } from './principal.js'
import type { TrustBundles } from './trust-bundles.js'
import type { Retention } from './verdict-cache.js'
import { parseCertificate, type X509Certificate } from './x509-certificate.js'
import { findPath, type PathFailure } from './x509-path.js'
import { readSvidLeaf, signingCertificateProblem } from './x509-svid.js'
import { parseXfcc, xfccValue } from './xfcc.js'

/** A leaf whose path and SVID rules hold. Whether it may be used now is for checkLeaf. Keeps no certificate alive. */
export type VerifiedLeaf = DatedIdentity & {
  readonly ok: true
  readonly workload: WorkloadPrincipal
}

export type CertificateFailure = CertificateRefusal & {
  readonly ok: false
  /** When the answer may change because a validity begins, in milliseconds since the epoch. */
  readonly changesAtMs?: number | undefined
  /** What a leaf without a good path says it is: believed in nothing, but asked for revocation, which holds in every mode. */
  readonly claimed?: Pick<DatedIdentity, 'spiffeId' | 'path'> | undefined
}

export type LeafVerdict = VerifiedLeaf | CertificateFailure

/** Percent-decoded, in UTF-16 units. */
const MAX_LEAF_PEM_LENGTH = 64 * 1024
const MAX_HINTS = 16
/** A refusal is looked at again after this, whatever it was. */
const REFUSAL_KEPT_MS = 60_000

/**
 * Verifies a peer's certificate as Envoy sends it: percent-encoded PEM of the leaf alone. Path to the bundle of the
 * SPIFFE ID's own trust domain, then the X509-SVID rules. `intermediates` are untrusted hints, see intermediateHints.
 * The verdict depends on these bytes, the bundles' generation and time; no hint makes a verified leaf invalid.
 * Limits: 64 KiB of PEM; those of findPath. Source: RFC 5280 6, X509-SVID 5, SPECS 1.2 and 3.2.
 */
export async function verifyLeaf(
  certificate: string,
  intermediates: readonly X509Certificate[],
  bundles: Pick<TrustBundles, 'get'>,
  nowMs: number,
): Promise<LeafVerdict> {
  const parsed = parseLeaf(certificate)
  if (!parsed.ok) return failure('certificate-invalid', parsed.problem)
  return verifyLeafCertificate(parsed.certificate, intermediates, bundles, nowMs)
}

/** As verifyLeaf, for a certificate that was read already. */
export async function verifyLeafCertificate(
  leaf: X509Certificate,
  intermediates: readonly X509Certificate[],
  bundles: Pick<TrustBundles, 'get'>,
  nowMs: number,
): Promise<LeafVerdict> {
  const svid = readSvidLeaf(leaf)
  if (!svid.ok) return failure('svid-invalid', svid.problem)
  const { spiffeId } = svid
  const { trustDomain } = spiffeId
  const claimed = { spiffeId, path: [marksOf(leaf)] }
  const bundle = bundles.get(trustDomain)
  if (!bundle)
    return { ...failure('untrusted-domain', `trust domain ${trustDomain} has no bundle here`), claimed }
  const answer = await findPath({
    leaf,
    anchors: bundle.anchors,
    intermediates: [...bundle.intermediates, ...intermediates],
    nowMs,
    issuerProblem: signingCertificateProblem,
  })
  if (!answer.ok) return { ...pathFailure(answer), claimed }
  return {
    ok: true,
    spiffeId,
    workload: {
      spiffeId,
      verifiedBy: 'certificate',
      certificateSha256: leaf.sha256Hex,
      certificate: { serialHex: leaf.serialHex, notBeforeMs: leaf.notBeforeMs },
    },
    notBeforeMs: answer.notBeforeMs,
    notAfterMs: answer.notAfterMs,
    lifetimeMs: leaf.notAfterMs - leaf.notBeforeMs,
    path: answer.path.map(marksOf),
  }
}

/** By what a certificate can be revoked. */
export function marksOf({ serialHex, issuer, sha256Hex }: X509Certificate): CertificateMarks {
  return { serialHex, serialOfIssuer: `${serialHex}@${issuer.key}`, issuerKey: issuer.key, sha256Hex }
}

/**
 * The checks of every call on a verified leaf: revocation, time, lifetime, and that Envoy's `source.principal` names
 * the same identity. Undefined when nothing is wrong. Synchronous and without allocation.
 */
export function checkLeaf(
  leaf: VerifiedLeaf,
  principal: string,
  policy: CertificatePolicy,
  nowMs: number,
): CertificateRefusal | undefined {
  return (
    checkCertificate(leaf, policy, nowMs) ??
    (principal === leaf.spiffeId.text ? undefined : PRINCIPAL_MISMATCH)
  )
}

const PRINCIPAL_MISMATCH: CertificateRefusal = {
  reason: 'principal-mismatch',
  message: "the principal is not the SPIFFE ID of the peer's certificate",
}

/**
 * Verifies an X509-SVID as TLS servers present it and the Workload API gives it: DER, leaf first, the rest believed in
 * nothing. Revocation, time of use and lifetime are for checkCertificate.
 */
export async function verifyPresentedChain(
  chain: readonly Buffer[],
  bundles: Pick<TrustBundles, 'get'>,
  nowMs: number,
): Promise<LeafVerdict> {
  const [first, ...rest] = chain.slice(0, MAX_HINTS + 1)
  const leaf = first && parseCertificate(first)
  if (!leaf?.ok) return failure('certificate-invalid', leaf ? leaf.problem : 'no certificate')
  const intermediates = rest.flatMap((der) => {
    const parsed = parseCertificate(der)
    return parsed.ok ? [parsed.certificate] : []
  })
  return verifyLeafCertificate(leaf.certificate, intermediates, bundles, nowMs)
}

export type PeerCertificateInput = {
  /** `source.certificate`: percent-encoded PEM. */
  readonly certificate: string
  /** `source.principal`. */
  readonly principal: string
  /** The x-forwarded-client-cert header, or '' without one. */
  readonly xfcc: string
  readonly bundles: TrustBundles
  readonly policy: CertificatePolicy
  readonly nowMs: number
}

/** Both halves one after the other, for where nothing is remembered. */
export async function verifyPeerCertificate(input: PeerCertificateInput): Promise<LeafVerdict> {
  if (input.certificate === '') return failure('certificate-required', 'the peer presented no certificate')
  const leaf = await verifyLeaf(input.certificate, intermediateHints(input.xfcc), input.bundles, input.nowMs)
  if (!leaf.ok) return leaf
  const refusal = checkLeaf(leaf, input.principal, input.policy, input.nowMs)
  return refusal ? { ok: false, ...refusal } : leaf
}

/**
 * The certificates of the `Chain` that the nearest proxy wrote, as hints for building a path. They are believed in
 * nothing, so a header that can't be read gives none and is no failure. Limits: 16 certificates.
 */
export function intermediateHints(xfcc: string): readonly X509Certificate[] {
  if (xfcc === '') return []
  const parsed = parseXfcc(xfcc)
  const last = parsed.ok ? parsed.elements[parsed.elements.length - 1] : undefined
  const chain = last && xfccValue(last, 'chain')
  const text = chain === undefined ? undefined : percentDecode(chain)
  if (text === undefined) return []
  const read = readPemCertificates(text, { maxCertificates: MAX_HINTS, comments: false })
  if (!read.ok) return []
  return read.certificates.flatMap((der) => {
    const certificate = parseCertificate(der)
    return certificate.ok ? [certificate.certificate] : []
  })
}

/** For the verdict cache: a verified leaf stays until its path ends, a refusal for a minute at most. */
export function retainLeafVerdict(verdict: LeafVerdict, nowMs: number): Retention {
  if (verdict.ok) return { space: 'accepted', untilMs: verdict.notAfterMs + 1 }
  return { space: 'refused', untilMs: Math.min(nowMs + REFUSAL_KEPT_MS, verdict.changesAtMs ?? Infinity) }
}

function parseLeaf(certificate: string): ReturnType<typeof parseCertificate> {
  if (certificate.length > 3 * MAX_LEAF_PEM_LENGTH) return problem('the certificate is too long')
  const pem = percentDecode(certificate)
  if (pem === undefined) return problem('the certificate is not percent-encoded text')
  if (pem.length > MAX_LEAF_PEM_LENGTH) return problem('the certificate is too long')
  const read = readPemCertificates(pem, { maxCertificates: 1, comments: false })
  if (!read.ok) return problem(`the certificate: ${read.problem}`)
  const parsed = parseCertificate(read.certificates[0]!)
  return parsed.ok ? parsed : problem(`the certificate: ${parsed.problem}`)
}

/** A literal `+` stays one. */
function percentDecode(text: string): string | undefined {
  try {
    return decodeURIComponent(text)
  } catch {
    return undefined
  }
}

const REASON_OF_PATH = {
  invalid: 'certificate-invalid',
  expired: 'certificate-expired',
  'not-yet-valid': 'certificate-not-yet-valid',
} as const

function pathFailure({ kind, problem: text, changesAtMs }: PathFailure): CertificateFailure {
  return {
    ok: false,
    reason: REASON_OF_PATH[kind],
    message: `no path to the trust bundle: ${text}`,
    changesAtMs,
  }
}

function failure(reason: CertificateFailure['reason'], message: string): CertificateFailure {
  return { ok: false, reason, message }
}

function problem(text: string): { readonly ok: false; readonly problem: string } {
  return { ok: false, problem: text }
}
