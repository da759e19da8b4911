import type { CompiledEndpoint, CompiledService, PermitRule } from '../../segmentation/compiled.js'
import type { From } from '../../segmentation/from.js'
import type { Matrix } from '../../segmentation/matrix.js'
import type { Clause, HeaderTest, Obstacle, Principal } from './access.js'
import { type CallerName, type Callers, matchesFrom, namesOf, principalKey } from './callers.js'
import { headerTests } from './conditions.js'
import type { EndpointWays } from './request-shape.js'
import type { Written } from './written.js'

/** What the target's own document lets in, where the caller's half is there too. */
export type Permits = {
  readonly http: readonly Clause[]
  readonly tcp: readonly Clause[]
  readonly names: readonly CallerName[]
  readonly obstacles: readonly Obstacle[]
}

type Rule = Pick<PermitRule, 'name' | 'source' | 'endpoints' | 'grantScopes'> & {
  /** Undefined: neighbours. */
  readonly from: readonly From[] | undefined
  readonly headers: readonly HeaderTest[]
}

export function permitsOf(
  service: CompiledService,
  matrix: Matrix,
  callers: Callers,
  written: Written,
  ways: EndpointWays,
): Permits {
  const obstacles: Obstacle[] = []
  const rules = rulesOf(service, written, obstacles)
  const edges = (callers.get(service.index) ?? []).map(({ caller, endpoints }) => ({
    endpoints,
    names: namesOf(caller, written),
  }))
  const http: Clause[] = []
  const tcp: Clause[] = []
  const allowed = new Map<string, CallerName>()
  /** Who is let in to which endpoint but for scopes that nothing grants. */
  const unscoped = new Map<CompiledEndpoint, Map<string, boolean>>()
  for (const rule of rules) {
    const groups = new Map<string, { principals: Map<string, Principal>; endpoints: CompiledEndpoint[] }>()
    for (const endpoint of onePerIndex(service.endpoints)) {
      if (rule.endpoints && !rule.endpoints.includes(endpoint.index)) continue
      const granted = endpoint.workloadScopes.every((scope) => rule.grantScopes.includes(scope))
      const principals = new Map<string, Principal>()
      for (const { endpoints, names } of edges) {
        if (endpoints && !endpoints.includes(endpoint.index)) continue
        for (const name of names) {
          const matched = rule.from
            ? matchesFrom(rule.from, name, service)
            : isNeighbour(name, service, matrix)
          if (matched === 'unclear') {
            const message = `the rule ${rule.name} may mean some of ${principalKey(name.principal)} and not others`
            obstacles.push({ message, source: rule.source })
          }
          if (matched !== true) continue
          const key = principalKey(name.principal)
          const known = unscoped.get(endpoint) ?? new Map<string, boolean>()
          unscoped.set(endpoint, known.set(key, (known.get(key) ?? false) || granted))
          if (!granted) continue
          principals.set(key, name.principal)
          allowed.set(key, name)
        }
      }
      if (principals.size === 0) continue
      const group = [...principals.keys()].sort().join(' ')
      const known = groups.get(group)
      if (known) known.endpoints.push(endpoint)
      else groups.set(group, { principals, endpoints: [endpoint] })
    }
    for (const { principals, endpoints } of groups.values()) {
      const clause = { name: rule.name, source: rule.source, principals: [...principals.values()] }
      const requests = endpoints.flatMap(({ index }) => ways.requestsOf(index, false))
      if (requests.length > 0) http.push({ ...clause, requests, headers: rule.headers })
      const ports = endpoints.flatMap((endpoint) => (endpoint.protocol === 'TCP' ? endpoint.ports : []))
      // A connection has no headers, so a rule that asks for one never lets it in.
      if (ports.length > 0 && rule.headers.length === 0)
        tcp.push({ ...clause, requests: [onPorts(ports)], headers: [] })
    }
  }
  for (const [endpoint, principals] of unscoped) {
    const without = [...principals].flatMap(([key, granted]) => (granted ? [] : [key]))
    if (without.length === 0) continue
    const scopes = endpoint.workloadScopes.join(', ')
    const message = `the endpoint ${endpoint.name} asks for scopes (${scopes}) that no rule grants ${without.join(', ')}`
    obstacles.push({ message, source: endpoint.source })
  }
  return { http, tcp, names: [...allowed.values()], obstacles }
}

/** A request that is no more than a connection to one of these ports. */
export function onPorts(ports: readonly number[]) {
  return { paths: [], except: [], methods: [], ports, upgrade: undefined }
}

function rulesOf(service: CompiledService, written: Written, obstacles: Obstacle[]): Rule[] {
  if (service.rules.length === 0) {
    const { source } = service
    return [
      { name: 'same-namespace', source, from: undefined, endpoints: undefined, grantScopes: [], headers: [] },
    ]
  }
  const spec = written.services.get(service.id)
  return service.rules.map((rule, index) => {
    if (rule.from.some(({ users }) => users)) {
      obstacles.push({ message: `the rule ${rule.name} is for users`, source: rule.source })
    }
    const headers = headerTests(spec?.rules?.[index]?.when)
    if (!headers.ok) {
      obstacles.push({ message: `the rule ${rule.name} has ${headers.problem}`, source: rule.source })
    }
    return { ...rule, headers: headers.ok ? headers.tests : [] }
  })
}

function isNeighbour({ caller, example }: CallerName, service: CompiledService, matrix: Matrix): boolean {
  return caller?.namespace === service.namespace && example?.trustDomain === matrix.localTrustDomain
}

function onePerIndex(endpoints: readonly CompiledEndpoint[]): CompiledEndpoint[] {
  return [...new Map(endpoints.map((endpoint) => [endpoint.index, endpoint])).values()]
}
