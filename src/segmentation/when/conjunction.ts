import type { Facts } from '../facts.js'

/** Undefined where the facts don't say. */
export type Predicate = (facts: Facts) => boolean | undefined

/** AND of three values, free of order: false wins over undefined, undefined over true. */
export function conjunction(predicates: readonly Predicate[]): Predicate {
  return (facts) => {
    let all: boolean | undefined = true
    for (const predicate of predicates) {
      const holds = predicate(facts)
      if (holds === false) return false
      if (holds === undefined) all = undefined
    }
    return all
  }
}
