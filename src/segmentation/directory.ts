import type { ConditionScope } from './when/condition.js'
import { nearestName } from '../schema/nearest-name.js'
import type { Pointer } from '../schema/problem.js'
import type { Report } from './compile-problem.js'

/** Nearest names cost a walk over all names, so only the first unknown ones of a load get theirs. */
const MAX_SUGGESTIONS = 100

/** What the configuration around a policy says that its documents are checked against. */
export type Surroundings = {
  readonly localTrustDomain: string
  /** All that are configured; the local one need not be repeated. */
  readonly trustDomains: readonly string[]
  /** Whether something tells where a client is; absent where there is no configuration to ask. */
  readonly hasPlaces?: boolean | undefined
  /** Whether an inventory of devices is kept; absent likewise. */
  readonly hasDevices?: boolean | undefined
}

/** DataPolicies by name, as far as endpoints need to know them. */
export type DataPolicyNames = ReadonlyMap<string, { readonly hasAccessRules: boolean }>

/** The services of a load by `namespace/name`, with their numbers. */
export class Directory {
  readonly localTrustDomain: string
  readonly #hasPlaces: boolean
  readonly #hasDevices: boolean | undefined
  readonly #dataPolicies: DataPolicyNames
  readonly #trustDomains: ReadonlySet<string>
  readonly #services = new Map<string, number>()
  readonly #lists = new Map<string, readonly string[]>()
  readonly #words = new Map<string, string>()
  #suggestions = 0

  constructor(
    { localTrustDomain, trustDomains, hasPlaces = true, hasDevices }: Surroundings,
    dataPolicies: DataPolicyNames = new Map(),
  ) {
    this.localTrustDomain = localTrustDomain
    this.#hasPlaces = hasPlaces
    this.#hasDevices = hasDevices
    this.#dataPolicies = dataPolicies
    this.#trustDomains = new Set([localTrustDomain, ...trustDomains])
  }

  /** For the conditions of a document of this namespace; undefined in cluster-wide kinds. */
  conditionScope(namespace: string | undefined): ConditionScope {
    return {
      namespace,
      localTrustDomain: this.localTrustDomain,
      hasPlaces: this.#hasPlaces,
      hasDevices: this.#hasDevices ?? true,
    }
  }

  /** The same for built-in rules, which apply only where a configuration says that something feeds them. */
  builtInScope(): ConditionScope {
    return { ...this.conditionScope(undefined), hasDevices: this.#hasDevices ?? false }
  }

  add(id: string): number {
    const index = this.#services.size
    this.#services.set(id, index)
    return index
  }

  get size(): number {
    return this.#services.size
  }

  /** In the order of their numbers. */
  ids(): Iterable<string> {
    return this.#services.keys()
  }

  indexOf(id: string): number | undefined {
    return this.#services.get(id)
  }

  /**
   * The number of a service as written: a bare name in the namespace of the writing document, in
   * cluster-wide kinds always `namespace/name`. What is unknown is reported with the nearest name.
   */
  resolve(text: string, namespace: string | undefined, at: Pointer, report: Report): number | undefined {
    if (!text.includes('/') && namespace === undefined) {
      const same = [...this.#services.keys()].find((id) => id.endsWith(`/${text}`))
      report(at, `write the service as namespace/name, not \`${text}\`${hint(same)}`, 'bare-service-name')
      return undefined
    }
    const id = text.includes('/') ? text : `${namespace}/${text}`
    const index = this.#services.get(id)
    if (index === undefined) {
      const near = this.#near(id)
      const own = near?.startsWith(`${namespace}/`) && !text.includes('/')
      const shown = own ? near?.slice(near.indexOf('/') + 1) : near
      report(at, `no ServicePolicy names the service \`${id}\`${hint(shown)}`, 'unknown-service')
    }
    return index
  }

  /** A name of the same namespace that is nearly this one; else the same name in a namespace nearby or elsewhere. */
  #near(id: string): string | undefined {
    if (this.#suggestions++ >= MAX_SUGGESTIONS) return undefined
    const slash = id.indexOf('/')
    const [namespace, name] = [id.slice(0, slash), id.slice(slash + 1)]
    const known = [...this.#services.keys()]
    const neighbours = known.filter((other) => other.startsWith(`${namespace}/`))
    const near = nearestName(
      name,
      neighbours.map((other) => other.slice(slash + 1)),
    )
    if (near !== undefined) return `${namespace}/${near}`
    const namesakes = known.filter((other) => other.endsWith(`/${name}`))
    return nearestName(id, namesakes) ?? namesakes[0]
  }

  /** Reports a trust domain that the configuration doesn't know. */
  requireTrustDomain(domain: string, at: Pointer, report: Report): void {
    if (this.#trustDomains.has(domain)) return
    const near = this.suggest(domain, this.#trustDomains)
    report(at, `the trust domain \`${domain}\` is not configured${hint(near)}`, 'unknown-trust-domain')
  }

  /** Reports a DataPolicy that no document is. */
  resolveDataPolicy(
    name: string,
    at: Pointer,
    report: Report,
  ): { readonly hasAccessRules: boolean } | undefined {
    const found = this.#dataPolicies.get(name)
    if (!found) {
      const near = this.suggest(name, this.#dataPolicies.keys())
      report(at, `there is no DataPolicy \`${name}\`${hint(near)}`, 'unknown-data-policy')
    }
    return found
  }

  /** One copy of a list that many documents write, such as `[GET]`. */
  shared(list: readonly string[]): readonly string[] {
    const key = JSON.stringify(list)
    const known = this.#lists.get(key)
    if (!known) this.#lists.set(key, list)
    return known ?? list
  }

  /** One copy of a word that many documents write, such as a segment of paths. */
  sharedWord(word: string): string {
    const known = this.#words.get(word)
    if (known === undefined) this.#words.set(word, word)
    return known ?? word
  }

  /** The nearest of some names, for the first of a load's misspellings. */
  suggest(word: string, candidates: Iterable<string>): string | undefined {
    return this.#suggestions++ < MAX_SUGGESTIONS ? nearestName(word, candidates) : undefined
  }
}

/** `: did you mean …?`, or nothing. */
export function hint(near: string | undefined): string {
  return near === undefined ? '' : `: did you mean \`${near}\`?`
}
