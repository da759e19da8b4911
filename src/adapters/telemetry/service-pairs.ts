import type { Decision } from '../../decision/decision.js'
import { OUTCOMES } from './decision-counts.js'
import type { Sample } from './family.js'

/** Names of services are `namespace/name`, so neither of these is one. */
const NOBODY = 'unknown'
const BEYOND = 'other'

type Counts = Record<Decision['outcome'], number>

export type ServicePairsOptions = {
  /** Pairs that are told apart. */
  readonly most: number
  /** Whether a document names it; a decision has whatever Envoy says. */
  readonly isService: (name: string) => boolean
}

/**
 * Decisions by calling and called service, as documents name them. The first `most` pairs are counted apart, later ones
 * together as `other`, also when a policy with other names follows: the number of series has a bound.
 */
export class ServicePairs {
  readonly #options: ServicePairsOptions
  /** By target, then by source. */
  readonly #pairs = new Map<string, Map<string, Counts>>()
  readonly #beyond: Counts = noCounts()
  #size = 0

  constructor(options: ServicePairsOptions) {
    this.#options = options
  }

  count({ caller = NOBODY, target = NOBODY, outcome }: Decision): void {
    const counts = this.#pairs.get(target)?.get(caller) ?? this.#open(caller, target)
    counts[outcome]++
  }

  samples(): Sample[] {
    const samples: Sample[] = []
    const add = (source: string, target: string, counts: Counts): void => {
      for (const decision of OUTCOMES) {
        if (counts[decision] > 0) {
          samples.push({ labels: { source, target, decision }, value: counts[decision] })
        }
      }
    }
    for (const [target, sources] of this.#pairs) {
      for (const [source, counts] of sources) add(source, target, counts)
    }
    add(BEYOND, BEYOND, this.#beyond)
    return samples
  }

  /** Asked for pairs that were not counted yet, and for names that nobody gave a document. */
  #open(caller: string, called: string): Counts {
    const source = this.#named(caller)
    const target = this.#named(called)
    const known = this.#pairs.get(target)?.get(source)
    if (known) return known
    if (this.#size >= this.#options.most) return this.#beyond
    let sources = this.#pairs.get(target)
    if (!sources) this.#pairs.set(target, (sources = new Map<string, Counts>()))
    const counts = noCounts()
    sources.set(source, counts)
    this.#size++
    return counts
  }

  #named(name: string): string {
    return this.#options.isService(name) ? name : NOBODY
  }
}

function noCounts(): Counts {
  return { allow: 0, deny: 0, challenge: 0 }
}
