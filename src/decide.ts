import { conclude, type Draft, NOTHING_FOUND } from './decision/conclude.js'
import type { Decision, Refusal, Steps } from './decision/decision.js'
import { evaluateData, refuseUnclassified } from './data/evaluate-data.js'
import type { DataPolicies } from './data/data-policy.js'
import type { DevicePolicy } from './device/device-policy.js'
import { type DeviceState, deviceState, limitsOf } from './device/device-state.js'
import { evaluateDevice } from './device/evaluate-device.js'
import { cutRoles } from './grants/active-roles.js'
import { liveGrants } from './grants/grant-record.js'
import type { LiveGrant } from './grants/live-grant.js'
import type { Identified } from './identity/identify.js'
import type { Identity, UserPrincipal } from './identity/principal.js'
import type { Asker, ListenerRules } from './request/listener.js'
import type { AccessRequest } from './request/access-request.js'
import { assess, type Assessment } from './risk/assess.js'
import type { Located } from './risk/locate.js'
import { lessonsOf } from './risk/lessons.js'
import type { RiskPolicy } from './risk/risk-policy.js'
import {
  chooseEndpoint,
  evaluateMatrix,
  evaluateProxy,
  hasEdge,
  type MatrixVerdict,
  operationOf,
} from './segmentation/evaluate.js'
import { serviceOfIdentity } from './segmentation/compile.js'
import { type Facts, NO_DEVICE, NO_SESSION } from './segmentation/facts.js'
import type { Endpoint, Matrix, Target } from './segmentation/matrix.js'
import { type AdaptivePolicy, evaluateAdaptive } from './session/adaptive-policy.js'
import { evaluateEndpointStepUp, evaluateSensitiveAge } from './session/step-up.js'
import { narrowed } from './signals/narrow.js'
import { NOTHING_KNOWN, type Recalled } from './state/recall.js'

/** One Check: what is asked, at which door, by which Envoy, when. */
export type Question = {
  readonly request: AccessRequest
  readonly listener: ListenerRules
  readonly asker: Asker
  readonly nowMs: number
}

/** The policy a request is decided on, from its first step to its last. */
export type PolicyInForce = {
  readonly matrix: Matrix
  readonly adaptive: AdaptivePolicy
  readonly risk: RiskPolicy
  readonly device: DevicePolicy
  /** By name. */
  readonly classifications: DataPolicies
  /** Something asks for a grant: an approval, or a role that nobody has for good. */
  readonly usesGrants: boolean
  readonly revision: string
}

/** What was looked up for one call. */
export type Context = {
  readonly known: Recalled | 'unavailable'
  readonly located: Located
  /** Grants that were found used up since they were read. */
  readonly usedUp?: ReadonlySet<string>
}

/** Everybody that a credential proved, also where another one failed. */
export function verifiedOf(identified: Identified): Identity {
  return identified.ok ? identified.identity : (identified.verified ?? NOBODY)
}

const NOBODY: Identity = { workload: undefined, serviceToken: undefined, user: undefined }

/** The part of the way behind identity: pure. */
export function decide(
  question: Question,
  target: Target,
  identified: Identified,
  { known, located, usedUp }: Context,
  policy: PolicyInForce,
  steps?: Steps,
): Decision {
  const { request, nowMs } = question
  const endpoint = chooseEndpoint(target, request)
  const mode = endpoint?.mode ?? target.mode
  const place = {
    target: target.id,
    targetId: target.id === undefined ? target.spiffeId?.text : undefined,
    endpoint: endpoint?.name,
    mode,
    revision: policy.revision,
  }
  const unidentified = identified.ok ? undefined : identified.refusal
  if (unidentified) {
    steps?.push({
      step: 'identity',
      outcome: 'fail',
      detail: `${unidentified.reason}: ${unidentified.message}`,
    })
    if (mode === 'Enforce') {
      const refused = conclude(place, { ...NOTHING_FOUND, refusals: [unidentified] })
      return learning(refused, located, { known, ...NOTHING_LEARNED }, policy, nowMs)
    }
    // Where that lets the call pass, a rule that is enforced by its own mode must still be able to refuse it.
  }
  const remembered = known === 'unavailable' ? NOTHING_KNOWN : known
  const operation = operationOf(endpoint, request)
  const standing = standingOf(identified, remembered, { target, endpoint, operation, usedUp, nowMs }, policy)
  const { identity, device } = standing
  const { workload, user } = identity
  const caller = workload && serviceOfIdentity(policy.matrix, workload.spiffeId)
  const session = limitsOf(policy.adaptive.session, device)
  const assessment =
    known === 'unavailable'
      ? undefined
      : assess(
          {
            request,
            identity,
            // Who was ended or quarantined stays so, whatever else comes with the call.
            verified: verifiedOf(identified),
            endpoint,
            mode,
            path: target.path,
            located,
            device,
            nowMs,
          },
          known,
          policy.risk,
          { ...session, maxAuthAgeMs: policy.adaptive.maxAuthAgeMs },
        )
  const risk = assessment?.risk
  const facts: Facts = {
    request,
    identity,
    caller,
    target,
    endpoint,
    gateway: isOutside(question.listener),
    riskScore: risk?.score,
    riskSources: risk?.sources ?? [],
    riskLevel: risk?.level,
    client: located.client,
    session: assessment?.session ?? NO_SESSION,
    device: device ? factsOf(device) : NO_DEVICE,
    nowMs,
  }
  const matrix = evaluateMatrixFor(standing, policy.matrix, facts, steps)
  const proxy = evaluateProxy(policy.matrix, facts, steps)
  const onDevice = evaluateDevice(
    {
      user,
      endpoint,
      operation,
      targetId: target.id,
      device,
      riskScore: facts.riskScore,
      riskSources: facts.riskSources,
      nowMs,
    },
    policy.device,
    policy.adaptive,
    steps,
  )
  const data = evaluateDataFor(standing, endpoint, facts, operation, policy, steps)
  const adaptive = evaluateAdaptive(policy.adaptive, facts, steps)
  const asserted = evaluateAsserted(standing, policy.adaptive, facts)
  const stepUp = evaluateEndpointStepUp(endpoint, policy.adaptive, facts, steps)
  tellState(known, assessment, steps)
  const decision = conclude(place, {
    refusals: [
      unidentified,
      assessment?.standing,
      matrix.permit ? undefined : matrix.refusal,
      proxy?.refusal,
      known === 'unavailable' ? STATE_UNAVAILABLE : undefined,
      ...onDevice.refusals,
      data.refusal,
      ...(assessment?.verdicts ?? []),
      adaptive.refusal,
      onDevice.stepUp,
      asserted?.refusal,
      stepUp,
      evaluateSensitiveAge(endpoint, policy.adaptive, facts),
    ],
    recorded: matrix.shadowed ?? proxy?.shadowed ?? adaptive.shadowed ?? asserted?.shadowed,
    workload,
    user,
    caller: caller?.id,
    operation,
    rule: matrix.permit ? matrix.rule : undefined,
    ruleSource: matrix.permit ? matrix.ruleSource : undefined,
    risk,
    obligations: onDevice.obligations,
  })
  decision.devicePosture = device?.posture
  decision.deviceTier = device?.tier?.name
  decision.data = data.data
  decision.grants = usedGrants(data.grant, standing.roleGrants)
  decision.grantId = decision.grants[0]?.id
  const lacksEdge =
    decision.outcome === 'deny' && workload !== undefined && !hasEdge(policy.matrix, caller, target)
  return learning(decision, located, { known, assessment, lacksEdge, session }, policy, nowMs)
}

/** Who calls, as far as that counts: what signals narrowed, without roles that no grant makes count. */
type Standing = {
  readonly identity: Identity
  /** With every role that the token asserts; the same object as the identity's where none was cut. */
  readonly whole: UserPrincipal | undefined
  readonly suppressed: readonly string[]
  readonly grants: readonly LiveGrant[]
  /** Those that make roles count. */
  readonly roleGrants: readonly LiveGrant[]
  /** Undefined where no inventory is kept, or there is no user. */
  readonly device: DeviceState | undefined
}

function standingOf(
  identified: Identified,
  known: Recalled,
  {
    target,
    endpoint,
    operation,
    usedUp,
    nowMs,
  }: {
    readonly target: Target
    readonly endpoint: Endpoint | undefined
    readonly operation: Endpoint['operation']
    readonly usedUp: ReadonlySet<string> | undefined
    readonly nowMs: number
  },
  { matrix, device }: PolicyInForce,
): Standing {
  const signed = identified.ok ? identified.identity : NOBODY
  const { user } = signed
  if (!user) return { identity: signed, ...NO_USER }
  const whole = narrowed(user, known)
  const live = liveGrants(known.grants, nowMs)
  const grants = usedUp ? live.filter(({ id }) => !usedUp.has(id)) : live
  const cut = cutRoles(whole, matrix.grantOnlyRoles, grants, target.id, endpoint?.name, operation, nowMs)
  return {
    identity: cut.user === user ? signed : { ...signed, user: cut.user },
    whole,
    suppressed: cut.suppressed,
    grants,
    roleGrants: cut.grants,
    device: device.inventory ? deviceState(known.device, device, nowMs) : undefined,
  }
}

const NO_USER: Omit<Standing, 'identity'> = {
  whole: undefined,
  suppressed: [],
  grants: [],
  roleGrants: [],
  device: undefined,
}

/**
 * The matrix as asked by the roles that count. A role that does not count is none that could open, and neither is its
 * absence: what is asserted and what counts must both be let in. Source: REQUIREMENTS D5.
 */
function evaluateMatrixFor(
  { whole, suppressed }: Standing,
  matrix: Matrix,
  facts: Facts,
  steps: Steps,
): MatrixVerdict {
  const verdict = evaluateMatrix(matrix, facts, steps)
  if (suppressed.length === 0) return verdict
  const asserted = evaluateMatrix(matrix, { ...facts, identity: { ...facts.identity, user: whole } })
  if (!asserted.permit && (verdict.permit || asserted.refusal.reason === 'forbidden')) return asserted
  if (verdict.permit || !asserted.permit) return verdict
  return { ...verdict, refusal: grantRequired(suppressed, facts, steps) }
}

/** Adaptive rules as asked by every role that is asserted, where some don't count: the worse of both holds. */
function evaluateAsserted(
  { whole, suppressed }: Standing,
  policy: AdaptivePolicy,
  facts: Facts,
): ReturnType<typeof evaluateAdaptive> | undefined {
  if (suppressed.length === 0) return undefined
  return evaluateAdaptive(policy, { ...facts, identity: { ...facts.identity, user: whole } })
}

function evaluateDataFor(
  { whole, suppressed, grants, roleGrants }: Standing,
  endpoint: Endpoint | undefined,
  { identity, target, nowMs }: Facts,
  operation: Endpoint['operation'],
  { classifications, adaptive }: PolicyInForce,
  steps: Steps,
): ReturnType<typeof evaluateData> {
  const name = endpoint?.dataPolicy
  const policy = name === undefined ? undefined : classifications.get(name)
  if (name !== undefined && !policy) return refuseUnclassified(name, steps)
  const call = { user: identity.user, operation, target: target.id, endpoint: endpoint?.name, nowMs }
  // Of several grants that would do, the one that is used anyway.
  const offered = roleGrants.length === 0 ? grants : [...roleGrants, ...grants]
  const verdict = evaluateData(policy, call, offered, adaptive, steps)
  if (suppressed.length === 0 || verdict.refusal?.reason !== 'data-policy') return verdict
  const asserted = evaluateData(policy, { ...call, user: whole }, offered, adaptive)
  if (asserted.refusal?.reason === 'data-policy') return verdict
  return { ...verdict, refusal: grantRequired(suppressed, { target }, steps) }
}

function factsOf({ managed, tier, posture, beganMs }: DeviceState): Facts['device'] {
  return { managed, tier: tier?.name, risk: posture, beganMs }
}

function usedGrants(approval: LiveGrant | undefined, ofRoles: readonly LiveGrant[]): readonly LiveGrant[] {
  if (!approval) return ofRoles
  return ofRoles.includes(approval) ? ofRoles : [approval, ...ofRoles]
}

function grantRequired(
  suppressed: readonly string[],
  { target }: Pick<Facts, 'target'>,
  steps: Steps,
): Refusal {
  const [roles, verb] = [suppressed.join(', '), suppressed.length === 1 ? 'counts' : 'count']
  const message = `${roles} ${verb} only with a live grant of it on ${target.id ?? 'the target'}`
  steps?.push({ step: 'roles', outcome: 'fail', detail: message })
  return { reason: 'grant-required', message }
}

const STATE_UNAVAILABLE: Refusal = {
  reason: 'state-unavailable',
  message: 'what is known of the caller can not be told now, since the store is away',
}

type Learned = {
  readonly known: Recalled | 'unavailable'
  readonly assessment: Assessment | undefined
  /** The calling workload names the target nowhere. */
  readonly lacksEdge: boolean
  /** Of the caller's class of devices. */
  readonly session: PolicyInForce['adaptive']['session'] | undefined
}

const NOTHING_LEARNED = { assessment: undefined, lacksEdge: false, session: undefined } as const

/** Adds what a decision teaches, and whether it was made from copies that nobody could confirm. */
function learning(
  decision: Draft,
  { client }: Located,
  { known, assessment, lacksEdge, session }: Learned,
  { risk, adaptive }: PolicyInForce,
  nowMs: number,
): Decision {
  decision.clientIp = client.ip
  if (known === 'unavailable') return decision
  decision.state = known.standing === 'last-known' ? 'last-known' : undefined
  const limits = session ?? adaptive.session
  decision.lessons = lessonsOf(decision, known, { assessment, lacksEdge }, risk, limits, nowMs)
  decision.subjects = known.keys
  return decision
}

function tellState(known: Recalled | 'unavailable', assessment: Assessment | undefined, steps: Steps): void {
  if (!steps || !assessment || known === 'unavailable') return
  const { standing, verdicts, risk } = assessment
  if (standing) steps.push({ step: 'state', outcome: 'fail', detail: standing.message })
  if (!risk) return
  const factors = risk.factors.map(({ factor, points }) => `${factor} ${points}`).join(', ')
  const detail = `${risk.score} of 100${factors === '' ? '' : ` (${factors})`}`
  steps.push({ step: 'risk', outcome: verdicts.some(Boolean) ? 'fail' : 'pass', detail })
}

/** The outside's hop: nobody there has a workload. Source: FORMATS 1, rule 7. */
function isOutside({ role, peerIdentity }: ListenerRules): boolean {
  return role === 'Gateway' && peerIdentity === 'None'
}
