import { Agent as HttpAgent, type IncomingMessage, request as httpRequest } from 'node:http'
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https'
import type { Access, Credentials } from './access.js'

/** `status`: what was answered, where something was. */
export type Reply =
  | { readonly ok: true; readonly text: string }
  | { readonly ok: false; readonly problem: string; readonly status?: number }

export type Limits = {
  /** For the whole exchange. */
  readonly timeoutMs: number
  readonly maxBytes: number
  readonly signal: AbortSignal
}

export type StreamLimits = {
  /** Until the head of the answer is there. */
  readonly timeoutMs: number
  /** Without a byte for so long the connection counts as dead. */
  readonly idleMs: number
  readonly maxLineBytes: number
  readonly signal: AbortSignal
}

export type Failure = {
  readonly problem: string
  readonly status?: number | undefined
  /** Something came that could not be taken: going on behind it would miss it. */
  readonly missed?: boolean
}

/** A token file is read again this often at the latest, and after every 401. */
const CREDENTIALS_FOR_MS = 60_000
const MAX_ERROR_BYTES = 64 * 1024

/**
 * Speaks with one Kubernetes API server over HTTP/1.1. Never throws: whatever goes wrong is a problem that names the
 * cause and no credential. Redirects are not followed.
 */
export class ApiClient {
  readonly #access: Access
  readonly #nowMs: () => number
  #known: { readonly credentials: Credentials; readonly agent: HttpAgent; readonly atMs: number } | undefined

  constructor(access: Access, nowMs: () => number) {
    this.#access = access
    this.#nowMs = nowMs
  }

  get(path: string, limits: Limits): Promise<Reply> {
    return this.#exchange('GET', path, undefined, limits)
  }

  /** A JSON merge patch (RFC 7386). */
  patch(path: string, body: string, limits: Limits): Promise<Reply> {
    return this.#exchange('PATCH', path, body, limits)
  }

  /** GETs lines for as long as the server sends some; what `take` gives ends it. Undefined: it ended in order. */
  async stream(
    path: string,
    take: (line: string) => Failure | undefined,
    { timeoutMs, idleMs, maxLineBytes, signal }: StreamLimits,
    opened: () => void,
  ): Promise<Failure | undefined> {
    const quiet = new AbortController()
    let why = `no answer within ${timeoutMs} ms`
    const timer = setTimeout(() => quiet.abort(), timeoutMs)
    try {
      const response = await this.#send('GET', path, undefined, AbortSignal.any([signal, quiet.signal]))
      const status = response.statusCode ?? 0
      if (status !== 200) return await this.#refusal(response, status)
      opened()
      why = `no word for ${idleMs} ms`
      let rest: Buffer[] = []
      let length = 0
      const waits = setTimeout(() => quiet.abort(), idleMs)
      clearTimeout(timer)
      try {
        for await (const chunk of response as AsyncIterable<Buffer>) {
          waits.refresh()
          let from = 0
          for (let at = chunk.indexOf(10); at >= 0; at = chunk.indexOf(10, from)) {
            rest.push(chunk.subarray(from, at))
            length += at - from
            if (length > maxLineBytes) return end(response, `sent a line of more than ${maxLineBytes} bytes`)
            const line = Buffer.concat(rest).toString('utf8')
            ;[rest, length, from] = [[], 0, at + 1]
            const stop = line.trim() === '' ? undefined : take(line)
            if (stop) {
              response.destroy()
              return stop
            }
          }
          rest.push(Buffer.from(chunk.subarray(from)))
          length += chunk.length - from
          if (length > maxLineBytes) return end(response, `sent a line of more than ${maxLineBytes} bytes`)
        }
      } finally {
        clearTimeout(waits)
      }
      return undefined
    } catch (error) {
      if (quiet.signal.aborted) return { problem: why }
      return { problem: `not reachable: ${reasonOf(error)}` }
    } finally {
      clearTimeout(timer)
    }
  }

  close(): void {
    this.#known?.agent.destroy()
    this.#known = undefined
  }

  async #exchange(
    method: string,
    path: string,
    body: string | undefined,
    { timeoutMs, maxBytes, signal }: Limits,
  ): Promise<Reply> {
    const deadline = AbortSignal.timeout(timeoutMs)
    try {
      const response = await this.#send(method, path, body, AbortSignal.any([signal, deadline]))
      const status = response.statusCode ?? 0
      if (status < 200 || status > 299) return { ok: false, ...(await this.#refusal(response, status)) }
      const text = await readBody(response, maxBytes)
      if (text === undefined) return { ok: false, problem: `answered more than ${maxBytes} bytes`, status }
      return { ok: true, text }
    } catch (error) {
      if (deadline.aborted) return { ok: false, problem: `no whole answer within ${timeoutMs} ms` }
      return { ok: false, problem: `not reachable: ${reasonOf(error)}` }
    }
  }

  async #send(
    method: string,
    path: string,
    body: string | undefined,
    signal: AbortSignal,
  ): Promise<IncomingMessage> {
    const { credentials, agent } = await this.#current()
    const { server } = this.#access
    const prefix = server.pathname.replace(/\/$/, '')
    const options = {
      method,
      host: server.hostname.replace(/^\[|\]$/g, ''),
      port: server.port === '' ? (server.protocol === 'https:' ? 443 : 80) : Number(server.port),
      path: `${prefix}${path}`,
      agent,
      signal,
      headers: {
        host: server.host,
        accept: 'application/json',
        'user-agent': 'portcullis',
        ...(credentials.token !== undefined && { authorization: `Bearer ${credentials.token}` }),
        ...(body !== undefined && {
          'content-type': 'application/merge-patch+json',
          'content-length': Buffer.byteLength(body),
        }),
      },
    }
    return new Promise((resolve, reject) => {
      const sent = (server.protocol === 'https:' ? httpsRequest : httpRequest)(options, resolve)
      sent.on('error', reject)
      sent.end(body)
    })
  }

  async #current(): Promise<{ readonly credentials: Credentials; readonly agent: HttpAgent }> {
    const nowMs = this.#nowMs()
    if (this.#known && Math.abs(nowMs - this.#known.atMs) < CREDENTIALS_FOR_MS) return this.#known
    const credentials = await this.#access.credentials()
    const before = this.#known
    const same = before !== undefined && isSameTls(before.credentials, credentials)
    const agent = same ? before.agent : this.#agentOf(credentials)
    // Requests under way keep their connections; idle ones of the old certificate end.
    if (!same) before?.agent.destroy()
    this.#known = { credentials, agent, atMs: nowMs }
    return this.#known
  }

  #agentOf({ ca, certificate, key, serverName }: Credentials): HttpAgent {
    if (this.#access.server.protocol !== 'https:') return new HttpAgent({ keepAlive: true })
    return new HttpsAgent({
      keepAlive: true,
      minVersion: 'TLSv1.2',
      ...(ca !== undefined && { ca }),
      ...(certificate !== undefined && { cert: certificate }),
      ...(key !== undefined && { key }),
      ...(serverName !== undefined && { servername: serverName }),
    })
  }

  /** What an API server says of itself, in its words. */
  async #refusal(response: IncomingMessage, status: number): Promise<{ problem: string; status: number }> {
    if (status === 401) this.#forgetCredentials()
    const text = (await readBody(response, MAX_ERROR_BYTES)) ?? ''
    const message = messageIn(text)
    return { problem: `answered ${status}${message === '' ? '' : `: ${message}`}`, status }
  }

  #forgetCredentials(): void {
    if (this.#known) this.#known = { ...this.#known, atMs: -Infinity }
  }
}

function end(response: IncomingMessage, problem: string): Failure {
  response.destroy()
  return { problem, missed: true }
}

/** Undefined: more than `maxBytes`. */
async function readBody(response: IncomingMessage, maxBytes: number): Promise<string | undefined> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of response as AsyncIterable<Buffer>) {
    size += chunk.length
    if (size > maxBytes) {
      response.destroy()
      return undefined
    }
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString('utf8')
}

/** `message` of a Kubernetes Status, one line of at most 500 characters. */
export function messageIn(text: string): string {
  try {
    const status: unknown = JSON.parse(text)
    const message =
      typeof status === 'object' && status !== null && 'message' in status ? status.message : undefined
    return typeof message === 'string' ? message.replace(/\p{Cc}+/gu, ' ').slice(0, 500) : ''
  } catch {
    return ''
  }
}

function isSameTls(a: Credentials, b: Credentials): boolean {
  return a.ca === b.ca && a.certificate === b.certificate && a.key === b.key && a.serverName === b.serverName
}

function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  const code = 'code' in error && typeof error.code === 'string' ? error.code : undefined
  return error.message === '' ? (code ?? error.name) : error.message
}
