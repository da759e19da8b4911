import { createHash } from 'node:crypto'
import type { TrustedProxy } from '../request/listener.js'
import { checkCertificate, type CertificatePolicy, type DatedIdentity } from './certificate-policy.js'
import type { Verified } from './identify.js'
import { readPemCertificates } from './pem.js'
import type { WorkloadPrincipal } from './principal.js'
import { parseSpiffeId, type SpiffeId } from './spiffe-id.js'
import { type Basis, VerdictCache, type VerdictCacheLimits } from './verdict-cache.js'
import { parseCertificate, type X509Certificate } from './x509-certificate.js'
import { parseXfcc, type XfccElement } from './xfcc.js'

/** What the last element of a header says, whoever brings it and whenever. */
export type ReadForwarded =
  | {
      readonly ok: true
      /** The proxy that wrote it, by its own words. */
      readonly by: SpiffeId
      readonly workload: WorkloadPrincipal
      /** Without a `Cert` it is valid at all times; without a `Hash` too, only its identity can be revoked. */
      readonly dated: DatedIdentity
    }
  | { readonly ok: false; readonly problem: string }

const SHA256_HEX = /^[0-9a-f]{64}$/

/**
 * Reads the caller out of an `x-forwarded-client-cert` header: its last element, which must have one `By` and one
 * `URI`, both SPIFFE IDs of workloads. A `Cert` must be one certificate whose only URI name is that `URI`, and a
 * `Hash` must be its SHA-256. Earlier elements are the words of others and say nothing. Source: SPECS 2, FORMATS 2.
 */
export function readForwarded(xfcc: string): ReadForwarded {
  const parsed = parseXfcc(xfcc)
  if (!parsed.ok) return problem(`it holds ${parsed.problem}`)
  const element = parsed.elements[parsed.elements.length - 1]
  if (!element) return problem('it is empty')
  const by = workloadIn(element, 'by')
  const uri = workloadIn(element, 'uri')
  if (!by) return problem('its last element has not one `By` that is the SPIFFE ID of a workload')
  if (!uri) return problem('its last element has not one `URI` that is the SPIFFE ID of a workload')
  const [hash] = valuesOf(element, 'hash')
  if (hash !== undefined && !SHA256_HEX.test(hash)) {
    return problem('its `Hash` is not a SHA-256 in lower-case hexadecimal')
  }
  const [pem] = valuesOf(element, 'cert')
  const certificate = pem === undefined ? undefined : readCertificate(pem)
  if (typeof certificate === 'string') return problem(`its \`Cert\`: ${certificate}`)
  if (certificate && !isNamed(certificate, uri)) return problem('its `Cert` does not name its `URI` alone')
  if (certificate && hash !== undefined && hash !== certificate.sha256Hex) {
    return problem('its `Hash` is not that of its `Cert`')
  }
  const sha256Hex = certificate?.sha256Hex ?? hash
  return {
    ok: true,
    by,
    workload: {
      spiffeId: uri,
      verifiedBy: 'forwarded',
      certificateSha256: sha256Hex,
      certificate: certificate && {
        serialHex: certificate.serialHex,
        notBeforeMs: certificate.notBeforeMs,
      },
      via: { spiffeId: by },
    },
    dated: datedIdentity(uri, certificate, sha256Hex),
  }
}

/**
 * Believes what trusted proxies forward. A header is read once; revocation, time and who brought it are asked on
 * every call.
 */
export class ForwardedCallerVerifier {
  readonly #policy: CertificatePolicy
  readonly #read: VerdictCache<ReadForwarded>
  readonly #maxLength: number

  constructor(policy: CertificatePolicy, limits: VerdictCacheLimits) {
    this.#policy = policy
    this.#maxLength = limits.maxKeyLength
    this.#read = new VerdictCache(limits, (read) => ({
      space: read.ok ? 'accepted' : 'refused',
      untilMs: Infinity,
    }))
  }

  /** `proxy` is verified; `rules` are its listener's for it. */
  verify(xfcc: string, proxy: SpiffeId, rules: TrustedProxy, nowMs: number): Verified<WorkloadPrincipal> {
    const key = createHash('sha256').update(xfcc).digest('base64')
    let read = this.#read.get(key, nowMs)
    if (!read) {
      read = readForwarded(xfcc)
      if (xfcc.length <= this.#maxLength) {
        this.#read.keep(key, NEVER_CHANGES, NEVER_CHANGES.generation, nowMs, read)
      }
    }
    if (!read.ok) return invalid(read.problem)
    if (read.by.text !== proxy.text)
      return invalid('its last element is not the word of the proxy that calls')
    const { trustDomain } = read.workload.spiffeId
    if (!rules.trustDomains.includes(trustDomain)) {
      return invalid(`the proxy may not speak for trust domain ${trustDomain}`)
    }
    const refusal = checkCertificate(read.dated, this.#policy, nowMs)
    return refusal ? { ok: false, refusal } : { ok: true, value: read.workload }
  }

  /** What is remembered now, for metrics. */
  get size(): VerdictCache<ReadForwarded>['size'] {
    return this.#read.size
  }
}

/** A header's reading depends on its bytes alone. */
const NEVER_CHANGES: Basis = { generation: 0 }

function valuesOf({ pairs }: XfccElement, key: string): readonly string[] {
  return pairs.filter(([name]) => name === key).map(([, value]) => value)
}

/** The SPIFFE ID of a workload under a key that stands there exactly once. */
function workloadIn(element: XfccElement, key: string): SpiffeId | undefined {
  const [text, ...more] = valuesOf(element, key)
  if (text === undefined || more.length > 0) return undefined
  const parsed = parseSpiffeId(text)
  return parsed.ok && parsed.id.path !== '' ? parsed.id : undefined
}

function readCertificate(text: string): X509Certificate | string {
  let pem: string
  try {
    pem = decodeURIComponent(text)
  } catch {
    return 'not percent-encoded text'
  }
  const read = readPemCertificates(pem, { maxCertificates: 1, comments: false })
  if (!read.ok) return read.problem
  const parsed = parseCertificate(read.certificates[0]!)
  return parsed.ok ? parsed.certificate : parsed.problem
}

function isNamed({ extensions }: X509Certificate, id: SpiffeId): boolean {
  const uris = (extensions.subjectAltName?.names ?? []).filter(({ form }) => form === 'uri')
  const [uri] = uris
  return uris.length === 1 && uri?.form === 'uri' && uri.text === id.text
}

function datedIdentity(
  spiffeId: SpiffeId,
  certificate: X509Certificate | undefined,
  sha256Hex: string | undefined,
): DatedIdentity {
  if (!certificate) {
    const path =
      sha256Hex === undefined ? [] : [{ serialHex: '', serialOfIssuer: '', issuerKey: '', sha256Hex }]
    return { spiffeId, notBeforeMs: -Infinity, notAfterMs: Infinity, lifetimeMs: 0, path }
  }
  const { notBeforeMs, notAfterMs, serialHex, issuer } = certificate
  const marks = {
    serialHex,
    serialOfIssuer: `${serialHex}@${issuer.key}`,
    issuerKey: issuer.key,
    sha256Hex: certificate.sha256Hex,
  }
  return { spiffeId, notBeforeMs, notAfterMs, lifetimeMs: notAfterMs - notBeforeMs, path: [marks] }
}

function invalid(message: string): {
  readonly ok: false
  readonly refusal: { reason: 'xfcc-invalid'; message: string }
} {
  return { ok: false, refusal: { reason: 'xfcc-invalid', message: `x-forwarded-client-cert: ${message}` } }
}

function problem(text: string): { readonly ok: false; readonly problem: string } {
  return { ok: false, problem: text }
}
