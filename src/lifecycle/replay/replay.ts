import { decide, type PolicyInForce } from '../../decide.js'
import type { Decision } from '../../decision/decision.js'
import { resolveTarget } from '../../segmentation/target.js'
import type { ReplayableCheck } from './read-record.js'

/** What was, or would be, decided on one Check. */
export type Verdict = {
  readonly outcome: 'allow' | 'deny' | 'challenge'
  readonly reason: string
  /** Of a call that the mode lets pass, what Enforce would have answered. */
  readonly wouldBe: string | undefined
}

/**
 * `broken`: an allow becomes a deny or a challenge. `opened`: a deny or challenge becomes an allow. `other`: the same
 * outcome for another reason, a deny that becomes a challenge or the other way, or another would-be answer.
 */
export type ChangeKind = 'broken' | 'opened' | 'other'

export type Replayed =
  | { readonly kind: 'same' }
  /** The candidate finds a target where none was, and who called was never asked. */
  | { readonly kind: 'undecidable' }
  | {
      readonly kind: ChangeKind
      readonly was: Verdict
      readonly is: Verdict
      readonly decision: Decision
    }

/** Decides a recorded Check on a candidate policy: the same way as then, with what was known then, at that time. */
export function replay(check: ReplayableCheck, policy: PolicyInForce): Replayed {
  const { recorded, question, identified, known, located } = check
  const was: Verdict = {
    outcome: recorded.decision,
    reason: recorded.decisionReason,
    wouldBe: wouldBeOf(recorded.wouldBeDecision, recorded.wouldBeReason),
  }
  const found = resolveTarget(policy.matrix, question.request, question.listener, question.asker)
  let decision: Decision
  if (found.ok) {
    if (!identified) return { kind: 'undecidable' }
    decision = decide(question, found.target, identified, { known, located }, policy)
  } else {
    const { reason, message, mode = policy.matrix.defaults.mode } = found.refusal
    const { revision } = policy
    decision = { outcome: 'deny', reason, message, mode, obligations: [], revision }
  }
  const is: Verdict = {
    outcome: decision.outcome,
    reason: decision.reason,
    wouldBe: wouldBeOf(decision.wouldBe?.outcome, decision.wouldBe?.reason),
  }
  const kind = changeOf(was, is)
  return kind === 'same' ? { kind } : { kind, was, is, decision }
}

function changeOf(was: Verdict, is: Verdict): ChangeKind | 'same' {
  if (was.outcome === 'allow' && is.outcome !== 'allow') return 'broken'
  if (was.outcome !== 'allow' && is.outcome === 'allow') return 'opened'
  return was.outcome === is.outcome && was.reason === is.reason && was.wouldBe === is.wouldBe
    ? 'same'
    : 'other'
}

function wouldBeOf(outcome: string | undefined, reason: string | undefined): string | undefined {
  return outcome === undefined ? undefined : `${outcome} ${reason ?? ''}`.trim()
}

/** For people: `deny rule-not-matched`, `allow, would be deny caller-unknown`. */
export function verdictText({ outcome, reason, wouldBe }: Verdict): string {
  const shown = outcome === 'allow' ? 'allow' : `${outcome} ${reason}`
  return wouldBe === undefined ? shown : `${shown}, would be ${wouldBe}`
}
