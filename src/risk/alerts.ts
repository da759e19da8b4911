import { jsonText } from '../audit/json-text.js'
import { formatTimestamp } from '../audit/timestamp.js'
import type { Decision, RiskFactor } from '../decision/decision.js'
import type { RiskPolicy } from './risk-policy.js'

export type Severity = 'MEDIUM' | 'HIGH'

/** Whom an alert is about, and why. Source: REQUIREMENTS R5. */
export type Alert = {
  readonly severity: Severity
  readonly nowMs: number
  readonly decisionId: string
  readonly score: number
  readonly factors: readonly RiskFactor[]
  readonly reason: string
  readonly target: string | undefined
  readonly userId: string | undefined
  readonly userIssuer: string | undefined
  readonly sessionId: string | undefined
  readonly workloadId: string | undefined
}

const TEXT_LIMIT = 256
/** Subjects whose alerts are remembered at once; beyond it the oldest may alert again early. */
const MAX_SUBJECTS = 10_000

/** Severity of a score; undefined below both thresholds. */
export function severityOf(
  score: number,
  { mediumAbove, highAbove }: RiskPolicy['alerts'],
): Severity | undefined {
  if (score > highAbove) return 'HIGH'
  return score > mediumAbove ? 'MEDIUM' : undefined
}

/** One alert for a subject and severity within the window: a rise to HIGH alerts again, a fall does not. */
export class AlertDedupe {
  readonly #last = new Map<string, { readonly severity: Severity; readonly atMs: number }>()

  isNew(subject: string, severity: Severity, windowMs: number, nowMs: number): boolean {
    const last = this.#last.get(subject)
    const covers = last && nowMs - last.atMs < windowMs && (last.severity === 'HIGH' || severity === 'MEDIUM')
    if (covers) return false
    this.#last.delete(subject)
    this.#last.set(subject, { severity, atMs: nowMs })
    if (this.#last.size > MAX_SUBJECTS) {
      for (const oldest of this.#last.keys()) {
        this.#last.delete(oldest)
        break
      }
    }
    return true
  }
}

/**
 * The alert that a decision calls for. About the user where there is one, else the workload; nothing where the score is
 * the token's own claim alone, since its issuer knows that already.
 */
export function alertOf(
  decision: Decision,
  decisionId: string,
  policy: RiskPolicy['alerts'],
  dedupe: AlertDedupe,
  nowMs: number,
): Alert | undefined {
  const { riskScore = 0, riskFactors = [], user, workload, subjects } = decision
  const severity = severityOf(riskScore, policy)
  const subject = subjects?.user ?? subjects?.workload
  if (!severity || subject === undefined || riskFactors.every(({ factor }) => factor === 'token-claim')) {
    return undefined
  }
  if (!dedupe.isNew(subject, severity, policy.windowMs, nowMs)) return undefined
  return {
    severity,
    nowMs,
    decisionId,
    score: riskScore,
    factors: riskFactors,
    reason: decision.reason,
    target: decision.target,
    userId: user?.subject,
    userIssuer: user?.issuer,
    sessionId: user?.sessionId,
    workloadId: workload?.spiffeId.text,
  }
}

/** One JSON object on one line, without the line feed; any bytes in names stay inside their strings. */
export function writeAlert(alert: Alert): string {
  const text = (field: string, value: string | undefined): string =>
    value === undefined ? '' : `,"${field}":"${jsonText(value, TEXT_LIMIT)}"`
  const factors = alert.factors.map(
    ({ factor, points }) => `{"factor":"${jsonText(factor, TEXT_LIMIT)}","points":${points}}`,
  )
  return (
    `{"schemaVersion":"1.0","timestamp":"${formatTimestamp(alert.nowMs)}","eventType":"risk-alert"` +
    `,"severity":"${alert.severity}","riskScore":${alert.score},"riskFactors":[${factors.join(',')}]` +
    text('decisionId', alert.decisionId) +
    text('decisionReason', alert.reason) +
    text('targetService', alert.target) +
    text('userId', alert.userId) +
    text('userIssuer', alert.userIssuer) +
    text('sessionId', alert.sessionId) +
    text('workloadId', alert.workloadId) +
    '}'
  )
}
