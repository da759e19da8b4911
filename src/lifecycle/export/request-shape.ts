import {
  covers,
  foldTemplate,
  meet,
  PARAMETER,
  parsePathTemplate,
  type PathTemplate,
  templateKey,
} from '../../segmentation/path-template.js'
import type { PathShape, RequestShape } from './access.js'
import type { WrittenSpec } from './written.js'

type WrittenEndpoint = NonNullable<WrittenSpec['endpoints']>[number]
type Way = { readonly endpoint: number; readonly grpc: boolean; readonly template: PathTemplate }

/** The paths of `/a/{id}` or, for gRPC, of `package.Service/Method` and `package.Service/*`. Only text that a load took. */
export function pathTemplate(text: string): PathTemplate {
  const parsed = parsePathTemplate(text)
  if (!parsed.ok) throw new TypeError(`${text}: ${parsed.problem}`)
  return parsed.template
}

export function grpcTemplate(method: string): PathTemplate {
  return { segments: method.split('/').map((part) => (part === '*' ? PARAMETER : part)), rest: false }
}

/** Every way to the endpoints of one service, to tell which requests are whose. */
export class EndpointWays {
  readonly #endpoints: readonly WrittenEndpoint[]
  readonly #ways: readonly Way[]

  constructor(endpoints: readonly WrittenEndpoint[]) {
    this.#endpoints = endpoints
    this.#ways = endpoints.flatMap(({ paths = [], grpc = [] }, endpoint) => [
      ...paths.map((text) => ({ endpoint, grpc: false, template: pathTemplate(text) })),
      ...grpc.map((text) => ({ endpoint, grpc: true, template: grpcTemplate(text) })),
    ])
  }

  /**
   * The requests that are this HTTP endpoint's; folded: that would be if case and a trailing slash didn't count.
   * Of the paths that several templates match, the most specific has them, and a gRPC method has its own whatever
   * templates say. Source: FORMATS 1, rule 2.
   */
  requestsOf(endpoint: number, folded: boolean): RequestShape[] {
    const written = this.#endpoints[endpoint]
    if (!written || written.protocol === 'TCP') return []
    const plain: { paths: Map<boolean, PathShape[]> } = { paths: new Map() }
    const narrowed: RequestShape[] = []
    const shape = (way: Way, paths: readonly PathShape[], except: readonly PathShape[]): RequestShape => ({
      paths,
      except,
      methods: way.grpc ? ['POST'] : (written.methods ?? []),
      ports: written.ports ?? [],
      upgrade: written.protocol === 'WebSocket',
    })
    for (const way of this.#ways) {
      if (way.endpoint !== endpoint) continue
      const own = { template: fold(way.template, folded), folded }
      const except = this.#moreSpecific(way, folded)
      if (except.length > 0) narrowed.push(shape(way, [own], except))
      else plain.paths.set(way.grpc, [...(plain.paths.get(way.grpc) ?? []), own])
    }
    const [http, grpc] = [plain.paths.get(false), plain.paths.get(true)]
    const any = (isGrpc: boolean): Way => ({ endpoint, grpc: isGrpc, template: { segments: [], rest: true } })
    return [
      ...(http ? [shape(any(false), http, [])] : []),
      ...(grpc ? [shape(any(true), grpc, [])] : []),
      ...narrowed,
    ]
  }

  /** What others take out of the paths of a way. */
  #moreSpecific(way: Way, folded: boolean): PathShape[] {
    const template = fold(way.template, folded)
    const found = new Map<string, PathShape>()
    for (const other of this.#ways) {
      const theirs = fold(other.template, folded)
      const wins =
        other.grpc && !way.grpc ? meet(template, theirs) !== undefined : isNarrower(theirs, template)
      if (!wins || (way.grpc && !other.grpc)) continue
      const sameRequests = other.endpoint === way.endpoint && other.grpc === way.grpc
      if (!sameRequests) found.set(templateKey(theirs), { template: theirs, folded })
    }
    return [...found.values()]
  }
}

function fold(template: PathTemplate, folded: boolean): PathTemplate {
  return folded ? foldTemplate(template) : template
}

function isNarrower(inner: PathTemplate, outer: PathTemplate): boolean {
  return templateKey(inner) !== templateKey(outer) && covers(outer, inner)
}

/**
 * The template as regular expressions that RE2 and JavaScript read alike; each must match the whole path. They are
 * several where one would be too large for Envoy: each then looks at some of the segments.
 */
export function pathPatterns({ template, folded }: PathShape): string[] {
  const { segments, rest } = template
  const end = rest ? (segments.length > 0 ? '(?:/.*)?' : '/.*') : folded && segments[0] !== '' ? '/?' : ''
  const parts = segments.map((segment) =>
    segment === PARAMETER ? undefined : { text: escaped(segment), size: segment.length },
  )
  return inParts(parts).map((looked) => {
    const body = looked.map((part) => `/${part ?? '[^/]+'}`).join('')
    return `${folded ? '(?i)' : ''}${body}${end}`
  })
}

/** Envoy takes no regular expression whose RE2 program is larger than 100; a character is about one. */
const MAX_PROGRAM = 80

/** Whether the parts of its patterns don't suffice. */
export function isOversized({ template: { segments } }: PathShape): boolean {
  return Math.max(0, ...segments.map(({ length }) => length)) + segments.length * 4 > MAX_PROGRAM + 8
}

/**
 * Which parts each of several expressions spells out, so that all are and none grows too large. A part that is
 * undefined stands for anything.
 */
export function inParts(
  parts: readonly ({ readonly text: string; readonly size: number } | undefined)[],
): (string | undefined)[][] {
  const blank = parts.length * 4
  const found: (string | undefined)[][] = []
  let current: (string | undefined)[] | undefined
  let size = blank
  for (const [at, part] of parts.entries()) {
    if (!part) continue
    if (!current || (size > blank && size + part.size > MAX_PROGRAM)) {
      current = parts.map(() => undefined)
      found.push(current)
      size = blank
    }
    current[at] = part.text
    size += part.size
  }
  return found.length > 0 ? found : [parts.map(() => undefined)]
}

/** The one path that a template stands for; undefined where it stands for several. */
export function onlyPath({ template, folded }: PathShape): string | undefined {
  const { segments, rest } = template
  return rest || folded || segments.includes(PARAMETER) ? undefined : `/${segments.join('/')}`
}

export function escaped(text: string): string {
  return text.replaceAll(/[.+*?()|[\]{}^$\\]/g, String.raw`\$&`)
}
