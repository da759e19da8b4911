import { numberOf, type StateOp, type StateRecord } from '../../state/record.js'
import { eventOp, type Factor, type Found, liveEvent } from '../finding.js'

/** Kept of each kind; the one not seen for longest goes first. */
const MOST = 16
/** A thing seen again is noted when the noted time is older than this. */
const REFRESH_MS = 3_600_000

/**
 * Something that the user comes with, against what the user came with before: `<prefix><key>` holds when it was last
 * seen. Never seen before is an event, unless nothing of the kind was seen yet: the first one is no surprise.
 */
export function knownThing(
  record: StateRecord,
  prefix: string,
  key: string | undefined,
  event: { readonly factor: Factor; readonly points: number; readonly expireAfterMs: number },
  nowMs: number,
): Found {
  const { factor, points, expireAfterMs } = event
  const live = liveEvent(record, factor, points, expireAfterMs, nowMs)
  if (points === 0 || key === undefined) return { finding: live, ops: [] }
  const field = prefix + key
  const seenMs = numberOf(record, field)
  if (seenMs !== undefined) {
    return { finding: live, ops: nowMs - seenMs < REFRESH_MS ? [] : [['max', field, nowMs]] }
  }
  const before = thingsOf(record, prefix)
  const seen: StateOp[] = [...oldest(before), ['max', field, nowMs]]
  if (before.length === 0) return { finding: live, ops: seen }
  return { finding: { factor, points, beganMs: nowMs }, ops: [...seen, eventOp(factor, nowMs)] }
}

type Thing = { readonly field: string; readonly seenMs: number }

function thingsOf(record: StateRecord, prefix: string): Thing[] {
  const things: Thing[] = []
  for (const [field, seenMs] of record) {
    if (field.startsWith(prefix) && typeof seenMs === 'number') things.push({ field, seenMs })
  }
  return things
}

function oldest(things: readonly Thing[]): StateOp[] {
  const surplus = things.length - MOST + 1
  if (surplus <= 0) return []
  return things
    .toSorted((a, b) => a.seenMs - b.seenMs)
    .slice(0, surplus)
    .map(({ field }) => ['drop', field] as const)
}
