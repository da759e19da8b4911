import type { PolicyInForce } from '../../decide.js'
import type { PolicyDocument } from '../../policy/read-documents.js'
import type { CompiledService } from '../../segmentation/compiled.js'
import { allowedEdges, type Edge } from '../graph/edges.js'
import type { Obstacle } from './access.js'
import { accessOf } from './access-of.js'
import { callersOf } from './callers.js'
import { envoyRbac, oversized } from './envoy-rbac.js'
import { istioPolicies } from './istio.js'
import { networkPolicy } from './network-policy.js'
import { patternedServices, writtenOf } from './written.js'

export const EXPORT_FORMATS = ['networkpolicy', 'envoy-rbac', 'istio'] as const
export type ExportFormat = (typeof EXPORT_FORMATS)[number]

/** What one service is in another format. */
export type ExportedService = {
  readonly service: string
  readonly objects: readonly { readonly [key: string]: unknown }[]
  /** What the format leaves to Portcullis. */
  readonly notes: readonly string[]
}

export type Exported = {
  readonly services: readonly ExportedService[]
  /** Services that can't be said there, and every reason. */
  readonly refused: readonly { readonly service: string; readonly obstacles: readonly Obstacle[] }[]
  /** Services of which there is nothing to say. */
  readonly notes: readonly string[]
}

/**
 * The matrix in another format, service by service: equal to it at that format's layer, or refused. `only`: the
 * services asked for, of the matrix; undefined: all. `podLabel` is the label whose value is a service's name.
 */
export function exportPolicy(
  format: ExportFormat,
  policy: Pick<PolicyInForce, 'matrix' | 'adaptive'>,
  sources: readonly PolicyDocument[],
  { only, podLabel }: { readonly only: readonly CompiledService[] | undefined; readonly podLabel: string },
): Exported {
  const written = writtenOf(sources)
  const services: ExportedService[] = []
  const refused: { service: string; obstacles: readonly Obstacle[] }[] = []
  const notes: string[] = []
  const wanted = only ?? [...policy.matrix.services.values()]
  if (format === 'networkpolicy') {
    const incoming = new Map<CompiledService, Edge[]>()
    for (const edge of allowedEdges(policy.matrix, patternedServices(written))) {
      const known = incoming.get(edge.target)
      if (known) known.push(edge)
      else incoming.set(edge.target, [edge])
    }
    for (const service of wanted) {
      const made = networkPolicy(service, incoming.get(service) ?? [], policy.matrix, written, podLabel)
      if (made.ok) services.push({ service: service.id, objects: [made.object], notes: made.notes })
      else if (made.obstacles.length > 0) refused.push({ service: service.id, obstacles: made.obstacles })
      if (!made.ok && made.note !== undefined) notes.push(made.note)
    }
    return { services, refused, notes }
  }
  const callers = callersOf(policy.matrix)
  for (const service of wanted) {
    const access = accessOf(service, policy, callers, written)
    const { id, name, namespace } = service
    const istio = format === 'istio' ? istioPolicies(access, { namespace, name, podLabel }) : undefined
    const obstacles = [...access.obstacles, ...(istio?.obstacles ?? oversized(access))]
    if (obstacles.length > 0) refused.push({ service: id, obstacles })
    else
      services.push({
        service: id,
        objects: istio?.objects ?? [filtersOf(id, access)],
        notes: LEFT_OUT[format],
      })
  }
  return { services, refused, notes }
}

function filtersOf(
  service: string,
  access: Parameters<typeof envoyRbac>[0],
): { readonly [key: string]: unknown } {
  const { httpFilters, networkFilters } = envoyRbac(access)
  return { service, http_filters: httpFilters, ...(networkFilters && { network_filters: networkFilters }) }
}

const CALLS_ALONE =
  'equal for calls of workloads without a user or a service token; risk, sessions, quarantine, revoked certificates stay with Portcullis'

const LEFT_OUT: { readonly [format in Exclude<ExportFormat, 'networkpolicy'>]: readonly string[] } = {
  'envoy-rbac': [
    CALLS_ALONE,
    'needs mTLS that verifies the peer, normalize_path: false, merge_slashes: false, and max_request_headers_kb: 8',
  ],
  istio: [
    CALLS_ALONE,
    'needs PeerAuthentication STRICT; ambiguous paths are refused by Portcullis alone; {*} matches no segment with a *',
  ],
}
