import {
  meet,
  PARAMETER,
  parsePathTemplate,
  type PathTemplate,
  templateKey,
} from '../../segmentation/path-template.js'
import type { AccessRequest, HttpCall } from '../../request/access-request.js'
import type { ServicePolicy } from '../../segmentation/service-policy.js'
import { documentOf, type DraftPolicy, type Written } from './draft-policy.js'

/** A request that stands for all that one way to an endpoint takes. */
export type Sample = {
  /** `POST /api/payments`, `TCP port 5432`. */
  readonly words: string
  /** The same without the port. */
  readonly line: string
  readonly port: number
  readonly request: AccessRequest
  /** As endpoints are matched on it. */
  readonly path: string
}

type Line = {
  readonly method: string
  readonly path: string
  readonly upgrade: boolean
  readonly port: number | undefined
}

const MOST_LINES = 2000

/**
 * Requests for every way to a target that one of two policies knows, and for what was asked by every method there.
 * `crossing` adds those where two templates meet and those that only a forbid takes for the same, which ignores case.
 * Undefined where there are too many. All have the headers and the query of the asked call: what conditions ask of these
 * is looked at in `circumstances`.
 */
export function samplesOf(
  drafts: readonly DraftPolicy[],
  targetId: string,
  asked: AccessRequest,
  askedPath: string,
  crossing: 'no' | 'exact' | 'folded',
): Sample[] | undefined {
  const ways = drafts.flatMap((draft) => [
    ...(documentOf(draft, targetId)?.written.spec.endpoints ?? []).map(endpointWay),
    ...(crossing !== 'no' ? [...draft.documents.values()].flatMap(baselineWays) : []),
  ])
  const lines = new Map<string, Line>()
  const add = (line: Line): void => {
    if (lines.size <= MOST_LINES) lines.set(`${line.method} ${line.path} ${line.upgrade} ${line.port}`, line)
  }
  const methods = new Set(ways.flatMap((way) => way.methods))
  if (asked.http) methods.add(asked.http.method)
  if (crossing !== 'no') methods.add(METHODS.find((method) => !methods.has(method)) ?? 'OTHER')
  const written = new Set(ways.flatMap((way) => way.ports))
  const here = asked.destination.port
  const anyPort =
    crossing !== 'no' && written.size > 0
      ? [undefined, ...[...written, otherPort(written, here)].filter((port) => port !== here)]
      : [undefined]
  for (const way of ways) addLines(spread(way, methods, anyPort), way.templates, add)
  if (askedPath !== '')
    for (const method of methods)
      for (const port of anyPort)
        for (const upgrade of [false, true]) add({ method, path: askedPath, upgrade, port })
  if (crossing !== 'no') {
    const templates = new Map(ways.flatMap((way) => way.templates).map((each) => [templateKey(each), each]))
    const all = [...templates.values()]
    const variants = crossing === 'folded' ? all.flatMap(inCapitals) : all
    for (const way of ways) addLines(spread(way, methods, anyPort), crossed(way.templates, variants), add)
    const anywhere = {
      endpoint: false,
      templates: [],
      methods: [...methods],
      grpc: [],
      ports: anyPort,
      upgrade: false,
      tcp: false,
    }
    addLines(anywhere, crossing === 'folded' ? variants : [], add)
  }
  if (lines.size > MOST_LINES) return undefined
  const ports = new Set<number | undefined>(ways.flatMap((way) => (way.tcp ? way.ports : [])))
  if (!asked.http || crossing !== 'no') ports.add(asked.destination.port)
  return [
    ...[...lines.values()].map((line) => httpSample(line, asked)),
    ...[...ports].flatMap((port) => (port === undefined ? [] : [tcpSample(port, asked)])),
  ]
}

/** A baseline rule that names no methods or ports means all of them. */
function spread(
  way: SampledWay,
  methods: ReadonlySet<string>,
  ports: readonly (number | undefined)[],
): SampledWay {
  return {
    ...way,
    methods: way.methods.length > 0 || way.endpoint ? way.methods : [...methods],
    ports: way.ports.length > 0 ? way.ports : ports,
  }
}

const METHODS = ['GET', 'POST', 'PUT', 'DELETE', 'PATCH', 'HEAD', 'OPTIONS']

function otherPort(written: ReadonlySet<number | undefined>, here: number): number {
  let port = 8080
  while (written.has(port) || port === here) port++
  return port
}

type SampledWay = {
  readonly endpoint: boolean
  readonly templates: readonly PathTemplate[]
  /** Empty: any. */
  readonly methods: readonly string[]
  /** Paths of gRPC methods. */
  readonly grpc: readonly string[]
  /** Empty: any; undefined: the asked one. */
  readonly ports: readonly (number | undefined)[]
  readonly upgrade: boolean
  readonly tcp: boolean
}

type Endpoint = NonNullable<ServicePolicy['spec']['endpoints']>[number]

function endpointWay({ paths = [], methods = [], grpc = [], ports, protocol }: Endpoint): SampledWay {
  return {
    endpoint: true,
    templates: templatesOf(paths),
    methods,
    grpc: grpc.map(grpcPath),
    ports: ports ?? [],
    upgrade: protocol === 'WebSocket',
    tcp: protocol === 'TCP',
  }
}

function baselineWays(document: Written): SampledWay[] {
  if (document.kind !== 'BaselinePolicy') return []
  const { allow = [], forbid = [] } = document.spec
  return [...allow, ...forbid].flatMap(({ to = [{}] }) =>
    to.map(({ paths = ANYWHERE, methods = [], grpc = [], ports }): SampledWay => {
      const templates = grpc.length > 0 ? [] : templatesOf(paths)
      return {
        endpoint: false,
        templates,
        methods,
        grpc: grpc.map(grpcPath),
        ports: ports ?? [],
        upgrade: false,
        tcp: true,
      }
    }),
  )
}

/** Where hardly any endpoint is. */
const ANYWHERE = ['/sample', '/sample/', '/sample/x/y/z/x/y/z']

function templatesOf(texts: readonly string[]): PathTemplate[] {
  return texts.map(parsePathTemplate).flatMap((parsed) => (parsed.ok ? [parsed.template] : []))
}

function grpcPath(method: string): string {
  return `/${method.replace(/\*$/, 'Sample')}`
}

function addLines(
  { methods, grpc, ports, upgrade }: SampledWay,
  templates: readonly PathTemplate[],
  add: (line: Line) => void,
): void {
  for (const port of ports) {
    for (const template of templates)
      for (const path of pathsOf(template)) for (const method of methods) add({ method, path, upgrade, port })
    for (const path of grpc) add({ method: 'POST', path, upgrade, port })
  }
}

/** Where templates meet others, as those are written. */
function crossed(templates: readonly PathTemplate[], others: readonly PathTemplate[]): PathTemplate[] {
  return templates.flatMap((template) =>
    others
      .flatMap((other) => [meet(template, other), meet(template, withSlash(other))])
      .filter((both) => both !== undefined),
  )
}

/** The template, and the same with one or all of its first segments in capitals. */
function inCapitals({ segments, rest }: PathTemplate): PathTemplate[] {
  let variants: string[][] = [[]]
  for (const [at, segment] of segments.entries()) {
    const upper = segment.toUpperCase()
    const words = upper === segment || at >= MOST_CAPITALS ? [segment] : [segment, upper]
    variants = variants.flatMap((before) => words.map((word) => before.concat(word)))
  }
  return variants.map((each) => ({ segments: each, rest }))
}

const MOST_CAPITALS = 3

function withSlash({ segments, rest }: PathTemplate): PathTemplate {
  return rest || segments.at(-1) === '' ? { segments, rest } : { segments: [...segments, ''], rest }
}

/** Paths of a template that no other template is likely to take. */
function pathsOf({ segments, rest }: PathTemplate): string[] {
  const path = `/${segments.map((segment) => (segment === PARAMETER ? 'sample-x' : segment)).join('/')}`
  if (!rest) return [path]
  const base = segments.length === 0 ? '' : path
  return [base === '' ? '/' : base, `${base}/sample-y/sample-z`]
}

function httpSample({ method, path, upgrade, port }: Line, asked: AccessRequest): Sample {
  const base: HttpCall = asked.http ?? NO_CALL
  const request: AccessRequest = {
    ...asked,
    destination: { ...asked.destination, port: port ?? asked.destination.port },
    http: { ...base, method, path, upgrade },
  }
  const line = lineOf({ method, path, upgrade })
  const words = port === undefined ? line : `${line} on port ${port}`
  return { words, line, port: request.destination.port, request, path }
}

/** How a request is worded, without its port; undefined: a TCP connection. */
export function lineOf(http: Pick<HttpCall, 'method' | 'path' | 'upgrade'> | undefined): string {
  return http ? `${http.upgrade ? 'upgrade ' : ''}${http.method} ${http.path}` : 'TCP'
}

function tcpSample(port: number, asked: AccessRequest): Sample {
  const request = { ...asked, destination: { ...asked.destination, port }, http: undefined }
  return { words: `TCP port ${port}`, line: lineOf(undefined), port, request, path: '' }
}

const NO_CALL: HttpCall = {
  method: 'GET',
  path: '/',
  query: '',
  host: '',
  protocol: 'HTTP/2',
  upgrade: false,
  grpc: false,
  headers: { get: () => undefined, count: () => 0, names: () => [] },
}
