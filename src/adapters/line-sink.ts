import type { Writable } from 'node:stream'
import type { AcceptEvent } from '../audit/event-sink.js'

export type LineSinkOptions = {
  /** Written to by nobody else. A pipe must be non-blocking, as process.stdout is. */
  readonly stream: Writable
  /** Lines held at most, those on their way to the kernel included. */
  readonly bufferLines: number
  /** When the buffer is full. Block: wait for room. Drop: lose the line and count it. FailClosed: refuse it. */
  readonly overflow: 'Block' | 'Drop' | 'FailClosed'
  /** Told once when the stream breaks. */
  readonly onBroken?: () => void
}

export type LineSink = {
  readonly accept: AcceptEvent
  /** As `accept`, for what must not be lost: without room Drop refuses too, and waits for no room. */
  readonly acceptKept: AcceptEvent
  /**
   * Accepts nothing more, and resolves once every accepted line was handed to the kernel or the stream broke.
   * A reader that has stopped reading is given up after `withinMs`, if that is given; its lines count as lost.
   */
  readonly drain: (withinMs?: number) => Promise<void>
  /** Lines accepted and not yet handed over. */
  readonly pending: number
  /** Lines lost: dropped on overflow, or still held when the stream broke. */
  readonly dropped: number
  /** Lines refused: nobody waits for them any more. */
  readonly refused: number
  /** What broke the stream for good, for example `EPIPE`. */
  readonly broken: string | undefined
}

/** UTF-16 units written at once: enough to make the system call cheap, too little to hold the loop for long. */
const BATCH_UNITS = 64 * 1024

type Waiter = {
  readonly line: string
  readonly settle: (answer: 'accepted' | 'refused') => void
  readonly timer: NodeJS.Timeout
}

/**
 * Writes lines in batches, one batch in flight, in the order in which they were accepted. What was accepted
 * is bounded and not lost at shutdown as long as somebody reads at the other end. A broken stream stays
 * broken: under Drop lines are then counted as lost, otherwise refused.
 */
export function createLineSink({ stream, bufferLines, overflow, onBroken }: LineSinkOptions): LineSink {
  let queue: string[] = []
  let inFlight = 0
  let scheduled = false
  let draining = false
  let dropped = 0
  let refused = 0
  let broken: string | undefined
  const waiters = new Set<Waiter>()
  let drained: (() => void)[] = []

  stream.on('error', fail)

  function accept(line: string, waitMs: number): ReturnType<AcceptEvent> {
    if (overflow !== 'Drop' || hasRoom()) return acceptKept(line, waitMs)
    dropped++
    return 'accepted'
  }

  function hasRoom(): boolean {
    return broken === undefined && !draining && waiters.size === 0 && queue.length + inFlight < bufferLines
  }

  function acceptKept(line: string, waitMs: number): ReturnType<AcceptEvent> {
    if (hasRoom()) {
      take(line)
      return 'accepted'
    }
    if (overflow !== 'Block' || broken !== undefined || draining || waitMs <= 0) {
      refused++
      return 'refused'
    }
    return waitForRoom(line, waitMs)
  }

  function take(line: string): void {
    queue.push(line)
    if (scheduled || inFlight > 0) return
    scheduled = true
    setImmediate(flush)
  }

  function waitForRoom(line: string, waitMs: number): Promise<'accepted' | 'refused'> {
    return new Promise((resolve) => {
      const waiter: Waiter = { line, settle, timer: setTimeout(settle, waitMs, 'refused') }
      waiters.add(waiter)
      function settle(answer: 'accepted' | 'refused'): void {
        clearTimeout(waiter.timer)
        waiters.delete(waiter)
        if (answer === 'refused') refused++
        resolve(answer)
      }
    })
  }

  function flush(): void {
    scheduled = false
    if (broken !== undefined || queue.length === 0 || inFlight > 0) return
    let units = 0
    let lines = 0
    while (lines < queue.length && units < BATCH_UNITS) units += queue[lines++]?.length ?? 0
    const batch = lines === queue.length ? queue : queue.slice(0, lines)
    queue = lines === queue.length ? [] : queue.slice(lines)
    inFlight = lines
    stream.write(`${batch.join('\n')}\n`, written)
  }

  function written(error: Error | null | undefined): void {
    if (error) return fail(error)
    if (broken !== undefined) return
    inFlight = 0
    admitWaiters()
    if (queue.length > 0) flush()
    else settleDrain()
  }

  function admitWaiters(): void {
    for (const waiter of waiters) {
      if (queue.length >= bufferLines) return
      queue.push(waiter.line)
      waiter.settle('accepted')
    }
  }

  function fail(error: Error & { code?: string }): void {
    if (broken !== undefined) return
    broken = error.code ?? error.message
    dropped += queue.length + inFlight
    queue = []
    inFlight = 0
    for (const waiter of waiters) waiter.settle('refused')
    settleDrain()
    onBroken?.()
  }

  function settleDrain(): void {
    for (const resolve of drained) resolve()
    drained = []
  }

  async function drain(withinMs?: number): Promise<void> {
    draining = true
    if (broken !== undefined || queue.length + inFlight === 0) return
    const giveUp = () => fail(new Error('the reader has stopped reading'))
    const timer = withinMs === undefined ? undefined : setTimeout(giveUp, withinMs)
    await new Promise<void>((resolve) => drained.push(resolve))
    clearTimeout(timer)
  }

  return {
    accept,
    acceptKept,
    drain,
    get pending() {
      return queue.length + inFlight
    },
    get dropped() {
      return dropped
    },
    get refused() {
      return refused
    },
    get broken() {
      return broken
    },
  }
}
