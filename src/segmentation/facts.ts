import type { Identity } from '../identity/principal.js'
import type { AccessRequest } from '../request/access-request.js'
import type { Endpoint, Service, Target } from './matrix.js'

/** Everything that rules, conditions and adaptive rules may look at, for one request. */
export type Facts = {
  readonly request: AccessRequest
  readonly identity: Identity
  /** The calling service: the document that names the workload's SPIFFE ID. */
  readonly caller: Service | undefined
  readonly target: Target
  readonly endpoint: Endpoint | undefined
  /** The request came through a Gateway listener: nobody outside has a workload. */
  readonly gateway: boolean
  /** Effective risk 0..100; undefined where it was not evaluated. */
  readonly riskScore: number | undefined
  readonly nowMs: number
}
