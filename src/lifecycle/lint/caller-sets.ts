import { qualified, type LintedService, type WrittenFrom } from './linted-mesh.js'

/** One element of `from`, comparable: fields AND, values OR; undefined asks nothing. */
export type CallerSet = {
  readonly any: boolean
  readonly users: boolean
  readonly services: ReadonlySet<string> | undefined
  readonly identities: readonly string[] | undefined
  readonly namespaces: ReadonlySet<string> | undefined
  readonly notNamespaces: ReadonlySet<string> | undefined
  readonly trustDomains: ReadonlySet<string> | undefined
  /** One text for one selector. */
  readonly selector: string | undefined
  /** Namespaces of `services`, where all their workloads are local; else undefined. */
  readonly homes: ReadonlySet<string> | undefined
}

/** `namespace` is the writing document's; undefined in cluster-wide kinds. */
export function callerSet(
  from: WrittenFrom,
  namespace: string | undefined,
  services: ReadonlyMap<string, LintedService>,
): CallerSet {
  const names = from.services?.map((name) => qualified(name, namespace))
  const implied = from.selector && namespace !== undefined ? [namespace] : undefined
  return {
    any: from.any ?? false,
    users: from.users ?? false,
    services: asSet(names),
    identities: from.identities,
    namespaces: asSet(from.namespaces ?? implied),
    notNamespaces: asSet(from.notNamespaces),
    trustDomains: asSet(from.trustDomains),
    selector: from.selector && selectorText(from.selector),
    homes: names && homesOf(names, services),
  }
}

/** Whether everybody whom `inner` means is meant by `outer`; false where nobody can tell. */
export function coversCallers(outer: CallerSet, inner: CallerSet): boolean {
  if (outer.any) return true
  if (inner.any) return false
  return (
    (!outer.users || inner.users) &&
    isWithin(inner.services, outer.services) &&
    coversIdentities(outer.identities, inner.identities) &&
    (isWithin(inner.namespaces, outer.namespaces) || isWithin(inner.homes, outer.namespaces)) &&
    keepsOut(outer.notNamespaces, inner) &&
    coversDomains(outer.trustDomains, inner) &&
    (outer.selector === undefined || outer.selector === inner.selector)
  )
}

function isWithin(inner: ReadonlySet<string> | undefined, outer: ReadonlySet<string> | undefined): boolean {
  if (!outer) return true
  if (!inner || inner.size > outer.size) return false
  for (const name of inner) if (!outer.has(name)) return false
  return true
}

function coversIdentities(
  outer: readonly string[] | undefined,
  inner: readonly string[] | undefined,
): boolean {
  return !outer || (inner?.every((id) => outer.some((pattern) => coversIdentity(pattern, id))) ?? false)
}

/** Segment by segment; `*` stands for one. */
function coversIdentity(pattern: string, id: string): boolean {
  if (pattern === id) return true
  const [wide, narrow] = [pattern.split('/'), id.split('/')]
  return (
    wide.length === narrow.length && wide.every((segment, at) => segment === '*' || segment === narrow[at])
  )
}

function keepsOut(refused: ReadonlySet<string> | undefined, inner: CallerSet): boolean {
  if (!refused) return true
  if (inner.notNamespaces && isWithin(refused, inner.notNamespaces)) return true
  const namespaces = inner.namespaces ?? inner.homes
  return namespaces !== undefined && !Array.from(namespaces).some((name) => refused.has(name))
}

function coversDomains(outer: ReadonlySet<string> | undefined, inner: CallerSet): boolean {
  if (!outer || isWithin(inner.trustDomains, outer)) return true
  return inner.identities?.every((id) => outer.has(id.split('/')[2] ?? '')) ?? false
}

function homesOf(
  names: readonly string[],
  services: ReadonlyMap<string, LintedService>,
): ReadonlySet<string> | undefined {
  const homes = new Set<string>()
  for (const name of names) {
    const service = services.get(name)
    if (!service || service.document.spec.identities) return undefined
    homes.add(service.namespace)
  }
  return homes
}

export function selectorText({
  matchLabels = {},
  matchExpressions = [],
}: NonNullable<WrittenFrom['selector']>): string {
  const labels = Object.entries(matchLabels).toSorted(([a], [b]) => (a < b ? -1 : 1))
  const expressions = matchExpressions.map(({ key, operator, values = [] }) =>
    JSON.stringify([key, operator, values.toSorted()]),
  )
  return JSON.stringify([labels, expressions.toSorted()])
}

const asSet = (list: readonly string[] | undefined): ReadonlySet<string> | undefined => list && new Set(list)
