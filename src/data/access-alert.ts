import { jsonText } from '../audit/json-text.js'
import { formatTimestamp } from '../audit/timestamp.js'
import type { Decision } from '../decision/decision.js'

const TEXT_LIMIT = 256
/** Users with endpoint and operation that are remembered; beyond it the oldest may be told again early. */
const MAX_REMEMBERED = 10_000

/**
 * What alert sinks are told when classified data with `alert: true` is reached: the first call of each user to each
 * endpoint with each operation within the window, at once. Source: REQUIREMENTS D4.
 */
export class AccessAlerts {
  readonly #toldMs = new Map<string, number>()

  /** One line of JSON, or undefined where there is nothing to tell. */
  about(decision: Decision, decisionId: string, windowMs: number, nowMs: number): string | undefined {
    const { data, outcome, user, workload, target, endpoint, subjects } = decision
    if (!data?.alert || outcome !== 'allow') return undefined
    const key = `${subjects?.user ?? subjects?.workload ?? ''} ${target} ${endpoint} ${decision.operation}`
    const toldMs = this.#toldMs.get(key)
    if (toldMs !== undefined && nowMs - toldMs < windowMs) return undefined
    this.#toldMs.delete(key)
    this.#toldMs.set(key, nowMs)
    if (this.#toldMs.size > MAX_REMEMBERED) {
      for (const oldest of this.#toldMs.keys()) {
        this.#toldMs.delete(oldest)
        break
      }
    }
    const text = (field: string, value: string | undefined): string =>
      value === undefined ? '' : `,"${field}":"${jsonText(value, TEXT_LIMIT)}"`
    return (
      `{"schemaVersion":"1.0","timestamp":"${formatTimestamp(nowMs)}","eventType":"data-access"` +
      `,"severity":"MEDIUM"` +
      text('dataPolicy', data.name) +
      text('operation', decision.operation) +
      text('decisionId', decisionId) +
      text('targetService', target) +
      text('endpoint', endpoint) +
      text('userId', user?.subject) +
      text('userIssuer', user?.issuer) +
      text('workloadId', workload?.spiffeId.text) +
      text('grantId', decision.grantId) +
      '}'
    )
  }
}
