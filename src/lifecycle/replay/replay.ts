import { decide, type PolicyInForce } from '../../decide.js'
import type { Decision } from '../../decision/decision.js'
import { resolveTarget } from '../../segmentation/target.js'
import type { ExtremesOf } from './extremes.js'
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
  /** Between these two, by a body or a value that is not recorded: in the caller's favour, and against. */
  | {
      readonly kind: 'untold'
      readonly was: Verdict
      readonly best: Verdict
      readonly is: Verdict
      readonly decision: Decision
    }
  /** The candidate finds a target where none was, and who called was never asked. */
  | { readonly kind: 'undecidable' }
  | {
      readonly kind: ChangeKind
      readonly was: Verdict
      readonly is: Verdict
      readonly decision: Decision
    }

/**
 * Decides a recorded Check on a candidate policy: the same way as then, with what was known then, at that time.
 * `extremesOf` tells what it lies between where the record lacks something.
 */
export function replay(check: ReplayableCheck, policy: PolicyInForce, extremesOf?: ExtremesOf): Replayed {
  const { recorded } = check
  const was: Verdict = {
    outcome: recorded.decision,
    reason: recorded.decisionReason,
    wouldBe: wouldBeOf(recorded.wouldBeDecision, recorded.wouldBeReason),
  }
  const extremes = extremesOf?.(check)
  const decision = decisionOn(check, extremes?.worst ?? policy)
  if (!decision) return { kind: 'undecidable' }
  const is = verdictOf(decision)
  const kind = changeOf(was, is)
  const atBest = extremes && decisionOn(check, extremes.best)
  const best = atBest && verdictOf(atBest)
  if (atBest && best && changeOf(is, best) !== 'same') {
    // Refused whatever it was, or let pass; the same change for all of them.
    const certain = changeOf(was, best) === kind && (kind === 'broken' || kind === 'opened')
    if (!certain) return { kind: 'untold', was, best, is, decision }
    return { kind, was, is: best, decision: atBest }
  }
  return kind === 'same' ? { kind } : { kind, was, is, decision }
}

/** Undefined where the policy finds a target and nobody was asked who calls. */
function decisionOn(
  { question, identified, known, located }: ReplayableCheck,
  policy: PolicyInForce,
): Decision | undefined {
  const found = resolveTarget(policy.matrix, question.request, question.listener, question.asker)
  if (found.ok) {
    return identified && decide(question, found.target, identified, { known, located }, policy)
  }
  const { reason, message, mode = policy.matrix.defaults.mode } = found.refusal
  const { revision } = policy
  return { outcome: 'deny', reason, message, mode, obligations: [], revision }
}

function verdictOf({ outcome, reason, wouldBe }: Decision): Verdict {
  return { outcome, reason, wouldBe: wouldBeOf(wouldBe?.outcome, wouldBe?.reason) }
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
