import { evaluateMatrix, type MatrixVerdict } from '../../segmentation/evaluate.js'
import type { Matrix } from '../../segmentation/matrix.js'
import { eventFacts } from '../learn/event-facts.js'
import type { TrafficEvent } from '../traffic.js'

/** Recorded calls that the matrices of two policies answer differently. */
export type TrafficChange = {
  readonly caller: string
  readonly target: string
  readonly endpoint: string
  /** `permit`, else the reason. */
  readonly was: string
  readonly is: string
  /** `file:line:column` of what decides now. */
  readonly ruleSource: string | undefined
  readonly message: string
  readonly example: string
  count: number
}

const MAX_GROUPS = 10_000

/**
 * Asks both matrices about every recorded call. Headers, claims and scopes are not in an event: conditions on them can't
 * be evaluated, in either policy; risk, devices and grants are not asked. `replay` knows all that.
 */
export class TrafficDiff {
  readonly #before: Matrix
  readonly #after: Matrix
  readonly #groups = new Map<string, TrafficChange>()
  calls = 0
  /** Calls that were permitted and are not, and the other way. */
  lost = 0
  gained = 0
  /** Differing calls that are in none of the groups. */
  ungrouped = 0

  constructor(before: Matrix, after: Matrix) {
    this.#before = before
    this.#after = after
  }

  note(event: TrafficEvent): void {
    if (event.targetService === undefined) return
    this.calls++
    const facts = eventFacts(event, this.#after)
    const old = evaluateMatrix(this.#before, eventFacts(event, this.#before))
    const now = evaluateMatrix(this.#after, facts)
    const [was, is] = [answerOf(old), answerOf(now)]
    if (was === is) return
    if (old.permit) this.lost++
    else if (now.permit) this.gained++
    const caller =
      facts.caller?.id ?? event.callerService ?? event.workloadId ?? (event.userId ? 'users' : 'anyone')
    const endpoint = facts.endpoint?.name ?? event.endpoint ?? ''
    const source = now.permit ? now.ruleSource : now.refusal.ruleSource
    const key = JSON.stringify([caller, event.targetService, endpoint, was, is, source])
    const known = this.#groups.get(key)
    if (known) known.count++
    else if (this.#groups.size >= MAX_GROUPS) this.ungrouped++
    else {
      this.#groups.set(key, {
        caller,
        target: event.targetService,
        endpoint,
        was,
        is,
        ruleSource: source,
        message: now.permit ? '' : now.refusal.message,
        example:
          event.requestMethod === undefined
            ? `TCP ${event.destinationPort ?? ''}`.trim()
            : `${event.requestMethod} ${event.requestPath ?? ''}`,
        count: 1,
      })
    }
  }

  /** Calls that are lost first, then the most frequent. */
  groups(): readonly TrafficChange[] {
    return [...this.#groups.values()].sort(
      (a, b) => Number(b.was === 'permit') - Number(a.was === 'permit') || b.count - a.count,
    )
  }
}

function answerOf(verdict: MatrixVerdict): string {
  return verdict.permit ? 'permit' : verdict.refusal.reason
}
