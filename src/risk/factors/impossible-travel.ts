import { placeOf, type Place } from '../../request/place.js'
import { latestOf, type StateOp, type StateRecord } from '../../state/record.js'
import { CLOCK_SKEW_MS, eventOp, type Found, liveEvent, NOTHING_FOUND } from '../finding.js'
import type { RiskPolicy } from '../risk-policy.js'
import type { Sighting } from '../sighting.js'

const EARTH_RADIUS_KM = 6371
/** Where the user was seen last: `latest`, "latitude,longitude". */
const LAST_PLACE = 'loc'
/** A place seen again is noted when the noted time is older than this. */
const REFRESH_MS = 30_000
/** Places nearer than this are one: addresses of one town, and what sources of places disagree on. */
const SAME_KM = 50
const HOUR_MS = 3_600_000

/**
 * Two calls from places that nobody gets between in that time: great-circle distance over elapsed time, km/h.
 * Where a clock was set back the times say nothing. Source: REQUIREMENTS R1.
 */
export function impossibleTravel(
  record: StateRecord,
  { place, nowMs, answeredMs }: Sighting,
  { impossibleTravel: { points, maxSpeedKmh }, expireAfterMs }: RiskPolicy,
): Found {
  if (points === 0) return NOTHING_FOUND
  const live = liveEvent(record, 'impossible-travel', points, expireAfterMs, nowMs)
  if (place?.latitude === undefined || place.longitude === undefined) return { finding: live, ops: [] }
  const last = latestOf(record, LAST_PLACE)
  const from = last && readPlace(last.text)
  const km = from ? distanceKm(from, place) : 0
  const sinceMs = last ? nowMs - last.atMs : 0
  const elapsedMs = Math.max(0, sinceMs)
  const ahead = sinceMs < -CLOCK_SKEW_MS
  if (last && !ahead && km <= SAME_KM && elapsedMs < REFRESH_MS) return { finding: live, ops: [] }
  const here = `${place.latitude.toFixed(2)},${place.longitude.toFixed(2)}`
  // A place noted by a clock that was ahead would hold until then.
  const noted: StateOp[] = ahead
    ? [
        ['drop', LAST_PLACE],
        ['latest', LAST_PLACE, nowMs, here],
      ]
    : [['latest', LAST_PLACE, last ? Math.max(nowMs, last.atMs + 1) : nowMs, here]]
  // Who showed MFA since then was asked already.
  const answered = last !== undefined && answeredMs !== undefined && answeredMs > last.atMs
  const impossible = !ahead && !answered && isOutOfReach(km, elapsedMs, maxSpeedKmh)
  if (!impossible) return { finding: live, ops: noted }
  return {
    finding: { factor: 'impossible-travel', points, beganMs: nowMs },
    ops: [...noted, eventOp('impossible-travel', nowMs)],
  }
}

function readPlace(text: string): Place | undefined {
  const [latitude, longitude] = text.split(',').map(Number)
  return placeOf(latitude, longitude, undefined)
}

/** Nobody gets so far in that time. What is near is one place, whatever the time. */
export function isOutOfReach(km: number, elapsedMs: number, maxSpeedKmh: number): boolean {
  return km > SAME_KM && km * HOUR_MS > maxSpeedKmh * elapsedMs
}

/** Great-circle distance (haversine). */
export function distanceKm(a: Place, b: Place): number {
  const [lat1 = 0, lon1 = 0, lat2 = 0, lon2 = 0] = [a.latitude, a.longitude, b.latitude, b.longitude].map(
    (degrees) => ((degrees ?? 0) * Math.PI) / 180,
  )
  const h =
    Math.sin((lat2 - lat1) / 2) ** 2 + Math.cos(lat1) * Math.cos(lat2) * Math.sin((lon2 - lon1) / 2) ** 2
  return 2 * EARTH_RADIUS_KM * Math.asin(Math.min(1, Math.sqrt(h)))
}
