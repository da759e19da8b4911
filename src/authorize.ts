import { conclude, type Draft, NOTHING_FOUND } from './decision/conclude.js'
import type { Decision, Refusal, Steps } from './decision/decision.js'
import { evaluateDevice } from './device/device-trust.js'
import { andThen, type Eventually } from './identity/eventually.js'
import type { Identified } from './identity/identify.js'
import type { Identity } from './identity/principal.js'
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
  operationOf,
} from './segmentation/evaluate.js'
import { serviceOfIdentity } from './segmentation/compile.js'
import { type Client, type Facts, NO_SESSION } from './segmentation/facts.js'
import type { Matrix, Target } from './segmentation/matrix.js'
import { resolveTarget } from './segmentation/target.js'
import { type AdaptivePolicy, evaluateAdaptive } from './session/adaptive-policy.js'
import { evaluateEndpointStepUp, evaluateSensitiveAge } from './session/step-up.js'
import { NOTHING_KNOWN, type Recalled } from './state/recall.js'
import { addressKey, type SubjectKeys, userKeys, workloadKey } from './state/subjects.js'

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
  readonly revision: string
}

/** Verifies every credential of a request for its target. */
export type Identify = (question: Question, target: Target, matrix: Matrix) => Eventually<Identified>

/** What the way looks up outside of itself. */
export type Lookups = {
  readonly identify: Identify
  /** Everything known of a call's subjects; `unavailable` where the store can't tell. */
  readonly recall: (keys: SubjectKeys, nowMs: number) => Eventually<Recalled | 'unavailable'>
  readonly locate: (question: Question, identity: Identity) => Located
}

/**
 * The request's way: which target, who, may it, from which device, in which state, at which risk, one verdict.
 * Answers at once when every credential was verified and every subject was seen before; never throws for bad input.
 */
export function authorize(
  question: Question,
  policy: PolicyInForce,
  { identify, recall, locate }: Lookups,
  steps?: Steps,
): Eventually<Decision> {
  const found = resolveTarget(policy.matrix, question.request, question.listener, question.asker)
  if (!found.ok) {
    steps?.push({ step: 'target', outcome: 'fail', detail: found.refusal.message })
    const { revision, matrix } = policy
    const place = { target: undefined, endpoint: undefined, mode: matrix.defaults.mode, revision }
    return conclude(place, { ...NOTHING_FOUND, refusals: [found.refusal] })
  }
  const target = found.target
  steps?.push({
    step: 'target',
    outcome: 'pass',
    detail: `${target.id ?? 'a service that no document names'}, mode ${target.mode}`,
  })
  return andThen(identify(question, target, policy.matrix), (identified) => {
    const verified = verifiedOf(identified)
    const located = locate(question, verified)
    const keys = subjectsOf(question, verified, located.client)
    // Of somebody whom no credential proved, nothing is looked up: nobody makes the store work by coming or failing.
    const nobody = keys.user === undefined && keys.workload === undefined
    return andThen(nobody ? { ...NOTHING_KNOWN, keys } : recall(keys, question.nowMs), (known) =>
      decide(question, target, identified, { known, located }, policy, steps),
    )
  })
}

/** What a call's subjects are called. The address is one of them where strangers come from. */
function subjectsOf({ listener }: Question, { user, workload }: Identity, client: Client): SubjectKeys {
  const ofUser = user && userKeys(user)
  const strangers = listener.role === 'Gateway' || (!user && !workload)
  return {
    user: ofUser?.user,
    session: ofUser?.session,
    workload: workload && workloadKey(workload),
    proxy: workload?.via && workloadKey(workload.via),
    address: strangers && client.ip !== undefined ? addressKey(client.ip) : undefined,
  }
}

/** Everybody that a credential proved, also where another one failed. */
function verifiedOf(identified: Identified): Identity {
  return identified.ok ? identified.identity : (identified.verified ?? NOBODY)
}

/** What was looked up for one call. */
export type Context = { readonly known: Recalled | 'unavailable'; readonly located: Located }

/** The part of the way behind identity. `check` enters here with principals that nobody had to verify. */
export function decide(
  question: Question,
  target: Target,
  identified: Identified,
  { known, located }: Context,
  policy: PolicyInForce,
  steps?: Steps,
): Decision {
  const { request, nowMs } = question
  const endpoint = chooseEndpoint(target, request)
  const mode = endpoint?.mode ?? target.mode
  const place = { target: target.id, endpoint: endpoint?.name, mode, revision: policy.revision }
  const unidentified = identified.ok ? undefined : identified.refusal
  if (unidentified) {
    steps?.push({
      step: 'identity',
      outcome: 'fail',
      detail: `${unidentified.reason}: ${unidentified.message}`,
    })
    if (mode === 'Enforce') {
      const refused = conclude(place, { ...NOTHING_FOUND, refusals: [unidentified] })
      return learning(refused, located, { known, assessment: undefined, lacksEdge: false }, policy, nowMs)
    }
    // Where that lets the call pass, a rule that is enforced by its own mode must still be able to refuse it.
  }
  const identity = identified.ok ? identified.identity : NOBODY
  const { workload, user } = identity
  const caller = workload && serviceOfIdentity(policy.matrix, workload.spiffeId)
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
            nowMs,
          },
          known,
          policy.risk,
          { ...policy.adaptive.session, maxAuthAgeMs: policy.adaptive.maxAuthAgeMs },
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
    nowMs,
  }
  const operation = operationOf(endpoint, request)
  const matrix = evaluateMatrix(policy.matrix, facts, steps)
  const proxy = evaluateProxy(policy.matrix, facts, steps)
  const device = evaluateDevice(user, operation)
  if (device.refusal) steps?.push({ step: 'device', outcome: 'fail', detail: device.refusal.message })
  const adaptive = evaluateAdaptive(policy.adaptive, facts, steps)
  const stepUp = evaluateEndpointStepUp(endpoint, policy.adaptive, facts, steps)
  tellState(known, assessment, steps)
  const decision = conclude(place, {
    refusals: [
      unidentified,
      assessment?.standing,
      matrix.permit ? undefined : matrix.refusal,
      proxy?.refusal,
      known === 'unavailable' ? STATE_UNAVAILABLE : undefined,
      device.refusal,
      ...(assessment?.verdicts ?? []),
      adaptive.refusal,
      stepUp,
      evaluateSensitiveAge(endpoint, policy.adaptive, facts),
    ],
    recorded: matrix.shadowed ?? proxy?.shadowed ?? adaptive.shadowed,
    workload,
    user,
    caller: caller?.id,
    operation,
    rule: matrix.permit ? matrix.rule : undefined,
    ruleSource: matrix.permit ? matrix.ruleSource : undefined,
    risk,
    obligations: device.obligations,
  })
  const lacksEdge =
    decision.outcome === 'deny' && workload !== undefined && !hasEdge(policy.matrix, caller, target)
  return learning(decision, located, { known, assessment, lacksEdge }, policy, nowMs)
}

const STATE_UNAVAILABLE: Refusal = {
  reason: 'state-unavailable',
  message: 'what is known of the caller can not be told now, since the store is away',
}

/** Adds what a decision teaches, and whether it was made from copies that nobody could confirm. */
function learning(
  decision: Draft,
  { client }: Located,
  {
    known,
    assessment,
    lacksEdge,
  }: {
    readonly known: Recalled | 'unavailable'
    readonly assessment: Assessment | undefined
    /** The calling workload names the target nowhere. */
    readonly lacksEdge: boolean
  },
  { risk, adaptive }: PolicyInForce,
  nowMs: number,
): Decision {
  decision.clientIp = client.ip
  if (known === 'unavailable') return decision
  decision.state = known.standing === 'last-known' ? 'last-known' : undefined
  decision.lessons = lessonsOf(decision, known, { assessment, lacksEdge }, risk, adaptive.session, nowMs)
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

const NOBODY: Identity = { workload: undefined, serviceToken: undefined, user: undefined }

/** The outside's hop: nobody there has a workload. Source: FORMATS 1, rule 7. */
function isOutside({ role, peerIdentity }: ListenerRules): boolean {
  return role === 'Gateway' && peerIdentity === 'None'
}
