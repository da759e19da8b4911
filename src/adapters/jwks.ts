import { request as httpRequest, type IncomingMessage } from 'node:http'
import { request as httpsRequest } from 'node:https'
import type { Eventually } from '../identity/eventually.js'
import type { Algorithm } from '../identity/jwt.js'
import { parseKeySet, type Key, type KeySetProblem } from '../identity/key-set.js'
import { findIn, type KeyAnswer, type KeySource } from '../identity/key-source.js'

export type KeyHealth = {
  /** Milliseconds since the epoch. */
  readonly lastSuccessMs: number | undefined
  /** Why the last attempt failed; undefined after one that did not. */
  readonly lastError: string | undefined
  readonly keys: number
}

/**
 * Keys of a file whose text somebody else reads and watches. A text that can't be used changes nothing and is the
 * returned problem, so the keys that served before go on serving.
 */
export class FileKeySource implements KeySource {
  #keys: readonly Key[] = []
  #identity = ''
  #generation = 0

  static parse(text: string): { readonly ok: true; readonly source: FileKeySource } | KeySetProblem {
    const source = new FileKeySource()
    const problem = source.replace(text)
    return problem ?? { ok: true, source }
  }

  replace(text: string): KeySetProblem | undefined {
    const parsed = parseKeySet(text)
    if (!parsed.ok) return parsed
    const identity = identityOf(parsed.keys)
    if (identity !== this.#identity) this.#generation += 1
    this.#keys = parsed.keys
    this.#identity = identity
    return undefined
  }

  find(kid: string | undefined, algorithm: Algorithm): KeyAnswer {
    return findIn(this.#keys, kid, algorithm)
  }

  get generation(): number {
    return this.#generation
  }
}

export type UrlKeySourceOptions = {
  /** https, or http to a loopback host. */
  readonly url: string
  /** Host names that may be fetched from; the URL's must be among them. */
  readonly allowedHosts: readonly string[]
  readonly now: () => number
  /** Milliseconds between refreshes. */
  readonly refreshMs?: number
  /** Milliseconds at least between fetches that unknown names cause. */
  readonly cooldownMs?: number
  /** Milliseconds that keys are still believed when they can't be refreshed. */
  readonly maxStaleMs?: number
  readonly timeoutMs?: number
  readonly maxBytes?: number
  /** PEM roots instead of the system's. */
  readonly ca?: string
}

const REFRESH_MS = 600_000
const COOLDOWN_MS = 30_000
const MAX_STALE_MS = 3_600_000
const TIMEOUT_MS = 5_000
const MAX_BYTES = 1024 * 1024
/** Unknown names that wait for one fetch; more are told at once that there is no such key. */
const MAX_WAITING = 64

/**
 * Keys of a JWKS endpoint. Fetches once at a time: at `start`, every `refreshMs`, and when a name is unknown, that
 * at most once per cooldown. While the endpoint fails, the last keys serve for `maxStaleMs`; then every answer is
 * `unavailable` (reason `state-unavailable`, since nothing is known to be wrong with the token). A key that a
 * refresh no longer lists is gone at once.
 */
export class UrlKeySource implements KeySource {
  readonly #options: Required<Omit<UrlKeySourceOptions, 'ca' | 'allowedHosts' | 'url'>>
  readonly #fetch: FetchJson
  readonly #abort = new AbortController()
  #keys: readonly Key[] = []
  #identity = ''
  #generation = 0
  #usable = false
  #lastSuccessMs: number | undefined
  #lastAttemptMs = Number.NEGATIVE_INFINITY
  #lastError: string | undefined = 'never fetched'
  #fetching: Promise<void> | undefined
  #waiting = 0
  #timer: NodeJS.Timeout | undefined

  private constructor(options: UrlKeySourceOptions, fetch: FetchJson) {
    this.#fetch = fetch
    this.#options = {
      now: options.now,
      refreshMs: options.refreshMs ?? REFRESH_MS,
      cooldownMs: options.cooldownMs ?? COOLDOWN_MS,
      maxStaleMs: options.maxStaleMs ?? MAX_STALE_MS,
      timeoutMs: options.timeoutMs ?? TIMEOUT_MS,
      maxBytes: options.maxBytes ?? MAX_BYTES,
    }
  }

  /** Refuses a URL that may not be fetched. Nothing is fetched before `start` or the first `find`. */
  static create(
    options: UrlKeySourceOptions,
  ): { readonly ok: true; readonly source: UrlKeySource } | { readonly ok: false; readonly problem: string } {
    const fetch = fetchJson(options.url, options.allowedHosts, options.ca)
    if (!fetch.ok) return fetch
    return { ok: true, source: new UrlKeySource(options, fetch.fetch) }
  }

  /** Fetches now and goes on refreshing until `close`; resolves after the first attempt, whatever came of it. */
  async start(): Promise<void> {
    this.#timer ??= setInterval(() => void this.#refresh(), this.#options.refreshMs).unref()
    await this.#refresh()
  }

  /** Ends refreshing and a fetch under way. */
  close(): void {
    clearInterval(this.#timer)
    this.#abort.abort()
  }

  find(kid: string | undefined, algorithm: Algorithm): Eventually<KeyAnswer> {
    const known = this.#answer(kid, algorithm)
    if (known.found === 'key' || !this.#mayFetch() || this.#waiting >= MAX_WAITING) return known
    return this.#findAfterFetch(kid, algorithm)
  }

  get generation(): number {
    this.#age()
    return this.#generation
  }

  get health(): KeyHealth {
    return { lastSuccessMs: this.#lastSuccessMs, lastError: this.#lastError, keys: this.#keys.length }
  }

  async #findAfterFetch(kid: string | undefined, algorithm: Algorithm): Promise<KeyAnswer> {
    this.#waiting += 1
    try {
      await this.#refresh()
    } finally {
      this.#waiting -= 1
    }
    return this.#answer(kid, algorithm)
  }

  #answer(kid: string | undefined, algorithm: Algorithm): KeyAnswer {
    this.#age()
    return this.#usable
      ? findIn(this.#keys, kid, algorithm)
      : {
          found: 'unavailable',
          message: "the issuer's keys can not be fetched, or are too old to be believed",
        }
  }

  #mayFetch(): boolean {
    if (this.#abort.signal.aborted) return false
    return (
      this.#fetching !== undefined || this.#options.now() - this.#lastAttemptMs >= this.#options.cooldownMs
    )
  }

  #refresh(): Promise<void> {
    this.#fetching ??= this.#fetchOnce().finally(() => {
      this.#fetching = undefined
    })
    return this.#fetching
  }

  async #fetchOnce(): Promise<void> {
    const { now, timeoutMs, maxBytes } = this.#options
    this.#lastAttemptMs = now()
    const fetched = await this.#fetch({ timeoutMs, maxBytes, signal: this.#abort.signal })
    const parsed = fetched.ok ? parseKeySet(fetched.text) : fetched
    if (!parsed.ok) {
      this.#lastError = parsed.problem
      return
    }
    const identity = identityOf(parsed.keys)
    if (identity !== this.#identity || !this.#usable) this.#generation += 1
    this.#keys = parsed.keys
    this.#identity = identity
    this.#usable = true
    this.#lastSuccessMs = now()
    this.#lastError = undefined
  }

  /** Drops keys that are too old to be believed. */
  #age(): void {
    if (!this.#usable || this.#lastSuccessMs === undefined) return
    const ageMs = this.#options.now() - this.#lastSuccessMs
    if (ageMs <= this.#options.refreshMs + this.#options.maxStaleMs) return
    this.#usable = false
    this.#keys = []
    this.#identity = ''
    this.#generation += 1
  }
}

/** Equal for key sets that verify the same signatures. */
function identityOf(keys: readonly Key[]): string {
  const lines = keys.map(({ kid, algorithms, key }) => {
    const der = key.export({ format: 'der', type: 'spki' }).toString('base64')
    return `${JSON.stringify(kid ?? null)} ${algorithms.join(',')} ${der}`
  })
  return lines.sort().join('\n')
}

type FetchLimits = {
  /** For the whole exchange. */
  readonly timeoutMs: number
  readonly maxBytes: number
  readonly signal: AbortSignal
}
type Fetched = { readonly ok: true; readonly text: string } | { readonly ok: false; readonly problem: string }

/** One GET. Never throws: whatever goes wrong is a problem that names no content. */
type FetchJson = (limits: FetchLimits) => Promise<Fetched>

const LOOPBACK = new Set(['localhost', '127.0.0.1', '[::1]'])
const JSON_TYPE = /^application\/(?:[a-z0-9.-]+\+)?json\s*(?:;|$)/i

/**
 * Prepares GETs of one JSON document. https only, except from a loopback host; only from allowed hosts; a redirect is
 * an error, so that nobody is led to an inside address. A new connection each time: fetches are minutes apart.
 */
function fetchJson(
  address: string,
  allowedHosts: readonly string[],
  ca: string | undefined,
): { readonly ok: true; readonly fetch: FetchJson } | { readonly ok: false; readonly problem: string } {
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
  if (response.statusCode !== 200) return { ok: false, problem: `answered ${response.statusCode}` }
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
