import type { PolicyInForce } from '../../decide.js'
import { compiledService, type CompiledService } from '../../segmentation/compiled.js'
import type { Access } from './access.js'
import { barsOf } from './bars.js'
import { baselinePermits } from './baseline-clauses.js'
import { type Callers, principalKey } from './callers.js'
import { adaptiveObstacles, endpointObstacles } from './obstacles.js'
import { onPorts, permitsOf } from './permits.js'
import { EndpointWays } from './request-shape.js'
import type { Written } from './written.js'

/**
 * What the matrix says of one service, in clauses that other systems know: by verified workload, path, method, port
 * and header. What they don't know is an obstacle. `callers` and `written` are of the same matrix.
 */
export function accessOf(
  service: CompiledService,
  { matrix, adaptive }: Pick<PolicyInForce, 'matrix' | 'adaptive'>,
  callers: Callers,
  written: Written,
): Access {
  const ways = new EndpointWays(written.services.get(service.id)?.endpoints ?? [])
  const own = permitsOf(service, matrix, callers, written, ways)
  const obstacles = [...endpointObstacles(service), ...adaptiveObstacles(adaptive, service), ...own.obstacles]
  const baseline = baselinePermits(service, matrix, written, ways, obstacles)
  const allowed = new Map(
    [...own.names, ...baseline.names].map((name) => [principalKey(name.principal), name]),
  )
  const bars = barsOf(service, matrix, written, ways, [...allowed.values()])
  obstacles.push(...bars.obstacles)
  const hasTcp = service.endpoints.some(({ protocol }) => protocol === 'TCP')
  return {
    service: service.id,
    http: { permits: [...own.http, ...baseline.clauses], bars: bars.http },
    tcp: hasTcp
      ? {
          permits: [...own.tcp, ...baseline.clauses.flatMap(asConnection)],
          bars: bars.tcp,
        }
      : undefined,
    obstacles: onlyOnce(obstacles),
  }
}

/** A baseline allow lets connections in where it asks nothing that only a request has. */
function asConnection(clause: Access['http']['permits'][number]): Access['http']['permits'] {
  const requests = clause.requests?.filter(({ paths, methods }) => paths.length === 0 && methods.length === 0)
  if (clause.headers.length > 0 || requests?.length === 0) return []
  return [{ ...clause, requests: requests?.map(({ ports }) => onPorts(ports)) }]
}

function onlyOnce(obstacles: Access['obstacles']): Access['obstacles'] {
  return [
    ...new Map(obstacles.map((obstacle) => [`${obstacle.source} ${obstacle.message}`, obstacle])).values(),
  ]
}

/** The service of that name; undefined where no document names it. */
export function serviceNamed(matrix: PolicyInForce['matrix'], id: string): CompiledService | undefined {
  return compiledService(matrix.services.get(id))
}
