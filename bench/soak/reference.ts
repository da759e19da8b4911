import type { Asked } from '../../test/support/naive-conditions.js'
import { naiveDecision } from '../../test/support/naive-decision.js'
import type { Naive } from '../../test/support/naive-matrix.js'
import type { Timeline } from './timeline.js'

/** Something beside the policy that refuses a call while it is closed. */
export type Gate = { readonly reason: string; readonly isClosed: Timeline<boolean> }

/** One call as the reference sees it: what it is by construction, never what the server made of it. */
export type Asking = {
  readonly asked: Asked
  /** Credentials that may stop to hold, in the order in which they are verified. */
  readonly credentials?: readonly Gate[]
  /** The request, or a credential of it, was made to be refused for this. */
  readonly fault?: string
  /** Sessions that are over, workloads in quarantine. */
  readonly standing?: readonly Gate[]
  /** Approvals that are missing. */
  readonly approvals?: readonly Gate[]
}

/** What is known of the server's surroundings. */
export type Surroundings = {
  /** Which of the policies is in force. */
  readonly policy: Timeline<number>
  readonly policies: readonly Naive[]
  /** The store may be away: refusing for that is right then. */
  readonly storeAway: Timeline<boolean>
  /** The machine stalls, so the server may not have reached its store in time, or have had time for all calls. */
  readonly stalled: Timeline<boolean>
}

/** Bytes that are no request may be refused for whatever can be read of them. */
export const ANY_REFUSAL = '*'

/** Stands among the right answers where none may come: a process without a processor answers nobody. */
export const NO_ANSWER = 'no answer'

/** `allowed` or the reason of the refusal. */
export type Right = string

/** Every answer that is right for a call which was sent and answered at these times. */
export function rightAnswers(
  asking: Asking,
  surroundings: Surroundings,
  sentMs: number,
  answeredMs: number,
): ReadonlySet<Right> {
  const answers = new Set<Right>()
  const { credentials = [], fault, standing = [], approvals = [] } = asking
  if (mayRefuse(credentials, sentMs, answeredMs, answers)) return withStore()
  if (fault !== undefined) {
    answers.add(fault)
    return withStore()
  }
  if (mayRefuse(standing, sentMs, answeredMs, answers)) return withStore()
  const matrix = new Set(
    surroundings.policy.during(sentMs, answeredMs).map((index) => {
      const mesh = surroundings.policies[index]
      if (!mesh) throw new Error(`no policy ${index}`)
      const { outcome, reason } = naiveDecision(mesh, asking.asked)
      return outcome === 'allow' ? 'allowed' : reason
    }),
  )
  for (const answer of matrix) if (answer !== 'allowed') answers.add(answer)
  if (matrix.has('allowed') && !mayRefuse(approvals, sentMs, answeredMs, answers)) answers.add('allowed')
  return withStore()

  function withStore(): ReadonlySet<Right> {
    const may = (timeline: Timeline<boolean>): boolean => timeline.during(sentMs, answeredMs).includes(true)
    const isStalled = may(surroundings.stalled)
    if (may(surroundings.storeAway) || isStalled) answers.add('state-unavailable')
    if (isStalled) answers.add('overloaded').add(NO_ANSWER)
    return answers
  }
}

/** Adds the reasons of gates that may have been closed. True: one was closed all the time, so nothing gets behind it. */
function mayRefuse(gates: readonly Gate[], fromMs: number, toMs: number, answers: Set<Right>): boolean {
  for (const { reason, isClosed } of gates) {
    const states = isClosed.during(fromMs, toMs)
    if (states.includes(true)) answers.add(reason)
    if (!states.includes(false)) return true
  }
  return false
}
