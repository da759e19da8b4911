import type { Facts } from '../../segmentation/facts.js'
import type { Way } from './opened.js'
import { lineOf } from './samples.js'

/** A way as it is found: by one request on one port. */
export type Found = Way & {
  /** The request without its port. */
  readonly line: string
  readonly port: number
  /** Where conditions that this call does not meet would have let it in before, it opens for calls that don't meet them. */
  readonly otherwise: boolean
}

/** As ways name who asks. */
export function nameOf({ caller, identity }: Facts): string {
  return caller?.id ?? identity.workload?.spiffeId.text ?? 'nobody'
}

/** The request that is asked about, as samples word it. */
export function askedLine({ request: { http }, target }: Facts): string {
  return lineOf(http && { ...http, path: target.path })
}

/**
 * The ways without the very call that is asked about, and ports told only where not all of those looked at are the same.
 * `portsOf` has those by target and line, joined by a line feed.
 */
export function folded(
  ways: readonly Found[],
  portsOf: ReadonlyMap<string, ReadonlySet<number>>,
  asked: Facts,
): Way[] {
  const groups = new Map<string, Found[]>()
  for (const way of ways) {
    const key = [way.caller, way.target, way.endpoint, way.line, way.under, way.otherwise].join('\n')
    const group = groups.get(key) ?? []
    group.push(way)
    groups.set(key, group)
  }
  return [...groups.values()].flatMap((group): Way[] => {
    const [first] = group
    if (!first) return []
    const all = portsOf.get(`${first.target}\n${first.line}`)
    const isAll = first.line !== 'TCP' && portsIn(group).size === all?.size
    if (!isAskedLine(first, asked)) return asOne(group, first.under, isAll)
    const { port } = asked.request.destination
    const same = group.filter((way) => isAll || way.port === port)
    const others = group.filter((way) => !same.includes(way))
    return asOne(others, first.under, false).concat(
      first.otherwise ? asOne(same, 'other conditions', isAll) : [],
    )
  })
}

/** Ways that differ in their port alone. */
function asOne(ways: readonly Found[], under: Way['under'], isAllPorts: boolean): Way[] {
  const [first] = ways
  if (!first) return []
  const { caller, target, endpoint, line } = first
  const ports = Array.from(portsIn(ways)).join(', ')
  const on = line === 'TCP' ? `TCP port ${ports}` : `${line} on port ${ports}`
  return [{ caller, target, endpoint, request: isAllPorts ? line : on, under }]
}

function portsIn(ways: readonly Found[]): Set<number> {
  return new Set(ways.map(({ port }) => port))
}

/** By this caller with this user, where there is one: whoever else may is another. */
function isAskedLine({ caller, target, line, under }: Found, asked: Facts): boolean {
  if (caller !== nameOf(asked) || target !== asked.target.id || line !== askedLine(asked)) return false
  return under === (asked.identity.user ? 'this user' : 'every call')
}
