import type { Refusal, StepUp, Steps } from '../decision/decision.js'
import type { UserPrincipal } from '../identity/principal.js'
import type { Facts, RiskSource } from '../segmentation/facts.js'
import type { Endpoint } from '../segmentation/matrix.js'

/** An `auth_time` later than now by more than this is not believed. */
const CLOCK_SKEW_MS = 60_000

/** From the user's authentication to the token that is issued for it. */
const ISSUING_MS = 60_000

/** From this effective risk on, an endpoint with `mfa: RiskBased` asks for it. Source: REQUIREMENTS R4. */
const RISK_OF_MFA = 50

/** What the policy says about how fresh an authentication must be. */
export type AuthenticationLimits = {
  readonly maxAuthAgeMs: number
  /** Targets of this sensitivity and above ask users for an authentication within it; undefined: none does. */
  readonly maxAuthAgeFrom: Endpoint['sensitivity'] | undefined
}

const SENSITIVITIES: readonly Endpoint['sensitivity'][] = ['Low', 'Medium', 'High']

/** The token's `acr` or `amr` names the factor; for `mfa`, `mfa_verified` says so as well. */
export function showsFactor(user: UserPrincipal, factor: string): boolean {
  return user.acr === factor || user.amr.includes(factor) || (factor === 'mfa' && user.mfaVerified)
}

/** Whether the user authenticated within `maxAuthAgeMs` before now. A token that doesn't say when did not. */
export function isFresh(user: UserPrincipal, maxAuthAgeMs: number, nowMs: number): boolean {
  if (user.authTimeMs === undefined) return false
  const ageMs = nowMs - user.authTimeMs
  return ageMs >= -CLOCK_SKEW_MS && ageMs <= maxAuthAgeMs
}

/**
 * Whether the token answers a challenge: it shows the factor, and its authentication is recent and later than
 * the beginning of the condition that asks for it. Absent claims don't meet it. Source: FORMATS 1.
 *
 * `conditionBeganMs` is undefined where the condition is not one of time, as for a path; then `maxAuthAgeMs` alone
 * bounds the authentication.
 */
export function isStepUpMet(
  user: UserPrincipal,
  factor: string,
  conditionBeganMs: number | undefined,
  maxAuthAgeMs: number,
  nowMs: number,
): boolean {
  if (!showsFactor(user, factor) || !isFresh(user, maxAuthAgeMs, nowMs)) return false
  return conditionBeganMs === undefined || (user.authTimeMs ?? -Infinity) > conditionBeganMs
}

/**
 * When the risk that a token itself claims began, in milliseconds since the epoch. Its issuer knew it when it signed
 * and not later, so only the authentication that the token was issued for can answer it: an older one is older than
 * the risk may be. Infinite where the token does not say when it was issued. Undefined without a claim.
 */
export function riskBeganMs(user: UserPrincipal): number | undefined {
  if (user.riskScore === undefined) return undefined
  const issuedAt = user.claims['iat']
  return typeof issuedAt === 'number' ? issuedAt * 1000 - ISSUING_MS : Infinity
}

/** When the newest of what scores above a bound began, milliseconds since the epoch. */
export function riskBegan(sources: readonly RiskSource[], above: number): number | undefined {
  let latest: number | undefined
  for (const { score, beganMs } of sources) {
    if (score > above && beganMs !== undefined) latest = Math.max(latest ?? beganMs, beganMs)
  }
  return latest
}

/**
 * Whether a sensitive target asks its user for a recent authentication, and has none. Only users are asked: whether there
 * must be one is the endpoint's `require`. Source: REQUIREMENTS D6, FORMATS 1 `session.maxAuthAgeFrom`.
 */
export function evaluateSensitiveAge(
  endpoint: Endpoint | undefined,
  limits: AuthenticationLimits,
  { identity: { user }, nowMs }: Facts,
): Refusal | undefined {
  const { maxAuthAgeFrom, maxAuthAgeMs } = limits
  if (!endpoint || !user || maxAuthAgeFrom === undefined) return undefined
  if (SENSITIVITIES.indexOf(endpoint.sensitivity) < SENSITIVITIES.indexOf(maxAuthAgeFrom)) return undefined
  if (isFresh(user, maxAuthAgeMs, nowMs)) return undefined
  const message = `a target of sensitivity ${endpoint.sensitivity} asks for ${wording(false, maxAuthAgeMs)}`
  return { reason: 'step-up-required', message, stepUp: challenge('mfa', maxAuthAgeMs) }
}

/**
 * How the user is told to meet it. `conditionBeganMs`: an authentication before then does not, so an identity provider
 * that still has a recent one must be asked for a newer.
 */
export function challenge(
  factor: string,
  maxAuthAgeMs: number,
  conditionBeganMs?: number,
  nowMs = 0,
): StepUp {
  const ageMs = conditionBeganMs === undefined ? Infinity : Math.max(0, nowMs - conditionBeganMs)
  return { factor, maxAgeSeconds: Math.floor(Math.min(maxAuthAgeMs, ageMs) / 1000) }
}

/**
 * What the endpoint itself asks of the user's authentication: `mfa: Required` (shown at any time, unless there is a
 * `maxAuthAge`), `mfa: RiskBased` (above a risk of 50, and then by an authentication after it began and within
 * `maxAuthAge`) and `maxAuthAge`. All imply a user. Unknown risk counts as high for `mfa: RiskBased`, but in Observe,
 * where nobody evaluates it.
 */
export function evaluateEndpointStepUp(
  endpoint: Endpoint | undefined,
  limits: AuthenticationLimits,
  { identity: { user }, riskScore, riskSources, nowMs }: Facts,
  steps?: Steps,
): Refusal | undefined {
  if (!endpoint) return undefined
  const { maxAuthAgeMs } = endpoint
  const risky = riskScore === undefined ? endpoint.mode !== 'Observe' : riskScore > RISK_OF_MFA
  const needsMfa = endpoint.mfa === 'Required' || (endpoint.mfa === 'RiskBased' && risky)
  if (!needsMfa && endpoint.mfa !== 'RiskBased' && maxAuthAgeMs === undefined) return undefined
  const at = { rule: endpoint.name, ruleSource: endpoint.source }
  const asked = `endpoint ${endpoint.name} asks for ${wording(needsMfa, maxAuthAgeMs)}`
  if (!user) {
    steps?.push({ step: 'step-up', outcome: 'fail', detail: `${asked}, and there is no user` })
    return { reason: 'user-required', message: `${asked}, which only a user can give`, ...at }
  }
  const isRiskBased = needsMfa && endpoint.mfa === 'RiskBased'
  const beganMs = isRiskBased ? riskBegan(riskSources, RISK_OF_MFA) : undefined
  const ageMs = maxAuthAgeMs ?? limits.maxAuthAgeMs
  const met = isRiskBased
    ? isStepUpMet(user, 'mfa', beganMs, ageMs, nowMs)
    : (!needsMfa || showsFactor(user, 'mfa')) &&
      (maxAuthAgeMs === undefined || isFresh(user, maxAuthAgeMs, nowMs))
  steps?.push({ step: 'step-up', outcome: met ? 'pass' : 'fail', detail: asked })
  if (met) return undefined
  return {
    reason: 'step-up-required',
    message: asked,
    stepUp: challenge('mfa', ageMs, beganMs, nowMs),
    ...at,
  }
}

function wording(needsMfa: boolean, maxAuthAgeMs: number | undefined): string {
  const age =
    maxAuthAgeMs === undefined ? '' : `an authentication in the last ${Math.floor(maxAuthAgeMs / 1000)} s`
  if (!needsMfa) return age || 'a user'
  return age === '' ? 'multi-factor authentication' : `multi-factor authentication and ${age}`
}
