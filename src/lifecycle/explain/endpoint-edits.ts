import { type CompiledEndpoint, compiledService } from '../../segmentation/compiled.js'
import { endpointsNear } from '../../segmentation/endpoint-index.js'
import type { Facts } from '../../segmentation/facts.js'
import { parsePathTemplate, templateKey } from '../../segmentation/path-template.js'
import type { ServicePolicy } from '../../segmentation/service-policy.js'
import { documentOf, type DraftPolicy } from './draft-policy.js'
import type { Edit } from './edit.js'
import { freshName } from './fresh-name.js'
import { isGuarded } from './protection.js'

type Endpoint = NonNullable<ServicePolicy['spec']['endpoints']>[number]

const GRPC_PATH = /^\/([A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_]*)*\/[A-Za-z_][A-Za-z0-9_]*)$/
const MOST_ENDPOINTS = 8

/** What the target exposes: a method, port, path or gRPC method more at an endpoint, or an endpoint more. */
export function endpointEdits(draft: DraftPolicy, facts: Facts): Edit[] {
  const service = compiledService(facts.target.service)
  const own = documentOf(draft, service?.id)
  if (!service || !own) return []
  // An endpoint was chosen, and it asks for a workload that nobody outside has: asking for less is no way in.
  if (facts.endpoint) return []
  // A method is compared as it is, but `*` in a list of them reads as every method.
  if (facts.request.http?.method.includes('*')) return []
  const near = endpointsNear(service.endpointIndex, facts.target.path, facts.request.http !== undefined)
  const written = own.written.spec.endpoints ?? []
  const edits = [...new Set(near.map(({ index }) => index))].flatMap((index) => {
    const compiled = near.find((each) => each.index === index)
    const endpoint = written[index]
    return compiled && endpoint ? atNear(own.index, index, endpoint, compiled, facts) : []
  })
  if (near.length === 0) edits.push(...atOthers(own.index, written, facts))
  return [...edits, ...newEndpoint(own.index, written, near, facts)]
}

/** At an endpoint of this very path, or any TCP one: what it lacks is the method or the port. */
function atNear(
  document: number,
  index: number,
  written: Endpoint,
  { protocol, methods, ports }: CompiledEndpoint,
  { request }: Facts,
): Edit[] {
  const { http, destination } = request
  const at = ['spec', 'endpoints', index]
  const lacksPort = ports.length > 0 && !ports.includes(destination.port)
  if (lacksPort && destination.port > 0 && (protocol === 'TCP') === !http) {
    const say = `expose ${written.name} on port ${destination.port} too`
    return [{ document, op: 'append', at: [...at, 'ports'], values: [destination.port], say }]
  }
  if (!http || lacksPort || http.upgrade !== (protocol === 'WebSocket')) return []
  if (!written.methods || methods.includes(http.method)) return []
  const say = `let ${written.name} take ${http.method} too`
  return [{ document, op: 'append', at: [...at, 'methods'], values: [http.method], say }]
}

/** At endpoints of other paths that take this method. */
function atOthers(document: number, written: readonly Endpoint[], { request, target }: Facts): Edit[] {
  const { http } = request
  if (!http || http.upgrade) return []
  const grpc = http.grpc ? GRPC_PATH.exec(target.path)?.[1] : undefined
  const edits: Edit[] = []
  for (const [index, endpoint] of written.entries()) {
    if (edits.length >= MOST_ENDPOINTS) break
    if (endpoint.protocol !== undefined && endpoint.protocol !== 'HTTP') continue
    const at = ['spec', 'endpoints', index]
    if (grpc !== undefined && endpoint.grpc) {
      const say = `let ${endpoint.name} take the gRPC method ${grpc} too`
      edits.push({ document, op: 'append', at: [...at, 'grpc'], values: [grpc], say })
    } else if (grpc === undefined && endpoint.paths && endpoint.methods?.includes(http.method)) {
      const template = templateOf(target.path)
      if (template === undefined) continue
      const say = `expose ${template} as ${endpoint.name} too`
      edits.push({ document, op: 'append', at: [...at, 'paths'], values: [template], say })
    }
  }
  return edits
}

function newEndpoint(
  document: number,
  written: readonly Endpoint[],
  near: readonly CompiledEndpoint[],
  { request, target }: Facts,
): Edit[] {
  const { http, destination } = request
  const name = (wanted: string): string => freshName(wanted, new Set(written.map((each) => each.name)))
  const add = (value: Endpoint): Edit[] => {
    const say = `expose ${value.name} (${wordsOf(value)})`
    return [{ document, op: 'append', at: ['spec', 'endpoints'], values: [value], say }]
  }
  if (!http) {
    const { port } = destination
    return port > 0 ? add({ name: name(`tcp-${port}`), protocol: 'TCP', ports: [port] }) : []
  }
  // Another endpoint at the same paths would not ask for what the ones there ask for.
  if (near.some(({ index }) => written[index] && isGuarded(written[index]))) return []
  const grpc = http.grpc && !http.upgrade ? GRPC_PATH.exec(target.path)?.[1] : undefined
  if (grpc !== undefined) return add({ name: name(grpc.slice(grpc.indexOf('/') + 1)), grpc: [grpc] })
  const template = near.length > 0 ? sharedTemplate(written, near, target.path) : templateOf(target.path)
  if (template === undefined) return []
  const wanted = `${http.method.toLowerCase()}-${template.replaceAll(/[^A-Za-z0-9]+/g, '-').replaceAll(/^-|-$/g, '')}`
  const protocol = http.upgrade ? { protocol: 'WebSocket' as const } : {}
  return add({ name: name(wanted.replace(/-$/, '')), paths: [template], methods: [http.method], ...protocol })
}

/**
 * The template by which the endpoints there are found: a narrower one would take its paths away from them. Undefined for
 * one of all that begins so, which is a wildcard.
 */
function sharedTemplate(
  written: readonly Endpoint[],
  near: readonly CompiledEndpoint[],
  path: string,
): string | undefined {
  const shapes = new Map<string, string>()
  for (const { index } of near)
    for (const text of written[index]?.paths ?? []) {
      const parsed = parsePathTemplate(text)
      if (parsed.ok && matchesPath(parsed.template, path)) shapes.set(templateKey(parsed.template), text)
    }
  const [text, ...others] = shapes.values()
  return others.length === 0 && !text?.includes('*') ? text : undefined
}

function matchesPath(
  { segments, rest }: { readonly segments: readonly string[]; readonly rest: boolean },
  path: string,
): boolean {
  const parts = path.slice(1).split('/')
  if (rest ? parts.length < segments.length : parts.length !== segments.length) return false
  return segments.every((segment, at) => (segment === '{}' ? parts[at] !== '' : segment === parts[at]))
}

const ID = /^(?:\d+|[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}|[0-9a-f]{16,}|[0-9A-HJKMNP-TV-Z]{26})$/i

/**
 * The path itself, with {id} for segments that number something; undefined where no template says it: in one, `*` and
 * braces stand for other paths.
 */
function templateOf(path: string): string | undefined {
  if (/[*{}]/.test(path)) return undefined
  let count = 0
  const text = path
    .split('/')
    .map((segment) => (ID.test(segment) ? `{id${count++ === 0 ? '' : count}}` : segment))
    .join('/')
  return parsePathTemplate(text).ok ? text : undefined
}

function wordsOf({ paths, methods, grpc, ports }: Endpoint): string {
  if (grpc) return `gRPC ${grpc.join(', ')}`
  return paths ? `${methods?.join(', ')} ${paths.join(', ')}` : `TCP port ${ports?.join(', ')}`
}
