import type { StateRecord } from '../../state/record.js'
import type { Found } from '../finding.js'
import type { RiskPolicy } from '../risk-policy.js'
import { shortHash, type Sighting } from '../sighting.js'
import { knownThing } from './known-things.js'

const hashes = new Map<string, string>()
const HASHES_KEPT = 10_000

/** A device (`device_id`) never seen before for a user with other devices. Source: REQUIREMENTS R1. */
export function newDevice(record: StateRecord, sighting: Sighting, policy: RiskPolicy): Found {
  const { points } = policy.newDevice
  const { expireAfterMs } = policy
  const event = { factor: 'new-device', points, expireAfterMs } as const
  const device = sighting.deviceId === undefined ? undefined : deviceKey(sighting.deviceId)
  return knownThing(record, 'dv:', device, event, sighting.nowMs)
}

function deviceKey(deviceId: string): string {
  let key = hashes.get(deviceId)
  if (key === undefined) {
    key = shortHash(deviceId)
    if (hashes.size >= HASHES_KEPT) hashes.clear()
    hashes.set(deviceId, key)
  }
  return key
}
