import type { UserPrincipal } from '../identity/principal.js'
import type { RiskSource } from '../segmentation/facts.js'
import type { Endpoint } from '../segmentation/matrix.js'
import type { DeviceState } from './device-state.js'

/** What of a call depends on the device. */
export type DeviceCall = {
  readonly user: UserPrincipal | undefined
  readonly endpoint: Endpoint | undefined
  /** One that is not known to be a read is a write. */
  readonly operation: Endpoint['operation'] | undefined
  /** `namespace/name`; undefined where nobody knows the target. */
  readonly targetId: string | undefined
  /** Undefined where no inventory is kept. */
  readonly device: DeviceState | undefined
  /** Effective risk 0..100; undefined where it was not evaluated. */
  readonly riskScore: number | undefined
  /** Who found how much of it. */
  readonly riskSources: readonly RiskSource[]
  readonly nowMs: number
}

/** Only users have devices. */
export type UserCall = DeviceCall & { readonly user: UserPrincipal }
