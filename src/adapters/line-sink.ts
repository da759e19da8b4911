import type { Writable } from 'node:stream'
import type { AuditEvent, EventSink } from '../audit/event-sink.js'

export type LineSinkOptions = {
  readonly name: string
  /** Written to by nobody else. A pipe must be non-blocking, as process.stdout is. */
  readonly stream: Writable
  /** Lines held at most, those on their way to the kernel included. */
  readonly bufferLines: number
  /** The line of an event, without its line feed. */
  readonly render: (event: AuditEvent) => string
  /** Told once when the stream breaks. */
  readonly onBroken?: () => void
}

/** UTF-16 units written at once: enough to make the system call cheap, too little to hold the loop for long. */
const BATCH_UNITS = 64 * 1024

/**
 * Writes lines in batches, one batch in flight, in the order in which they were taken. What was taken is not lost at
 * shutdown as long as somebody reads at the other end; a reader that has stopped reading is given up. A broken stream
 * stays broken, and what it held counts as lost.
 */
export function createLineSink({ name, stream, bufferLines, render, onBroken }: LineSinkOptions): EventSink {
  let queue: AuditEvent[] = []
  let inFlight = 0
  let scheduled = false
  let draining = false
  let written = 0
  let lost = 0
  let broken: string | undefined
  let tellRoom: (() => void) | undefined
  let drained: (() => void)[] = []

  stream.on('error', fail)

  function take(event: AuditEvent): undefined {
    if (broken !== undefined) {
      lost++
      return
    }
    queue.push(event)
    if (scheduled || inFlight > 0) return
    scheduled = true
    setImmediate(flush)
  }

  function flush(): void {
    scheduled = false
    if (broken !== undefined || queue.length === 0 || inFlight > 0) return
    const lines: string[] = []
    let units = 0
    for (const event of queue) {
      if (units >= BATCH_UNITS) break
      const line = render(event)
      lines.push(line)
      units += line.length
    }
    queue = lines.length === queue.length ? [] : queue.slice(lines.length)
    inFlight = lines.length
    stream.write(`${lines.join('\n')}\n`, settleBatch)
  }

  function settleBatch(error: Error | null | undefined): void {
    if (error) return fail(error)
    if (broken !== undefined) return
    written += inFlight
    inFlight = 0
    tellRoom?.()
    if (queue.length > 0) flush()
    else settleDrain()
  }

  function fail(error: Error & { code?: string }): void {
    if (broken !== undefined) return
    broken = error.code ?? error.message
    lost += queue.length + inFlight
    queue = []
    inFlight = 0
    tellRoom?.()
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
    name,
    hasRoom: () => broken === undefined && !draining && queue.length + inFlight < bufferLines,
    take,
    onRoom: (listener) => {
      tellRoom = listener
    },
    drain,
    figures: () => ({
      pending: queue.length + inFlight,
      written,
      lost,
      problem: broken,
      isBroken: broken !== undefined,
    }),
  }
}
