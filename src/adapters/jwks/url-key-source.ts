import type { Eventually } from '../../identity/eventually.js'
import type { Algorithm } from '../../identity/jwt.js'
import { parseKeySet, type Key } from '../../identity/key-set.js'
import { findIn, type KeyAnswer, type KeySource } from '../../identity/key-source.js'
import { discoverKeySet } from './discovery.js'
import { fetchJson, type FetchJson } from './fetch-json.js'
import { identityOf, stillListed } from './key-identity.js'

export type KeyHealth = {
  /** Milliseconds since the epoch. */
  readonly lastSuccessMs: number | undefined
  /** Why the last attempt failed; undefined after one that did not. */
  readonly lastError: string | undefined
  readonly keys: number
}

export type UrlKeySourceOptions = {
  /** The key set's own address, or the issuer that is asked for it: https, or http to a loopback host. */
  readonly from: { readonly url: string } | { readonly issuer: string }
  /** Host names that may be fetched from. */
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
 * Keys of a JWKS endpoint, found by discovery where only the issuer is known. Fetches once at a time: at `start`, every `refreshMs`, and when a name is unknown, that
 * at most once per cooldown. While the endpoint fails, the last keys serve for `maxStaleMs`; then every answer is
 * `unavailable` (reason `state-unavailable`, since nothing is known to be wrong with the token). A key that a
 * refresh no longer lists is gone at once.
 */
export class UrlKeySource implements KeySource {
  readonly #options: Required<Omit<UrlKeySourceOptions, 'ca' | 'allowedHosts' | 'from'>>
  readonly #fetch: FetchJson
  readonly #abort = new AbortController()
  #keys: readonly Key[] = []
  #identity = ''
  #generation = 0
  #usable = false
  #lastSuccessMs: number | undefined
  /** When a fetch last failed or was caused by an unknown name: the cooldown counts from here. */
  #lastAskedMs = Number.NEGATIVE_INFINITY
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
    const { from, allowedHosts, ca } = options
    const fetch =
      'url' in from ? fetchJson(from.url, allowedHosts, ca) : discoverKeySet(from.issuer, allowedHosts, ca)
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
    if (this.#fetching === undefined) this.#lastAskedMs = this.#options.now()
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
    return this.#fetching !== undefined || this.#options.now() - this.#lastAskedMs >= this.#options.cooldownMs
  }

  #refresh(): Promise<void> {
    this.#fetching ??= this.#fetchOnce().finally(() => {
      this.#fetching = undefined
    })
    return this.#fetching
  }

  async #fetchOnce(): Promise<void> {
    const { now, timeoutMs, maxBytes } = this.#options
    const fetched = await this.#fetch({ timeoutMs, maxBytes, signal: this.#abort.signal })
    const parsed = fetched.ok ? parseKeySet(fetched.text) : fetched
    if (!parsed.ok) {
      if ('listed' in parsed && parsed.listed) this.#take(stillListed(this.#keys, parsed.listed))
      this.#lastError = parsed.problem
      this.#lastAskedMs = now()
      return
    }
    if (!this.#usable) this.#generation += 1
    this.#usable = true
    this.#take(parsed.keys)
    this.#lastSuccessMs = now()
    this.#lastError = undefined
  }

  #take(keys: readonly Key[]): void {
    const identity = identityOf(keys)
    if (identity !== this.#identity) this.#generation += 1
    this.#keys = keys
    this.#identity = identity
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
