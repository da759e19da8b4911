import type { PolicyDocument } from '../../policy/read-documents.js'
import type { Pointer } from '../../schema/problem.js'
import { compileSpiffePattern } from '../../identity/spiffe-id.js'
import { IdentityTrie } from '../../segmentation/identity-trie.js'
import { compileSelector } from '../../segmentation/selector.js'
import { selectorText } from './caller-sets.js'
import type { Tell } from './finding.js'
import { canonicalKey } from './known-keys.js'
import type { Suggestions } from './suggestions.js'
import { qualified, type LintedMesh, type WrittenFrom, type WrittenWhen } from './linted-mesh.js'

type Rule = {
  readonly pointer: Pointer
  readonly name: string
  /** A name that nobody has yet makes a permit useless; a forbid may be ahead of its time. */
  readonly permits: boolean
  readonly from?: readonly WrittenFrom[] | undefined
  readonly to?: readonly Targets[] | undefined
  readonly when?: WrittenWhen | undefined
}

type Targets = {
  readonly namespaces?: readonly string[] | undefined
  readonly notNamespaces?: readonly string[] | undefined
  readonly selector?: WrittenFrom['selector'] | undefined
}

/** Names that no document has: namespaces, labels, identities, services of conditions. */
export function findUnknownNames(mesh: LintedMesh, suggestions: Suggestions, tell: Tell): void {
  const known = new KnownNames(mesh, suggestions)
  for (const document of mesh.documents) {
    const namespace =
      document.kind === 'ServicePolicy' ? (document.metadata.namespace ?? 'default') : undefined
    for (const rule of rulesOf(document)) {
      const warn = (pointer: Pointer, message: string, code: string, hint?: string): void =>
        tell(document.source, [...rule.pointer, ...pointer], {
          severity: rule.permits ? 'warning' : 'info',
          code,
          message: `the rule ${rule.name} ${message}`,
          hint,
        })
      for (const [index, element] of (rule.from ?? []).entries()) {
        checkNamespaces(element, ['from', index], known, warn)
        checkSelector(element, namespace, ['from', index], known, warn)
        if (namespace !== undefined) checkIdentities(element, ['from', index], known, warn)
      }
      for (const [index, element] of (rule.to ?? []).entries()) {
        checkNamespaces(element, ['to', index], known, warn)
        checkSelector(element, undefined, ['to', index], known, warn)
      }
      for (const [index, condition] of (rule.when ?? []).entries()) {
        checkCondition(condition, namespace, ['when', index], known, warn)
      }
    }
  }
}

function rulesOf(document: PolicyDocument): Rule[] {
  const { kind, spec } = document
  const list = <Written extends Omit<Rule, 'pointer' | 'permits' | 'to'> & { readonly then?: string }>(
    rules: readonly Written[] | undefined,
    field: string,
    toOf: (rule: Written) => Rule['to'],
  ): Rule[] =>
    (rules ?? []).map((rule, index) => ({
      pointer: ['spec', field, index],
      name: rule.name,
      permits: field === 'allow' || (kind === 'ServicePolicy' && field === 'rules'),
      from: rule.from,
      to: toOf(rule),
      when: rule.when,
    }))
  switch (kind) {
    case 'ServicePolicy':
      return [...list(spec.rules, 'rules', () => undefined), ...list(spec.forbid, 'forbid', () => undefined)]
    case 'BaselinePolicy':
      return [...list(spec.allow, 'allow', ({ to }) => to), ...list(spec.forbid, 'forbid', ({ to }) => to)]
    case 'AdaptivePolicy':
      return list(spec.rules, 'rules', ({ to }) => to)
    case 'DataPolicy':
    case 'DevicePolicy':
    case 'RiskPolicy':
    default:
      return []
  }
}

type Warn = (pointer: Pointer, message: string, code: string, hint?: string) => void

function checkNamespaces(element: Targets, at: Pointer, known: KnownNames, warn: Warn): void {
  for (const field of ['namespaces', 'notNamespaces'] as const) {
    for (const [index, name] of (element[field] ?? []).entries()) {
      if (known.namespaces.has(name)) continue
      const message = `names the namespace ${name}, which no ServicePolicy is in`
      warn([...at, field, index], message, 'unknown-namespace', known.hintOf(name))
    }
  }
}

function checkSelector(
  { selector, namespaces }: Targets,
  own: string | undefined,
  at: Pointer,
  known: KnownNames,
  warn: Warn,
): void {
  if (!selector) return
  const within = namespaces ?? (own === undefined ? undefined : [own])
  if (known.selects(selector, within)) return
  const where = within ? ` of ${within.join(', ')}` : ''
  warn([...at, 'selector'], `selects labels that no service${where} has`, 'unknown-label')
}

/** In a service's rules the caller must have a document, because its `calls` are asked. */
function checkIdentities({ identities = [] }: WrittenFrom, at: Pointer, known: KnownNames, warn: Warn): void {
  for (const [index, text] of identities.entries()) {
    if (known.claims(text)) continue
    warn([...at, 'identities', index], `means ${text}, which no ServicePolicy names`, 'unknown-identity')
  }
}

function checkCondition(
  condition: WrittenWhen[number],
  namespace: string | undefined,
  at: Pointer,
  known: KnownNames,
  warn: Warn,
): void {
  const written: string | undefined = condition.key
  if (written === undefined) return
  const key = canonicalKey(written)
  const label = /^(?:workload|target)\.labels\[(.*)\]$/.exec(key)?.[1]
  if (label !== undefined && !known.hasLabel(label)) {
    warn([...at, 'key'], `looks at the label ${label}, which no service has`, 'unknown-label')
  }
  for (const field of ['values', 'notValues'] as const) {
    for (const [index, value] of (condition[field] ?? []).entries()) {
      if (value.includes('*')) continue
      if (key === 'workload.namespace' || key === 'target.namespace') {
        if (known.namespaces.has(value)) continue
        const message = `names the namespace ${value}, which no ServicePolicy is in`
        warn([...at, field, index], message, 'unknown-namespace', known.hintOf(value))
      }
      if (key === 'workload.service' || key === 'target.service') {
        if (known.isService(qualified(value, namespace))) continue
        warn(
          [...at, field, index],
          `names ${qualified(value, namespace)}, which has no ServicePolicy`,
          'unknown-service',
        )
      }
    }
  }
}

/** What the documents name, asked for more than once. */
class KnownNames {
  readonly namespaces: ReadonlySet<string>
  readonly #services: LintedMesh['services']
  readonly #selected = new Map<string, boolean>()
  readonly #claimed = new Map<string, boolean>()
  #byLabel: ReadonlyMap<string, readonly Labelled[]> | undefined
  #identities: IdentityTrie<true> | undefined

  readonly #suggestions: Suggestions

  constructor({ services, namespaces }: LintedMesh, suggestions: Suggestions) {
    this.#services = services
    this.namespaces = namespaces
    this.#suggestions = suggestions
  }

  /** The namespace that was probably meant. */
  hintOf(namespace: string): string | undefined {
    return this.#suggestions.hint(namespace, this.namespaces)
  }

  isService(id: string): boolean {
    return this.#services.has(id)
  }

  hasLabel(name: string): boolean {
    return this.#labels().has(name)
  }

  /** Whether the selector finds a service in these namespaces; undefined: in any. */
  selects(selector: NonNullable<WrittenFrom['selector']>, within: readonly string[] | undefined): boolean {
    const key = `${selectorText(selector)}\n${within?.join() ?? '*'}`
    let found = this.#selected.get(key)
    if (found === undefined) {
      const matches = compileSelector(selector, [], () => undefined)
      const wanted = within && new Set(within)
      found = this.#candidates(selector).some(
        ({ namespace, labels }) => (wanted?.has(namespace) ?? true) && matches(labels),
      )
      this.#selected.set(key, found)
    }
    return found
  }

  /** Whether a document names an identity that the pattern means. */
  claims(text: string): boolean {
    let found = this.#claimed.get(text)
    if (found === undefined) {
      const pattern = patternOf(text)
      found = pattern === undefined || this.#claims().overlapping(pattern, () => true) !== undefined
      this.#claimed.set(text, found)
    }
    return found
  }

  #candidates({ matchLabels = {} }: NonNullable<WrittenFrom['selector']>): readonly Labelled[] {
    const [first] = Object.entries(matchLabels)
    if (first) return this.#labels().get(`${first[0]}\n${first[1]}`) ?? []
    return Array.from(this.#services.values(), labelled)
  }

  /** Services by the name of a label, and by name and value. */
  #labels(): ReadonlyMap<string, readonly Labelled[]> {
    if (this.#byLabel) return this.#byLabel
    const found = new Map<string, Labelled[]>()
    for (const service of this.#services.values()) {
      const one = labelled(service)
      for (const [name, value] of one.labels) {
        for (const key of [name, `${name}\n${value}`]) {
          const list = found.get(key)
          if (list) list.push(one)
          else found.set(key, [one])
        }
      }
    }
    return (this.#byLabel = found)
  }

  #claims(): IdentityTrie<true> {
    if (this.#identities) return this.#identities
    const found = new IdentityTrie<true>()
    for (const { compiled, document } of this.#services.values()) {
      for (const id of compiled.identities) found.set(id, true)
      for (const text of document.spec.identities ?? []) {
        const pattern = patternOf(text)
        if (pattern) found.set(pattern, true)
      }
    }
    return (this.#identities = found)
  }
}

type Labelled = { readonly namespace: string; readonly labels: ReadonlyMap<string, string> }

function labelled({
  namespace,
  compiled,
}: {
  readonly namespace: string
  readonly compiled: Labelled
}): Labelled {
  return { namespace, labels: compiled.labels }
}

function patternOf(text: string): { text: string; trustDomain: string; path: string } | undefined {
  const pattern = compileSpiffePattern(text)
  if (!pattern.ok) return undefined
  const { trustDomain } = pattern
  return { text, trustDomain, path: text.slice('spiffe://'.length + trustDomain.length) }
}
