import { numberOf, type StateOp, type StateRecord } from '../../state/record.js'
import { eventOp, type Finding, liveEvent } from '../finding.js'
import type { RiskPolicy } from '../risk-policy.js'

/** Bytes of responses by hour: `b:<hour>` counters. */
const PREFIX = 'b:'
const HOUR_MS = 3_600_000
/** Hours that the baseline is made of, and how many of them must have had calls before it says anything. */
const BASELINE_HOURS = 24
const LEAST_HOURS = 3
/** Below this nobody's hour is remarkable, bytes. */
const LEAST_BYTES = 1024 * 1024

/** An hour whose response bytes exceed the subject's own baseline by far. Source: REQUIREMENTS R1. */
export function dataVolume(record: StateRecord, policy: RiskPolicy, nowMs: number): Finding | undefined {
  return liveEvent(record, 'data-volume', policy.dataVolume.points, policy.expireAfterMs, nowMs)
}

/**
 * Response bytes of one more call, and the event once the hour exceeds the subject's own baseline so many times: the
 * mean of those of the last 24 hours that had any. Source: REQUIREMENTS R1, R9.
 */
export function volumeOps(
  record: StateRecord,
  bytes: number,
  policy: RiskPolicy,
  nowMs: number,
): readonly StateOp[] {
  const { points, times } = policy.dataVolume
  if (points === 0 || !(bytes > 0)) return []
  const hour = Math.floor(nowMs / HOUR_MS)
  const ops: StateOp[] = [
    ['prune', PREFIX, hour - BASELINE_HOURS],
    ['add', PREFIX + hour, bytes],
  ]
  const total = (numberOf(record, PREFIX + hour) ?? 0) + bytes
  const baseline = baselineOf(record, hour)
  const remarkable = baseline !== undefined && total > Math.max(LEAST_BYTES, times * baseline)
  // Once an hour: the event's time is when the hour became remarkable.
  if (remarkable && total - bytes <= Math.max(LEAST_BYTES, times * baseline)) {
    ops.push(eventOp('data-volume', nowMs))
  }
  return ops
}

function baselineOf(record: StateRecord, hour: number): number | undefined {
  let sum = 0
  let hours = 0
  for (let past = hour - BASELINE_HOURS; past < hour; past++) {
    const bytes = numberOf(record, PREFIX + past)
    if (bytes === undefined) continue
    sum += bytes
    hours++
  }
  return hours < LEAST_HOURS ? undefined : sum / hours
}
