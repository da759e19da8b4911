import type { UserPrincipal } from '../identity/principal.js'
import { isFresh, showsFactor } from '../session/step-up.js'
import { type Finding, isEvent } from './finding.js'
import type { RiskPolicy } from './risk-policy.js'

export type RiskLevel = 'low' | 'medium' | 'high'

/** How many events of enough points say at once that something is wrong. */
export function signalsOf(findings: readonly Finding[], { leastPoints }: RiskPolicy['signals']): number {
  let signals = 0
  for (const { factor, points } of findings) if (isEvent(factor) && points >= leastPoints) signals++
  return signals
}

/** Source: REQUIREMENTS R3. */
export function levelOf(signals: number, { mediumFrom, highFrom }: RiskPolicy['signals']): RiskLevel {
  if (signals >= highFrom) return 'high'
  return signals >= mediumFrom ? 'medium' : 'low'
}

/** How far ahead the identity provider's clock may be to answer what happens meanwhile. It tells whole seconds. */
const MOST_AHEAD_MS = 5000

/**
 * What no authentication has answered. A user who shows MFA and authenticated recently was asked since: after an event
 * began, or at all for what has no beginning.
 */
export function unanswered(
  findings: readonly Finding[],
  user: UserPrincipal,
  maxAuthAgeMs: number,
  nowMs: number,
): readonly Finding[] {
  const { authTimeMs } = user
  if (findings.length === 0 || authTimeMs === undefined || authTimeMs > nowMs + MOST_AHEAD_MS) return findings
  if (!showsFactor(user, 'mfa') || !isFresh(user, maxAuthAgeMs, nowMs)) return findings
  return findings.filter(({ beganMs }) => beganMs !== undefined && beganMs >= authTimeMs)
}
