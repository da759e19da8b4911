/** Longest time for one call, whatever its client says; a timer takes no more than 24 days. */
const MAX_TIMEOUT_MS = 60_000

const UNIT_MS: Readonly<Record<string, number>> = { H: 3_600_000, M: 60_000, S: 1000, m: 1, u: 1e-3, n: 1e-6 }

/** `grpc-timeout` in milliseconds, at most 60,000; undefined when absent or not one. */
export function timeoutOf(timeout: string | string[] | undefined): number | undefined {
  if (typeof timeout !== 'string') return undefined
  const match = /^([0-9]{1,8})([HMSmun])$/.exec(timeout)
  const unitMs = UNIT_MS[match?.[2] ?? '']
  return unitMs === undefined ? undefined : Math.min(Number(match?.[1]) * unitMs, MAX_TIMEOUT_MS)
}

/** Who sets no deadline waits this long before it counts, milliseconds. Envoy always sets one. */
const PATIENCE_MS = 1000

/** Of the time that a message may have waited before it was read, what counts against its call's own time. */
export function waitThatCounts(waitedMs: number, ownTimeoutMs: number | undefined): number {
  return ownTimeoutMs === undefined ? Math.max(0, waitedMs - PATIENCE_MS) : waitedMs
}
