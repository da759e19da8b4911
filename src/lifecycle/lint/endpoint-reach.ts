import type { Pointer } from '../../schema/problem.js'
import type { CompiledEndpoint } from '../../segmentation/compiled.js'
import {
  covers,
  foldTemplate,
  PARAMETER,
  parsePathTemplate,
  type PathTemplate,
  templateKey,
} from '../../segmentation/path-template.js'
import type { Tell } from './finding.js'
import type { BaselineDocument, LintedMesh, LintedService } from './linted-mesh.js'

/** Templates of one service that are compared with each other for hidden methods. */
const MAX_COMPARED = 200

type Way = {
  readonly pointer: Pointer
  readonly text: string
  readonly template: PathTemplate
  readonly endpoint: string
  readonly methods: readonly string[]
}

/** Endpoints and ways to them that no request finds, because another place is more specific or a forbid is in the way. */
export function findUnreachable(mesh: LintedMesh, tell: Tell): void {
  const forbids = mesh.documents.flatMap((document) =>
    document.kind === 'BaselinePolicy' ? everyonesForbids(document) : [],
  )
  const templates = new Map<string, PathTemplate | undefined>()
  for (const service of mesh.services.values()) {
    const ways = waysOf(service, templates)
    findHiddenWays(service, ways, tell)
    if (ways.length > 1 && ways.length <= MAX_COMPARED) findHiddenMethods(service, ways, tell)
    findForbiddenEndpoints(service, ways, forbids, tell)
  }
}

/** A mesh has few different paths for its size: each is parsed once. */
function waysOf({ document }: LintedService, templates: Map<string, PathTemplate | undefined>): Way[] {
  const templateOf = (text: string): PathTemplate | undefined => {
    if (!templates.has(text)) {
      const parsed = parsePathTemplate(text)
      templates.set(text, parsed.ok ? parsed.template : undefined)
    }
    return templates.get(text)
  }
  return (document.spec.endpoints ?? []).flatMap(({ name, paths = [], methods = [] }, index) =>
    paths.flatMap((text, place) => {
      const template = templateOf(text)
      const pointer = ['spec', 'endpoints', index, 'paths', place]
      return template ? [{ pointer, text, template, endpoint: name, methods }] : []
    }),
  )
}

function findHiddenWays({ document, id }: LintedService, ways: readonly Way[], tell: Tell): void {
  const grpc = new Map(
    (document.spec.endpoints ?? []).flatMap(({ name, grpc: methods = [] }) =>
      methods.map((method) => [
        `/${method.endsWith('/*') ? `${method.slice(0, -1)}${PARAMETER}` : method}`,
        name,
      ]),
    ),
  )
  if (grpc.size === 0 && !ways.some(({ template }) => template.rest)) return
  const shapes = new Map(ways.map(({ template, endpoint }) => [templateKey(template), endpoint]))
  for (const { pointer, text, template, endpoint } of ways) {
    const key = templateKey(template)
    const method = grpc.get(key) ?? grpc.get(key.replace(/\/[^/]*$/, `/${PARAMETER}`))
    const by =
      method !== undefined && template.segments.length === 2 && !template.rest
        ? [method]
        : hiders(template, shapes)
    if (!by) continue
    const others = Array.from(new Set(by)).join(', ')
    tell(document.source, pointer, {
      severity: 'warning',
      code: 'unreachable-endpoint',
      message: `no request finds ${endpoint} by ${text}: every such path is more specifically one of ${others} of ${id}`,
    })
  }
}

/** Endpoints of the templates that together are every path of `/a/**`: `/a`, `/a/` and `/a/{x}/**`. */
function hiders({ segments, rest }: PathTemplate, shapes: ReadonlyMap<string, string>): string[] | undefined {
  if (!rest) return undefined
  const parts = [
    ...(segments.length > 0 ? [{ segments, rest: false }] : []),
    { segments: [...segments, ''], rest: false },
    { segments: [...segments, PARAMETER], rest: true },
  ].map((part) => shapes.get(templateKey(part)))
  const found = parts.filter((name) => name !== undefined)
  return found.length === parts.length ? found : undefined
}

/** A method that a wider template would take, at a place that a more specific one has taken without it. */
function findHiddenMethods({ document }: LintedService, ways: readonly Way[], tell: Tell): void {
  const there = new Map<string, Set<string>>()
  for (const { template, methods } of ways) {
    const key = templateKey(template)
    there.set(key, new Set([...(there.get(key) ?? []), ...methods]))
  }
  for (const inner of ways) {
    const key = templateKey(inner.template)
    for (const outer of ways) {
      if (outer.endpoint === inner.endpoint || templateKey(outer.template) === key) continue
      if (!covers(outer.template, inner.template)) continue
      const hidden = outer.methods.filter((method) => !there.get(key)?.has(method))
      if (hidden.length === 0) continue
      tell(document.source, inner.pointer, {
        severity: 'info',
        code: 'hidden-method',
        message: `${hidden.join(', ')} of ${outer.endpoint} (${outer.text}) does not reach ${inner.text}: the more specific path takes the request, whatever its method`,
      })
    }
  }
}

type MeshForbid = {
  readonly name: string
  readonly targets: NonNullable<NonNullable<BaselineDocument['spec']['forbid']>[number]['to']>[number]
}

/** Forbids of the mesh that mean every caller, one for each element of `to`. */
function everyonesForbids({ spec }: BaselineDocument): MeshForbid[] {
  return (spec.forbid ?? []).flatMap(({ name, from, to, when = [], mode = 'Enforce' }) => {
    const everyone = !from || from.some(({ any }) => any)
    if (!everyone || when.length > 0 || mode !== 'Enforce') return []
    return (to ?? [{}]).map((targets) => ({ name, targets }))
  })
}

function findForbiddenEndpoints(
  service: LintedService,
  ways: readonly Way[],
  meshWide: readonly MeshForbid[],
  tell: Tell,
): void {
  const { document, compiled } = service
  const own = (document.spec.forbid ?? []).filter(
    ({ from, when = [], mode = 'Enforce' }) =>
      (!from || from.some(({ any }) => any)) && when.length === 0 && mode === 'Enforce',
  )
  const concerning = meshWide.filter(({ targets }) => concerns(targets, service))
  if (own.length === 0 && concerning.length === 0) return
  const told = new Set<number>()
  for (const endpoint of compiled.endpoints) {
    if (told.has(endpoint.index)) continue
    const paths = ways.filter((way) => way.endpoint === endpoint.name)
    const written = own.find(
      ({ to }) => to?.some(({ endpoints }) => endpoints.includes(endpoint.name)) ?? true,
    )
    const by =
      written?.name ?? concerning.find(({ targets }) => takes(targets, endpoint, paths, service))?.name
    if (by === undefined) continue
    told.add(endpoint.index)
    tell(document.source, ['spec', 'endpoints', endpoint.index], {
      severity: 'warning',
      code: 'unreachable-endpoint',
      message: `nobody reaches the endpoint ${endpoint.name}: ${by} forbids it to everyone`,
    })
  }
}

function concerns(targets: MeshForbid['targets'], { id, namespace }: LintedService): boolean {
  if (targets.selector) return false
  return (targets.services?.includes(id) ?? true) && (targets.namespaces?.includes(namespace) ?? true)
}

/** Whether every request for the endpoint is one that the element means. */
function takes(
  { paths, methods, grpc, ports }: MeshForbid['targets'],
  endpoint: CompiledEndpoint,
  ways: readonly Way[],
  { document }: LintedService,
): boolean {
  const written = document.spec.endpoints?.[endpoint.index]
  if (ports && !(endpoint.ports.length > 0 && endpoint.ports.every((port) => ports.includes(port))))
    return false
  if (
    methods &&
    !(written?.methods && !written.grpc && written.methods.every((method) => methods.includes(method)))
  )
    return false
  if (grpc) return false
  if (!paths) return true
  const wide = paths.flatMap((text) => {
    const parsed = parsePathTemplate(text)
    return parsed.ok ? [foldTemplate(parsed.template)] : []
  })
  const inside = ({ template }: Way): boolean => wide.some((outer) => covers(outer, foldTemplate(template)))
  return ways.length > 0 && !written?.grpc && ways.every(inside)
}
