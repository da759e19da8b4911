import type { LiveGrant } from '../grants/live-grant.js'
import type { UserPrincipal, WorkloadPrincipal } from '../identity/principal.js'
import type { StateDelta } from '../state/record.js'
import type { SubjectKeys } from '../state/subjects.js'
import type { Mode } from './mode.js'
import type { Reason, RefusalReason } from './reason.js'

/**
 * What the upstream must hold to, sent in the obligations header and as dynamic metadata: kebab-case, for example
 * `read-only`, `no-download`, `watermark-documents`.
 */
export type Obligation = string

/** Where a rule was written, for example `shop/payment.yaml:31:7`. */
export type RuleSource = string

export type RiskFactor = { readonly factor: string; readonly points: number }

/** How a user meets a challenge. Source: RFC 9470. */
export type StepUp = {
  /** The factor asked for, for example `mfa`, `push`, `biometric`. */
  readonly factor: string
  /** Seconds since the user's last active authentication that still do; 0 asks for a new one. */
  readonly maxAgeSeconds: number
}

/** What a client must do better about its DPoP proof. Source: RFC 9449 7.1, 8. */
export type DpopChallenge = {
  readonly error: 'invalid_token' | 'invalid_dpop_proof' | 'use_dpop_nonce'
  /** Sent as `DPoP-Nonce`. */
  readonly nonce: string | undefined
}

/** What the DataPolicy of an endpoint asks of the record of its calls. */
export type DataAudit = {
  readonly name: string
  readonly level: 'Metadata' | 'Full'
  /** As written, for example `7y`; for whoever keeps the events. */
  readonly retention: string | undefined
  /** Every access is told at once. */
  readonly alert: boolean
}

/** A refusal by one of the steps, before the target's mode is applied. */
export type Refusal = {
  readonly reason: RefusalReason
  /** For the event and for `check`. Never holds a credential. The caller sees it only where configured. */
  readonly message: string
  readonly rule?: string | undefined
  readonly ruleSource?: RuleSource | undefined
  readonly stepUp?: StepUp | undefined
  /** Mode of the forbid or adaptive rule itself, narrower than the target's. */
  readonly mode?: Mode | undefined
  /** User scopes asked for, named in `WWW-Authenticate` of scope-missing. */
  readonly scopes?: readonly string[] | undefined
  readonly dpop?: DpopChallenge | undefined
  /** Whether the caller did anything wrong can't be told, so nothing is held against it. */
  readonly blameless?: true | undefined
}

/** What a call taught about its subjects. */
export type Lessons = {
  /** Sightings and counters: a crash may lose the latest. */
  readonly noted: readonly StateDelta[]
  /** What must not be lost once the caller was told. */
  readonly committed: readonly StateDelta[]
  /** The decision ended the session, or put the workload into quarantine: the name of the record. */
  readonly ended: string | undefined
  readonly quarantined: string | undefined
}

/** The one answer to a request, with everything that its event, its metrics and `check` show. */
export type Decision = {
  readonly outcome: 'allow' | 'deny' | 'challenge'
  readonly reason: Reason
  readonly message: string
  readonly mode: Mode
  /** What would have been decided in Enforce, where the mode let the call pass. */
  readonly wouldBe?:
    | { readonly outcome: 'deny' | 'challenge'; readonly reason: RefusalReason; readonly message: string }
    | undefined
  readonly workload?: WorkloadPrincipal | undefined
  readonly user?: UserPrincipal | undefined
  /** `namespace/name` of the calling service, where a document names it. */
  readonly caller?: string | undefined
  /** `namespace/name` of the target service. */
  readonly target?: string | undefined
  /** SPIFFE ID of a target that no document names, where Envoy showed it. */
  readonly targetId?: string | undefined
  readonly endpoint?: string | undefined
  readonly operation?: 'Read' | 'Write' | 'Download' | undefined
  readonly rule?: string | undefined
  readonly ruleSource?: RuleSource | undefined
  /** 0..100; absent when risk was not evaluated. */
  readonly riskScore?: number | undefined
  readonly riskFactors?: readonly RiskFactor[] | undefined
  /** The first untrusted hop, canonical. */
  readonly clientIp?: string | undefined
  /** Read from copies that could not be confirmed, since the store was away. */
  readonly state?: 'last-known' | undefined
  readonly lessons?: Lessons | undefined
  /** Whose records count what this call leads to. */
  readonly subjects?: SubjectKeys | undefined
  readonly obligations: readonly Obligation[]
  /** Posture score of the user's device, 0..100, and its tier; absent where no inventory is kept. */
  readonly devicePosture?: number | undefined
  readonly deviceTier?: string | undefined
  /** The grant that the call passed by, or that it would pass by. */
  readonly grantId?: string | undefined
  /** The same, with what a use of them takes. */
  readonly grants?: readonly LiveGrant[] | undefined
  /** Of the endpoint's data. */
  readonly data?: DataAudit | undefined
  readonly stepUp?: StepUp | undefined
  readonly scopes?: readonly string[] | undefined
  readonly dpop?: DpopChallenge | undefined
  readonly blameless?: true | undefined
  /** Content hash of the policy that decided; empty before the first policy was loaded. */
  readonly revision: string
}

/** One line of `check` and `explain`: which step looked at what and what it found. */
export type Step = {
  readonly step: string
  readonly outcome: 'pass' | 'fail' | 'skip' | 'info'
  readonly detail: string
}

/** Collects the steps where somebody asked for them; absent on the request's way. */
export type Steps = Step[] | undefined
