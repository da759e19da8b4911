import type { Finding } from '../finding.js'
import { type Tier, tierOf } from '../tiers.js'

/** A device whose posture is bad, for the verdict on the session. Source: REQUIREMENTS R4. */
export function devicePosture(
  device: { readonly posture: number; readonly beganMs: number | undefined } | undefined,
  tiers: readonly Tier[],
): Finding | undefined {
  const points = device ? tierOf(tiers, device.posture) : 0
  return points === 0 ? undefined : { factor: 'device-posture', points, beganMs: device?.beganMs }
}
