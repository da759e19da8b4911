import type { Decision } from '../../decision/decision.js'
import type { Reason } from '../../decision/reason.js'
import type { UserPrincipal } from '../../identity/principal.js'

/** What the rules look at in the event of one decision. */
export type EventFacts = {
  /** Milliseconds since the epoch. */
  readonly atMs: number
  readonly decisionId: string
  readonly user: UserName | undefined
  /** `namespace/name` where the policy names the caller, else its SPIFFE ID. A trusted proxy is nobody. */
  readonly workload: string | undefined
  /** `namespace/name`, else its SPIFFE ID, else the host that was asked for. */
  readonly target: string | undefined
  readonly endpoint: string | undefined
  /** The address the user calls from; undefined where the address is a workload's that calls on their behalf. */
  readonly userIp: string | undefined
  /** Let pass, and the policy wants it so. */
  readonly allowed: boolean
  /** Why it was refused, or would have been in Enforce. */
  readonly refusedFor: string | undefined
  /** Name of the DataPolicy. */
  readonly classification: string | undefined
  readonly operation: string | undefined
  /** Risk factors that the decision carries. */
  readonly impossibleTravel: boolean
  readonly unusualTime: boolean
}

export type UserName = {
  /** Of issuer and subject, one text. */
  readonly key: string
  readonly id: string
  readonly issuer: string | undefined
}

export function userName(id: string, issuer: string | undefined): UserName {
  return { key: `${issuer ?? ''}\n${id}`, id, issuer }
}

/** A verified user serves many requests: the name is made once and forgotten with it. */
const names = new WeakMap<UserPrincipal, UserName>()

function nameOf(user: UserPrincipal): UserName {
  let name = names.get(user)
  if (!name) names.set(user, (name = userName(user.subject, user.issuer)))
  return name
}

/** The facts of a decision as its event will tell them, without writing and reading it. */
export function factsOfDecision(
  decision: Decision,
  decisionId: string,
  host: string | undefined,
  atMs: number,
  proxies: ReadonlySet<string>,
): EventFacts {
  const { user, workload, wouldBe, outcome, riskFactors } = decision
  const spiffeId = workload?.spiffeId.text
  const isProxy = spiffeId !== undefined && proxies.has(spiffeId)
  return {
    atMs,
    decisionId,
    user: user && nameOf(user),
    workload: spiffeId === undefined || isProxy ? undefined : (decision.caller ?? spiffeId),
    target: decision.target ?? decision.targetId ?? (host === '' ? undefined : host),
    endpoint: decision.endpoint,
    userIp: spiffeId === undefined || isProxy || workload?.via !== undefined ? decision.clientIp : undefined,
    allowed: outcome === 'allow' && !wouldBe,
    refusedFor: refusalOf(outcome, decision.reason, wouldBe?.reason),
    classification: decision.data?.name,
    operation: decision.operation,
    impossibleTravel: riskFactors?.some(({ factor }) => factor === 'impossible-travel') ?? false,
    unusualTime: riskFactors?.some(({ factor }) => factor === 'unusual-time') ?? false,
  }
}

function refusalOf(
  outcome: Decision['outcome'],
  reason: Reason,
  wouldBeReason: string | undefined,
): string | undefined {
  return outcome === 'allow' ? wouldBeReason : reason
}
