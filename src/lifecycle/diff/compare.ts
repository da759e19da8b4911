import type { PolicyDocument } from '../../policy/read-documents.js'
import { type Change, changesBetween } from './changes.js'
import type { Edge, PolicyView, ServiceDocument } from './view.js'

export type EdgeChange = Pick<Edge, 'caller' | 'target' | 'endpoint'> & {
  readonly was: readonly string[]
  readonly is: readonly string[]
}

/** What two policies differ in. */
export type PolicyDiff = {
  readonly servicesGained: readonly string[]
  readonly servicesLost: readonly string[]
  readonly gained: readonly Edge[]
  readonly lost: readonly Edge[]
  /** Pairs that are in both, under other conditions. */
  readonly changed: readonly EdgeChange[]
  /** Endpoints of services that are in both, `namespace/name endpoint`. */
  readonly endpointsGained: readonly string[]
  readonly endpointsLost: readonly string[]
  /** Modes, requirements, scopes, paths, methods, rules and everything else, field by field. */
  readonly documents: readonly { readonly document: string; readonly changes: readonly Change[] }[]
}

/** Compares two policies by what they open; what their text looks like does not count. */
export function compare(before: PolicyView, after: PolicyView): PolicyDiff {
  const gained: Edge[] = []
  const lost: Edge[] = []
  const changed: EdgeChange[] = []
  const endpointsGained: string[] = []
  const endpointsLost: string[] = []
  const ids = [...new Set([...before.services.keys(), ...after.services.keys()])].sort()
  for (const id of ids) {
    const [old, now] = [before.edgesOf(id), after.edgesOf(id)]
    for (const [key, edge] of now) {
      const was = old.get(key)
      if (!was) gained.push(edge)
      else if (!same(was.under, edge.under)) {
        const { caller, target, endpoint } = edge
        changed.push({ caller, target, endpoint, was: was.under, is: edge.under })
      }
    }
    for (const [key, edge] of old) if (!now.has(key)) lost.push(edge)
    const [oldDocument, newDocument] = [before.services.get(id), after.services.get(id)]
    if (!oldDocument || !newDocument) continue
    const [oldNames, newNames] = [namesOf(oldDocument), namesOf(newDocument)]
    for (const name of newNames) if (!oldNames.has(name)) endpointsGained.push(`${id} ${name}`)
    for (const name of oldNames) if (!newNames.has(name)) endpointsLost.push(`${id} ${name}`)
  }
  return {
    servicesGained: ids.filter((id) => !before.services.has(id)),
    servicesLost: ids.filter((id) => !after.services.has(id)),
    gained,
    lost,
    changed,
    endpointsGained,
    endpointsLost,
    documents: documentChanges(before.documents, after.documents),
  }
}

function same(left: readonly string[], right: readonly string[]): boolean {
  return JSON.stringify([...new Set(left)].sort()) === JSON.stringify([...new Set(right)].sort())
}

function namesOf({ spec }: ServiceDocument): ReadonlySet<string> {
  return new Set(spec.endpoints?.map(({ name }) => name))
}

function documentChanges(
  before: readonly PolicyDocument[],
  after: readonly PolicyDocument[],
): PolicyDiff['documents'] {
  const [old, now] = [byName(before), byName(after)]
  return [...new Set([...old.keys(), ...now.keys()])].sort().flatMap((document) => {
    const [was, is] = [old.get(document), now.get(document)]
    // A service that is new or gone is told by itself and by its pairs.
    if ((!was || !is) && document.startsWith('ServicePolicy ')) return []
    const changes = changesBetween(was && partsOf(was), is && partsOf(is))
    return changes.length > 0 ? [{ document, changes }] : []
  })
}

function byName(documents: readonly PolicyDocument[]): Map<string, PolicyDocument> {
  return new Map(
    documents.map((document) => {
      const { kind, metadata } = document
      const namespace = 'namespace' in metadata ? (metadata.namespace ?? 'default') : 'default'
      const id = kind === 'ServicePolicy' ? `${namespace}/${metadata.name}` : metadata.name
      return [`${kind} ${id}`, document]
    }),
  )
}

function partsOf({ metadata, spec }: PolicyDocument): object {
  return { labels: metadata.labels, ...spec }
}
