import type { Identity } from '../identity/principal.js'
import type { AccessRequest } from '../request/access-request.js'
import type { Endpoint, Service, Target } from './matrix.js'

/** Where a call comes from: the first untrusted hop. */
export type Client = {
  /** Canonical text; undefined where nobody can tell. */
  readonly ip: string | undefined
  /** ISO 3166-1 alpha-2; undefined where nothing knows the place. */
  readonly country: string | undefined
  /** False for addresses that have no place, such as private ones. True where the address is unknown. */
  readonly isPublic: boolean
}

/** One of those whose highest score is the effective risk. */
export type RiskSource = {
  readonly score: number
  /** When what is new in it began, milliseconds since the epoch; undefined where it has no beginning. */
  readonly beganMs: number | undefined
}

/** Milliseconds; undefined without a session or where nobody can tell. */
export type SessionFacts = { readonly ageMs: number | undefined; readonly idleMs: number | undefined }

/** Undefined where no inventory is kept, or there is no user to have a device. */
export type DeviceFacts = {
  /** False for a device that the inventory doesn't know, and for none. */
  readonly managed: boolean | undefined
  /** Name of the tier that a DevicePolicy puts it in. */
  readonly tier: string | undefined
  /** Posture score 0..100. */
  readonly risk: number | undefined
  /** When the newest of what is wrong with it began, milliseconds since the epoch. */
  readonly beganMs: number | undefined
}

/** Nobody looked. */
export const NO_DEVICE: DeviceFacts = {
  managed: undefined,
  tier: undefined,
  risk: undefined,
  beganMs: undefined,
}
export const UNKNOWN_CLIENT: Client = { ip: undefined, country: undefined, isPublic: true }
export const NO_SESSION: SessionFacts = { ageMs: undefined, idleMs: undefined }

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
  /** Who found how much of it. */
  readonly riskSources: readonly RiskSource[]
  /** By the number of signals; undefined where risk was not evaluated. */
  readonly riskLevel: 'low' | 'medium' | 'high' | undefined
  readonly client: Client
  readonly session: SessionFacts
  readonly device: DeviceFacts
  readonly nowMs: number
}
