import type { Mode } from '../decision/mode.js'
import type { RuleSource } from '../decision/decision.js'
import type { SpiffeId } from '../identity/spiffe-id.js'
import type { CallTable } from './call-table.js'
import type { Baseline, CompiledService } from './compiled.js'
import type { Route } from './route-index.js'

export type Requirement = 'Workload' | 'User' | 'Both' | 'Any' | 'None'
export type Sensitivity = 'Low' | 'Medium' | 'High'

/** One compiled service of the matrix: the part that other rooms may read. `compiled.ts` adds its own. */
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
  /** Name of the DataPolicy that its data falls under. */
  readonly dataPolicy: string | undefined
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

/** Services by `namespace/name`. One that nobody asked for yet may be compiled when it is asked for. */
export interface Services {
  readonly size: number
  get(id: string): CompiledService | undefined
  has(id: string): boolean
  keys(): Iterable<string>
  /** In the order of the documents. */
  values(): Iterable<CompiledService>
}

/** The whole compiled matrix. Never changed once made: a reload makes another. */
export interface Matrix {
  /** Content hash of the documents it was made of. */
  readonly revision: string
  readonly localTrustDomain: string
  /** For services that say nothing themselves, and for those that no document names. */
  readonly defaults: { readonly mode: Mode; readonly require: Requirement }
  /** Roles of users that count only while a grant of them is live. */
  readonly grantOnlyRoles: ReadonlySet<string>
  readonly services: Services
  readonly counts: {
    readonly services: number
    readonly endpoints: number
    /** Pairs of caller and target. */
    readonly edges: number
    readonly rules: number
    readonly forbids: number
  }
  readonly calls: CallTable
  /** By the text of a SPIFFE ID. */
  readonly identities: { get(text: string): CompiledService | undefined }
  /** Those claimed with `*`; undefined where there are none. */
  readonly identityPatterns: { find(id: SpiffeId): CompiledService | undefined } | undefined
  readonly routes: { find(host: string, path: string): Route<CompiledService> | undefined }
  /** For targets that no document names. */
  readonly baselineOfUnknown: Baseline
}
