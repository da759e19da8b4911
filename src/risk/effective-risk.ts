import type { RiskFactor } from '../decision/decision.js'
import type { UserPrincipal } from '../identity/principal.js'

/** What the request's risk is and what it is made of. */
export type EffectiveRisk = { readonly score: number; readonly factors: readonly RiskFactor[] }

const NONE: EffectiveRisk = { score: 0, factors: [] }

/**
 * Effective risk, 0..100: the highest of what is known about the caller. Known today is the user
 * token's own `risk_score`; a token can raise the risk of its bearer and never lower what others found.
 */
export function effectiveRisk(user: UserPrincipal | undefined): EffectiveRisk {
  const claimed = user?.riskScore
  if (claimed === undefined || claimed === 0) return NONE
  return { score: claimed, factors: [{ factor: 'token-claim', points: claimed }] }
}
