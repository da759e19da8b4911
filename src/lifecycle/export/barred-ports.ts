import type { CompiledEndpoint, CompiledService } from '../../segmentation/compiled.js'
import { type CallerName, matchesFrom } from './callers.js'

/** Ports of a service that somebody is kept from whatever the request is; `every` of them, or these. */
export type BarredPorts = 'every' | ReadonlySet<number>

type Ports = readonly number[] | undefined

/**
 * What forbids without conditions keep from a caller under all of its names, at every path and by every method; by
 * `undefined` from everybody, also from who has no workload. A forbid that means some and not others keeps nobody out.
 */
export function barredPorts(
  service: CompiledService,
  names: readonly CallerName[] | undefined,
  endpoint?: CompiledEndpoint,
): BarredPorts {
  const ofNames = (names ?? [undefined]).map((name): BarredPorts => {
    const barred = new Set<number>()
    for (const rule of [...service.baseline.forbid, ...service.forbids]) {
      if (rule.when || (rule.mode ?? 'Enforce') !== 'Enforce' || !isMeant(rule.from, name, service)) continue
      if ('endpoints' in rule) {
        if (!rule.endpoints || (endpoint && rule.endpoints.includes(endpoint.index))) return 'every'
        continue
      }
      const whole = (rule.to ?? [EVERYTHING]).filter(
        ({ paths, methods, grpc }) => !paths && !methods && !grpc,
      )
      if (whole.some(({ ports }) => !ports)) return 'every'
      for (const { ports } of whole) for (const port of ports ?? []) barred.add(port)
    }
    return barred
  })
  const [first, ...others] = ofNames
  if (!first) return new Set()
  return others.reduce(common, first)
}

const EVERYTHING = { paths: undefined, methods: undefined, grpc: undefined, ports: undefined }

/** Ports that are open still; an empty list: none. Where every port is open some of them can't be taken out. */
export function withoutBarred(ports: Ports, barred: BarredPorts): Ports {
  if (barred === 'every') return []
  return ports?.filter((port) => !barred.has(port))
}

function common(one: BarredPorts, other: BarredPorts): BarredPorts {
  if (one === 'every') return other
  return other === 'every' ? one : new Set([...one].filter((port) => other.has(port)))
}

/** What can't be known of an identity forbids it; of a pattern it may be otherwise for some of its names. */
function isMeant(
  from: CompiledService['forbids'][number]['from'],
  name: CallerName | undefined,
  target: CompiledService,
): boolean {
  if (!from || !name) return !from
  const matched = matchesFrom(from, name, target)
  return matched === true || (matched === undefined && name.principal.kind === 'identity')
}
