import { createHash } from 'node:crypto'
import { splitDer } from './der.js'
import { decodeBase64, readPemCertificates } from './pem.js'
import { KEY_USAGE } from './x509-extensions.js'
import { parseCertificate, type X509Certificate } from './x509-certificate.js'
import { signingCertificateProblem } from './x509-svid.js'

/** Whom one trust domain's SVIDs must come from. */
export type TrustBundle = {
  /** Empty: nobody of this trust domain is believed. */
  readonly anchors: readonly X509Certificate[]
  /** Issued by another certificate of the bundle: a help in building paths, and no trust of their own. */
  readonly intermediates: readonly X509Certificate[]
  /** Equal for bundles with the same certificates, whatever the order and the format. */
  readonly digest: string
  /** Of a SPIFFE JWKS, where it says so. */
  readonly sequence: number | undefined
  readonly refreshHintSeconds: number | undefined
}

export type ParsedTrustBundle =
  { readonly ok: true; readonly bundle: TrustBundle } | { readonly ok: false; readonly problem: string }

const MAX_BUNDLE_BYTES = 4 * 1024 * 1024
const MAX_CERTIFICATES = 256

/**
 * Parses a trust bundle: CA certificates as PEM, with comments, or a SPIFFE JWKS, whose `keys: []` revokes everybody.
 * It is refused whole when one certificate in it is malformed, weak or no CA. A certificate is an anchor unless its
 * issuer is in the bundle too: then that issuer's limits hold for it, and it goes when the issuer goes.
 * Limits: 4 MiB, 256 certificates. Source: SPIFFE Trust Domain and Bundle 4, SPECS 3.5.
 */
export function parseTrustBundle(content: string | Buffer): ParsedTrustBundle {
  if (content.length > MAX_BUNDLE_BYTES) return problem(`longer than ${MAX_BUNDLE_BYTES} bytes`)
  const text = content.toString()
  if (/^\s*\{/.test(text)) return parseJwks(text)
  const read = readPemCertificates(text, { maxCertificates: MAX_CERTIFICATES, comments: true })
  return read.ok ? assemble(read.certificates, undefined, undefined) : read
}

/**
 * Parses CA certificates as the Workload API sends them: DER, one after the other. None revokes everybody.
 * `chain` is one's own certificates of that trust domain, leaf first: its intermediates help in building paths.
 */
export function parseDerBundle(content: Buffer, chain: readonly Buffer[] = []): ParsedTrustBundle {
  if (content.length > MAX_BUNDLE_BYTES) return problem(`longer than ${MAX_BUNDLE_BYTES} bytes`)
  const ders = splitDer(content)
  if (ders === undefined) return problem('not certificates in DER')
  if (ders.length > MAX_CERTIFICATES) return problem(`more than ${MAX_CERTIFICATES} certificates`)
  const assembled = assemble(ders, undefined, undefined)
  if (!assembled.ok) return assembled
  const { bundle } = assembled
  const held = new Set([...bundle.anchors, ...bundle.intermediates].map(({ sha256Hex }) => sha256Hex))
  const intermediates = chain.slice(1).flatMap((der) => {
    const parsed = parseCertificate(der)
    return parsed.ok && !held.has(parsed.certificate.sha256Hex) && !authorityProblem(parsed.certificate)
      ? [parsed.certificate]
      : []
  })
  if (intermediates.length === 0) return assembled
  const digest = createHash('sha256')
    .update([bundle.digest, ...intermediates.map(({ sha256Hex }) => sha256Hex)].join())
    .digest('hex')
  return {
    ok: true,
    bundle: { ...bundle, intermediates: [...bundle.intermediates, ...intermediates], digest },
  }
}

/** As parseTrustBundle, but a SPIFFE JWKS and nothing else: what federation endpoints serve. */
export function parseJwksBundle(text: string): ParsedTrustBundle {
  if (text.length > MAX_BUNDLE_BYTES) return problem(`longer than ${MAX_BUNDLE_BYTES} bytes`)
  return parseJwks(text)
}

function parseJwks(text: string): ParsedTrustBundle {
  const set = parseJson(text)
  if (!isObject(set) || !Array.isArray(set['keys'])) return problem('JSON, but no JWK Set with `keys`')
  const sequence = set['spiffe_sequence']
  const refreshHint = set['spiffe_refresh_hint']
  if (sequence !== undefined && !isCount(sequence)) return problem('`spiffe_sequence` is not a whole number')
  if (refreshHint !== undefined && !isCount(refreshHint))
    return problem('`spiffe_refresh_hint` is not a whole number')
  const certificates: Buffer[] = []
  for (const key of set['keys'] as readonly unknown[]) {
    if (!isObject(key) || typeof key['kty'] !== 'string' || key['use'] !== 'x509-svid') continue
    const [first] = Array.isArray(key['x5c']) ? (key['x5c'] as readonly unknown[]) : []
    const der = typeof first === 'string' ? decodeBase64(first) : undefined
    if (der === undefined) return problem('an x509-svid key without a certificate in `x5c`')
    if (certificates.push(der) > MAX_CERTIFICATES)
      return problem(`more than ${MAX_CERTIFICATES} certificates`)
  }
  return assemble(certificates, sequence, refreshHint)
}

function assemble(
  ders: readonly Buffer[],
  sequence: number | undefined,
  refreshHintSeconds: number | undefined,
): ParsedTrustBundle {
  const byDigest = new Map<string, X509Certificate>()
  for (const [at, der] of ders.entries()) {
    const parsed = parseCertificate(der)
    const wrong = parsed.ok ? authorityProblem(parsed.certificate) : parsed.problem
    if (wrong !== undefined) return problem(`certificate ${at + 1}: ${wrong}`)
    if (parsed.ok) byDigest.set(parsed.certificate.sha256Hex, parsed.certificate)
  }
  const certificates = [...byDigest.values()]
  const isIssuedHere = ({ issuer, subject }: X509Certificate): boolean =>
    issuer.key !== subject.key && certificates.some((other) => other.subject.key === issuer.key)
  const digest = createHash('sha256')
    .update([...byDigest.keys()].sort().join())
    .digest('hex')
  return {
    ok: true,
    bundle: {
      anchors: certificates.filter((certificate) => !isIssuedHere(certificate)),
      intermediates: certificates.filter(isIssuedHere),
      digest,
      sequence,
      refreshHintSeconds,
    },
  }
}

/** Found when the bundle loads and not on the first request that needs it. */
function authorityProblem(certificate: X509Certificate): string | undefined {
  const { basicConstraints, keyUsage, unprocessed } = certificate.extensions
  if (!basicConstraints?.ca) return 'no CA certificate'
  if (keyUsage && (keyUsage.bits & KEY_USAGE.keyCertSign) === 0) return 'its key may not sign certificates'
  if (unprocessed[0] !== undefined) return unprocessed[0]
  const kind = certificate.keyKind()
  if (typeof kind !== 'string') return kind.weakness
  if (!certificate.publicKey()) return 'its public key is none'
  return signingCertificateProblem(certificate)
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0
}

function problem(text: string): { readonly ok: false; readonly problem: string } {
  return { ok: false, problem: text }
}
