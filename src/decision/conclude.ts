import type { EffectiveRisk } from '../risk/effective-risk.js'
import type { Decision, Refusal } from './decision.js'
import type { Mode } from './mode.js'
import { REFUSED_IN_EVERY_MODE } from './reason.js'

/** Where a decision applies. */
export type DecisionPlace = Pick<Decision, 'target' | 'targetId' | 'endpoint' | 'mode' | 'revision'>

/** Every member is always there: objects of one shape keep the request's way fast. */
export type Findings = Pick<
  Required<Decision>,
  'workload' | 'user' | 'caller' | 'operation' | 'rule' | 'ruleSource' | 'obligations'
> & {
  /** In the order of the steps. */
  readonly refusals: readonly (Refusal | undefined)[]
  /** A refusal by a rule that is itself in Shadow or Observe: recorded, never applied. */
  readonly recorded: Refusal | undefined
  readonly risk: EffectiveRisk | undefined
}

export const NOTHING_FOUND: Omit<Findings, 'refusals'> = {
  recorded: undefined,
  workload: undefined,
  user: undefined,
  caller: undefined,
  operation: undefined,
  rule: undefined,
  ruleSource: undefined,
  risk: undefined,
  obligations: [],
}

/** A decision that is not handed out yet. Every member is always there, as in Findings. */
export type Draft = { -readonly [Member in keyof Decision]: Decision[Member] }

/** Applies the mode: what Enforce refuses, Shadow and Observe let pass and record. Source: FORMATS 1, rule 9. */
export function conclude(place: DecisionPlace, findings: Findings): Draft {
  const enforced = mostSevere(findings.refusals, (refusal) => isEnforced(refusal, place.mode))
  const unenforced = enforced ? undefined : (mostSevere(findings.refusals, () => true) ?? findings.recorded)
  const decisive = enforced ?? unenforced
  return {
    outcome: enforced ? outcomeOf(enforced) : 'allow',
    reason: enforced ? enforced.reason : 'allowed',
    message: enforced ? enforced.message : '',
    mode: enforced?.mode ?? place.mode,
    wouldBe: unenforced && {
      outcome: outcomeOf(unenforced),
      reason: unenforced.reason,
      message: unenforced.message,
    },
    workload: findings.workload,
    user: findings.user,
    caller: findings.caller,
    target: place.target,
    targetId: place.targetId,
    endpoint: place.endpoint,
    operation: findings.operation,
    rule: decisive ? decisive.rule : findings.rule,
    ruleSource: decisive ? decisive.ruleSource : findings.ruleSource,
    riskScore: findings.risk?.score,
    riskFactors: findings.risk?.factors,
    clientIp: undefined,
    devicePosture: undefined,
    deviceTier: undefined,
    grantId: undefined,
    grants: undefined,
    data: undefined,
    state: undefined,
    lessons: undefined,
    subjects: undefined,
    obligations: findings.obligations,
    stepUp: enforced?.stepUp,
    scopes: enforced?.scopes,
    dpop: enforced?.dpop,
    blameless: enforced?.blameless,
    revision: place.revision,
  }
}

/** A forbid's or an adaptive rule's own mode is narrower than the target's. */
function isEnforced(refusal: Refusal, mode: Mode): boolean {
  return (refusal.mode ?? mode) === 'Enforce' || REFUSED_IN_EVERY_MODE.has(refusal.reason)
}

/** Refusals that no step-up cures win over those that one does; else the earlier step wins. */
function mostSevere(
  refusals: readonly (Refusal | undefined)[],
  counts: (refusal: Refusal) => boolean,
): Refusal | undefined {
  let worst: Refusal | undefined
  for (const refusal of refusals) {
    if (refusal && counts(refusal) && (!worst || (worst.stepUp && !refusal.stepUp))) worst = refusal
  }
  return worst
}

function outcomeOf(refusal: Refusal): 'deny' | 'challenge' {
  return refusal.stepUp ? 'challenge' : 'deny'
}
