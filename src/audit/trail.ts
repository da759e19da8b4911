import type { Eventually } from '../identity/eventually.js'
import type { AcceptEvent, AuditEvent, EventSink, EventSinkFigures, Overflow } from './event-sink.js'
import { writeWithdrawal } from './withdrawal-event.js'

export type TrailSink = { readonly sink: EventSink; readonly overflow: Overflow }

export type TrailOptions = {
  /** Each gets every event. */
  readonly sinks: readonly TrailSink[]
  readonly nowMs: () => number
}

export type TrailFigures = EventSinkFigures & {
  /** Lost: found no room under Drop, or given up by the sink. */
  readonly dropped: number
  /** Nobody waits for them any more; their calls were refused. */
  readonly refused: number
}

export type Trail = {
  readonly accept: AcceptEvent
  /** As `accept`, for what must not be lost: without room Drop refuses too, and waits for none. */
  readonly acceptKept: AcceptEvent
  /** False once a sink whose events must not be lost can't write and has no room left. */
  readonly isWriting: () => boolean
  /** By name of the sink. */
  readonly figures: () => ReadonlyMap<string, TrailFigures>
  /** Accepts nothing more, and resolves once every sink wrote what it holds, or gave it up after `withinMs`. */
  readonly drain: (withinMs?: number) => Promise<void>
}

type Counted = TrailSink & { dropped: number; refused: number }
type Answer = 'accepted' | 'refused'
type Durable = { readonly by: Counted; readonly taken: Promise<'kept' | 'lost'> }
type Waiter = {
  readonly event: AuditEvent
  readonly kept: boolean
  readonly untilMs: number
  readonly settle: (answer: Eventually<Answer>) => void
}

/**
 * Hands every event to every sink, or to none: who decides about room is here, in one place. Events are taken in the
 * order in which they come; while some wait for room, later ones wait behind them.
 */
export function createTrail({ sinks, nowMs }: TrailOptions): Trail {
  const counted: readonly Counted[] = sinks.map((each) => ({ ...each, dropped: 0, refused: 0 }))
  const waiters = new Set<Waiter>()
  let draining = false
  for (const { sink } of counted) sink.onRoom(admitWaiters)

  function accept(event: AuditEvent, waitMs: number, kept = false): Eventually<Answer> {
    if (waiters.size === 0) {
      const full = fullSink(kept)
      if (full === undefined) return give(event, waitMs)
      if (!mayWait(full)) return refuse(full)
    }
    if (waitMs <= 0) return refuse(fullSink(kept))
    return waitForRoom(event, waitMs, kept)
  }

  /** The first that has no room and doesn't lose for it. */
  function fullSink(kept: boolean): Counted | undefined {
    for (const each of counted) {
      if (!each.sink.hasRoom() && (kept || each.overflow !== 'Drop')) return each
    }
    return undefined
  }

  function mayWait({ sink, overflow }: Counted): boolean {
    return overflow === 'Block' && !draining && !sink.figures().isBroken
  }

  function refuse(by: Counted | undefined): 'refused' {
    if (by) by.refused++
    return 'refused'
  }

  function give(event: AuditEvent, waitMs: number): Eventually<Answer> {
    let durable: Durable[] | undefined
    for (const each of counted) {
      if (!each.sink.hasRoom()) {
        each.dropped++
        continue
      }
      const taken = each.sink.take(event)
      if (taken) (durable ??= []).push({ by: each, taken })
    }
    return durable === undefined ? 'accepted' : whenDurable(event, durable, waitMs)
  }

  async function whenDurable(
    event: AuditEvent,
    durable: readonly Durable[],
    waitMs: number,
  ): Promise<Answer> {
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<'late'>((resolve) => {
      timer = setTimeout(resolve, Math.max(0, waitMs), 'late')
    })
    const all = Promise.all(durable.map(({ taken }) => taken))
    const outcome = await Promise.race([all, late])
    clearTimeout(timer)
    if (outcome !== 'late' && !outcome.includes('lost')) return 'accepted'
    for (const { by } of durable) refuse(by)
    withdraw(event)
    return 'refused'
  }

  /** What a sink holds already can't be taken back, so it is told that it did not come to pass. */
  function withdraw({ decisionId, classification }: AuditEvent): void {
    if (decisionId === undefined) return
    const atMs = nowMs()
    const withdrawal = { line: writeWithdrawal(decisionId, atMs), classification, atMs }
    for (const { sink } of counted) if (!sink.figures().isBroken) void sink.take(withdrawal)
  }

  function waitForRoom(event: AuditEvent, waitMs: number, kept: boolean): Promise<Answer> {
    return new Promise((resolve) => {
      const giveUp = (): void => waiter.settle(refuse(fullSink(kept)))
      const timer = setTimeout(giveUp, waitMs)
      const waiter: Waiter = {
        event,
        kept,
        untilMs: performance.now() + waitMs,
        settle: (answer) => {
          clearTimeout(timer)
          waiters.delete(waiter)
          resolve(answer)
        },
      }
      waiters.add(waiter)
    })
  }

  function admitWaiters(): void {
    for (const waiter of waiters) {
      const full = fullSink(waiter.kept)
      if (full === undefined) waiter.settle(give(waiter.event, waiter.untilMs - performance.now()))
      else if (mayWait(full)) return
      else waiter.settle(refuse(full))
    }
  }

  async function drain(withinMs?: number): Promise<void> {
    draining = true
    for (const { settle, kept } of waiters) settle(refuse(fullSink(kept)))
    await Promise.all(counted.map(async ({ sink }) => sink.drain(withinMs)))
  }

  return {
    accept: (event, waitMs) => accept(event, waitMs),
    acceptKept: (event, waitMs) => accept(event, waitMs, true),
    isWriting: () =>
      counted.every(({ sink, overflow }) => {
        const { problem } = sink.figures()
        return overflow === 'Drop' || problem === undefined || sink.hasRoom()
      }),
    figures: () =>
      new Map(
        counted.map(({ sink, dropped, refused }) => {
          const figures = sink.figures()
          return [sink.name, { ...figures, dropped: dropped + figures.lost, refused }]
        }),
      ),
    drain,
  }
}
