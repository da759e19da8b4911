import type { Pointer, Problem } from '../schema/problem.js'
import type { Steps } from '../schema/steps.js'
import type { PolicyDocument } from './read-documents.js'

type ServiceDocument = Extract<PolicyDocument, { kind: 'ServicePolicy' }>
type Rule = NonNullable<ServiceDocument['spec']['rules']>[number]
type From = Rule['from'][number]

/** Endpoints by name; undefined: every one. */
export type Reach = ReadonlySet<string> | undefined

/** One service, and what links to it from both sides. */
type Node = {
  readonly id: string
  readonly namespace: string
  readonly document: ServiceDocument
  /** Callers that its rules name, and the endpoints they are named for. */
  readonly named: Map<string, Reach>
  /** Endpoints that rules open without naming a service. */
  readonly unnamed: Set<string>
  /** Callers, by their `calls`. */
  readonly called: Map<string, Reach>
}

/**
 * What is sound and yet probably not meant: edges that only one side declares, endpoints that nobody can call
 * or anybody can, patterns wider than a review sees. For documents that compiled.
 */
export function* policyWarnings(documents: readonly PolicyDocument[]): Steps<Problem[]> {
  const warnings: Problem[] = []
  const nodes = yield* readNodes(documents)
  for (const node of nodes.values()) {
    yield
    const warn = (pointer: Pointer, message: string, code: string): void => {
      const position = node.document.source.positionOf(pointer)
      warnings.push({ severity: 'warning', code, message, position })
    }
    warnOfOneSidedCalls(node, nodes, warn)
    warnOfOneSidedRules(node, nodes, warn)
    warnOfUncallable(node, nodes, warn)
    warnOfOpenness(node, warn)
  }
  return warnings
}

type Warn = (pointer: Pointer, message: string, code: string) => void

function* readNodes(documents: readonly PolicyDocument[]): Steps<ReadonlyMap<string, Node>> {
  const nodes = new Map<string, Node>()
  for (const document of documents) {
    if (document.kind !== 'ServicePolicy') continue
    const namespace = document.metadata.namespace ?? 'default'
    const id = `${namespace}/${document.metadata.name}`
    const node = { id, namespace, document, named: new Map(), unnamed: new Set<string>(), called: new Map() }
    nodes.set(id, node)
    readRules(node)
    yield
  }
  const reaches = new SharedReaches()
  for (const { id, namespace, document } of nodes.values()) {
    yield
    for (const { service, endpoints } of document.spec.calls ?? []) {
      const called = nodes.get(qualified(service, namespace))?.called
      called?.set(id, joined(called, id, endpoints && reaches.of(endpoints)))
    }
  }
  return nodes
}

/** Most lists of endpoints have one name, and most edges the same one: a set of it is made once. */
class SharedReaches {
  readonly #ofOne = new Map<string, ReadonlySet<string>>()

  of(names: readonly string[]): ReadonlySet<string> {
    const [only] = names
    if (only === undefined || names.length > 1) return new Set(names)
    let found = this.#ofOne.get(only)
    if (!found) this.#ofOne.set(only, (found = new Set(names)))
    return found
  }
}

/** Adds whom the rules of a document let in, by name and otherwise. */
export function readRules({
  document,
  namespace,
  named,
  unnamed,
}: Pick<Node, 'document' | 'namespace' | 'named' | 'unnamed'>): void {
  const all = (document.spec.endpoints ?? []).map(({ name }) => name)
  for (const rule of document.spec.rules ?? []) {
    const reach = reachOf(rule)
    for (const from of rule.from) {
      for (const service of from.services ?? []) {
        const id = qualified(service, namespace)
        named.set(id, joined(named, id, reach))
      }
      if (!from.services) for (const name of reach ?? all) unnamed.add(name)
    }
  }
}

function reachOf({ to }: Rule): Reach {
  return to && new Set(to.flatMap(({ endpoints }) => endpoints))
}

/** What a caller reaches by more than one rule or call. */
export function joined(known: ReadonlyMap<string, Reach>, id: string, more: Reach): Reach {
  if (!known.has(id)) return more
  const before = known.get(id)
  return before && more && new Set([...before, ...more])
}

const qualified = (service: string, namespace: string): string =>
  service.includes('/') ? service : `${namespace}/${service}`

const meets = (names: Iterable<string> | undefined, reach: Reach): boolean => {
  if (!names || !reach) return true
  for (const name of names) if (reach.has(name)) return true
  return false
}

function warnOfOneSidedCalls(
  { id, namespace, document }: Node,
  nodes: ReadonlyMap<string, Node>,
  warn: Warn,
): void {
  for (const [index, { service, endpoints }] of (document.spec.calls ?? []).entries()) {
    const target = nodes.get(qualified(service, namespace))
    if (!target) continue
    const consents =
      target.document.spec.rules === undefined || target.document.spec.rules.length === 0
        ? target.namespace === namespace
        : meets(endpoints, target.unnamed) || (target.named.has(id) && meets(endpoints, target.named.get(id)))
    if (consents) continue
    const which = endpoints ? `${endpoints.join(', ')} of ${target.id}` : target.id
    warn(
      ['spec', 'calls', index],
      `${id} calls ${which}, which has no rule that lets it in: the edge stays closed`,
      'one-sided-edge',
    )
  }
}

function warnOfOneSidedRules(
  { id, namespace, document, called }: Node,
  nodes: ReadonlyMap<string, Node>,
  warn: Warn,
): void {
  for (const [index, rule] of (document.spec.rules ?? []).entries()) {
    const reach = reachOf(rule)
    for (const [element, { services = [] }] of rule.from.entries()) {
      for (const [place, service] of services.entries()) {
        const caller = qualified(service, namespace)
        if (!nodes.has(caller) || (called.has(caller) && meets(reach, called.get(caller)))) continue
        warn(
          ['spec', 'rules', index, 'from', element, 'services', place],
          `the rule lets ${caller} in, which doesn't name ${id} in its \`calls\`: the edge stays closed`,
          'one-sided-edge',
        )
      }
    }
  }
}

function warnOfUncallable(node: Node, nodes: ReadonlyMap<string, Node>, warn: Warn): void {
  const { document, called, named, unnamed, namespace } = node
  const { rules = [], routes = [], endpoints = [] } = document.spec
  const opensTo = (caller: string, name: string): boolean => {
    if (rules.length === 0) return nodes.get(caller)?.namespace === namespace
    return unnamed.has(name) || (named.has(caller) && (named.get(caller)?.has(name) ?? true))
  }
  for (const [index, { name }] of endpoints.entries()) {
    const byRoute = routes.length > 0 && unnamed.has(name)
    const byEdge = [...called].some(([caller, reach]) => (reach?.has(name) ?? true) && opensTo(caller, name))
    if (byRoute || byEdge || opensWithoutIdentity(document, name)) continue
    warn(['spec', 'endpoints', index], `nobody can call the endpoint ${name}`, 'uncallable-endpoint')
  }
}

function opensWithoutIdentity({ spec }: ServiceDocument, name: string): boolean {
  return (spec.rules ?? []).some(
    (rule) => (reachOf(rule)?.has(name) ?? true) && rule.from.some(({ any }) => any),
  )
}

function warnOfOpenness({ document }: Node, warn: Warn): void {
  const { spec } = document
  if (spec.require === 'None') warn(['spec', 'require'], 'the service asks for no identity', 'open-endpoint')
  for (const [index, { name, require, paths = [] }] of (spec.endpoints ?? []).entries()) {
    const at = ['spec', 'endpoints', index]
    if (require === 'None')
      warn([...at, 'require'], `the endpoint ${name} asks for no identity`, 'open-endpoint')
    for (const [place, path] of paths.entries()) {
      if (path === '/**') warn([...at, 'paths', place], `the endpoint ${name} is every path`, 'over-broad')
    }
  }
  for (const [index, rule] of (spec.rules ?? []).entries()) {
    for (const [element, from] of rule.from.entries()) {
      const wide = overBroad(from, rule, document)
      if (wide) warn(['spec', 'rules', index, 'from', element], `the rule ${rule.name} ${wide}`, 'over-broad')
    }
  }
}

/** What the element opens beyond what names can tell, or undefined. */
function overBroad(from: From, rule: Rule, { spec }: ServiceDocument): string | undefined {
  const reach = reachOf(rule)
  const opened = (spec.endpoints ?? []).filter(({ name }) => reach?.has(name) ?? true)
  if (from.any && opened.some(({ require = spec.require }) => require !== 'None')) {
    return 'lets anyone in to endpoints that ask for an identity'
  }
  const pattern = from.identities?.find((id) => /^spiffe:\/\/[^/]+(?:\/\*)+$/.test(id))
  if (pattern !== undefined) return `lets every workload of \`${pattern}\` in`
  const onlyNot =
    from.notNamespaces && !from.namespaces && !from.services && !from.identities && !from.selector
  return onlyNot ? 'lets every namespace in but those it names, the ones to come included' : undefined
}
