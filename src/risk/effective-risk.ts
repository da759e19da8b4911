import type { RiskFactor } from '../decision/decision.js'
import type { UserPrincipal } from '../identity/principal.js'
import type { RiskSource } from '../segmentation/facts.js'
import { riskBeganMs } from '../session/step-up.js'
import type { Finding } from './finding.js'
import type { RiskPolicy } from './risk-policy.js'
import { beganMs, NO_RISK, type RiskScore } from './score.js'
import { levelOf, type RiskLevel, signalsOf } from './signals.js'

/** What the request's risk is and what it is made of. */
export type EffectiveRisk = {
  /** 0..100. */
  readonly score: number
  readonly factors: readonly RiskFactor[]
  /** By the signals of user and workload. Source: REQUIREMENTS R3. */
  readonly level: RiskLevel
  readonly sources: readonly RiskSource[]
}

const NONE: EffectiveRisk = { score: 0, factors: [], level: 'low', sources: [] }

/**
 * Effective risk: the highest of what was computed about the user and the workload, of what others told of either, and
 * of what the user's token claims itself. A token can raise the risk of its bearer and never lower what others found.
 * Source: REQUIREMENTS R2.
 */
export function effectiveRisk(
  user: UserPrincipal | undefined,
  signals: RiskPolicy['signals'],
  ofUser: RiskScore = NO_RISK,
  ofWorkload: RiskScore = NO_RISK,
  external?: Finding,
): EffectiveRisk {
  const claimed = user?.riskScore ?? 0
  if (!external && claimed === 0 && ofUser.findings.length === 0 && ofWorkload.findings.length === 0)
    return NONE
  const claim: readonly Finding[] =
    user && claimed > 0 ? [{ factor: 'token-claim', points: claimed, beganMs: riskBeganMs(user) }] : []
  const computed = [...ofUser.findings, ...ofWorkload.findings]
  return {
    score: Math.max(claimed, ofUser.score, ofWorkload.score, external?.points ?? 0),
    factors: external ? [...claim, external, ...computed] : [...claim, ...computed],
    level: levelOf(signalsOf(computed, signals), signals),
    sources: [
      { score: claimed, beganMs: beganMs(claim) },
      { score: ofUser.score, beganMs: beganMs(ofUser.findings) },
      { score: ofWorkload.score, beganMs: beganMs(ofWorkload.findings) },
      ...(external ? [{ score: external.points, beganMs: external.beganMs }] : []),
    ],
  }
}
