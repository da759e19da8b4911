import type { IncomingMessage } from 'node:http'
import { request as httpsRequest } from 'node:https'
import { isIP } from 'node:net'
import { connect, type DetailedPeerCertificate, type TLSSocket } from 'node:tls'

/** How the endpoint proves who it is. Source: SPIFFE Federation 5.2. */
export type EndpointProfile =
  | {
      readonly kind: 'HttpsWeb'
      /** PEM roots instead of the system's. */
      readonly ca: string | undefined
    }
  | {
      readonly kind: 'HttpsSpiffe'
      /** Certificates in DER as the server sent them, leaf first. The problem with them, or undefined. */
      readonly verify: (chain: readonly Buffer[]) => Promise<string | undefined>
    }

export type FederationOptions = {
  /** https, without user name and password. */
  readonly url: string
  readonly profile: EndpointProfile
  /** Takes a fetched document. Gives how long it stands, in seconds, or why it is refused. Must not throw. */
  readonly accept: (
    text: string,
  ) =>
    | { readonly ok: true; readonly refreshHintSeconds: number | undefined }
    | { readonly ok: false; readonly problem: string }
  /** After an attempt that failed. Must not throw. */
  readonly failed: (problem: string) => void
  readonly now: () => number
  readonly timeoutMs?: number
  readonly maxBytes?: number
  /** Milliseconds; bounds of what an endpoint may wish for, and what holds without a wish. */
  readonly refreshMs?: { readonly least: number; readonly most: number; readonly byDefault: number }
}

export type FederationHealth = {
  /** When a bundle was last fetched and accepted, milliseconds since the epoch. */
  readonly lastSuccessMs: number | undefined
  /** Why the last attempt failed; undefined after one that did not. */
  readonly problem: string | undefined
}

const TIMEOUT_MS = 5_000
const MAX_BYTES = 1024 * 1024
const REFRESH_MS = { least: 5_000, most: 86_400_000, byDefault: 300_000 }
const MAX_CHAIN = 16
const JSON_TYPE = /^application\/(?:[a-z0-9.-]+\+)?json\s*(?:;|$)/i

/**
 * Fetches one trust domain's bundle from its federation endpoint, at `start` and again when its refresh hint says,
 * after 5 s at the earliest and 24 h at the latest. A failed attempt is repeated after the same time, sooner while
 * nothing was ever fetched. One exchange takes 5 s and 1 MiB at most, on a connection of its own; a redirect is a
 * failure, so that nobody is led to an inside address. Source: SPIFFE Federation 5, SPECS 3.6.
 */
export class FederationEndpoint {
  readonly #options: FederationOptions
  readonly #url: URL
  readonly #refreshMs: NonNullable<FederationOptions['refreshMs']>
  readonly #abort = new AbortController()
  #timer: NodeJS.Timeout | undefined
  #waitMs: number
  #firstWaitMs: number
  #lastSuccessMs: number | undefined
  #problem: string | undefined = 'never fetched'

  constructor(options: FederationOptions) {
    this.#options = options
    this.#url = new URL(options.url)
    if (this.#url.protocol !== 'https:') throw new Error(`${options.url} is not https`)
    this.#refreshMs = options.refreshMs ?? REFRESH_MS
    this.#waitMs = this.#refreshMs.byDefault
    this.#firstWaitMs = this.#refreshMs.least
  }

  /** Resolves after the first attempt, whatever came of it. */
  start(): Promise<void> {
    return this.#turn()
  }

  get health(): FederationHealth {
    return { lastSuccessMs: this.#lastSuccessMs, problem: this.#problem }
  }

  /** Ends a fetch under way too. */
  close(): void {
    clearTimeout(this.#timer)
    this.#abort.abort()
  }

  async #turn(): Promise<void> {
    const problem = await this.#fetchOnce()
    if (this.#abort.signal.aborted) return
    this.#problem = problem
    if (problem !== undefined) this.#options.failed(problem)
    this.#timer = setTimeout(() => void this.#turn(), this.#nextMs()).unref()
  }

  #nextMs(): number {
    if (this.#lastSuccessMs !== undefined) return this.#waitMs
    const waitMs = this.#firstWaitMs
    this.#firstWaitMs = Math.min(waitMs * 2, this.#refreshMs.byDefault)
    return waitMs
  }

  async #fetchOnce(): Promise<string | undefined> {
    const { now, accept, timeoutMs = TIMEOUT_MS, maxBytes = MAX_BYTES } = this.#options
    const fetched = await this.#fetch(timeoutMs, maxBytes)
    if (!fetched.ok) return fetched.problem
    const accepted = accept(fetched.text)
    if (!accepted.ok) return accepted.problem
    const { least, most, byDefault } = this.#refreshMs
    const hintMs = (accepted.refreshHintSeconds ?? 0) * 1000 || byDefault
    this.#waitMs = Math.min(Math.max(hintMs, least), most)
    this.#lastSuccessMs = now()
    return undefined
  }

  async #fetch(timeoutMs: number, maxBytes: number): Promise<Fetched> {
    const signal = AbortSignal.any([this.#abort.signal, AbortSignal.timeout(timeoutMs)])
    let socket: TLSSocket | undefined
    try {
      socket = await this.#connect(signal)
      return await get(this.#url, socket, signal, maxBytes)
    } catch (error) {
      if (signal.aborted) return failure(`no answer within ${timeoutMs} ms`)
      return failure(error instanceof EndpointRefused ? error.message : `not reachable: ${codeOf(error)}`)
    } finally {
      socket?.destroy()
    }
  }

  /** Nothing is sent before the server has proved who it is. */
  async #connect(signal: AbortSignal): Promise<TLSSocket> {
    const { profile } = this.#options
    const host = this.#url.hostname.replace(/^\[|\]$/g, '')
    const web = profile.kind === 'HttpsWeb'
    const socket = connect({
      host,
      port: Number(this.#url.port || 443),
      minVersion: 'TLSv1.2',
      ALPNProtocols: ['http/1.1'],
      // An SVID has no host name; its chain is verified below, before a byte is sent.
      rejectUnauthorized: web,
      ...(isIP(host) === 0 ? { servername: host } : {}),
      ...(web && profile.ca !== undefined ? { ca: profile.ca } : {}),
    })
    try {
      await secured(socket, signal)
      if (profile.kind === 'HttpsSpiffe') {
        const problem = await profile.verify(chainOf(socket))
        if (problem !== undefined) throw new EndpointRefused(`the endpoint's certificate: ${problem}`)
        signal.throwIfAborted()
      }
      return socket
    } catch (error) {
      socket.destroy()
      throw error
    }
  }
}

type Fetched = { readonly ok: true; readonly text: string } | { readonly ok: false; readonly problem: string }

/** The server isn't who it must be. */
class EndpointRefused extends Error {}

function secured(socket: TLSSocket, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const abort = (): void => reject(new Error('aborted'))
    signal.addEventListener('abort', abort, { once: true })
    // Stays, so that an error after the handshake is no exception of the process.
    socket.on('error', reject)
    socket.once('close', () => reject(new Error('closed')))
    socket.once('secureConnect', () => {
      signal.removeEventListener('abort', abort)
      resolve()
    })
  })
}

function chainOf(socket: TLSSocket): Buffer[] {
  const chain: Buffer[] = []
  let next: DetailedPeerCertificate | undefined = socket.getPeerCertificate(true)
  while (next?.raw && chain.length < MAX_CHAIN) {
    chain.push(next.raw)
    // A root is its own issuer there.
    next = next.issuerCertificate === next ? undefined : next.issuerCertificate
  }
  return chain
}

function get(url: URL, socket: TLSSocket, signal: AbortSignal, maxBytes: number): Promise<Fetched> {
  return new Promise((resolve, reject) => {
    const request = httpsRequest(
      url,
      {
        signal,
        createConnection: () => socket,
        headers: { accept: 'application/json', connection: 'close' },
      },
      (response) => {
        read(response, maxBytes).then(resolve, reject)
      },
    )
    request.on('error', reject)
    request.end()
  })
}

async function read(response: IncomingMessage, maxBytes: number): Promise<Fetched> {
  if (response.statusCode !== 200) return failure(`answered ${response.statusCode}`)
  if (!JSON_TYPE.test(response.headers['content-type'] ?? '')) return failure('did not answer JSON')
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of response as AsyncIterable<Buffer>) {
    size += chunk.length
    if (size > maxBytes) return failure(`answered more than ${maxBytes} bytes`)
    chunks.push(chunk)
  }
  return { ok: true, text: Buffer.concat(chunks).toString('utf8') }
}

function failure(problem: string): { readonly ok: false; readonly problem: string } {
  return { ok: false, problem }
}

function codeOf(error: unknown): string {
  const code = typeof error === 'object' && error !== null && 'code' in error ? error.code : undefined
  return typeof code === 'string' ? code : String(error)
}
