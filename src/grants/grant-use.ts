import { numberOf, type StateDelta, type StateOp, type StateRecord } from '../state/record.js'
import type { LimitedUse } from '../state/store.js'
import type { Grant, GrantUse } from './grant.js'
import { GRANT, LAST_USED, USES } from './grant-fields.js'
import type { LiveGrant } from './live-grant.js'

/** How long a record is kept after the end of its last grant, to tell how it was used. */
const KEPT_MS = 90 * 24 * 3_600_000

/**
 * What a call that passed by the grant leaves behind, to be noted; `key` is the record's. Of a grant with a limit, the
 * store's `consume` counts the use itself, before the answer.
 */
export function grantUsed(key: string, { id, maxUses, expiresAtMs }: LiveGrant, nowMs: number): StateDelta {
  const last: StateOp = ['max', LAST_USED + id, nowMs]
  return {
    key,
    ops: maxUses === undefined ? [['add', USES + id, 1], last] : [last],
    expiresAtMs: recordKeptUntilMs(expiresAtMs),
  }
}

/** The use that must be consumed before a call may pass; undefined where there is no limit. `key` is the record's. */
export function limitedUse(key: string, { id, maxUses, expiresAtMs }: LiveGrant): LimitedUse | undefined {
  return maxUses === undefined
    ? undefined
    : { key, field: USES + id, limit: maxUses, expiresAtMs: recordKeptUntilMs(expiresAtMs) }
}

/** The record of a grant that ends then is kept until, milliseconds since the epoch. */
export function recordKeptUntilMs(expiresAtMs: number): number {
  return expiresAtMs + KEPT_MS
}

/** Of the record while that counts the grant's uses, else what was kept when it left. */
export function useOf(grant: Grant, record: StateRecord): GrantUse | undefined {
  if (record.has(GRANT + grant.id)) return countedUse(record, grant.id)
  return grant.finalUse && { uses: grant.finalUse.uses, lastUsedMs: grant.finalUse.lastUsedAtMs }
}

export function countedUse(record: StateRecord, id: string): GrantUse {
  const lastUsedMs = numberOf(record, LAST_USED + id) ?? 0
  return { uses: numberOf(record, USES + id) ?? 0, lastUsedMs: lastUsedMs > 0 ? lastUsedMs : undefined }
}
