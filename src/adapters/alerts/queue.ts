import type { AlertSink } from '../../risk/alert-sink.js'

/** What came of one attempt. `problem` names no secret, for the log. */
export type Attempt =
  | { readonly outcome: 'delivered' }
  /** Worth another try, after `afterMs` at least. */
  | { readonly outcome: 'failed'; readonly problem: string; readonly afterMs?: number | undefined }
  /** The receiver will never take it. */
  | { readonly outcome: 'refused'; readonly problem: string }

export type AlertQueueOptions = {
  /** For the log, for example `webhook https://alerts.example`. */
  readonly name: string
  /** Never rejects. Gives up when the signal, made for this alert, says so. */
  readonly attempt: (line: string, signal: AbortSignal) => Promise<Attempt>
  /** Attempts after the first, for one alert. */
  readonly retries: number
  /** Alerts that wait at most, beside the one on its way. */
  readonly buffer: number
  /** Wait before the first retry, milliseconds; it doubles each time. 500 by default. */
  readonly backoffMs?: number
  /** In [0, 1), for the jitter. */
  readonly random: () => number
  /** Told when alerts begin to fail, and of each that is given up. */
  readonly warn: (message: string) => void
}

const BACKOFF_MS = 500
const MAX_BACKOFF_MS = 60_000
/** A receiver that asks for a longer pause is tried again after this one. */
const MAX_ASKED_MS = 300_000

/** Delivers in order, one at a time. Waits grow to a minute, with a jitter of half, so that replicas don't come together. */
export function createAlertQueue(options: AlertQueueOptions): AlertSink {
  const { name, attempt, retries, buffer, backoffMs = BACKOFF_MS, random, warn } = options
  /** By number of arrival; in a Map the oldest goes cheaply. */
  const waiting = new Map<number, string>()
  let arrivals = 0
  let delivered = 0
  let dropped = 0
  let failing = false
  let draining = false
  let stopped = false
  /** Settles when nothing waits any more. */
  let running: Promise<void> | undefined
  let underWay: AbortController | undefined
  let wake: (() => void) | undefined

  function send(line: string): void {
    if (draining) return giveUp('the end of this process')
    waiting.set(arrivals++, line)
    if (waiting.size > buffer) {
      takeOldest()
      giveUp('too many wait')
    }
    running ??= run()
  }

  function takeOldest(): string | undefined {
    for (const [number, line] of waiting) {
      waiting.delete(number)
      return line
    }
    return undefined
  }

  function giveUp(why: string): void {
    dropped++
    // A flood of alerts is no reason for a flood of warnings: the first, the second, the fourth, the eighth…
    if ((dropped & (dropped - 1)) === 0) warn(`${name}: alerts given up: ${dropped}; the latest: ${why}`)
  }

  async function run(): Promise<void> {
    for (let line = takeOldest(); line !== undefined; line = takeOldest()) {
      underWay = new AbortController()
      const problem = await deliver(line, underWay.signal)
      if (stopped) return
      underWay = undefined
      if (problem !== undefined) giveUp(problem)
    }
    running = undefined
  }

  /** What it failed by, once that is for good. */
  async function deliver(line: string, signal: AbortSignal): Promise<string | undefined> {
    for (let failures = 1; ; failures++) {
      const result = await attempt(line, signal)
      if (stopped) return undefined
      if (result.outcome === 'delivered') {
        delivered++
        if (failing) warn(`${name}: alerts are delivered again`)
        failing = false
        return undefined
      }
      if (result.outcome === 'refused' || failures > retries) return result.problem
      if (!failing) warn(`${name}: ${result.problem}`)
      failing = true
      await pause(waitMs(failures, result.afterMs))
      if (stopped) return undefined
    }
  }

  function waitMs(failures: number, askedMs = 0): number {
    const backoff = Math.min(backoffMs * 2 ** (failures - 1), MAX_BACKOFF_MS)
    return Math.max(backoff * (0.5 + random() / 2), Math.min(askedMs, MAX_ASKED_MS))
  }

  function pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, ms).unref()
      wake = () => {
        clearTimeout(timer)
        resolve()
      }
    })
  }

  async function drain(withinMs: number): Promise<void> {
    draining = true
    if (running === undefined) return
    // There is no later for a long pause, so the next try is now.
    wake?.()
    await new Promise<void>((resolve) => {
      const timer = setTimeout(() => {
        stop()
        resolve()
      }, withinMs)
      void running?.then(() => {
        clearTimeout(timer)
        resolve()
      })
    })
  }

  /** What is on its way or waits is lost from here on. */
  function stop(): void {
    stopped = true
    const lost = waiting.size + (underWay === undefined ? 0 : 1)
    waiting.clear()
    underWay?.abort()
    underWay = undefined
    wake?.()
    for (let count = 0; count < lost; count++) giveUp('the end of this process')
  }

  return {
    send,
    drain,
    figures: () => ({
      pending: waiting.size + (underWay === undefined ? 0 : 1),
      delivered,
      dropped,
    }),
  }
}
