import { request as httpRequest, type IncomingMessage } from 'node:http'
import { request as httpsRequest } from 'node:https'

export type FetchLimits = {
  /** For the whole exchange. */
  readonly timeoutMs: number
  readonly maxBytes: number
  readonly signal: AbortSignal
}
/** `status`: what was answered instead of 200. */
export type Fetched =
  | { readonly ok: true; readonly text: string }
  | { readonly ok: false; readonly problem: string; readonly status?: number }

/** One GET. Never throws: whatever goes wrong is a problem that names no content. */
export type FetchJson = (limits: FetchLimits) => Promise<Fetched>

export type PreparedFetch =
  { readonly ok: true; readonly fetch: FetchJson } | { readonly ok: false; readonly problem: string }

const LOOPBACK = new Set(['localhost', '127.0.0.1', '[::1]'])
const JSON_TYPE = /^application\/(?:[a-z0-9.-]+\+)?json\s*(?:;|$)/i

/**
 * Prepares GETs of one JSON document. https only, except from a loopback host; only from allowed hosts; a redirect is
 * an error, so that nobody is led to an inside address. A new connection each time: fetches are minutes apart.
 */
export function fetchJson(
  address: string,
  allowedHosts: readonly string[],
  ca: string | undefined,
): PreparedFetch {
  if (!URL.canParse(address)) return { ok: false, problem: 'not a URL' }
  const url = new URL(address)
  if (url.protocol !== 'https:' && !(url.protocol === 'http:' && LOOPBACK.has(url.hostname))) {
    return { ok: false, problem: 'only https is fetched, or http from a loopback host' }
  }
  if (url.username !== '' || url.password !== '')
    return { ok: false, problem: 'it holds a user name or password' }
  if (!allowedHosts.includes(url.hostname))
    return { ok: false, problem: `host ${url.hostname} is not allowed` }
  return { ok: true, fetch: (limits) => get(url, ca, limits) }
}

function get(
  url: URL,
  ca: string | undefined,
  { timeoutMs, maxBytes, signal }: FetchLimits,
): Promise<Fetched> {
  const deadline = AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)])
  const options = {
    signal: deadline,
    agent: false as const,
    headers: { accept: 'application/jwk-set+json, application/json' },
    ...(ca === undefined ? {} : { ca }),
  }
  return new Promise((resolve) => {
    const fail = (error: Error): void => {
      const ended = signal.aborted ? 'closed' : `no answer within ${timeoutMs} ms`
      resolve({ ok: false, problem: deadline.aborted ? ended : `not reachable: ${codeOf(error)}` })
    }
    const request = (url.protocol === 'https:' ? httpsRequest : httpRequest)(url, options, (response) => {
      read(response, maxBytes).then((fetched) => {
        if (!fetched.ok) request.destroy()
        resolve(fetched)
      }, fail)
    })
    request.on('error', fail)
    request.end()
  })
}

async function read(response: IncomingMessage, maxBytes: number): Promise<Fetched> {
  const status = response.statusCode ?? 0
  if (status !== 200) return { ok: false, problem: `answered ${status}`, status }
  if (!JSON_TYPE.test(response.headers['content-type'] ?? ''))
    return { ok: false, problem: 'did not answer JSON' }
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of response as AsyncIterable<Buffer>) {
    size += chunk.length
    if (size > maxBytes) return { ok: false, problem: `answered more than ${maxBytes} bytes` }
    chunks.push(chunk)
  }
  return { ok: true, text: Buffer.concat(chunks).toString('utf8') }
}

function codeOf(error: Error): string {
  return 'code' in error && typeof error.code === 'string' ? error.code : error.name
}
