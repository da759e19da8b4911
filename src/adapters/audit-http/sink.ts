import { setImmediate as nextTurn } from 'node:timers/promises'
import type { AuditEvent, EventSink } from '../../audit/event-sink.js'
import { batchOf } from './batch.js'
import { createOutbox, type OutboxOptions } from './outbox.js'

export type HttpSinkOptions = Omit<OutboxOptions, 'onRoom'> & {
  readonly name: string
  /** The record of an event, as JSON. */
  readonly render: (event: AuditEvent) => string
  /** Events held in memory at most. */
  readonly buffer: number
  readonly flushIntervalMs: number
  readonly batchEvents: number
  /** Of records before compression, about. */
  readonly batchBytes: number
}

/** Records that are made in one turn of the event loop. */
const RECORDS_A_TURN = 32

/**
 * Events as batches that are posted to a collector: each at least once, in the order in which they were taken. What
 * waits in memory at `kill -9` is lost: with a spool, that is what was taken within the flush interval.
 */
export function createHttpSink(options: HttpSinkOptions): EventSink {
  const { name, render, buffer, flushIntervalMs, batchEvents, batchBytes } = options
  /** A buffer smaller than a batch is not waited for until it is full. */
  const most = Math.min(batchEvents, Math.ceil(buffer / 2))
  let filling: AuditEvent[] = []
  let fillingUnits = 0
  let closed: AuditEvent[][] = []
  /** In `filling`, in `closed` or in the batch that is being made. */
  let unmade = 0
  let lostAfterEnd = 0
  let flushTimer: NodeJS.Timeout | undefined
  let making: Promise<void> | undefined
  let draining: Promise<void> | undefined
  let hasEnded = false
  let tellRoom: (() => void) | undefined
  const outbox = createOutbox({ ...options, onRoom: () => tellRoom?.() })

  function take(event: AuditEvent): undefined {
    if (hasEnded) {
      lostAfterEnd++
      return
    }
    filling.push(event)
    fillingUnits += event.line.length
    unmade++
    if (filling.length >= most || fillingUnits >= batchBytes) close()
    else flushTimer ??= setTimeout(close, flushIntervalMs).unref()
  }

  function close(): void {
    clearTimeout(flushTimer)
    flushTimer = undefined
    if (filling.length === 0) return
    closed.push(filling)
    filling = []
    fillingUnits = 0
    make()
  }

  function make(): void {
    making ??= makeAll().finally(() => {
      making = undefined
      if (closed.length > 0) make()
    })
  }

  async function makeAll(): Promise<void> {
    for (let events = closed.shift(); events; events = closed.shift()) {
      let records: string[] = []
      let units = 0
      for (const [index, event] of events.entries()) {
        if (index % RECORDS_A_TURN === 0) await nextTurn()
        const record = render(event)
        records.push(record)
        units += record.length
        if (units < batchBytes && index < events.length - 1) continue
        await hand(records)
        records = []
        units = 0
      }
    }
  }

  async function hand(records: readonly string[]): Promise<void> {
    const batch = await batchOf(records)
    unmade -= batch.count
    await outbox.add(batch)
  }

  async function drain(withinMs?: number): Promise<void> {
    const endMs = withinMs === undefined ? undefined : performance.now() + withinMs
    close()
    // What a withdrawal brings meanwhile is made too.
    for (let made = making; made; made = making) {
      await made
      close()
    }
    hasEnded = true
    await outbox.drain(endMs === undefined ? undefined : Math.max(0, endMs - performance.now()))
  }

  return {
    name,
    hasRoom: () => draining === undefined && unmade + outbox.inMemory() < buffer,
    take,
    onRoom: (listener) => {
      tellRoom = listener
    },
    drain: (withinMs) => (draining ??= drain(withinMs)),
    figures: () => {
      const { pending, written, lost, problem } = outbox.figures()
      return { pending: pending + unmade, written, lost: lost + lostAfterEnd, problem, isBroken: false }
    },
  }
}
