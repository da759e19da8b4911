import type { Report, ServiceDocument } from './compile-problem.js'
import type { CompiledEndpoint } from './compiled.js'
import type { EndpointWay } from './endpoint-index.js'

/** A service half compiled: what other services must know of it before their own references make sense. */
export type Draft = {
  readonly document: ServiceDocument
  readonly index: number
  /** `namespace/name`. */
  readonly id: string
  readonly namespace: string
  readonly report: Report
  /** Warns of what is allowed and probably not meant. */
  readonly warn: Report
  /** Indexes of its endpoints by name. */
  readonly endpoints: ReadonlyMap<string, number>
  readonly compiled: readonly CompiledEndpoint[]
  readonly ways: readonly EndpointWay[]
}
