/** Wall-clock time in one zone, to the minute. */
export type LocalTime = {
  readonly hour: number
  readonly minuteOfDay: number
  /** 0 is Monday. */
  readonly weekday: number
  /** `2026-12-24`. */
  readonly date: string
}

export const WEEKDAYS = [
  'Monday',
  'Tuesday',
  'Wednesday',
  'Thursday',
  'Friday',
  'Saturday',
  'Sunday',
] as const

const MINUTE_MS = 60_000

/**
 * A clock for one IANA zone, kept for the life of a policy: constructing the formatter costs about 100 µs,
 * a reading 8 µs, and one within the same minute as the last next to nothing. Undefined for an unknown zone.
 */
export function zoneClock(zone: string): ((nowMs: number) => LocalTime) | undefined {
  const formatter = formatterOf(zone)
  if (!formatter) return undefined
  let lastMinute = Number.NaN
  let last: LocalTime | undefined
  return (nowMs) => {
    const minute = Math.floor(nowMs / MINUTE_MS)
    if (last && minute === lastMinute) return last
    const parts = new Map(formatter.formatToParts(nowMs).map(({ type, value }) => [type, value]))
    const hour = Number(parts.get('hour'))
    last = {
      hour,
      minuteOfDay: hour * 60 + Number(parts.get('minute')),
      weekday: WEEKDAYS.findIndex((name) => name === parts.get('weekday')),
      date: `${parts.get('year')}-${parts.get('month')}-${parts.get('day')}`,
    }
    lastMinute = minute
    return last
  }
}

function formatterOf(zone: string): Intl.DateTimeFormat | undefined {
  try {
    return new Intl.DateTimeFormat('en-GB', {
      timeZone: zone,
      calendar: 'iso8601',
      numberingSystem: 'latn',
      hourCycle: 'h23',
      weekday: 'long',
      year: 'numeric',
      month: '2-digit',
      day: '2-digit',
      hour: '2-digit',
      minute: '2-digit',
    })
  } catch (error) {
    if (error instanceof RangeError) return undefined
    throw error
  }
}
