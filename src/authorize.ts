import { conclude, NOTHING_FOUND } from './decision/conclude.js'
import type { Decision, Steps } from './decision/decision.js'
import { type Context, decide, type PolicyInForce, type Question, verifiedOf } from './decide.js'
import { limitedUse } from './grants/grant-use.js'
import { andThen, type Eventually } from './identity/eventually.js'
import type { Identified } from './identity/identify.js'
import type { Identity } from './identity/principal.js'
import type { Located } from './risk/locate.js'
import type { Client } from './segmentation/facts.js'
import type { Matrix, Target } from './segmentation/matrix.js'
import { resolveTarget } from './segmentation/target.js'
import { NOTHING_KNOWN, type Recalled } from './state/recall.js'
import type { LimitedUse } from './state/store.js'
import { addressKey, type SubjectKeys, userKeys, workloadKey } from './state/subjects.js'

export type { PolicyInForce, Question } from './decide.js'

/** Verifies every credential of a request for its target. */
export type Identify = (question: Question, target: Target, matrix: Matrix) => Eventually<Identified>

/** What the way looks up outside of itself. */
export type Lookups = {
  readonly identify: Identify
  /** Everything known of a call's subjects; `unavailable` where the store can't tell. */
  readonly recall: (keys: SubjectKeys, nowMs: number) => Eventually<Recalled | 'unavailable'>
  readonly locate: (question: Question, identity: Identity) => Located
  /** Uses up one use of a grant that has so many. */
  readonly consume: (use: LimitedUse) => Eventually<'consumed' | 'exhausted' | 'unavailable'>
  /** Signals of others are received: what they tell of a user by e-mail address or session name counts. */
  readonly signals: boolean
}

/**
 * The request's way: which target, who, may it, from which device, for which data, in which state, at which risk, one
 * verdict. Answers at once when every credential was verified and every subject was seen before; never throws for bad input.
 */
export function authorize(
  question: Question,
  policy: PolicyInForce,
  lookups: Lookups,
  steps?: Steps,
): Eventually<Decision> {
  const found = resolveTarget(policy.matrix, question.request, question.listener, question.asker)
  if (!found.ok) {
    steps?.push({ step: 'target', outcome: 'fail', detail: found.refusal.message })
    const { revision, matrix } = policy
    const place = {
      target: undefined,
      targetId: undefined,
      endpoint: undefined,
      mode: matrix.defaults.mode,
      revision,
    }
    return conclude(place, { ...NOTHING_FOUND, refusals: [found.refusal] })
  }
  const target = found.target
  steps?.push({
    step: 'target',
    outcome: 'pass',
    detail: `${target.id ?? 'a service that no document names'}, mode ${target.mode}`,
  })
  return andThen(lookups.identify(question, target, policy.matrix), (identified) => {
    const verified = verifiedOf(identified)
    const located = lookups.locate(question, verified)
    const keys = subjectsOf(question, verified, located.client, policy, lookups.signals)
    // Of somebody whom no credential proved, nothing is looked up: nobody makes the store work by coming or failing.
    const nobody = keys.user === undefined && keys.workload === undefined
    const recalled = nobody ? { ...NOTHING_KNOWN, keys } : lookups.recall(keys, question.nowMs)
    return andThen(recalled, (known) => {
      const decideIn = (context: Context): Decision =>
        decide(question, target, identified, context, policy, steps)
      return spending(decideIn, { known, located }, lookups.consume)
    })
  })
}

/** What a call's subjects are called. The address is one of them where strangers come from. */
function subjectsOf(
  { listener }: Question,
  { user, workload }: Identity,
  client: Client,
  { device, usesGrants }: PolicyInForce,
  signals: boolean,
): SubjectKeys {
  const ofUser = user && userKeys(user)
  const strangers = listener.role === 'Gateway' || (!user && !workload)
  return {
    user: ofUser?.user,
    session: ofUser?.session,
    workload: workload && workloadKey(workload),
    proxy: workload?.via && workloadKey(workload.via),
    address: strangers && client.ip !== undefined ? addressKey(client.ip) : undefined,
    device: device.inventory || signals ? ofUser?.device : undefined,
    grants: usesGrants ? ofUser?.grants : undefined,
    email: signals ? ofUser?.email : undefined,
    named: signals ? ofUser?.named : undefined,
  }
}

/**
 * Before a call passes by grants that may be used so many times, a use of each is taken. One that others used up
 * meanwhile is no grant, and it is decided anew without it. Source: FORMATS 2, one-time things.
 */
function spending(
  decideIn: (context: Context) => Decision,
  context: Context,
  consume: Lookups['consume'],
): Eventually<Decision> {
  const decision = decideIn(context)
  const { grants } = decision
  if (!grants || grants.length === 0 || !passesByGrants(decision) || context.known === 'unavailable') {
    return decision
  }
  const key = context.known.keys.grants
  const takeEach = (at: number): Eventually<Decision> => {
    const grant = grants[at]
    if (!grant || key === undefined) return decision
    const use = limitedUse(key, grant)
    if (!use) return takeEach(at + 1)
    return andThen(consume(use), (answer) => {
      if (answer === 'consumed') return takeEach(at + 1)
      if (answer === 'unavailable') return unspent(decision)
      const usedUp = new Set([...(context.usedUp ?? []), grant.id])
      return spending(decideIn, { ...context, usedUp }, consume)
    })
  }
  return takeEach(0)
}

/** Where a mode lets the call pass anyway, no grant is used. */
function passesByGrants({ outcome, mode }: Decision): boolean {
  return outcome === 'allow' && mode === 'Enforce'
}

function unspent(decision: Decision): Decision {
  const message = 'a use of the grant can not be taken now, since the store is away'
  return {
    ...decision,
    outcome: 'deny',
    reason: 'state-unavailable',
    message,
    obligations: [],
    lessons: undefined,
  }
}
