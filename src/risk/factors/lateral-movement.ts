import { numberOf, type StateOp, type StateRecord } from '../../state/record.js'
import type { Finding } from '../finding.js'
import type { RiskPolicy } from '../risk-policy.js'
import { shortHash } from '../sighting.js'
import { tierOf } from '../tiers.js'

/** Targets by a hash of their name, with the last time: `t:` those refused to the workload, `c:` all it asked for. */
const REFUSED = 't:'
const ASKED = 'c:'
const LAST_REFUSED = 'tl'
const LAST_ASKED = 'cl'
/** Targets kept of each kind; more don't make it worse. */
const MOST = 32
const REFRESH_MS = 60_000

/** One workload refused by many targets within the window. Source: REQUIREMENTS R1. */
export function lateralMovement(
  record: StateRecord,
  { lateralMovement: { tiers, windowMs } }: RiskPolicy,
  nowMs: number,
): Finding | undefined {
  const lastMs = numberOf(record, LAST_REFUSED)
  if (lastMs === undefined || nowMs - lastMs > windowMs) return undefined
  const points = tierOf(tiers, targetsWithin(record, REFUSED, windowMs, nowMs))
  return points === 0 ? undefined : { factor: 'lateral-movement', points, beganMs: lastMs }
}

/** One workload that asks for more targets within the window than usual, refused or not. */
export function fanOut(
  record: StateRecord,
  { fanOut: { points, targets, windowMs } }: RiskPolicy,
  nowMs: number,
): Finding | undefined {
  const lastMs = numberOf(record, LAST_ASKED)
  if (points === 0 || lastMs === undefined || nowMs - lastMs > windowMs) return undefined
  if (targetsWithin(record, ASKED, windowMs, nowMs) <= targets) return undefined
  return { factor: 'fan-out', points, beganMs: lastMs }
}

function targetsWithin(record: StateRecord, prefix: string, windowMs: number, nowMs: number): number {
  let count = 0
  for (const [field, seenMs] of record) {
    if (field.startsWith(prefix) && typeof seenMs === 'number' && nowMs - seenMs <= windowMs) count++
  }
  return count
}

export function refusedTargetOps(record: StateRecord, target: string, nowMs: number): readonly StateOp[] {
  return targetOps(record, REFUSED, LAST_REFUSED, target, nowMs)
}

export function askedTargetOps(record: StateRecord, target: string, nowMs: number): readonly StateOp[] {
  return targetOps(record, ASKED, LAST_ASKED, target, nowMs)
}

const hashes = new Map<string, string>()
const HASHES_KEPT = 20_000

function targetHash(target: string): string {
  let hash = hashes.get(target)
  if (hash === undefined) {
    hash = shortHash(target)
    if (hashes.size >= HASHES_KEPT) hashes.clear()
    hashes.set(target, hash)
  }
  return hash
}

function targetOps(
  record: StateRecord,
  prefix: string,
  last: string,
  target: string,
  nowMs: number,
): readonly StateOp[] {
  const field = prefix + targetHash(target)
  const seenMs = numberOf(record, field)
  if (seenMs !== undefined && nowMs - seenMs < REFRESH_MS) return []
  const ops: StateOp[] = []
  if (seenMs === undefined) {
    const fields = [...record].flatMap(([name, ms]) =>
      name.startsWith(prefix) && typeof ms === 'number' ? [{ name, ms }] : [],
    )
    const surplus = fields.toSorted((a, b) => a.ms - b.ms).slice(0, Math.max(0, fields.length - MOST + 1))
    for (const { name } of surplus) ops.push(['drop', name])
  }
  ops.push(['max', field, nowMs], ['max', last, nowMs])
  return ops
}
