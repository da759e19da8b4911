import type { EventFacts } from './facts.js'
import { type Found, type Severity, Tally } from './finding.js'
import type { LocalTime } from './local-time.js'
import type { AnomalyOptions } from './options.js'
import type { Told } from './told.js'

/** One finding for one night. */
const WINDOW_MS = 12 * 3_600_000
/** Days with calls that must have been before a user's history says anything. */
const LEAST_DAYS = 5
/** Who is there at more hours of the day than this has no usual ones. */
const MOST_HOURS = 14
/** What was not done for so many days is not usual any more. */
const FORGET_DAYS = 90
const [HOURS, SATURDAY] = [24, 6]

export type HoursState = {
  firstMs: number
  /** For each hour of the week the last day it had a call, days since the epoch; 0: never. */
  readonly seen: Uint16Array
  days: number
  lastDay: number
  /** The last day with a call at an unusual hour; the second such day makes it usual. */
  oddDay: number
  odd: { hours: number; readonly sinceMs: number; readonly tally: Tally } | undefined
  carried: boolean
}

export function newHours(firstMs: number): HoursState {
  const seen = new Uint16Array(7 * HOURS)
  return { firstMs, seen, days: 0, lastDay: 0, oddDay: 0, odd: undefined, carried: false }
}

/** A user at an hour at which this user is never there; without history, at an hour at which nobody should be. */
export function offHours(
  state: HoursState,
  facts: EventFacts,
  local: LocalTime,
  options: AnomalyOptions,
  told: Told,
): Found | undefined {
  const { seen, odd } = state
  const { day, hourOfWeek, hours } = local
  const began = facts.unusualTime && !state.carried
  state.carried = facts.unusualTime
  if (!began) {
    if (odd?.hours === hours) return found(state, odd, facts, local, told)
    if (seen[hourOfWeek] === day) return undefined
  }
  const isKnown = facts.atMs - state.firstMs >= options.learnMs && state.days >= LEAST_DAYS
  const usual = isKnown ? isUsual(seen, hourOfWeek, day) : !isNight(local.minuteOfDay, options)
  if (day > state.lastDay) {
    state.days++
    state.lastDay = day
  }
  // An hour that was told becomes usual on another day, not by itself.
  if (usual || !isKnown || (state.oddDay !== 0 && state.oddDay !== day)) seen[hourOfWeek] = day
  if (usual && !began) return undefined
  state.oddDay = day
  if (!odd || facts.atMs - odd.sinceMs >= WINDOW_MS) {
    state.odd = { hours, sinceMs: facts.atMs, tally: new Tally() }
  } else odd.hours = hours
  return state.odd && found(state, state.odd, facts, local, told)
}

function found(
  { days }: HoursState,
  { sinceMs, tally }: NonNullable<HoursState['odd']>,
  { atMs, decisionId, classification, unusualTime, allowed }: EventFacts,
  { minuteOfDay, hourOfWeek }: LocalTime,
  told: Told,
): Found | undefined {
  tally.add(decisionId)
  const severity: Severity = classification !== undefined && allowed ? 'Medium' : 'Low'
  if (!told.isNew('off-hours', severity, WINDOW_MS, atMs)) return undefined
  const time = `${WEEKDAYS[Math.floor(hourOfWeek / HOURS)]} ${pad(Math.floor(minuteOfDay / 60))}:${pad(minuteOfDay % 60)}`
  const why = unusualTime
    ? 'under the risk factor unusual-time'
    : `outside the usual hours (${days} days known)`
  return {
    rule: 'off-hours',
    severity,
    atMs,
    fromMs: Math.min(sinceMs, atMs),
    observed: Math.floor(minuteOfDay / 60),
    baseline: undefined,
    unit: 'hour of the day',
    message: `a call on ${time}, ${why}${severity === 'Medium' ? `, of data classified ${classification}` : ''}`,
    events: tally,
  }
}

const WEEKDAYS = ['Sunday', 'Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday'] as const

function pad(value: number): string {
  return String(value).padStart(2, '0')
}

/**
 * Within an hour of what was seen on that day of the week; the days from Monday to Friday are alike. Who is there at
 * nearly every hour has no usual ones.
 */
function isUsual(seen: Uint16Array, hourOfWeek: number, day: number): boolean {
  const [weekday, hour] = [Math.floor(hourOfWeek / HOURS), hourOfWeek % HOURS]
  const alike = weekday === 0 || weekday === SATURDAY ? [weekday] : [1, 2, 3, 4, 5]
  const isSeen = (slot: number): boolean => {
    const last = seen[(slot + seen.length) % seen.length] ?? 0
    return last > 0 && day - last <= FORGET_DAYS
  }
  if (alike.some((each) => [-1, 0, 1].some((step) => isSeen(each * HOURS + hour + step)))) return true
  let hoursSeen = 0
  for (let each = 0; each < HOURS; each++) {
    if ([0, 1, 2, 3, 4, 5, SATURDAY].some((other) => isSeen(other * HOURS + each))) hoursSeen++
  }
  return hoursSeen > MOST_HOURS
}

function isNight(minute: number, { offHours: { fromMinute, toMinute, zone } }: AnomalyOptions): boolean {
  if (zone === undefined) return false
  return fromMinute <= toMinute
    ? minute >= fromMinute && minute < toMinute
    : minute >= fromMinute || minute < toMinute
}
