import { Agent as HttpAgent, type IncomingMessage, request as httpRequest } from 'node:http'
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https'

export type PostOptions = {
  readonly url: string
  /** Bearer token, asked for each time, since its file may change; undefined: none is sent. */
  readonly token?: (() => string) | undefined
  /** PEM of the certificates that the collector's must lead to; undefined: the system's. */
  readonly ca?: string | undefined
  /** For one attempt, until the headers of the answer. */
  readonly timeoutMs: number
  readonly nowMs: () => number
}

/** What came of one attempt. `problem` names no secret. */
export type Attempt =
  | { readonly outcome: 'delivered' }
  /** Worth another try, after `afterMs` at least. */
  | { readonly outcome: 'failed'; readonly problem: string; readonly afterMs?: number | undefined }
  /** Never, whatever the batch's size. */
  | { readonly outcome: 'refused'; readonly problem: string }
  | { readonly outcome: 'too-large'; readonly problem: string }

export type Poster = {
  /** Sends one gzipped JSON array. Never rejects; gives up when the signal says so. */
  readonly post: (body: Buffer, signal: AbortSignal) => Promise<Attempt>
  readonly close: () => void
}

/** Of an answer's body, which nobody reads; after more the connection is given up. */
const MAX_ANSWER_BYTES = 64 * 1024
/** What a new token or permission mends, and answers that say: not now. Source: RFC 9110 15.5, RFC 6585 4. */
const LATER = new Set([401, 403, 408, 429])

/**
 * POSTs over one kept connection. Redirects are not followed: they would lead events elsewhere. Nothing it tells holds
 * the token, or the path and query of the URL, which may be secrets.
 */
export function createPoster({ url, token, ca, timeoutMs, nowMs }: PostOptions): Poster {
  const target = new URL(url)
  const isSecure = target.protocol === 'https:'
  const agent = isSecure
    ? new HttpsAgent({ keepAlive: true, ...(ca !== undefined && { ca }) })
    : new HttpAgent({ keepAlive: true })

  function once(body: Buffer, signal: AbortSignal): Promise<Attempt | 'stale'> {
    const limit = AbortSignal.timeout(timeoutMs)
    return new Promise((resolve) => {
      const fail = (error: unknown, isReused: boolean): void => {
        if (limit.aborted) resolve({ outcome: 'failed', problem: 'no answer in time' })
        else if (isReused && !signal.aborted) resolve('stale')
        else resolve({ outcome: 'failed', problem: `the request failed${codeOf(error)}` })
      }
      try {
        const bearer = token?.()
        const options = {
          method: 'POST',
          agent,
          signal: AbortSignal.any([limit, signal]),
          headers: {
            'content-type': 'application/json',
            'content-encoding': 'gzip',
            'content-length': body.length,
            'user-agent': 'portcullis',
            ...(bearer !== undefined && { authorization: `Bearer ${bearer}` }),
          },
        }
        const request = (isSecure ? httpsRequest : httpRequest)(target, options, (response) => {
          discard(response)
          resolve(attemptOf(response, nowMs()))
        })
        request.on('error', (error) => fail(error, request.reusedSocket))
        request.end(body)
      } catch (error) {
        fail(error, false)
      }
    })
  }

  return {
    post: async (body, signal) => {
      // A kept connection may have been ended by the other side just now; that is no failure of the collector.
      for (;;) {
        const attempt = await once(body, signal)
        if (attempt !== 'stale') return attempt
        agent.destroy()
      }
    },
    close: () => agent.destroy(),
  }
}

function discard(response: IncomingMessage): void {
  let bytes = 0
  response.on('error', ignore)
  response.on('data', (chunk: Buffer) => {
    bytes += chunk.length
    if (bytes > MAX_ANSWER_BYTES) response.destroy()
  })
}

function attemptOf({ statusCode = 0, headers }: IncomingMessage, nowMs: number): Attempt {
  const problem = `status ${statusCode}`
  if (statusCode >= 200 && statusCode < 300) return { outcome: 'delivered' }
  if (statusCode === 413) return { outcome: 'too-large', problem }
  if (statusCode < 500 && !LATER.has(statusCode)) return { outcome: 'refused', problem }
  return { outcome: 'failed', problem, afterMs: retryAfterMs(headers['retry-after'], nowMs) }
}

/** Delta seconds or an HTTP date. Source: RFC 9110 10.2.3. */
function retryAfterMs(value: string | undefined, nowMs: number): number | undefined {
  if (value === undefined) return undefined
  if (/^[0-9]{1,9}$/.test(value)) return Number(value) * 1000
  const atMs = Date.parse(value)
  return Number.isNaN(atMs) ? undefined : Math.max(0, atMs - nowMs)
}

/** The code alone: a message may quote a header. */
function codeOf(error: unknown): string {
  return typeof error === 'object' && error !== null && 'code' in error ? `: ${String(error.code)}` : ''
}

function ignore(): void {
  // Nobody reads it.
}
