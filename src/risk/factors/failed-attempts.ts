import { numberOf, type StateOp, type StateRecord } from '../../state/record.js'
import type { Finding } from '../finding.js'
import { type Tier, tierOf } from '../tiers.js'

/** Failures are counted in buckets of ten minutes: `f:<bucket>` counters, and `fl`, when the last one was. */
const BUCKET_MS = 600_000
const LAST = 'fl'
const PREFIX = 'f:'

export type FailedAttempts = { readonly tiers: readonly Tier[]; readonly windowMs: number }

/** More failures within the window than a tier takes: the highest tier passed counts. Source: REQUIREMENTS R1. */
export function failedAttempts(
  record: StateRecord,
  { tiers, windowMs }: FailedAttempts,
  nowMs: number,
): Finding | undefined {
  const lastMs = numberOf(record, LAST)
  if (lastMs === undefined || nowMs - lastMs > windowMs) return undefined
  const points = tierOf(tiers, failuresWithin(record, windowMs, nowMs))
  return points === 0 ? undefined : { factor: 'failed-attempts', points, beganMs: Math.min(lastMs, nowMs) }
}

/** A bucket counts as long as a part of it lies in the window. */
function failuresWithin(record: StateRecord, windowMs: number, nowMs: number): number {
  let failures = 0
  const newest = Math.floor(nowMs / BUCKET_MS)
  const oldest = Math.floor((nowMs - windowMs) / BUCKET_MS)
  for (let bucket = oldest; bucket <= newest + 1; bucket++) {
    failures += numberOf(record, PREFIX + bucket) ?? 0
  }
  return failures
}

/** One more failure. */
export function failureOps({ windowMs }: FailedAttempts, nowMs: number): readonly StateOp[] {
  return [
    ['prune', PREFIX, Math.floor((nowMs - windowMs) / BUCKET_MS)],
    ['add', PREFIX + Math.floor(nowMs / BUCKET_MS), 1],
    ['max', LAST, nowMs],
  ]
}
