import type { DataAudit, Refusal, Steps } from '../decision/decision.js'
import { coveringGrant, type LiveGrant } from '../grants/live-grant.js'
import type { UserPrincipal } from '../identity/principal.js'
import type { Endpoint } from '../segmentation/matrix.js'
import { type AuthenticationLimits, challenge, showsFactor } from '../session/step-up.js'
import type { AccessRule, DataPolicy } from './data-policy.js'

/** The part of a call that its data are asked about. */
export type DataCall = {
  /** With the roles that count. */
  readonly user: UserPrincipal | undefined
  /** Undefined: nobody can tell, which counts as Write. */
  readonly operation: Endpoint['operation'] | undefined
  /** `namespace/name`. */
  readonly target: string | undefined
  readonly endpoint: string | undefined
  readonly nowMs: number
}

export type DataVerdict = {
  readonly refusal: Refusal | undefined
  /** The grant that approves the call. A use of it only if the call passes in the end. */
  readonly grant: LiveGrant | undefined
  readonly data: DataAudit | undefined
}

/** For an endpoint whose DataPolicy is not there yet: who may have its data is not known. */
export function refuseUnclassified(name: string, steps?: Steps): DataVerdict {
  const message = `there is no DataPolicy ${name}, which the endpoint names`
  steps?.push({ step: 'data', outcome: 'fail', detail: message })
  return { refusal: { reason: 'data-policy', message }, grant: undefined, data: undefined }
}

const NO_DATA: DataVerdict = { refusal: undefined, grant: undefined, data: undefined }

/**
 * Asks the DataPolicy of the call's endpoint. Among the access rules of the user's roles for the operation, the one
 * that needs least decides: none beside the role, then a grant, then a step-up that would be enough, then an approval.
 * `grants` are the user's live ones; of several that fit the first counts, so those in use anyway belong in front.
 */
export function evaluateData(
  policy: DataPolicy | undefined,
  call: DataCall,
  grants: readonly LiveGrant[],
  limits: AuthenticationLimits,
  steps?: Steps,
): DataVerdict {
  if (!policy) return NO_DATA
  const { audit } = policy
  if (!policy.hasAccessRules) return { refusal: undefined, grant: undefined, data: audit }
  const verdict = evaluateAccess(policy, call, grants, limits)
  steps?.push(
    verdict.refusal
      ? { step: 'data', outcome: 'fail', detail: verdict.refusal.message }
      : { step: 'data', outcome: 'pass', detail: passed(policy, verdict.grant) },
  )
  return { ...verdict, data: audit }
}

type AccessVerdict = Pick<DataVerdict, 'refusal' | 'grant'>

function evaluateAccess(
  policy: DataPolicy,
  call: DataCall,
  grants: readonly LiveGrant[],
  limits: AuthenticationLimits,
): AccessVerdict {
  const { user } = call
  const operation = call.operation ?? 'Write'
  const ofPolicy = { rule: policy.name, ruleSource: policy.source }
  if (!user) {
    const message = `the DataPolicy ${policy.name} asks for a user`
    return { refusal: { reason: 'user-required', message, ...ofPolicy }, grant: undefined }
  }
  const rules = policy.access.filter(
    ({ role, operations }) => user.roles.includes(role) && operations.includes(operation),
  )
  const [first] = rules
  if (!first) {
    const message = `the DataPolicy ${policy.name} lets none of the user's roles ${operation}`
    return { refusal: { reason: 'data-policy', message, ...ofPolicy }, grant: undefined }
  }
  const hasMfa = showsFactor(user, 'mfa')
  if (rules.some(({ needsApproval, needsMfa }) => !needsApproval && (hasMfa || !needsMfa))) {
    return { refusal: undefined, grant: undefined }
  }
  const grant = coveringGrant(grants, call.target, call.endpoint, operation, call.nowMs)
  if (grant && rules.some(({ needsMfa }) => hasMfa || !needsMfa)) return { refusal: undefined, grant }
  const lacksMfa =
    rules.find(({ needsApproval }) => !needsApproval) ?? (grant && rules.find(({ needsMfa }) => needsMfa))
  if (lacksMfa) {
    const message = `${subjectOf(policy, lacksMfa, operation)} with multi-factor authentication`
    const stepUp = challenge('mfa', limits.maxAuthAgeMs)
    return {
      refusal: { reason: 'step-up-required', message, stepUp, ...placeOf(lacksMfa) },
      grant: lacksMfa.needsApproval ? grant : undefined,
    }
  }
  const message =
    `${subjectOf(policy, first, operation)} with an approval: a live grant to the user of ${operation} ` +
    `on ${call.target ?? 'the service'}${call.endpoint === undefined ? '' : `, endpoint ${call.endpoint}`}`
  return { refusal: { reason: 'approval-required', message, ...placeOf(first) }, grant: undefined }
}

function subjectOf(policy: DataPolicy, { role }: AccessRule, operation: string): string {
  return `the DataPolicy ${policy.name} lets the role ${role} ${operation} only`
}

function placeOf({ role, source }: AccessRule): Pick<Refusal, 'rule' | 'ruleSource'> {
  return { rule: role, ruleSource: source }
}

function passed({ name }: DataPolicy, grant: LiveGrant | undefined): string {
  return grant
    ? `the DataPolicy ${name} is met, approved by the grant ${grant.id}`
    : `the DataPolicy ${name} is met`
}
