import { latestOf, numberOf, type StateOp, type StateRecord } from '../state/record.js'
import type { Grant, GrantUse } from './grant.js'
import { GRANT, GRANT_FIELD, LAST_USED, REVOKED, USES } from './grant-fields.js'
import { readGrantText, writeGrantText } from './grant-text.js'
import { countedUse, recordKeptUntilMs } from './grant-use.js'
import type { LiveGrant } from './live-grant.js'

/** Grants of one subject that its record has room for: four fields each. */
export const MAX_GRANTS = 24
/** A grant's fields stay this long after its end at least, so that no late change brings it back. */
const SETTLED_MS = 3_600_000
/** A grant that can't be read is taken to end this long after it was written. */
const UNREADABLE_MS = 30 * 24 * 3_600_000

type Parsed = { readonly grants: readonly LiveGrant[]; readonly firstEndMs: number }

const NONE: readonly LiveGrant[] = []
/** Records are immutable, so what was parsed of one holds. */
const parsed = new WeakMap<StateRecord, Parsed>()

/**
 * The grants that hold now: not revoked, with uses left, not expired. In the order in which they are to be used: those
 * that somebody approved first, those without a limit before those with one. What can't be read is no grant.
 */
export function liveGrants(record: StateRecord, nowMs: number): readonly LiveGrant[] {
  if (record.size === 0) return NONE
  let known = parsed.get(record)
  if (!known) {
    known = parseRecord(record)
    parsed.set(record, known)
  }
  if (nowMs < known.firstEndMs) return known.grants
  return known.grants.filter(({ expiresAtMs }) => nowMs < expiresAtMs)
}

function parseRecord(record: StateRecord): Parsed {
  const grants: LiveGrant[] = []
  for (const field of record.keys()) {
    if (!field.startsWith(GRANT)) continue
    const id = field.slice(GRANT.length)
    const grant = readField(record, id)
    if (!grant || isRevoked(record, id) || grant.usesLeft === 0) continue
    grants.push(grant)
  }
  grants.sort((a, b) => rank(a) - rank(b) || a.expiresAtMs - b.expiresAtMs || (a.id < b.id ? -1 : 1))
  return { grants, firstEndMs: Math.min(...grants.map(({ expiresAtMs }) => expiresAtMs)) }
}

function readField(record: StateRecord, id: string): LiveGrant | undefined {
  const text = latestOf(record, GRANT + id)?.text
  return text === undefined ? undefined : readGrantText(id, text, numberOf(record, USES + id) ?? 0)
}

function rank({ breakGlass, maxUses }: LiveGrant): number {
  return Number(breakGlass) * 2 + Number(maxUses !== undefined)
}

/** A text where the time belongs is a revocation too. */
function isRevoked(record: StateRecord, id: string): boolean {
  return (record.get(REVOKED + id) ?? 0) !== 0
}

/** A grant that leaves its record, with what the record counted. */
export type RetiredGrant = GrantUse & { readonly id: string }

export type GrantOps =
  | {
      readonly ok: true
      readonly ops: readonly StateOp[]
      /** The record must be kept until then, milliseconds since the epoch. */
      readonly keptUntilMs: number
      /** Grants that ended and leave the record for the new one. */
      readonly retired: readonly RetiredGrant[]
    }
  | { readonly ok: false; readonly problem: 'too-long' | 'too-many' }

/**
 * The changes that put a new grant into its subject's record. Only where it needs room, grants that ended an hour ago
 * and more leave it, the oldest first.
 */
export function grantOps(grant: Grant, record: StateRecord, nowMs: number): GrantOps {
  const text = writeGrantText(grant)
  if (text === undefined) return { ok: false, problem: 'too-long' }
  const ids = idsIn(record)
  const retired = [...ids]
    .map((id) => ({ id, endedMs: endedMs(record, id) }))
    .filter((ended) => ended.endedMs + SETTLED_MS <= nowMs)
    .sort((a, b) => a.endedMs - b.endedMs)
    .slice(0, Math.max(0, ids.size + 1 - MAX_GRANTS))
    .map(({ id }) => id)
  if (ids.size - retired.length >= MAX_GRANTS) return { ok: false, problem: 'too-many' }
  const { id, createdAtMs } = grant
  return {
    ok: true,
    ops: [
      ...retired.flatMap(dropOps),
      // All fields at once, the grant last: where a record should be full, a grant that can't be revoked is not taken in.
      ['max', REVOKED + id, 0],
      ['add', USES + id, 0],
      ['max', LAST_USED + id, 0],
      ['latest', GRANT + id, createdAtMs, text],
    ],
    keptUntilMs: recordKeptUntilMs(grant.expiresAtMs),
    retired: retired.filter((old) => record.has(GRANT + old)).map((old) => retiredGrant(record, old)),
  }
}

/** The ids of the grants that a record tells of, as one text: it differs after each that is created. */
export function idsOfGrants(record: StateRecord): string {
  return [...idsIn(record)].sort().join(' ')
}

function retiredGrant(record: StateRecord, id: string): RetiredGrant {
  const { uses, lastUsedMs } = countedUse(record, id)
  return { id, uses, lastUsedMs }
}

function dropOps(id: string): StateOp[] {
  return [GRANT, REVOKED, USES, LAST_USED].map((prefix) => ['drop', prefix + id])
}

function idsIn(record: StateRecord): ReadonlySet<string> {
  const ids = new Set<string>()
  for (const field of record.keys()) {
    const id = GRANT_FIELD.exec(field)?.[1]
    if (id !== undefined) ids.add(id)
  }
  return ids
}

/** When a grant ended or will end; of fields that a late change left behind, when that was. */
function endedMs(record: StateRecord, id: string): number {
  const written = latestOf(record, GRANT + id)
  if (!written) {
    return Math.max(numberOf(record, REVOKED + id) ?? 0, numberOf(record, LAST_USED + id) ?? 0)
  }
  const endMs = readField(record, id)?.expiresAtMs ?? written.atMs + UNREADABLE_MS
  const revokedMs = numberOf(record, REVOKED + id) ?? 0
  return revokedMs > 0 ? Math.min(endMs, revokedMs) : endMs
}

/** Ends a grant for good, also one that is not there yet. */
export function revokeOps(id: string, atMs: number): readonly StateOp[] {
  return [['max', REVOKED + id, atMs]]
}
