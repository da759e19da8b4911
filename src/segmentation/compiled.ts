import type { RuleSource } from '../decision/decision.js'
import type { Mode } from '../decision/mode.js'
import type { SpiffeId } from '../identity/spiffe-id.js'
import type { EndpointIndex } from './endpoint-index.js'
import type { From } from './from.js'
import type { Endpoint, Requirement, Service } from './matrix.js'
import type { RequestPattern } from './to.js'
import type { CompiledConditions } from './when/condition.js'

/** An endpoint as the evaluator reads it. One written endpoint is two of these where its methods both read and write. */
export interface CompiledEndpoint extends Endpoint {
  /** Its number within the service; the same for both halves of one written endpoint. */
  readonly index: number
  readonly protocol: 'HTTP' | 'WebSocket' | 'TCP'
  /** Empty for gRPC alone and TCP. */
  readonly methods: readonly string[]
  /** Destination ports; empty: any. */
  readonly ports: readonly number[]
  readonly workloadScopes: readonly string[]
  readonly userScopes: readonly string[]
  /** Its DataPolicy has rules on who may do what, so there must be a user. */
  readonly userForData: boolean
}

/** A rule of a target that lets callers in. */
export type PermitRule = {
  readonly name: string
  readonly source: RuleSource
  /** Elements OR. */
  readonly from: readonly From[]
  /** Indexes of endpoints; undefined: every one. */
  readonly endpoints: readonly number[] | undefined
  readonly when: CompiledConditions | undefined
  readonly grantScopes: readonly string[]
}

export type ForbidRule = {
  readonly name: string
  readonly source: RuleSource
  /** Elements OR; undefined: everyone. */
  readonly from: readonly From[] | undefined
  /** Indexes of endpoints; undefined: every request. */
  readonly endpoints: readonly number[] | undefined
  readonly when: CompiledConditions | undefined
  readonly message: string | undefined
  readonly mode: Mode | undefined
}

/** A baseline rule for one group of targets: `to` holds only what is left to ask of a request. */
export type BaselineAllow = Omit<PermitRule, 'endpoints'> & {
  readonly to: readonly RequestPattern[] | undefined
}
export type BaselineForbid = Omit<ForbidRule, 'endpoints'> & {
  readonly to: readonly RequestPattern[] | undefined
}

/** Shared by all services that the same baseline rules concern. */
export type Baseline = {
  readonly allow: readonly BaselineAllow[]
  readonly forbid: readonly BaselineForbid[]
}

/** A service as the evaluator reads it. */
export interface CompiledService extends Service {
  /** Its number in the matrix. */
  readonly index: number
  readonly require: Requirement
  /** The identities named without `*`. */
  readonly identities: readonly SpiffeId[]
  /** All of them, in the order they are written. */
  readonly endpoints: readonly CompiledEndpoint[]
  readonly endpointIndex: EndpointIndex
  /** As endpointIndex, where case and a trailing slash don't count; only where a forbid names endpoints. */
  readonly foldedEndpointIndex: EndpointIndex | undefined
  readonly rules: readonly PermitRule[]
  /** Present where there are many rules: those that can concern a caller, by its index; -1 for all others. */
  readonly rulesByCaller: ReadonlyMap<number, readonly PermitRule[]> | undefined
  readonly forbids: readonly ForbidRule[]
  readonly baseline: Baseline
}

/** A service that `compileMatrix` made; only the matrix's own ever reach the evaluator. */
export function compiledService(service: Service | undefined): CompiledService | undefined {
  if (!service) return undefined
  if (isCompiledService(service)) return service
  throw new TypeError(`${service.id} is no service of a compiled matrix`)
}

export function compiledEndpoint(endpoint: Endpoint | undefined): CompiledEndpoint | undefined {
  if (!endpoint) return undefined
  if (isCompiledEndpoint(endpoint)) return endpoint
  throw new TypeError(`${endpoint.name} is no endpoint of a compiled matrix`)
}

function isCompiledService(service: Service): service is CompiledService {
  return 'endpointIndex' in service
}

function isCompiledEndpoint(endpoint: Endpoint): endpoint is CompiledEndpoint {
  return 'workloadScopes' in endpoint
}
