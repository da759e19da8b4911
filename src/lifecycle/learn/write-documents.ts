import {
  Document,
  isCollection,
  isMap,
  isNode,
  isSeq,
  type Pair,
  parseAllDocuments,
  visit,
  type YAMLMap,
  YAMLSeq,
} from 'yaml'
import type { Requirement } from '../../segmentation/matrix.js'
import { readPlainScalar } from '../../schema/plain-scalar.js'
import { API_VERSION } from '../../segmentation/vocabulary.js'
import type { Addition, NewCall, NewEndpoint, NewRule } from './propose.js'
import { ANYONE, seenText, USERS } from './seen.js'

/** A policy file that is to be written; `isNew` where there was none. */
export type WrittenFile = { readonly file: string; readonly text: string; readonly isNew: boolean }

/** Of what the documents say already, as far as it decides how new parts are written. */
export type Written = {
  readonly files: readonly { readonly file: string; readonly text: string }[]
  /** What an endpoint requires that says nothing: of its service, else of the baseline. */
  readonly requireOf: (id: string) => Requirement
}

type Yaml = Document.Parsed | Document
const STYLE = { lineWidth: 0 } as const

/**
 * The files that change. Documents that are there keep what they say, their comments and their order; new parts come
 * behind, each with its evidence as a comment. A service without a document gets a file `NAMESPACE/NAME.yaml`.
 */
export function writeDocuments(additions: readonly Addition[], { files, requireOf }: Written): WrittenFile[] {
  const open = new Map<string, { readonly documents: Yaml[]; changed: boolean }>()
  const byId = new Map<string, { readonly file: string; readonly document: Yaml }>()
  for (const { file, text } of files) {
    const documents: Yaml[] = [...parseAllDocuments(text)]
    open.set(file, { documents, changed: false })
    for (const document of documents) {
      const id = idOf(document)
      if (id !== undefined && !byId.has(id)) byId.set(id, { file, document })
    }
  }
  const fresh: WrittenFile[] = []
  for (const addition of additions) {
    if (isEmpty(addition)) continue
    const known = byId.get(addition.id)
    const document = known?.document ?? newDocument(addition.id)
    extend(document, addition, requireOf(addition.id))
    if (!known) {
      fresh.push({ file: freeFile(addition.id, open), text: asWritten(document), isNew: true })
      continue
    }
    const file = open.get(known.file)
    if (file) file.changed = true
  }
  const changed = [...open].flatMap(([file, { documents, changed: touched }]) =>
    touched ? [{ file, text: documents.map(textOf).join(''), isNew: false }] : [],
  )
  return [...changed, ...fresh]
}

function isEmpty({ calls, endpoints, paths, rules }: Addition): boolean {
  return calls.length + endpoints.length + paths.length + rules.length === 0
}

function textOf(document: Yaml, at: number): string {
  const text = asWritten(document)
  return at === 0 || text.startsWith('---') || text.includes('\n---') ? text : `---\n${text}`
}

/** In the manner of the documentation: `{ name: a }`, but `[a, b]`. */
function asWritten(document: Yaml): string {
  visit(document, {
    Seq: (_, seq) => padded(seq, ''),
    Map: (_, map) => padded(map, ' '),
  })
  return document.toString(STYLE)
}

function padded(collection: YAMLMap | YAMLSeq, flowCollectionPadding: string): void {
  const toString = collection.toString.bind(collection)
  collection.toString = (context, ...rest) =>
    toString(context && { ...context, flowCollectionPadding }, ...rest)
}

/** `namespace/name` of a ServicePolicy. */
function idOf(document: Yaml): string | undefined {
  if (!isMap(document.contents) || document.get('kind') !== 'ServicePolicy') return undefined
  const name = document.getIn(['metadata', 'name'])
  const namespace = document.getIn(['metadata', 'namespace']) ?? 'default'
  return typeof name === 'string' && typeof namespace === 'string' ? `${namespace}/${name}` : undefined
}

function freeFile(id: string, open: ReadonlyMap<string, unknown>): string {
  for (let number = 1; ; number++) {
    const file = `${id}${number === 1 ? '' : `-learned-${number}`}.yaml`
    if (!open.has(file)) return file
  }
}

function newDocument(id: string): Yaml {
  const slash = id.indexOf('/')
  const [namespace, name] = [id.slice(0, slash), id.slice(slash + 1)]
  const document = new Document({
    apiVersion: API_VERSION,
    kind: 'ServicePolicy',
    metadata: { name, namespace },
    spec: {},
  })
  flow(document, ['metadata'])
  quoteAmbiguous(document.contents)
  return document
}

function extend(document: Yaml, addition: Addition, require: Requirement): void {
  const [namespace = ''] = addition.id.split('/')
  for (const call of addition.calls) addCall(document, call, namespace)
  for (const endpoint of addition.endpoints) {
    append(
      document,
      ['spec', 'endpoints'],
      endpointOf(endpoint, require),
      seenText(endpoint.seen, endpoint.ofUsers),
    )
  }
  for (const { endpoint, path } of addition.paths) {
    const at = indexOf(document, ['spec', 'endpoints'], 'name', [endpoint])
    if (at >= 0) append(document, ['spec', 'endpoints', at, 'paths'], path, undefined)
  }
  for (const rule of addition.rules) {
    const why = rule.namespace === undefined ? seenText(rule.seen) : 'as it was while there was no rule'
    append(document, ['spec', 'rules'], ruleOf(rule, namespace), why)
  }
}

function addCall(document: Yaml, { service, endpoints, seen }: NewCall, namespace: string): void {
  const short = shortName(service, namespace)
  const at = indexOf(document, ['spec', 'calls'], 'service', [service, short])
  if (at < 0) {
    append(document, ['spec', 'calls'], { service: short, endpoints }, seenText(seen))
    return
  }
  const way = ['spec', 'calls', at, 'endpoints']
  const named = document.getIn(way)
  // Without a list the call is to every endpoint already.
  if (!isSeq(named)) return
  const there = new Set(named.items.map((item) => (isNode(item) ? item.toJSON() : item)))
  for (const endpoint of endpoints) if (!there.has(endpoint)) append(document, way, endpoint, undefined)
}

function endpointOf(
  { name, paths, methods, grpc, protocol, ports, require }: NewEndpoint,
  byDefault: Requirement,
): object {
  return {
    name,
    ...(paths && { paths }),
    ...(methods && { methods }),
    ...(grpc && { grpc }),
    ...(protocol && { protocol }),
    ...(ports && { ports }),
    ...(require !== byDefault && { require }),
  }
}

function ruleOf({ name, from, namespace, endpoints }: NewRule, own: string): object {
  const services = from.filter((each) => each !== USERS && each !== ANYONE)
  const elements = [
    ...(namespace === undefined ? [] : [{ namespaces: [namespace] }]),
    ...(services.length > 0 ? [{ services: services.map((id) => shortName(id, own)) }] : []),
    ...(from.includes(USERS) ? [{ users: true }] : []),
    ...(from.includes(ANYONE) ? [{ any: true }] : []),
  ]
  return { name, from: elements, to: [{ endpoints }] }
}

function shortName(id: string, namespace: string): string {
  return id.startsWith(`${namespace}/`) ? id.slice(namespace.length + 1) : id
}

/** Adds an element behind the others; `evidence` becomes a comment in front of it. */
function append(
  document: Yaml,
  way: readonly (string | number)[],
  value: unknown,
  evidence: string | undefined,
): void {
  const node = document.createNode(value)
  for (const list of shortLists(node)) list.flow = true
  quoteAmbiguous(node)
  if (evidence !== undefined && isNode(node)) node.commentBefore = ` ${evidence}`
  openUp(document, way)
  const there = document.getIn(way)
  if (isSeq(there)) {
    // A comment ends its line, which a flow list on one line has no room for.
    if (evidence !== undefined) there.flow = false
    there.add(node)
  } else {
    const list = new YAMLSeq()
    list.add(node)
    document.setIn(way, list)
  }
}

/** Text that some readers of YAML take for something else, such as `y` and `on`. */
function quoteAmbiguous(node: unknown): void {
  if (!isNode(node)) return
  visit(node, {
    Scalar: (_, scalar) => {
      if (typeof scalar.value !== 'string') return
      const { value, problem } = readPlainScalar(scalar.value)
      if (problem !== undefined || value !== scalar.value) scalar.type = 'QUOTE_DOUBLE'
    },
  })
}

/** Maps on the way that are written in one line, where lines of their own have to stand now. */
function openUp(document: Yaml, way: readonly (string | number)[]): void {
  if (way[0] !== 'spec' || way.length > 2) return
  const spec = document.get('spec')
  if (isMap(spec)) spec.flow = false
}

/** The lists within a new element: each fits one line. */
function* shortLists(node: unknown): Generator<{ flow?: boolean | undefined }> {
  if (!isCollection(node)) return
  const items: readonly unknown[] = node.items
  if (isSeq(node)) yield node
  else for (const item of items) if (isPair(item)) yield* shortLists(item.value)
}

function isPair(item: unknown): item is Pair {
  return typeof item === 'object' && item !== null && 'key' in item && 'value' in item
}

function indexOf(document: Yaml, way: readonly string[], field: string, values: readonly string[]): number {
  const list = document.getIn(way)
  if (!isSeq(list)) return -1
  return list.items.findIndex((item) => isMap(item) && values.some((value) => item.get(field) === value))
}

function flow(document: Yaml, way: readonly string[]): void {
  const node = document.getIn(way, true)
  if (isCollection(node)) node.flow = true
}
