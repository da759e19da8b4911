import type { StateRecord } from '../../state/record.js'
import type { Found } from '../finding.js'
import type { RiskPolicy } from '../risk-policy.js'
import type { Sighting } from '../sighting.js'
import { knownThing } from './known-things.js'

/** A user agent never seen before for a user with history. Source: REQUIREMENTS R1. */
export function anomalousBehaviour(record: StateRecord, sighting: Sighting, policy: RiskPolicy): Found {
  const { points } = policy.anomalousBehaviour
  const { expireAfterMs } = policy
  const event = { factor: 'anomalous-behaviour', points, expireAfterMs } as const
  return knownThing(record, 'ua:', sighting.agent, event, sighting.nowMs)
}
