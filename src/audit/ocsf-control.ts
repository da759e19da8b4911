import { HTTP_STATUS_OF_REASON } from '../decision/reason.js'
import { type EventFields, numberOf, textOf } from './event-fields.js'
import type { Part } from './ocsf-parties.js'

/** Fields of an event that `controlOf` tells. */
export const CONTROL_FIELDS = ['rule', 'ruleSource', 'policyRevision', 'riskScore', 'riskFactors'] as const

const ACTION = { Allowed: 1, Denied: 2, Observed: 3 } as const
const DISPOSITION = {
  Allowed: 1,
  Blocked: 2,
  Logged: 17,
  Challenge: 23,
  Unauthorized: 26,
  Error: 27,
} as const

/** What the security_control profile says of a decision. Source: SPECS 6. */
export function controlOf(event: EventFields): Part {
  const policy = policyOf(event)
  const score = numberOf(event, 'riskScore')
  const { action_id, disposition_id } = actionOf(event)
  return {
    action_id,
    disposition_id,
    policy,
    authorizations: [{ decision: textOf(event, 'decision'), policy }],
    risk_score: score,
    risk_level_id: score === undefined ? undefined : riskLevelOf(score),
    risk_details: riskDetails(event.riskFactors),
    is_alert: false,
  }
}

/** Observed: the mode let the call pass whatever was found. What is refused in every mode is denied. */
function actionOf(event: EventFields): { action_id: number; disposition_id: number } {
  const { decision, mode, errorCode, wouldBeDecision } = event
  if (decision === 'challenge') return { action_id: ACTION.Denied, disposition_id: DISPOSITION.Challenge }
  if (decision !== 'allow') {
    const status = statusOf(textOf(event, 'decisionReason'))
    const refused = status === 401 ? DISPOSITION.Unauthorized : DISPOSITION.Blocked
    const isOwnFailure = errorCode !== undefined || status === 503
    return { action_id: ACTION.Denied, disposition_id: isOwnFailure ? DISPOSITION.Error : refused }
  }
  return wouldBeDecision !== undefined || (mode !== 'Enforce' && mode !== undefined)
    ? { action_id: ACTION.Observed, disposition_id: DISPOSITION.Logged }
    : { action_id: ACTION.Allowed, disposition_id: DISPOSITION.Allowed }
}

const STATUSES: ReadonlyMap<string, number> = new Map(Object.entries(HTTP_STATUS_OF_REASON))

function statusOf(reason: string | undefined): number | undefined {
  return reason === undefined ? undefined : STATUSES.get(reason)
}

/** The rule that decided, else the policy as a whole; undefined before one was loaded. */
function policyOf(event: EventFields): Part | undefined {
  const [name, source] = [textOf(event, 'rule'), textOf(event, 'ruleSource')]
  const revision = textOf(event, 'policyRevision')
  const uid = source ?? (name === undefined ? revision : undefined)
  if (name === undefined && uid === undefined) return undefined
  return { name, uid, version: revision }
}

/** 0 Info, 1 Low, 2 Medium, 3 High, 4 Critical, by even parts of the scale of 0 to 100. */
function riskLevelOf(score: number): number {
  if (score <= 0) return 0
  return Math.min(4, 1 + Math.floor(score / 25))
}

/** For example `new-device 20, unusual-time 10`. */
function riskDetails(factors: unknown): string | undefined {
  if (!Array.isArray(factors) || factors.length === 0) return undefined
  return factors
    .flatMap((each: unknown) => {
      if (typeof each !== 'object' || each === null || !('factor' in each)) return []
      const points = 'points' in each && typeof each.points === 'number' ? ` ${each.points}` : ''
      return [`${String(each.factor)}${points}`]
    })
    .join(', ')
}
