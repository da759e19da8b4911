import type { Post } from './post.js'

export type SpanQueueOptions = {
  readonly post: Post
  /** A whole request of encoded spans. */
  readonly request: (spans: readonly Buffer[]) => Buffer
  /** Spans that wait at most, those on their way included. */
  readonly buffer: number
  readonly intervalMs: number
  /** In [0, 1), for the jitter. */
  readonly random: () => number
  /** Told when spans begin to fail, and when they are delivered again. */
  readonly tell: (level: 'info' | 'warn', message: string, fields: { readonly problem?: string }) => void
  /** Wait before the first retry, milliseconds; it doubles each time. */
  readonly backoffMs?: number
}

export type SpanFigures = { readonly exported: number; readonly dropped: number; readonly waiting: number }

export type SpanQueue = {
  /** Takes one span, or drops and counts it, and then it isn't even encoded. Never waits. */
  readonly add: (encode: () => Buffer) => void
  /** Takes no more; sends what waits within the time and drops the rest. */
  readonly drain: (withinMs: number) => Promise<void>
  readonly figures: () => SpanFigures
}

const BATCH_SPANS = 512
const ATTEMPTS = 4
const BACKOFF_MS = 1000
const MAX_BACKOFF_MS = 30_000

/** Sends spans in batches behind the answers, one request at a time. */
export function createSpanQueue(options: SpanQueueOptions): SpanQueue {
  const { post, request, buffer, intervalMs, random, tell, backoffMs = BACKOFF_MS } = options
  const stopping = new AbortController()
  let waiting: Buffer[] = []
  let onTheWay = 0
  let [exported, dropped] = [0, 0]
  let failing = false
  let draining = false
  let running: Promise<void> | undefined
  let timer: NodeJS.Timeout | undefined
  let wake: (() => void) | undefined

  function add(encode: () => Buffer): void {
    if (draining || waiting.length + onTheWay >= buffer) {
      dropped++
      return
    }
    waiting.push(encode())
    if (waiting.length >= BATCH_SPANS) start()
    else timer ??= setTimeout(start, intervalMs).unref()
  }

  function start(): void {
    clearTimeout(timer)
    timer = undefined
    running ??= sendAll().finally(() => {
      running = undefined
    })
  }

  async function sendAll(): Promise<void> {
    while (waiting.length > 0 && !stopping.signal.aborted) {
      const batch = waiting.slice(0, BATCH_SPANS)
      waiting = waiting.slice(BATCH_SPANS)
      onTheWay = batch.length
      const taken = await send(request(batch))
      onTheWay = 0
      exported += taken === undefined ? 0 : batch.length - Math.min(taken.rejected, batch.length)
      dropped += taken === undefined ? batch.length : Math.min(taken.rejected, batch.length)
    }
  }

  /** Undefined: it was given up. */
  async function send(body: Buffer): Promise<{ readonly rejected: number } | undefined> {
    for (let attempt = 1; ; attempt++) {
      const posted = await post(body, stopping.signal)
      if (posted.outcome === 'taken') {
        if (failing) tell('info', 'spans are delivered again', {})
        failing = false
        return posted
      }
      if (!failing && !stopping.signal.aborted) {
        tell('warn', 'spans can not be delivered', { problem: posted.problem })
      }
      failing = true
      if (posted.outcome === 'refused' || attempt >= ATTEMPTS || draining) return undefined
      const backoff = Math.min(backoffMs * 2 ** (attempt - 1), MAX_BACKOFF_MS) * (0.5 + random() / 2)
      await pause(Math.max(backoff, Math.min(posted.afterMs ?? 0, MAX_BACKOFF_MS)))
    }
  }

  function pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const pausing = setTimeout(resolve, ms).unref()
      wake = () => {
        clearTimeout(pausing)
        resolve()
      }
    })
  }

  async function drain(withinMs: number): Promise<void> {
    draining = true
    // There is no later for a long pause, so the next try is now.
    wake?.()
    if (waiting.length > 0) start()
    clearTimeout(timer)
    const limit = setTimeout(() => stopping.abort(), withinMs)
    await running
    clearTimeout(limit)
    dropped += waiting.length
    waiting = []
  }

  return {
    add,
    drain,
    figures: () => ({ exported, dropped, waiting: waiting.length + onTheWay }),
  }
}
