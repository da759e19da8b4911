const RFC_3339 =
  /^(\d{4})-(\d{2})-(\d{2})T(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d(?:\.\d{1,9})?(?:Z|[+-](?:[01]\d|2[0-3]):[0-5]\d)$/

/**
 * Milliseconds since the epoch of an RFC 3339 time with its zone, for example `2026-03-01T12:00:00Z`; undefined for
 * everything else, the 30th of February included. Leap seconds are not known.
 */
export function parseInstantMs(text: string): number | undefined {
  const match = RFC_3339.exec(text)
  if (!match) return undefined
  const [year, month, day] = [Number(match[1]), Number(match[2]), Number(match[3])]
  const lastDay = new Date(Date.UTC(year, month, 0)).getUTCDate()
  if (month < 1 || month > 12 || day < 1 || day > lastDay) return undefined
  const ms = Date.parse(text)
  return Number.isFinite(ms) ? ms : undefined
}

/** RFC 3339 in UTC to the second, for people. What is no time any more is `unknown`. */
export function formatInstant(epochMs: number): string {
  const time = new Date(epochMs)
  return Number.isNaN(time.getTime()) ? 'unknown' : `${time.toISOString().slice(0, 19)}Z`
}
