import type { Matrix } from '../../segmentation/matrix.js'
import type { PolicyDocument } from '../../policy/read-documents.js'
import { patternedServices, writtenOf } from '../export/written.js'
import { allowedEdges } from './edges.js'

export type GraphService = {
  /** `namespace/name`. */
  readonly id: string
  readonly namespace: string
  readonly name: string
  readonly mode: string
  /** How many endpoints it exposes. */
  readonly endpoints: number
  readonly source: string
}

export type GraphCall = {
  /** Numbers of services. */
  readonly from: number
  readonly to: number
  readonly endpoints: readonly { readonly name: string; readonly conditional: boolean }[]
  /** Baseline allows that let the caller in. */
  readonly baseline: readonly string[]
}

/** Who can call whom; services by namespace, then by name, calls likewise. */
export type CallGraph = {
  readonly revision: string
  readonly services: readonly GraphService[]
  readonly calls: readonly GraphCall[]
  /** Allows of the baseline for anyone: they are no edges, or everything would reach everything. */
  readonly openToAll: readonly string[]
}

/** `sources`: the documents that the matrix was compiled from. */
export function callGraph(matrix: Matrix, sources: readonly PolicyDocument[]): CallGraph {
  const services = [...matrix.services.values()].sort(
    (a, b) => compare(a.namespace, b.namespace) || compare(a.name, b.name),
  )
  const numbers = new Map(services.map((service, index) => [service.id, index]))
  const calls = allowedEdges(matrix, patternedServices(writtenOf(sources))).map(
    ({ caller, target, ways, baseline }): GraphCall => ({
      from: numbers.get(caller.id) ?? 0,
      to: numbers.get(target.id) ?? 0,
      endpoints: ways.map(({ endpoint, conditional }) => ({ name: endpoint.name, conditional })),
      baseline: [...new Set(baseline)],
    }),
  )
  const openToAll = services.flatMap(({ baseline }) =>
    baseline.allow.filter(({ from }) => from.some(({ any }) => any)).map(({ name }) => name),
  )
  return {
    revision: matrix.revision,
    services: services.map(({ id, namespace, name, mode, endpoints, source }) => ({
      id,
      namespace,
      name,
      mode,
      endpoints: new Set(endpoints.map(({ index }) => index)).size,
      source,
    })),
    calls: calls.sort((a, b) => a.from - b.from || a.to - b.to),
    openToAll: [...new Set(openToAll)],
  }
}

function compare(a: string, b: string): number {
  return a < b ? -1 : Number(a > b)
}

/** Whether every way of a call asks for more than who calls. */
export function isConditional({ endpoints, baseline }: GraphCall): boolean {
  return baseline.length === 0 && endpoints.every(({ conditional }) => conditional)
}
