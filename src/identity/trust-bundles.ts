import type { TrustBundle } from './trust-bundle.js'

/** Bundles by trust domain, never merged. A verdict holds only under the generation it was made under. */
export interface TrustBundles {
  get(trustDomain: string): TrustBundle | undefined
  /** Rises with every change of any bundle. */
  readonly generation: number
}

/** The bundles in force. A reader sees the old state or the new one, never a part of either. */
export class LiveTrustBundles implements TrustBundles {
  #bundles: ReadonlyMap<string, TrustBundle> = new Map()
  #generation = 0

  get(trustDomain: string): TrustBundle | undefined {
    return this.#bundles.get(trustDomain)
  }

  get generation(): number {
    return this.#generation
  }

  /** Sets or, with undefined, withdraws a domain's bundle. True when that changed whom it trusts. */
  set(trustDomain: string, bundle: TrustBundle | undefined): boolean {
    const before = this.#bundles.get(trustDomain)
    const bundles = new Map(this.#bundles)
    if (bundle) bundles.set(trustDomain, bundle)
    else bundles.delete(trustDomain)
    this.#bundles = bundles
    if (before?.digest === bundle?.digest) return false
    this.#generation += 1
    return true
  }

  /** For health and metrics. */
  get all(): ReadonlyMap<string, TrustBundle> {
    return this.#bundles
  }
}
