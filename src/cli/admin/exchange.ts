import { request as plainRequest, type IncomingMessage, type RequestOptions } from 'node:http'
import { request as secureRequest } from 'node:https'
import type { Connection } from './connection.js'

export type ApiRequest = {
  readonly method: 'GET' | 'POST' | 'PUT' | 'DELETE'
  /** Begins with `/`; every part is already encoded, see `pathOf`. */
  readonly path: string
  /** What is undefined is left out. */
  readonly query?: Readonly<Record<string, string | number | undefined>>
  readonly body?: unknown
}

export type Exchange =
  | { readonly ok: true; readonly status: number; readonly contentType: string; readonly bytes: Buffer }
  | { readonly ok: false; readonly problem: string }

export type ExchangeLimits = { readonly timeMs: number; readonly answerBytes: number }
export const EXCHANGE_LIMITS: ExchangeLimits = { timeMs: 10_000, answerBytes: 64 * 1024 * 1024 }

/**
 * One HTTP exchange with the admin API. `timeMs` is for the whole of it, from connecting to the last byte. Redirects
 * are answers like others: the token goes nowhere else. What the network does is a result, in words for a person.
 */
export async function exchange(
  connection: Connection,
  asked: ApiRequest,
  limits: ExchangeLimits = EXCHANGE_LIMITS,
): Promise<Exchange> {
  const body = asked.body === undefined ? undefined : Buffer.from(JSON.stringify(asked.body))
  const signal = AbortSignal.timeout(limits.timeMs)
  try {
    return await send(connection, { ...optionsOf(connection, asked, body), signal }, body, limits)
  } catch (error) {
    const problem = signal.aborted ? `did not answer within ${limits.timeMs / 1000} s` : reasonOf(error)
    return { ok: false, problem: `${connection.name}: ${problem}` }
  }
}

/** Joins the parts of a path, each encoded: no slash, and no `..`, that a name holds leads elsewhere. */
export function pathOf(...parts: readonly string[]): string {
  return parts
    .map((part) => `/${encodeURIComponent(part).replace(/^\.+$/, (dots) => '%2E'.repeat(dots.length))}`)
    .join('')
}

function optionsOf(connection: Connection, asked: ApiRequest, body: Buffer | undefined): RequestOptions {
  const query = new URLSearchParams()
  for (const [name, value] of Object.entries(asked.query ?? {})) {
    if (value !== undefined) query.set(name, String(value))
  }
  const headers: Record<string, string | number> = {
    accept: 'application/json, application/problem+json, text/*',
  }
  if (connection.token !== undefined) headers['authorization'] = `Bearer ${connection.token}`
  if (body) {
    headers['content-type'] = 'application/json'
    headers['content-length'] = body.length
  }
  return {
    host: connection.host,
    port: connection.port,
    method: asked.method,
    path: query.size > 0 ? `${asked.path}?${query.toString()}` : asked.path,
    headers,
    agent: false,
    ...(connection.ca ? { ca: connection.ca } : {}),
    ...(connection.certificate ? { cert: connection.certificate } : {}),
    ...(connection.key ? { key: connection.key } : {}),
  }
}

function send(
  { secure }: Connection,
  options: RequestOptions,
  body: Buffer | undefined,
  limits: ExchangeLimits,
): Promise<Exchange> {
  return new Promise((resolve, reject) => {
    const sent = secure ? secureRequest(options) : plainRequest(options)
    sent.on('error', reject)
    sent.on('response', (answer) => {
      readBounded(answer, limits.answerBytes).then((bytes) => {
        resolve({
          ok: true,
          status: answer.statusCode ?? 0,
          contentType: answer.headers['content-type'] ?? '',
          bytes,
        })
      }, reject)
    })
    sent.end(body)
  })
}

async function readBounded(answer: IncomingMessage, maxBytes: number): Promise<Buffer> {
  const chunks: Buffer[] = []
  let length = 0
  for await (const chunk of answer) {
    if (!Buffer.isBuffer(chunk)) continue
    length += chunk.length
    if (length > maxBytes) throw new Error(`its answer has more than ${maxBytes} bytes`)
    chunks.push(chunk)
  }
  return Buffer.concat(chunks, length)
}

function reasonOf(error: unknown): string {
  const code = typeof error === 'object' && error !== null && 'code' in error ? String(error.code) : ''
  switch (code) {
    case 'ECONNREFUSED':
      return 'nothing listens there; is admin.listen set in its configuration, and --server right?'
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return 'no such host'
    case 'ECONNRESET':
      return 'the connection broke off; https:// where the server has TLS, http:// where it has none'
    case 'EPROTO':
    case 'ERR_SSL_WRONG_VERSION_NUMBER':
      return 'no TLS connection; http:// where the server has no TLS'
    case 'DEPTH_ZERO_SELF_SIGNED_CERT':
    case 'SELF_SIGNED_CERT_IN_CHAIN':
    case 'UNABLE_TO_GET_ISSUER_CERT_LOCALLY':
    case 'UNABLE_TO_VERIFY_LEAF_SIGNATURE':
      return `nobody known vouches for its certificate (${code}); name its authority with --ca`
    default:
      return error instanceof Error && error.message !== '' ? error.message : code || String(error)
  }
}
