import type { Condition } from '../schema.js'
import { CelChecker } from './check.js'
import { parseCel } from './syntax.js'

/** Everything has a source here: what is asked is only which names are meant. */
const ANYWHERE = { namespace: 'any', localTrustDomain: '', hasPlaces: true, hasDevices: true } as const

/**
 * The keys that a condition looks at, as `key` would write them, in the order of their first use; of an expression
 * that doesn't compile those that are known.
 */
export function keysOf({ key, cel }: Condition): readonly string[] {
  if (key !== undefined) return [key]
  const parsed = parseCel(cel ?? '')
  if (!parsed.ok) return []
  const checker = new CelChecker(ANYWHERE, () => undefined)
  checker.check(parsed.expr)
  return [...new Set([...checker.variables.values()].map(({ key: used }) => used))]
}

/**
 * Steps that conditions may take for one request, at most: one for each with a key, and for an expression its parts,
 * those within a macro times the 1,000 elements that a list of the request may have. A step is 100 to 400 ns.
 */
export function costOf(conditions: readonly Condition[]): number {
  let cost = 0
  for (const { cel } of conditions) {
    const parsed = cel === undefined ? undefined : parseCel(cel)
    cost += parsed?.ok ? parsed.cost : 1
  }
  return cost
}
