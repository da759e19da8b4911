import type { PolicyDocument } from '../../policy/read-documents.js'
import {
  covers,
  meet,
  PARAMETER,
  parsePathTemplate,
  type PathTemplate,
  templateKey,
} from '../../segmentation/path-template.js'
import type { Addition, NewEndpoint } from './propose.js'

/** Endpoints as a document says them. */
export type WrittenEndpoints = NonNullable<
  Extract<PolicyDocument, { kind: 'ServicePolicy' }>['spec']['endpoints']
>

type Placed = {
  readonly name: string
  readonly template: PathTemplate
  readonly protocol: string
  readonly methods: readonly string[]
  readonly isNew: boolean
}

/** Crossings are a square of the templates; beyond so many wide ones the load says where they tie. */
const MAX_WIDE = 500

/**
 * Lets new templates stand beside each other and beside those that are there. One request has one template, the most
 * specific, and no second choice (FORMATS 1, rule 2), so:
 * - where two cross (`/a/{x}`, `/{y}/b`), the one that a walk from the left prefers gets the common path too;
 * - where a new one is more specific than one that is there, the latter's endpoint gets that path too, or it would
 *   lose its other methods there.
 */
export function untangle(
  endpoints: readonly NewEndpoint[],
  written: WrittenEndpoints,
): { readonly endpoints: readonly NewEndpoint[]; readonly paths: Addition['paths'] } {
  const placed = [...placedOf(endpoints, true), ...placedOf(written, false)]
  const more = new Map<string, Set<string>>()
  const give = (name: string, template: PathTemplate): void => {
    const paths = more.get(name) ?? new Set()
    paths.add(textOf(template))
    more.set(name, paths)
  }
  for (const fresh of placed) {
    if (!fresh.isNew) continue
    for (const old of nearestAround(fresh, placed)) give(old.name, fresh.template)
  }
  for (const { name, template } of crossings(placed)) give(name, template)

  const isNew = new Set(endpoints.map(({ name }) => name))
  return {
    endpoints: endpoints.map((endpoint) => {
      const paths = more.get(endpoint.name)
      return paths ? { ...endpoint, paths: [...(endpoint.paths ?? []), ...paths] } : endpoint
    }),
    paths: [...more].flatMap(([endpoint, paths]) =>
      isNew.has(endpoint) ? [] : [...paths].map((path) => ({ endpoint, path })),
    ),
  }
}

type Said = {
  readonly name: string
  readonly paths?: readonly string[]
  readonly methods?: readonly string[]
  readonly protocol?: string
}

function placedOf(endpoints: readonly Said[], isNew: boolean): Placed[] {
  return endpoints.flatMap(({ name, paths = [], methods = [], protocol = 'HTTP' }) =>
    paths.flatMap((path) => {
      const parsed = parsePathTemplate(path)
      return parsed.ok ? [{ name, template: parsed.template, protocol, methods, isNew }] : []
    }),
  )
}

/** The old ones that serve the new template's paths until now, as far as the new one would not serve them. */
function nearestAround(fresh: Placed, placed: readonly Placed[]): Placed[] {
  const key = templateKey(fresh.template)
  const old = placed.filter(({ isNew }) => !isNew)
  if (old.some(({ template }) => templateKey(template) === key)) return []
  const around = old.filter(({ template }) => covers(template, fresh.template))
  return around.filter(
    (each) =>
      !around.some(
        (other) =>
          covers(each.template, other.template) && templateKey(each.template) !== templateKey(other.template),
      ) &&
      (each.protocol !== fresh.protocol || !each.methods.some((method) => fresh.methods.includes(method))),
  )
}

function crossings(placed: readonly Placed[]): { name: string; template: PathTemplate }[] {
  const wide = placed.filter(({ template }) => template.rest || template.segments.includes(PARAMETER))
  if (wide.length > MAX_WIDE) return []
  const known = new Set(placed.map(({ template }) => templateKey(template)))
  const found: { name: string; template: PathTemplate }[] = []
  for (const [at, left] of wide.entries()) {
    for (const right of wide.slice(0, at)) {
      if (left.protocol !== right.protocol || left.name === right.name) continue
      if (!left.methods.some((method) => right.methods.includes(method))) continue
      const both = meet(left.template, right.template)
      if (!both || known.has(templateKey(both)) || !(left.isNew || right.isNew)) continue
      known.add(templateKey(both))
      found.push({ name: (isLeftOf(left, right) ? left : right).name, template: both })
    }
  }
  return found
}

/** Whether it has a word at the first place where only one of them has one. */
function isLeftOf(left: Placed, right: Placed): boolean {
  for (const [at, segment] of left.template.segments.entries()) {
    const other = right.template.segments[at]
    if ((segment === PARAMETER) !== (other === PARAMETER)) return segment !== PARAMETER
  }
  return true
}

function textOf({ segments, rest }: PathTemplate): string {
  const parts = segments.map((segment, at) => (segment === PARAMETER ? `{id${at + 1}}` : segment))
  return `/${[...parts, ...(rest ? ['**'] : [])].join('/')}`
}
