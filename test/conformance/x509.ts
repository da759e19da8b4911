import { readPemCertificates } from '../../src/identity/pem.js'
import { parseCertificate, type X509Certificate } from '../../src/identity/x509-certificate.js'
import { findPath } from '../../src/identity/x509-path.js'
import { AGREED, casesOf, NOT_APPLICABLE, type Outcome, type Suite } from './suite.js'

type Case = {
  readonly id: string
  readonly spiffe: 'chain-must-pass' | 'chain-must-fail' | 'not-applicable'
  readonly spiffe_reason: string
  readonly trusted_certs: readonly string[]
  readonly untrusted_intermediates: readonly string[]
  readonly peer_certificate: string
  /** Null: any time from 1971 to 2900. */
  readonly validation_time: string | null
  readonly max_chain_depth: number | null
}

/** Longest a case may take, the hostile ones included. */
const MAX_CASE_MS = 2_000
const ANY_TIME = '2030-01-01T00:00:00Z'

/** Path building and validation alone: no leaf here has a SPIFFE ID. */
export const x509Suite: Suite = {
  file: 'x509.json',
  run: async (content) => {
    const outcomes = []
    for (const one of casesOf(content) as readonly Case[]) {
      const startedMs = performance.now()
      const problem = await pathProblem(one)
      const elapsedMs = performance.now() - startedMs
      outcomes.push({ id: one.id, ...(elapsedMs > MAX_CASE_MS ? slow(elapsedMs) : judge(one, problem)) })
    }
    return outcomes
  },
}

function judge(one: Case, problem: string | undefined): Outcome {
  if (one.spiffe === 'not-applicable') return NOT_APPLICABLE
  const accepted = problem === undefined
  if (accepted === (one.spiffe === 'chain-must-pass')) return AGREED
  return accepted
    ? { verdict: 'wrong-accept', detail: one.spiffe_reason }
    : { verdict: 'wrong-refusal', detail: problem }
}

function slow(elapsedMs: number): Outcome {
  return { verdict: 'wrong-result', detail: `took ${Math.round(elapsedMs)} ms` }
}

async function pathProblem(one: Case): Promise<string | undefined> {
  const leaf = certificatesOf([one.peer_certificate])
  const [certificate] = leaf.certificates
  if (!certificate) return leaf.problems.join('; ')
  const anchors = certificatesOf(one.trusted_certs)
  const intermediates = certificatesOf(one.untrusted_intermediates)
  const answer = await findPath({
    leaf: certificate,
    anchors: anchors.certificates,
    intermediates: intermediates.certificates,
    nowMs: Date.parse(one.validation_time ?? ANY_TIME),
    maxIntermediates: one.max_chain_depth ?? undefined,
  })
  return answer.ok ? undefined : [answer.problem, ...anchors.problems, ...intermediates.problems].join('; ')
}

function certificatesOf(pems: readonly string[]): {
  readonly certificates: readonly X509Certificate[]
  readonly problems: readonly string[]
} {
  const certificates: X509Certificate[] = []
  const problems: string[] = []
  for (const pem of pems) {
    const read = readPemCertificates(pem, { maxCertificates: 1, comments: false })
    const [der] = read.ok ? read.certificates : []
    const parsed = der ? parseCertificate(der) : { ok: false as const, problem: 'no PEM' }
    if (parsed.ok) certificates.push(parsed.certificate)
    else problems.push(parsed.problem)
  }
  return { certificates, problems }
}
