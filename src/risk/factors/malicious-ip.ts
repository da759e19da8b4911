import { latestOf, type StateRecord } from '../../state/record.js'
import { eventOp, type Found, liveEvent } from '../finding.js'
import type { RiskPolicy } from '../risk-policy.js'
import type { Sighting } from '../sighting.js'

/** A call from an address on a threat list. One event for each address as long as it counts. Source: REQUIREMENTS R1, R8. */
export function maliciousIp(record: StateRecord, sighting: Sighting, policy: RiskPolicy): Found {
  const { malicious, address = '', nowMs } = sighting
  const { points } = policy.maliciousIp
  const live = liveEvent(record, 'malicious-ip', points, policy.expireAfterMs, nowMs)
  if (!malicious || points === 0) return { finding: live, ops: [] }
  if (live && latestOf(record, 'e:threat')?.text === address) return { finding: live, ops: [] }
  return {
    finding: { factor: 'malicious-ip', points, beganMs: nowMs },
    ops: [eventOp('malicious-ip', nowMs, address)],
  }
}
