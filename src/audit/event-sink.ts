import type { Eventually } from '../identity/eventually.js'

/** One event as every sink gets it. */
export type AuditEvent = {
  /** A security event: one JSON object on one line, without the line feed. */
  readonly line: string
  /** Name of the DataPolicy of what it tells of; undefined: of nothing classified. */
  readonly classification: string | undefined
  /** Milliseconds since the epoch. */
  readonly atMs: number
  /** Of a decision's event. */
  readonly decisionId?: string | undefined
}

/** What becomes of an event that finds no room. Source: REQUIREMENTS A2. */
export type Overflow = 'Block' | 'Drop' | 'FailClosed'

/**
 * Takes a security event. `accepted`: it will be written, or may be lost as the operator chose. `refused`:
 * it can't be recorded, so no call may pass on it. A promise waits, at most `waitMs`; after that the event is
 * withdrawn, so that no event tells of an answer that was not given.
 */
export type AcceptEvent = (event: AuditEvent, waitMs: number) => Eventually<'accepted' | 'refused'>

/**
 * Where events go. It holds what it has taken, within a bound, until that is written; what happens when there is no
 * room is not its business but the trail's.
 */
export type EventSink = {
  /** For people and as a metric's label, for example `File 1`. */
  readonly name: string
  /** False while its buffer is full, and for good once it is broken or was drained. */
  readonly hasRoom: () => boolean
  /**
   * Takes one event, in order; asked only while there is room, but for a withdrawal. Undefined: it counts as kept at
   * once. A promise, which never rejects, where it counts as kept only once it is durable.
   */
  readonly take: (event: AuditEvent) => undefined | Promise<'kept' | 'lost'>
  /** `listener` is told whenever there may be room again. Called once, by the trail. */
  readonly onRoom: (listener: () => void) => void
  /** Takes nothing more, and resolves once all it holds is written, or `withinMs` is over and the rest counts as lost. */
  readonly drain: (withinMs?: number) => Promise<void>
  readonly figures: () => EventSinkFigures
}

export type EventSinkFigures = {
  /** Taken and not written yet. */
  readonly pending: number
  readonly written: number
  /** Taken and given up. */
  readonly lost: number
  /** What keeps it from writing now, for people; undefined while all is well. Names no secret. */
  readonly problem: string | undefined
  /** Nothing will end the problem: nobody waits for room. */
  readonly isBroken: boolean
}
