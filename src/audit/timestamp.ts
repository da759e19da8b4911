const MINUTE_MS = 60_000

/** The last minute's text: `toISOString` costs half a microsecond, and time passes the same minute often. */
let minute = { startMs: Number.NaN, text: '' }

/** RFC 3339 in UTC to the millisecond, for example `2026-03-01T12:00:00.042Z`. Throws a RangeError for what is no time. */
export function formatTimestamp(epochMs: number): string {
  const ms = Math.trunc(epochMs)
  let inMinute = ms - minute.startMs
  if (!(inMinute >= 0 && inMinute < MINUTE_MS)) {
    const startMs = Math.floor(ms / MINUTE_MS) * MINUTE_MS
    minute = { startMs, text: new Date(startMs).toISOString().slice(0, -'00.000Z'.length) }
    inMinute = ms - startMs
  }
  const seconds = Math.floor(inMinute / 1000)
  const millis = inMinute - seconds * 1000
  return `${minute.text}${seconds < 10 ? '0' : ''}${seconds}.${millis < 10 ? '00' : millis < 100 ? '0' : ''}${millis}Z`
}
