/** Growth that is none: a trend fails only beyond both. */
export type Bound = { readonly absolute: number; readonly share: number }

export type Trend = {
  /** Medians of the second and the last quarter. */
  readonly before: number
  readonly after: number
  readonly isFlat: boolean
}

/**
 * Whether samples of equal distance stay level: the median of the last quarter against that of the second. The first
 * is left out, since caches fill and code is compiled then; medians, since one collection of garbage is no trend.
 */
export function trend(samples: readonly number[], { absolute, share }: Bound): Trend {
  const quarter = Math.floor(samples.length / 4)
  if (quarter === 0) throw new Error(`${samples.length} samples have no quarters`)
  const before = median(samples.slice(quarter, 2 * quarter))
  const after = median(samples.slice(-quarter))
  const growth = after - before
  return { before, after, isFlat: growth <= absolute || growth <= before * share }
}

export function median(values: readonly number[]): number {
  return quantile(
    values.toSorted((a, b) => a - b),
    0.5,
  )
}

/** Of sorted values, 0 to 1; NaN of none. */
export function quantile(sorted: readonly number[], share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN
}
