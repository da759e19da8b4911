import type { Finding } from '../finding.js'
import type { RiskPolicy } from '../risk-policy.js'
import type { Sighting } from '../sighting.js'

const MINUTE_MS = 60_000
const DAY_MINUTES = 24 * 60
/** Offsets from UTC change on a quarter of an hour, if at all. */
const BLOCK_MS = 15 * MINUTE_MS
const ZONES_KEPT = 1024

type Zone = { readonly format: Intl.DateTimeFormat; block: number; offsetMinutes: number }

/** Undefined: no such zone. Making a formatter costs 100 µs and asking one 8 µs, so both are done once. */
const zones = new Map<string, Zone | undefined>()

/** A call outside the usual hours of the user's own time zone; without a known zone nothing. Source: REQUIREMENTS R1. */
export function unusualTime(
  { zone, nowMs }: Sighting,
  { unusualTime: { points, fromMinute, toMinute } }: RiskPolicy,
): Finding | undefined {
  if (points === 0 || zone === undefined) return undefined
  const minute = minuteOfDay(zone, nowMs)
  if (minute === undefined) return undefined
  const usual =
    fromMinute <= toMinute
      ? minute >= fromMinute && minute < toMinute
      : minute >= fromMinute || minute < toMinute
  return usual ? undefined : { factor: 'unusual-time', points, beganMs: undefined }
}

/** Minutes since midnight there; undefined for what is no IANA time zone. */
export function minuteOfDay(zone: string, nowMs: number): number | undefined {
  if (!zones.has(zone)) {
    if (zones.size >= ZONES_KEPT) zones.clear()
    zones.set(zone, openZone(zone))
  }
  const known = zones.get(zone)
  if (!known) return undefined
  const block = Math.floor(nowMs / BLOCK_MS)
  const utcMinute = Math.floor(nowMs / MINUTE_MS) % DAY_MINUTES
  if (known.block !== block) {
    const [hour = 0, minute = 0] = known.format.format(nowMs).split(':').map(Number)
    known.offsetMinutes = hour * 60 + minute - utcMinute
    known.block = block
  }
  return (utcMinute + known.offsetMinutes + 2 * DAY_MINUTES) % DAY_MINUTES
}

function openZone(zone: string): Zone | undefined {
  if (zone.length > 64) return undefined
  try {
    const format = new Intl.DateTimeFormat('en-GB', {
      timeZone: zone,
      hour: '2-digit',
      minute: '2-digit',
      hourCycle: 'h23',
    })
    return { format, block: NaN, offsetMinutes: 0 }
  } catch {
    return undefined
  }
}
