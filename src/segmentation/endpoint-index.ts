import type { AccessRequest, HttpCall } from '../request/access-request.js'
import type { Pointer } from '../schema/problem.js'
import type { CompiledEndpoint } from './compiled.js'
import {
  covers,
  foldPath,
  foldTemplate,
  meet,
  PARAMETER,
  type PathTemplate,
  templateKey,
} from './path-template.js'
import { TemplateTrie } from './template-trie.js'

/** Which endpoints stand at one place: one template, one gRPC method, or all TCP ports. */
type Place = readonly CompiledEndpoint[]

/** How a service finds the one endpoint of a request. */
export type EndpointIndex = {
  readonly templates: TemplateTrie<Place> | undefined
  /** By `/package.Service/Method`, and by `/package.Service/` where all its methods are meant. */
  readonly grpc: ReadonlyMap<string, Place> | undefined
  readonly tcp: Place
}

/** One written way to an endpoint. */
export type EndpointWay = { readonly endpoint: CompiledEndpoint; readonly pointer: Pointer } & (
  | { readonly kind: 'path'; readonly template: PathTemplate; readonly text: string }
  /** `/package.Service/Method`, or `/package.Service/` for all its methods. */
  | { readonly kind: 'grpc'; readonly path: string }
  | { readonly kind: 'tcp' }
)

export type TieReport = (pointer: Pointer, message: string, code: string) => void

/** More than this many crossings of templates are a policy that nobody can foresee. */
const MAX_CROSSINGS = 1000

export const NO_ENDPOINTS: EndpointIndex = { templates: undefined, grpc: undefined, tcp: [] }

/** Builds the index of one service and reports endpoints that would tie. */
export function indexEndpoints(ways: readonly EndpointWay[], report: TieReport): EndpointIndex {
  return build(ways, false, report)
}

/** The index that forbids use, of folded paths: nothing ties, as a forbid concerns whatever a request could be. */
export function indexEndpointsFolded(ways: readonly EndpointWay[]): EndpointIndex {
  return build(ways, true, () => undefined)
}

function build(ways: readonly EndpointWay[], folded: boolean, report: TieReport): EndpointIndex {
  const shapes = new Map<string, { template: PathTemplate; ways: EndpointWay[] }>()
  const grpc = new Map<string, EndpointWay[]>()
  const tcp: EndpointWay[] = []
  for (const way of ways) {
    if (way.kind === 'tcp') tcp.push(way)
    else if (way.kind === 'grpc') add(grpc, folded ? way.path.toLowerCase() : way.path, way)
    else {
      const template = folded ? foldTemplate(way.template) : way.template
      const shape = shapes.get(templateKey(template))
      if (shape) shape.ways.push(way)
      else shapes.set(templateKey(template), { template, ways: [way] })
    }
  }
  const place = (at: readonly EndpointWay[]): Place => {
    if (!folded) reportTies(at, report)
    const [only] = at
    return only && at.length === 1 ? [only.endpoint] : [...new Set(at.map((way) => way.endpoint))].slice()
  }
  const templates = new TemplateTrie<Place>()
  for (const shape of shapes.values()) templates.set(shape.template, place(shape.ways))
  crossings(shapes, (template, at) => templates.set(template, place(at)), report)
  return {
    templates: shapes.size > 0 ? templates : undefined,
    grpc: grpc.size > 0 ? new Map([...grpc].map(([key, at]) => [key, place(at)])) : undefined,
    tcp: place(tcp),
  }
}

/**
 * Where two templates match the same path and neither is more specific, as `/a/{x}` and `/{y}/b`, the paths
 * of both become a place of their own with the endpoints of both, so that the walk through the trie, which
 * prefers the left, can't prefer one of them.
 */
function crossings(
  shapes: ReadonlyMap<string, { readonly template: PathTemplate; readonly ways: readonly EndpointWay[] }>,
  found: (template: PathTemplate, ways: readonly EndpointWay[]) => void,
  report: TieReport,
): void {
  const wide = [...shapes.values()].filter(({ template }) => !isOnePath(template))
  const closed = new Map(wide.map(({ template }) => [templateKey(template), template]))
  const crossed: PathTemplate[] = []
  const queue = [...closed.values()]
  for (const [at, left] of queue.entries()) {
    for (const right of queue.slice(0, at)) {
      const both = meet(left, right)
      const key = both && templateKey(both)
      if (!both || !key || shapes.has(key) || closed.has(key)) continue
      closed.set(key, both)
      crossed.push(both)
      if (!isOnePath(both)) queue.push(both)
      if (crossed.length <= MAX_CROSSINGS) continue
      const pointer = wide[0]?.ways[0]?.pointer ?? []
      return report(pointer, 'too many path templates of this service overlap', 'endpoint-tie')
    }
  }
  for (const template of crossed) {
    const around = wide.filter((shape) => covers(shape.template, template))
    const nearest = around.filter(
      (shape) => !around.some((other) => other !== shape && covers(shape.template, other.template)),
    )
    found(
      template,
      nearest.flatMap((shape) => shape.ways),
    )
  }
}

function isOnePath({ segments, rest }: PathTemplate): boolean {
  return !rest && !segments.includes(PARAMETER)
}

function reportTies(at: readonly EndpointWay[], report: TieReport): void {
  for (const [index, way] of at.entries()) {
    const other = at.slice(0, index).find((earlier) => tie(earlier, way))
    if (!other) continue
    const [mine, theirs] = [way.endpoint.name, other.endpoint.name]
    const what = `${wordsOf(way)} of ${mine} and ${wordsOf(other)} of ${theirs}`
    report(way.pointer, `${what} match the same requests and neither is more specific`, 'endpoint-tie')
  }
}

function wordsOf(way: EndpointWay): string {
  if (way.kind === 'path') return `${way.text} (${way.endpoint.methods.join(', ')})`
  return way.kind === 'grpc' ? `gRPC ${way.path}` : `TCP port ${way.endpoint.ports.join(', ')}`
}

function tie({ endpoint: left, kind }: EndpointWay, { endpoint: right }: EndpointWay): boolean {
  if (left.index === right.index || left.protocol !== right.protocol) return false
  if (kind === 'path' && !left.methods.some((method) => right.methods.includes(method))) return false
  if (left.ports.length === 0 || right.ports.length === 0) return true
  return left.ports.some((port) => right.ports.includes(port))
}

function add(map: Map<string, EndpointWay[]>, key: string, way: EndpointWay): void {
  const known = map.get(key)
  if (known) known.push(way)
  else map.set(key, [way])
}

/**
 * The one endpoint of a request on a service; undefined when the service does not expose it. A gRPC method
 * first, whatever the content type, else the most specific template; then its method and port, with no
 * second choice. Source: FORMATS 1, rule 2.
 */
export function endpointOf(
  index: EndpointIndex,
  path: string,
  request: AccessRequest,
): CompiledEndpoint | undefined {
  const { http, destination } = request
  if (!http) return index.tcp.find((endpoint) => endpoint.ports.includes(destination.port))
  const grpc = index.grpc && grpcPlace(index.grpc, path)
  const place = grpc ?? index.templates?.find(path)
  if (!place) return undefined
  for (const endpoint of place)
    if (accepts(endpoint, http, destination.port, grpc !== undefined)) return endpoint
  return undefined
}

/** Whether a request would be one of these endpoints for somebody who ignores case and a trailing slash. */
export function couldBeOneOf(
  index: EndpointIndex,
  wanted: readonly number[],
  path: string,
  request: AccessRequest,
): boolean {
  const { http, destination } = request
  if (!http) return false
  const folded = foldPath(path)
  const grpc = index.grpc && grpcPlace(index.grpc, folded)
  const place = grpc ?? index.templates?.find(folded)
  if (!place) return false
  for (const endpoint of place) {
    if (!wanted.includes(endpoint.index)) continue
    if (accepts(endpoint, http, destination.port, grpc !== undefined)) return true
  }
  return false
}

function accepts(endpoint: CompiledEndpoint, http: HttpCall, port: number, grpc: boolean): boolean {
  if (endpoint.ports.length > 0 && !endpoint.ports.includes(port)) return false
  if (http.upgrade !== (endpoint.protocol === 'WebSocket')) return false
  return grpc ? http.method === 'POST' : endpoint.methods.includes(http.method)
}

function grpcPlace(grpc: ReadonlyMap<string, Place>, path: string): Place | undefined {
  const slash = path.indexOf('/', 1)
  if (slash < 0 || slash === path.length - 1 || path.includes('/', slash + 1)) return undefined
  return grpc.get(path) ?? grpc.get(path.slice(0, slash + 1))
}

/** What stands where a request points, whatever its method, port and protocol: for those who ask why. */
export function endpointsNear(index: EndpointIndex, path: string, http: boolean): Place {
  if (!http) return index.tcp
  return (index.grpc && grpcPlace(index.grpc, path)) ?? index.templates?.find(path) ?? []
}
