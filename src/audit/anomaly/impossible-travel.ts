import type { Place } from '../../request/place.js'
import { distanceKm, isOutOfReach } from '../../risk/factors/impossible-travel.js'
import type { EventFacts } from './facts.js'
import { type Found, Tally } from './finding.js'
import type { AnomalyOptions } from './options.js'
import type { Told } from './told.js'

/** Who goes back and forth between two places is told once a day. */
const WINDOW_MS = 24 * 3_600_000

export type TravelState = {
  last: Seen | undefined
  /** The newest event carried the risk factor, which stays on a session's calls for a while. */
  carried: boolean
}

type Seen = { readonly place: Place; readonly ip: string; atMs: number; decisionId: string }

/** Calls of one user from two places that nobody gets between in that time. */
export function impossibleTravel(
  state: TravelState,
  facts: EventFacts,
  placeOf: (ip: string) => Place | undefined,
  { impossibleTravel: { maxSpeedKmh } }: AnomalyOptions,
  told: Told,
): Found | undefined {
  const began = facts.impossibleTravel && !state.carried
  state.carried = facts.impossibleTravel
  const measured = travelled(state, facts, placeOf, maxSpeedKmh)
  if (!measured && !began) return undefined
  if (!told.isNew('impossible-travel', 'High', WINDOW_MS, facts.atMs)) return undefined
  const events = new Tally()
  if (measured) events.add(measured.from.decisionId)
  events.add(facts.decisionId)
  return {
    rule: 'impossible-travel',
    severity: 'High',
    atMs: facts.atMs,
    fromMs: measured ? Math.min(measured.from.atMs, facts.atMs) : facts.atMs,
    observed: measured ? measured.speedKmh : maxSpeedKmh,
    baseline: maxSpeedKmh,
    unit: 'km/h',
    message: measured?.message ?? 'the decision was made under the risk factor impossible-travel',
    events,
  }
}

function travelled(
  state: TravelState,
  { userIp, atMs, decisionId }: EventFacts,
  placeOf: (ip: string) => Place | undefined,
  maxSpeedKmh: number,
): { readonly from: Seen; readonly speedKmh: number; readonly message: string } | undefined {
  const { last } = state
  if (userIp === undefined) return undefined
  if (last?.ip === userIp) {
    if (atMs >= last.atMs) Object.assign(last, { atMs, decisionId })
    return undefined
  }
  const place = placeOf(userIp)
  if (place?.latitude === undefined) return undefined
  if (!last || atMs >= last.atMs) state.last = { place, ip: userIp, atMs, decisionId }
  if (!last) return undefined
  const km = distanceKm(last.place, place)
  const elapsedMs = Math.abs(atMs - last.atMs)
  if (!isOutOfReach(km, elapsedMs, maxSpeedKmh)) return undefined
  // Within a second nobody can tell the speed.
  const speedKmh = Math.round((km * 3_600_000) / Math.max(1000, elapsedMs))
  const message = `calls from ${whereText(last)} and ${whereText({ place, ip: userIp })}, ${Math.round(km)} km apart within ${Math.round(elapsedMs / 1000)} s`
  return { from: { ...last }, speedKmh, message }
}

function whereText({ place, ip }: Pick<Seen, 'place' | 'ip'>): string {
  return place.country === undefined ? ip : `${ip} (${place.country})`
}
