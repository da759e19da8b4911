import type { Mode } from '../decision/mode.js'
import type { RuleSource } from '../decision/decision.js'
import type { SpiffeId } from '../identity/spiffe-id.js'

export type Requirement = 'Workload' | 'User' | 'Both' | 'Any' | 'None'
export type Sensitivity = 'Low' | 'Medium' | 'High'

/** One compiled service of the matrix: the part that other rooms may read. `compile.ts` adds its own. */
export interface Service {
  /** `namespace/name`. */
  readonly id: string
  readonly name: string
  readonly namespace: string
  readonly labels: ReadonlyMap<string, string>
  readonly mode: Mode
  readonly source: RuleSource
}

/** One compiled endpoint of a service. */
export interface Endpoint {
  readonly name: string
  readonly mode: Mode
  readonly require: Requirement
  readonly sensitivity: Sensitivity
  readonly mfa: 'None' | 'RiskBased' | 'Required'
  readonly maxAuthAgeMs: number | undefined
  readonly operation: 'Read' | 'Write' | 'Download'
  readonly source: RuleSource
}

/** What the request is for, as Envoy's operator says; `service` is absent where no document names it. */
export type Target = {
  readonly service: Service | undefined
  /** `namespace/name` where known. */
  readonly id: string | undefined
  readonly spiffeId: SpiffeId | undefined
  /** Of the service, else of the baseline's defaults. */
  readonly mode: Mode
  /** The path that endpoints are matched on: the canonical path less a route's stripPrefix; '' for TCP. */
  readonly path: string
}
