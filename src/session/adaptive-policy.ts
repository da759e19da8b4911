import type { Refusal, RuleSource, Steps } from '../decision/decision.js'
import type { Mode } from '../decision/mode.js'
import { compiledService } from '../segmentation/compiled.js'
import type { Facts } from '../segmentation/facts.js'
import { matchRequest, type To } from '../segmentation/to.js'
import type { CompiledConditions } from '../segmentation/when/condition.js'
import type { EFFECTS } from './adaptive-schema.js'
import type { SessionLimits } from './session-limits.js'
import { type AuthenticationLimits, challenge, isStepUpMet, riskBegan } from './step-up.js'

export type CompiledRule = {
  readonly name: string
  readonly source: RuleSource
  readonly to: readonly To[] | undefined
  readonly when: CompiledConditions
  readonly effect: (typeof EFFECTS)[number]
  readonly factor: string
  readonly mode: Mode | undefined
  /** A condition on the user, the session or the device: of them the rule says nothing without a user. */
  readonly ofUser: boolean
  /** A condition on the device, which has been as it is since some time. */
  readonly ofDevice: boolean
  /** A condition on risk, which nobody evaluates for a target in Observe. */
  readonly ofRisk: boolean
  /** A source of risk that scores more than this can be what the rule is about. */
  readonly riskAbove: number
  /** A condition on the client's country: of an address that is nobody's in public the rule says nothing. */
  readonly ofCountry: boolean
}

export type AdaptivePolicy = AuthenticationLimits & {
  readonly session: SessionLimits
  readonly rules: readonly CompiledRule[]
  /** Built-in rules that nothing feeds in this configuration, and why; to be said once at start. */
  readonly inert: readonly string[]
}

/** What the adaptive rules make of a call. Undefined twice: nothing. */
export type AdaptiveVerdict = {
  /** The most severe finding of the rules that apply in the target's mode or are enforced by their own. */
  readonly refusal: Refusal | undefined
  /** The most severe finding of the rules that are themselves in Shadow or Observe: to be recorded alone. */
  readonly shadowed: Refusal | undefined
}

/**
 * Evaluates all rules; the most severe finding wins. A condition that can't be evaluated makes a Deny or a
 * StepUp match. A step-up asks a user; a call without one is denied in its place.
 */
export function evaluateAdaptive(policy: AdaptivePolicy, facts: Facts, steps?: Steps): AdaptiveVerdict {
  const targetMode = modeOf(facts)
  let refusal: Refusal | undefined
  let shadowed: Refusal | undefined
  for (const rule of policy.rules) {
    if (!matches(rule, facts)) continue
    const found = findingOf(rule, facts, policy)
    steps?.push({
      step: 'adaptive',
      outcome: found ? 'fail' : 'pass',
      detail:
        found?.message ?? `adaptive rule ${rule.name} matches: ${rule.effect === 'Allow' ? 'allow' : 'met'}`,
    })
    if (!found) continue
    if (rule.mode === undefined || rule.mode === 'Enforce') {
      if (outweighs(found, refusal, targetMode)) refusal = found
    } else if (outweighs(found, shadowed, targetMode)) shadowed = found
  }
  return { refusal, shadowed }
}

function matches(rule: CompiledRule, facts: Facts): boolean {
  const unknown = rule.effect !== 'Allow'
  if (rule.to && !rule.to.some((to) => isMeant(to, facts, unknown))) return false
  return rule.when(facts) ?? (unknown && !isSilent(rule, facts))
}

/** Of which keys adaptive rules say nothing for a call: a condition on one can't be evaluated, on its presence neither. */
export function saysNothing(key: string, facts: Facts): boolean {
  return isSilent(aboutOf([key]), facts)
}

/**
 * Whether a call lacks what such conditions are about and nobody can hold it against the caller: only what holds without
 * it counts then, as the other side of an `||` does.
 */
function isSilent({ ofUser, ofRisk, ofCountry }: About, facts: Facts): boolean {
  return (
    (ofUser && !facts.identity.user) ||
    (ofRisk && facts.riskScore === undefined && modeOf(facts) === 'Observe') ||
    (ofCountry && !facts.client.isPublic)
  )
}

type About = Pick<CompiledRule, 'ofUser' | 'ofRisk' | 'ofCountry'>

/** What conditions on these keys are about. */
export function aboutOf(keys: readonly string[]): About {
  return {
    ofUser: keys.some((key) => /^(?:user|session|device|request\.auth)\./.test(key)),
    ofRisk: keys.some((key) => key.startsWith('risk.')),
    ofCountry: keys.includes('client.country'),
  }
}

const modeOf = ({ endpoint, target }: Facts): Mode => endpoint?.mode ?? target.mode

function isMeant({ concerns, request }: To, facts: Facts, unknown: boolean): boolean {
  return (concerns(compiledService(facts.target.service)) ?? unknown) && matchRequest(request, facts)
}

function findingOf(rule: CompiledRule, facts: Facts, limits: AuthenticationLimits): Refusal | undefined {
  if (rule.effect === 'Allow') return undefined
  const at = { rule: rule.name, ruleSource: rule.source, mode: rule.mode }
  if (rule.effect === 'Deny') {
    return { reason: 'adaptive-deny', message: `adaptive rule ${rule.name} denies`, ...at }
  }
  const message = `adaptive rule ${rule.name} asks for ${rule.factor}`
  const { user } = facts.identity
  if (!user) {
    const reason = rule.ofRisk ? 'risk-too-high' : 'user-required'
    return { reason, message: `${message}, and there is no user to give it`, ...at }
  }
  const beganMs = conditionBegan(rule, facts)
  const { maxAuthAgeMs } = limits
  if (isStepUpMet(user, rule.factor, beganMs, maxAuthAgeMs, facts.nowMs)) return undefined
  const stepUp = challenge(rule.factor, maxAuthAgeMs, beganMs, facts.nowMs)
  return { reason: 'step-up-required', message, stepUp, ...at }
}

/** When the newest of what the rule is about began; undefined where nothing of it has a beginning. */
function conditionBegan(
  { ofRisk, ofDevice, riskAbove }: CompiledRule,
  { riskSources, device }: Facts,
): number | undefined {
  const ofRiskMs = ofRisk ? riskBegan(riskSources, riskAbove) : undefined
  const ofDeviceMs = ofDevice ? device.beganMs : undefined
  return ofRiskMs !== undefined && ofDeviceMs !== undefined
    ? Math.max(ofRiskMs, ofDeviceMs)
    : (ofRiskMs ?? ofDeviceMs)
}

/** What is enforced outweighs what is not, a denial outweighs a challenge; among equals the first stays. */
function outweighs(found: Refusal, worst: Refusal | undefined, targetMode: Mode): boolean {
  if (!worst) return true
  const enforced = ({ mode }: Refusal) => (mode ?? targetMode) === 'Enforce'
  if (enforced(found) !== enforced(worst)) return enforced(found)
  return !found.stepUp && worst.stepUp !== undefined
}
