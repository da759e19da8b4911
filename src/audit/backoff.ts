export type Backoff = {
  /** Wait after the first failure, milliseconds; it doubles each time. */
  readonly firstMs: number
  readonly mostMs: number
}

/** A receiver that asks for a longer pause is tried again after this one. */
const MOST_ASKED_MS = 300_000

/**
 * Milliseconds until the next try after so many failures in a row, with a jitter of half, so that replicas don't come
 * together. `random` is in [0, 1). `askedMs` is the least that the receiver asked for.
 */
export function backoffMs(
  failures: number,
  { firstMs, mostMs }: Backoff,
  random: number,
  askedMs = 0,
): number {
  const grown = Math.min(firstMs * 2 ** Math.min(failures - 1, 30), mostMs)
  return Math.max(grown * (0.5 + random / 2), Math.min(askedMs, MOST_ASKED_MS))
}
