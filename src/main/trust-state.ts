import { JwtBundleKeys, parseJwtBundle } from '../identity/jwt-bundle.js'
import type { KeySource } from '../identity/key-source.js'
import { RevocationLists } from '../identity/revocation-lists.js'
import type { TrustBundle } from '../identity/trust-bundle.js'
import { LiveTrustBundles } from '../identity/trust-bundles.js'
import type { Log } from './log.js'

/** What is known of one trust domain's bundle. */
export type BundleHealth = {
  readonly trustDomain: string
  /** When its source last gave a bundle that could be used; milliseconds since the epoch. */
  readonly lastSuccessMs: number | undefined
  /** Why the newest word of its source isn't in force; undefined when it is. */
  readonly problem: string | undefined
  readonly sequence: number | undefined
  /** 0: nobody of this trust domain is believed. */
  readonly anchors: number
  /** When its first root expires; milliseconds since the epoch. */
  readonly firstExpiryMs: number | undefined
}

type Entry = {
  readonly jwtKeys: JwtBundleKeys
  lastSuccessMs: number | undefined
  problem: string | undefined
}

/**
 * The bundles of all configured trust domains, X.509 and JWT, where every source puts what it hears. What can't be
 * used changes nothing but health; what a source withdraws is gone at once.
 */
export class TrustState {
  readonly bundles = new LiveTrustBundles()
  readonly lists = new RevocationLists(this.bundles)
  readonly #entries: ReadonlyMap<string, Entry>
  readonly #log: Log
  readonly #nowMs: () => number

  constructor(trustDomains: Iterable<string>, log: Log, nowMs: () => number) {
    this.#entries = new Map(
      [...trustDomains].map((trustDomain) => [
        trustDomain,
        { jwtKeys: new JwtBundleKeys(), lastSuccessMs: undefined, problem: undefined },
      ]),
    )
    this.#log = log
    this.#nowMs = nowMs
  }

  /** A bundle that holds from now on. */
  accept(trustDomain: string, bundle: TrustBundle): void {
    const entry = this.#entry(trustDomain)
    const first = entry.lastSuccessMs === undefined
    entry.lastSuccessMs = this.#nowMs()
    entry.problem = undefined
    if (this.bundles.set(trustDomain, bundle) && !first) {
      this.#log('info', 'trust bundle changed', { trustDomain, anchors: bundle.anchors.length })
    }
  }

  /** The source says that it has no bundle of this domain any more. */
  withdraw(trustDomain: string, problem: string): void {
    this.#note(trustDomain, problem, 'trust bundle withdrawn, the trust domain is trusted no more')
    this.bundles.set(trustDomain, undefined)
  }

  /** The source can't be reached, or what it gave can't be used. */
  fail(trustDomain: string, problem: string): void {
    const kept = this.bundles.get(trustDomain) !== undefined
    this.#note(
      trustDomain,
      problem,
      kept
        ? 'trust bundle not renewed, the old one stays'
        : 'no trust bundle yet, the trust domain is not trusted',
    )
  }

  /** Takes the JWT keys of a bundle document. Those of one that can't be used verify nothing. */
  acceptJwtKeys(trustDomain: string, text: string, useOptional = false): void {
    const parsed = parseJwtBundle(text, useOptional)
    this.#entry(trustDomain).jwtKeys.set(parsed.ok ? parsed.keys : [])
    if (!parsed.ok) this.#log('error', 'JWT bundle refused', { trustDomain, problem: parsed.problem })
  }

  withdrawJwtKeys(trustDomain: string): void {
    this.#entry(trustDomain).jwtKeys.set([])
  }

  /** Undefined for a trust domain that isn't configured. */
  jwtKeys(trustDomain: string): KeySource | undefined {
    return this.#entries.get(trustDomain)?.jwtKeys
  }

  get health(): readonly BundleHealth[] {
    return [...this.#entries].map(([trustDomain, { lastSuccessMs, problem }]) => {
      const bundle = this.bundles.get(trustDomain)
      const anchors = bundle?.anchors.length ?? 0
      const firstExpiryMs =
        bundle && anchors > 0 ? Math.min(...bundle.anchors.map(({ notAfterMs }) => notAfterMs)) : undefined
      return { trustDomain, lastSuccessMs, problem, sequence: bundle?.sequence, anchors, firstExpiryMs }
    })
  }

  /** A problem is told once, however often it comes back. */
  #note(trustDomain: string, problem: string, message: string): void {
    const entry = this.#entry(trustDomain)
    if (entry.problem === problem) return
    entry.problem = problem
    this.#log('warn', message, { trustDomain, problem })
  }

  #entry(trustDomain: string): Entry {
    const entry = this.#entries.get(trustDomain)
    if (!entry) throw new Error(`trust domain ${trustDomain} is not configured`)
    return entry
  }
}
