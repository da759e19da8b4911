import type { Obligation, Refusal } from '../decision/decision.js'
import type { UserPrincipal } from '../identity/principal.js'
import type { Endpoint } from '../segmentation/matrix.js'

/** What a device's state asks of a call: obligations that go upstream, or a refusal. */
export type DeviceVerdict = {
  readonly obligations: readonly Obligation[]
  readonly refusal: Refusal | undefined
}

const TRUSTED: DeviceVerdict = { obligations: [], refusal: undefined }
const READ_ONLY: readonly Obligation[] = ['read-only']

/**
 * A device of low trust may read and not write. The trust is the user token's `device_trust_level`;
 * a call without a user comes from no device. An operation that is not known to be a read is a write.
 */
export function evaluateDevice(
  user: UserPrincipal | undefined,
  operation: Endpoint['operation'] | undefined,
): DeviceVerdict {
  if (user?.deviceTrust !== 'low') return TRUSTED
  if (operation === 'Read' || operation === 'Download') return { obligations: READ_ONLY, refusal: undefined }
  return {
    obligations: READ_ONLY,
    refusal: { reason: 'device-read-only', message: 'a device of low trust may only read' },
  }
}
