import type { Finding } from '../finding.js'
import type { RiskPolicy } from '../risk-policy.js'
import type { Sighting } from '../sighting.js'

/** A call to a sensitive path, or to an endpoint of high sensitivity. Source: REQUIREMENTS R1. */
export function sensitiveAccess(
  { path, sensitive }: Sighting,
  { sensitiveAccess: { points, isSensitive } }: RiskPolicy,
): Finding | undefined {
  if (points === 0 || !(sensitive || (path !== undefined && isSensitive(path)))) return undefined
  return { factor: 'sensitive-access', points, beganMs: undefined }
}
