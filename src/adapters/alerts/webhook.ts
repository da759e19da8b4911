import type { AlertSink } from '../../risk/alert-sink.js'
import { type Attempt, createAlertQueue } from './queue.js'

export type WebhookOptions = {
  readonly url: string
  /** Bearer token, asked for each time, since its file may change; undefined: none is sent. */
  readonly token?: (() => string | undefined) | undefined
  /** For one attempt, until the headers of the answer. */
  readonly timeoutMs: number
  /** Attempts after the first. */
  readonly retries: number
  /** Alerts that wait at most. */
  readonly buffer: number
  readonly nowMs: () => number
  readonly random: () => number
  readonly warn: (message: string) => void
  /** Wait before the first retry, milliseconds. */
  readonly backoffMs?: number
}

/** Answers that say: not now. Every other 4xx says: never. Source: RFC 9110 15.5.9, RFC 6585 4. */
const LATER = new Set([408, 429])

/**
 * Alerts as POSTs of JSON. 2xx is delivered; 5xx, 408, 429, no answer in time and a broken connection are tried again,
 * after `Retry-After` where that says so; everything else, redirects too, is refused. The answer's body is not read.
 * Nothing that is logged holds the token, or the path and query of the URL, which may be secrets.
 */
export function createWebhook(options: WebhookOptions): AlertSink {
  const { url, token, timeoutMs, nowMs } = options
  return createAlertQueue({
    ...options,
    name: `webhook ${new URL(url).origin}`,
    attempt: async (line, signal) => {
      const limit = AbortSignal.timeout(timeoutMs)
      try {
        const bearer = token?.()
        const response = await fetch(url, {
          method: 'POST',
          redirect: 'manual',
          headers: {
            'content-type': 'application/json',
            'user-agent': 'portcullis',
            ...(bearer === undefined ? {} : { authorization: `Bearer ${bearer}` }),
          },
          body: line,
          signal: AbortSignal.any([limit, signal]),
        })
        void response.body?.cancel().catch(ignore)
        return attemptOf(response, nowMs())
      } catch (error) {
        return { outcome: 'failed', problem: limit.aborted ? 'no answer in time' : problemOf(error) }
      }
    },
  })
}

function attemptOf({ status, headers }: Response, nowMs: number): Attempt {
  const problem = `status ${status}`
  if (status >= 200 && status < 300) return { outcome: 'delivered' }
  if (status < 500 && !LATER.has(status)) return { outcome: 'refused', problem }
  return { outcome: 'failed', problem, afterMs: retryAfterMs(headers.get('retry-after'), nowMs) }
}

/** Delta seconds or an HTTP date. Source: RFC 9110 10.2.3. */
function retryAfterMs(value: string | null, nowMs: number): number | undefined {
  if (value === null) return undefined
  if (/^[0-9]{1,9}$/.test(value)) return Number(value) * 1000
  const atMs = Date.parse(value)
  return Number.isNaN(atMs) ? undefined : Math.max(0, atMs - nowMs)
}

/** The code alone: a message may quote a header. */
function problemOf(error: unknown): string {
  const cause = memberOf(error, 'cause')
  const code = memberOf(cause, 'code')
  return typeof code === 'string' ? `the request failed: ${code}` : 'the request failed'
}

function memberOf(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null ? Reflect.get(value, name) : undefined
}

function ignore(): void {
  // Nobody reads it.
}
