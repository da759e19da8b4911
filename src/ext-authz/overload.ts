import type { Decision } from '../decision/decision.js'
import type { RefusalReason } from '../decision/reason.js'
import { andThen, type Eventually } from '../identity/eventually.js'
import type { CheckParts } from './check.js'
import { replyTo } from './reply.js'

/** Less than this is no overload, whatever the deadline, milliseconds. */
const LEAST_WAIT_MS = 20

/**
 * Whether a call has spent so much of its time before it was read that it is not looked at: more than was left of it.
 * Times in milliseconds. What is over its half by then comes too late, with all that waits behind it, if every call is
 * still decided.
 */
export function isOverdue(waitedMs: number, leftMs: number): boolean {
  return waitedMs >= LEAST_WAIT_MS && waitedMs > leftMs
}

/** How much the time of one call counts. */
const WEIGHT = 0.05

/**
 * The time that calls are usually given, milliseconds. Never less than what a call without a deadline is given, so that
 * nobody closes the door for others by asking in haste.
 */
export class UsualTime {
  readonly #leastMs: number
  #ms: number

  constructor(leastMs: number) {
    this.#leastMs = leastMs
    this.#ms = leastMs
  }

  note(ms: number): void {
    this.#ms += WEIGHT * (Math.max(this.#leastMs, ms) - this.#ms)
  }

  get ms(): number {
    return this.#ms
  }
}

/** How long one refusal is given to all. */
const TOGETHER_MS = 1000

/**
 * The answer to calls that are not looked at: one refusal with one event for all within a second, so that it costs
 * hardly more than the way there and back. Each is counted. `waitMs`: how long the event may wait for its sink.
 */
export function createShedding(
  parts: Pick<CheckParts, 'record' | 'observe' | 'newDecisionId' | 'reply' | 'shed'>,
  refuse: (reason: RefusalReason, message: string) => Decision,
): (nowMs: number, waitMs: number) => Eventually<Buffer> {
  let untilMs = -Infinity
  let reply: Eventually<Buffer> | undefined
  let decision = refuse('overloaded', MESSAGE)
  return (nowMs, waitMs) => {
    if (reply === undefined || nowMs >= untilMs || nowMs < untilMs - TOGETHER_MS) {
      untilMs = nowMs + TOGETHER_MS
      decision = refuse('overloaded', MESSAGE)
      const decisionId = parts.newDecisionId()
      const written = replyTo(decision, decisionId, undefined, parts.reply)
      const event = {
        decision,
        decisionId,
        request: undefined,
        unreadable: undefined,
        traceparent: undefined,
        nowMs,
        durationUs: 0,
      }
      // A refusal without its event is still a refusal.
      reply = andThen(parts.record(event, waitMs), () => written)
    }
    parts.shed()
    parts.observe(decision, 0, undefined)
    return reply
  }
}

const MESSAGE = 'calls wait for longer than their time allows; those of this second are refused unseen'
