/** A place on earth, as far as its source knows it. */
export type Place = {
  /** Degrees, both or none. */
  readonly latitude: number | undefined
  readonly longitude: number | undefined
  /** ISO 3166-1 alpha-2, capitals. */
  readonly country: string | undefined
}

/** Undefined where what was read is no place on earth: coordinates out of range, no country of two letters. */
export function placeOf(latitude: unknown, longitude: unknown, country: unknown): Place | undefined {
  const located = isDegrees(latitude, 90) && isDegrees(longitude, 180)
  const named = typeof country === 'string' && /^[A-Za-z]{2}$/.test(country)
  if (!located && !named) return undefined
  return {
    latitude: located ? latitude : undefined,
    longitude: located ? longitude : undefined,
    country: named ? country.toUpperCase() : undefined,
  }
}

function isDegrees(value: unknown, limit: number): value is number {
  return typeof value === 'number' && Math.abs(value) <= limit
}
