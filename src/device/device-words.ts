import type { UserPrincipal } from '../identity/principal.js'
import type { DeviceState } from './device-state.js'

/** Posture and what it is made of. */
export function wordsOf(device: DeviceState, user: UserPrincipal): string {
  const found = device.findings.map(({ finding, points }) => `${finding} ${points}`).join(', ')
  return `${identityOf(device, user)}, posture ${device.posture} of 100${found === '' ? '' : ` (${found})`}`
}

export function identityOf({ known, managed, ownership }: DeviceState, user: UserPrincipal): string {
  if (user.deviceId === undefined) return 'the token names no device, which counts as unmanaged'
  if (!known) return 'the device is not in the inventory, so unmanaged'
  const whose = ownership === undefined ? '' : ` and ${ownership}`
  return `the device is ${managed ? 'managed' : 'unmanaged'}${whose}`
}
