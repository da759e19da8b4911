import type { X509Certificate } from './x509-certificate.js'
import { KEY_USAGE } from './x509-extensions.js'
import { verifyWithKey } from './x509-key.js'
import { nameComparisons, nameConstraintViolation } from './x509-name-constraints.js'

export type PathQuestion = {
  readonly leaf: X509Certificate
  /** Whom one trusts. Their own extensions and validity hold as well. */
  readonly anchors: readonly X509Certificate[]
  /** In any order, believed in nothing. */
  readonly intermediates: readonly X509Certificate[]
  readonly nowMs: number
  /** Between leaf and anchor; 8 by default. */
  readonly maxIntermediates?: number | undefined
  /** Why a certificate may not have issued this leaf, beyond RFC 5280. */
  readonly issuerProblem?: ((issuer: X509Certificate) => string | undefined) | undefined
}

export type PathAnswer =
  | {
      readonly ok: true
      /** From the leaf to the anchor. */
      readonly path: readonly X509Certificate[]
      /** When all of the path is valid: inclusive, milliseconds since the epoch. */
      readonly notBeforeMs: number
      readonly notAfterMs: number
    }
  | PathFailure

export type PathFailure = {
  readonly ok: false
  readonly kind: 'invalid' | 'expired' | 'not-yet-valid'
  readonly problem: string
  /** When the answer may become another one because a validity begins; absent when time alone can't. */
  readonly changesAtMs?: number | undefined
}

const MAX_INTERMEDIATES = 8
/** A sound chain needs as many as it has links; the public path-building suite at most 20. */
const MAX_SIGNATURE_CHECKS = 48
/** Certificates looked at as the next link, in all. */
const MAX_CANDIDATES = 2_000
/** Names compared with name constraints, in all: about 10 ms of work. */
const MAX_NAME_COMPARISONS = 50_000

/**
 * Finds a valid path from the leaf to an anchor and checks it by RFC 5280 6.1 (with any policy accepted and
 * revocation left to the caller). The search goes depth first with the likeliest issuer first, and goes on where a
 * link fails; each link is checked cheaply before its signature, and each signature once.
 * Limits: 48 signature checks, 2,000 candidates, 50,000 names compared. Running out of them is a failure.
 */
export async function findPath(question: PathQuestion): Promise<PathAnswer> {
  const search: Search = {
    question,
    maxIntermediates: question.maxIntermediates ?? MAX_INTERMEDIATES,
    signatures: new Map(),
    signatureChecks: 0,
    nameComparisons: 0,
    candidates: 0,
    changesAtMs: undefined,
    failure: { ok: false, kind: 'invalid', problem: 'no issuer of the certificate is known' },
  }
  const problem = certificateProblem(question.leaf, question.nowMs)
  if (problem) return problem
  const path = await extend(search, [question.leaf])
  if (!path) return { ...search.failure, changesAtMs: search.changesAtMs }
  return {
    ok: true,
    path,
    notBeforeMs: Math.max(...path.map(({ notBeforeMs }) => notBeforeMs)),
    notAfterMs: Math.min(...path.map(({ notAfterMs }) => notAfterMs)),
  }
}

type Search = {
  readonly question: PathQuestion
  readonly maxIntermediates: number
  /** By child, then by issuer. */
  readonly signatures: Map<X509Certificate, Map<X509Certificate, boolean>>
  signatureChecks: number
  nameComparisons: number
  candidates: number
  changesAtMs: number | undefined
  /** The last one; a failure by time is kept before others. */
  failure: PathFailure
}

type Path = readonly [X509Certificate, ...X509Certificate[]]

async function extend(search: Search, path: Path): Promise<Path | undefined> {
  const { anchors, intermediates } = search.question
  const child = path[path.length - 1]!
  for (const anchor of likeliestFirst(anchors, child)) {
    const whole = await link(search, path, anchor)
    if (whole) return whole
  }
  const issuers = likeliestFirst(intermediates, child)
  if (path.length > search.maxIntermediates) {
    if (issuers.length > 0)
      note(search, invalid(`more than ${search.maxIntermediates} intermediate certificates`))
    return undefined
  }
  for (const issuer of issuers) {
    const longer = await link(search, path, issuer)
    const whole = longer && (await extend(search, longer))
    if (whole) return whole
  }
  return undefined
}

/** Those that bear the issuer's name; the key identifier is a hint and only orders them. */
function likeliestFirst(from: readonly X509Certificate[], child: X509Certificate): X509Certificate[] {
  const wanted = child.extensions.authorityKeyId
  const named = from.filter(({ subject }) => subject.key === child.issuer.key)
  if (wanted === undefined || named.length < 2) return named
  const distance = ({ extensions: { subjectKeyId } }: X509Certificate): number =>
    subjectKeyId === wanted ? 0 : subjectKeyId === undefined ? 1 : 2
  return named.sort((a, b) => distance(a) - distance(b))
}

/** The path with one issuer more, if that issuer may and did sign its end. */
async function link(search: Search, path: Path, issuer: X509Certificate): Promise<Path | undefined> {
  search.candidates += 1
  if (search.candidates > MAX_CANDIDATES) return note(search, invalid('too many possible paths'))
  if (path.some((certificate) => isSameEntity(certificate, issuer))) return undefined
  const problem = certificateProblem(issuer, search.question.nowMs) ?? issuerProblem(search, path, issuer)
  if (problem) return note(search, problem)
  const child = path[path.length - 1]!
  if (!(await isSignedBy(search, child, issuer))) return undefined
  return [...path, issuer]
}

/** Same name and key: going through it again could only lead in circles. Source: RFC 4158 5.2. */
function isSameEntity(a: X509Certificate, b: X509Certificate): boolean {
  return a === b || (a.subject.key === b.subject.key && a.publicKeyInfo.equals(b.publicKeyInfo))
}

/** What holds for every certificate of a path. Source: RFC 5280 6.1.3 (a), 6.1.4 (o), 6.1.5 (f). */
function certificateProblem(certificate: X509Certificate, nowMs: number): PathFailure | undefined {
  if (nowMs > certificate.notAfterMs) {
    return { ok: false, kind: 'expired', problem: 'a certificate of the path has expired' }
  }
  if (nowMs < certificate.notBeforeMs) {
    const problem = 'a certificate of the path is not yet valid'
    return { ok: false, kind: 'not-yet-valid', problem, changesAtMs: certificate.notBeforeMs }
  }
  const [unprocessed] = certificate.extensions.unprocessed
  if (unprocessed !== undefined) return invalid(unprocessed)
  const kind = certificate.keyKind()
  return typeof kind === 'string' ? undefined : invalid(kind.weakness)
}

/** Whether this issuer may have signed all that is below it. Source: RFC 5280 6.1.3 (b), (c), 6.1.4 (k) to (n). */
function issuerProblem(search: Search, path: Path, issuer: X509Certificate): PathFailure | undefined {
  const { basicConstraints, keyUsage, nameConstraints } = issuer.extensions
  if (!basicConstraints?.ca) return invalid('an issuer that is no CA')
  if (keyUsage && (keyUsage.bits & KEY_USAGE.keyCertSign) === 0) {
    return invalid('an issuer whose key may not sign certificates')
  }
  const [leaf, ...below] = path
  const intermediates = below.filter((certificate) => !isSelfIssued(certificate))
  if (basicConstraints.pathLength !== undefined && intermediates.length > basicConstraints.pathLength) {
    return invalid('a path longer than its issuer allows')
  }
  if (nameConstraints) {
    for (const certificate of [leaf, ...intermediates]) {
      search.nameComparisons += nameComparisons(nameConstraints, certificate)
      if (search.nameComparisons > MAX_NAME_COMPARISONS) return invalid('too many names and name constraints')
      const violation = nameConstraintViolation(nameConstraints, certificate)
      if (violation !== undefined) return invalid(violation)
    }
  }
  const problem = search.question.issuerProblem?.(issuer)
  return problem === undefined ? undefined : invalid(problem)
}

function isSelfIssued({ subject, issuer }: X509Certificate): boolean {
  return subject.key === issuer.key
}

async function isSignedBy(search: Search, child: X509Certificate, issuer: X509Certificate): Promise<boolean> {
  const known = search.signatures.get(child) ?? new Map<X509Certificate, boolean>()
  search.signatures.set(child, known)
  const before = known.get(issuer)
  if (before !== undefined) return before
  const algorithm = child.signatureAlgorithm
  if (!algorithm) {
    note(search, invalid('a signature by an algorithm that is not accepted'))
    return false
  }
  if (algorithm.kind !== issuer.keyKind()) return false
  search.signatureChecks += 1
  if (search.signatureChecks > MAX_SIGNATURE_CHECKS) {
    note(search, invalid('too many signatures to check'))
    return false
  }
  const key = issuer.publicKey()
  const valid = key !== undefined && (await verifyWithKey(algorithm, child.signed, key, child.signature))
  known.set(issuer, valid)
  if (!valid) note(search, invalid('a signature that its issuer did not make'))
  return valid
}

function note(search: Search, failure: PathFailure): undefined {
  if (search.failure.kind === 'invalid') search.failure = failure
  const at = failure.changesAtMs
  if (at !== undefined) search.changesAtMs = Math.min(at, search.changesAtMs ?? at)
  return undefined
}

function invalid(problem: string): PathFailure {
  return { ok: false, kind: 'invalid', problem }
}
