import { numberOf, type StateOp, type StateRecord } from '../../state/record.js'
import { shortHash } from '../sighting.js'

/** Targets kept of each kind; more don't make it worse. So a workload's record has room for everything else. */
const MOST = 25
/** A target seen again is noted when the noted time is older than this. */
const REFRESH_MS = 60_000
const HASHES_KEPT = 20_000

/** Where targets of one kind stand in a workload's record: `<prefix><hash of the name>` and `last`, with the last time. */
export type SeenTargets = { readonly prefix: string; readonly last: string }

/** Different targets within the window; 0 without a look at them when the last one is older. */
export function targetsWithin(
  record: StateRecord,
  { prefix, last }: SeenTargets,
  windowMs: number,
  nowMs: number,
): { readonly count: number; readonly lastMs: number } {
  const lastMs = numberOf(record, last)
  if (lastMs === undefined || nowMs - lastMs > windowMs) return { count: 0, lastMs: nowMs }
  let count = 0
  for (const [field, seenMs] of record) {
    if (field.startsWith(prefix) && typeof seenMs === 'number' && nowMs - seenMs <= windowMs) count++
  }
  return { count, lastMs: Math.min(lastMs, nowMs) }
}

/** One more call to a target; nothing where it was noted lately. */
export function targetOps(
  record: StateRecord,
  { prefix, last }: SeenTargets,
  target: string,
  nowMs: number,
): readonly StateOp[] {
  const field = prefix + hashOf(target)
  const seenMs = numberOf(record, field)
  if (seenMs !== undefined && nowMs - seenMs < REFRESH_MS) return []
  const dropped = seenMs === undefined ? oldest(record, prefix) : []
  return [...dropped, ['max', field, nowMs], ['max', last, nowMs]]
}

/** Makes room for one more. */
function oldest(record: StateRecord, prefix: string): StateOp[] {
  const fields = [...record].flatMap(([name, ms]) =>
    name.startsWith(prefix) && typeof ms === 'number' ? [{ name, ms }] : [],
  )
  const surplus = fields.length - MOST + 1
  if (surplus <= 0) return []
  return fields
    .toSorted((a, b) => a.ms - b.ms)
    .slice(0, surplus)
    .map(({ name }) => ['drop', name] as const)
}

const hashes = new Map<string, string>()

function hashOf(target: string): string {
  let hash = hashes.get(target)
  if (hash === undefined) {
    hash = shortHash(target)
    if (hashes.size >= HASHES_KEPT) hashes.clear()
    hashes.set(target, hash)
  }
  return hash
}
