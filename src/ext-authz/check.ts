import type { Decision } from '../decision/decision.js'
import type { RefusalReason } from '../decision/reason.js'
import { andThen, type Eventually } from '../identity/eventually.js'
import type { SecurityEventInput } from '../audit/security-event.js'
import type { AccessRequest } from '../request/access-request.js'
import type { Asker, ListenerRules } from '../request/listener.js'
import { type ReadAccessRequest, readAccessRequest } from './read-access-request.js'
import { createShedding, isOverdue, type UsualTime } from './overload.js'
import { changesRequest, replyTo, type ReplyOptions } from './reply.js'

/** What the transport knows of one Check beside its bytes. */
export type CheckCall = {
  /** Absolute, milliseconds since the epoch; undefined when Envoy set none. */
  readonly deadlineMs: number | undefined
  readonly asker: Asker
  /** Envoy's own span, from the gRPC metadata. */
  readonly traceparent: string | undefined
  /** Before its message was read, at most, milliseconds. */
  readonly waitedMs: number
}

/** Request bytes to reply bytes. Never rejects and never throws: what breaks is an audited deny. */
export type Check = (message: Buffer, call: CheckCall) => Eventually<Buffer>

/** Writes the event of a decision; waits for room in its sink at most `waitMs`. */
export type RecordEvent = (event: SecurityEventInput, waitMs: number) => Eventually<'accepted' | 'refused'>

/** A call that somebody follows beside its event: a trace, a log that shows every decision. */
export type Followed = {
  /** Of the trace that begins with this call, for its event; undefined where it belongs to one already, or to none. */
  readonly traceparent: string | undefined
  /** Of a span that is kept. */
  readonly traceId: string | undefined
  /** Told of what was sent. Never throws. */
  readonly answered: (decision: Decision, decisionId: string, durationUs: number) => void
}

export type CheckParts = {
  readonly listener: ListenerRules
  /** Decides on the policy in force now. */
  readonly authorize: (request: AccessRequest, asker: Asker, nowMs: number) => Eventually<Decision>
  readonly record: RecordEvent
  /** Takes what a decision taught; a promise while something must become durable before the answer. */
  readonly learn: (decision: Decision, decisionId: string, asker: Asker, nowMs: number) => Eventually<void>
  /** Told of every decision that is sent, and of how many bytes it was asked in; undefined: Checks are not recorded. */
  readonly recordCheck?: ((decision: Decision, decisionId: string, bytes: number) => void) | undefined
  /** Asked once a decision stands; undefined: nobody follows this call. */
  readonly follow?:
    | ((
        traceparent: string | undefined,
        request: AccessRequest | undefined,
        nowMs: number,
      ) => Followed | undefined)
    | undefined
  /** Told of every decision that is sent, for metrics. */
  readonly observe: (decision: Decision, durationUs: number, traceId: string | undefined) => void
  /** Told how long each call may take in all. */
  readonly usualTime: Pick<UsualTime, 'note'>
  /** Told of every call that was refused unseen. */
  readonly shed: () => void
  /** Told of what broke, for the log. */
  readonly report: (error: unknown) => void
  readonly newDecisionId: () => string
  readonly revision: () => string
  readonly serviceTokenHeader: string
  readonly reply: ReplyOptions
  /** The assertion that an upstream gets with a call; undefined: none is minted. */
  readonly mintAssertion:
    ((decision: Decision, decisionId: string, nowMs: number) => string | undefined) | undefined
  /** For a Check without a deadline of its own, milliseconds. */
  readonly defaultDeadlineMs: number
  readonly nowMs: () => number
  /** Monotonic, microseconds. */
  readonly clockUs: () => number
}

/** No caller waits longer, whatever its deadline, milliseconds. */
const MAX_WAIT_MS = 60_000

/** Time kept back from Envoy's deadline for writing the answer and its way home, milliseconds. */
const ANSWER_MARGIN_MS = 15

/**
 * The only place that catches. Whatever happens, the reply is bytes with an explicit status: a request that
 * can't be read, an answer that isn't there in time, a bug, a full audit buffer are denies with their reasons.
 */
export function createCheck(parts: CheckParts): Check {
  const lastResort = parts.reply.lastResort

  function refuse(reason: RefusalReason, message: string): Decision {
    return { outcome: 'deny', reason, message, mode: 'Enforce', obligations: [], revision: parts.revision() }
  }

  function giveUp(error: unknown): Buffer {
    parts.report(error)
    return lastResort
  }

  const shed = createShedding(parts, refuse)

  return (message, call) => {
    const startedUs = parts.clockUs()
    const nowMs = parts.nowMs()
    const deadlineMs = (call.deadlineMs ?? nowMs + parts.defaultDeadlineMs) - ANSWER_MARGIN_MS
    let read: ReadAccessRequest | undefined
    parts.usualTime.note(deadlineMs - nowMs + call.waitedMs)
    if (isOverdue(call.waitedMs, deadlineMs - nowMs)) {
      try {
        const reply = shed(nowMs, deadlineMs - nowMs)
        return reply instanceof Promise ? reply.catch(giveUp) : reply
      } catch (error) {
        return giveUp(error)
      }
    }

    /** What a call taught is kept before anybody is told what was decided. */
    const finish = (decision: Decision): Eventually<Buffer> => {
      const decisionId = parts.newDecisionId()
      const learned = parts.learn(decision, decisionId, call.asker, nowMs)
      return andThen(learned, () => answer(decision, decisionId))
    }

    /** Writes, records, counts, and hands out the reply; in that order, so that an event tells what was sent. */
    const answer = (decision: Decision, decisionId: string): Eventually<Buffer> => {
      const request = read?.ok ? read.request : undefined
      const unreadable = read?.ok === false ? read : undefined
      const assertion =
        parts.mintAssertion && request?.http && changesRequest(decision)
          ? parts.mintAssertion(decision, decisionId, nowMs)
          : undefined
      const reply = replyTo(decision, decisionId, request ?? unreadable, parts.reply, assertion)
      const followed = parts.follow?.(call.traceparent, request, nowMs)
      const durationUs = parts.clockUs() - startedUs
      const sent = (told: Decision): void => {
        parts.observe(told, durationUs, followed?.traceId)
        followed?.answered(told, decisionId, durationUs)
      }
      const event = {
        decision,
        decisionId,
        request,
        unreadable,
        traceparent: followed?.traceparent ?? call.traceparent,
        nowMs,
        durationUs,
      }
      return andThen(parts.record(event, deadlineMs - parts.nowMs()), (kept) => {
        if (kept === 'accepted') {
          sent(decision)
          parts.recordCheck?.(decision, decisionId, message.length)
          return reply
        }
        const unrecorded = refuse('state-unavailable', 'the security event could not be recorded')
        sent(unrecorded)
        return replyTo(unrecorded, decisionId, request ?? unreadable, parts.reply)
      })
    }

    const fail = (error: unknown): Eventually<Buffer> => {
      parts.report(error)
      try {
        const refusal = finish(refuse('internal-error', 'the decision failed'))
        return refusal instanceof Promise ? refusal.catch(giveUp) : refusal
      } catch (again) {
        return giveUp(again)
      }
    }

    const guarded = (reply: Eventually<Buffer>): Eventually<Buffer> =>
      reply instanceof Promise ? reply.catch(fail) : reply

    try {
      read = readAccessRequest(message, parts.serviceTokenHeader)
      if (!read.ok) return guarded(finish(refuse('ambiguous-request', read.message)))
      const decision = parts.authorize(read.request, call.asker, nowMs)
      if (!(decision instanceof Promise)) return guarded(finish(decision))
      const late = refuse('state-unavailable', 'a credential could not be verified before the deadline')
      return settleBefore(decision, deadlineMs - nowMs, late)
        .then(finish)
        .catch(fail)
    } catch (error) {
      return fail(error)
    }
  }
}

/** The promise's value, or `otherwise` once `ms` have passed. */
async function settleBefore<T>(promise: Promise<T>, ms: number, otherwise: T): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<T>((resolve) => {
    timer = setTimeout(resolve, Math.min(Math.max(0, ms), MAX_WAIT_MS), otherwise)
  })
  try {
    return await Promise.race([promise, late])
  } finally {
    clearTimeout(timer)
  }
}
