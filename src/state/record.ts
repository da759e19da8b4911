import { createHash } from 'node:crypto'

/**
 * What is known of one subject: numbers, and short texts, by field name. Immutable; a change makes a new one.
 * All replicas come to the same record whatever the order in which changes reach them, because every operation
 * but `drop` and `prune` commutes, and those two only take away what no longer counts.
 */
export type StateRecord = ReadonlyMap<string, number | string>

/** Nothing is known of the subject. */
export const EMPTY_RECORD: StateRecord = new Map()

/**
 * One change of one field.
 * - `add`: a counter grows by a finite number.
 * - `max`, `min`: the larger, the smaller one stays; an absent field takes any.
 * - `latest`: of texts, the one with the later time (milliseconds since the epoch) stays, of two at one time the
 *   greater text; read it with `latestOf`.
 * - `drop`: the field goes.
 * - `prune`: of the fields whose name is the prefix and a decimal number, those below the bound go.
 */
export type StateOp =
  | readonly ['add', field: string, amount: number]
  | readonly ['max', field: string, value: number]
  | readonly ['min', field: string, value: number]
  | readonly ['latest', field: string, atMs: number, text: string]
  | readonly ['drop', field: string]
  | readonly ['prune', prefix: string, below: number]

/** Changes of one subject's record, applied together and in their order. */
export type StateDelta = {
  /** From `stateKey`. */
  readonly key: string
  readonly ops: readonly StateOp[]
  /** The record is kept at least until then, milliseconds since the epoch; the latest of all changes counts. */
  readonly expiresAtMs: number
}

/** Fields of one record; more are not taken in, so that nobody can make a record grow. */
export const MAX_FIELDS = 96
/**
 * Room beyond that for what must not be crowded out by what callers do: names of at most two characters, which are
 * verdicts and marks of ours, and what signals tell of certificates (`cs:`) and claims (`tc:`).
 */
export const MAX_RESERVED = 64
/** UTF-16 units of a field's name, and of a text. */
export const MAX_NAME = 128
export const MAX_TEXT = 512

/**
 * Kinds of subjects: user, session, workload, network address, device, and what is kept beside them: the grants of a
 * user, a user by e-mail address, a session by its issuer and name alone, a rule's use.
 */
export type SubjectKind = 'u' | 's' | 'w' | 'a' | 'd' | 'g' | 'e' | 'n' | 'k'

/**
 * The name of a subject's record: its kind and 22 base64url characters of a SHA-256, so that its length and its
 * bytes don't depend on what somebody is called. Parts are told apart: ('a', 'b') is not ('ab').
 */
export function stateKey(kind: SubjectKind, ...parts: readonly string[]): string {
  const hash = createHash('sha256')
  for (const part of parts) hash.update(`${Buffer.byteLength(part)}:${part}\n`)
  return `${kind}:${hash.digest().toString('base64url', 0, 16).slice(0, 22)}`
}

/** The operations that change anything at all whatever the record: limits of names, texts and numbers. */
export function effective(ops: readonly StateOp[]): readonly StateOp[] {
  return ops.every(isEffective) ? ops : ops.filter(isEffective)
}

function isEffective(op: StateOp): boolean {
  if (op[1].length > MAX_NAME) return false
  if (op[0] === 'drop') return true
  if (op[0] === 'prune') return !Number.isNaN(op[2])
  return Number.isFinite(op[2]) && (op[0] !== 'latest' || op[3].length <= MAX_TEXT)
}

/** The record with the changes. The reference for what every store does. */
export function applyOps(record: StateRecord, ops: readonly StateOp[]): StateRecord {
  const next = new Map(record)
  for (const op of ops) apply(next, op)
  return next
}

function apply(fields: Map<string, number | string>, op: StateOp): void {
  if (op[0] === 'drop') {
    fields.delete(op[1])
    return
  }
  if (op[0] === 'prune') {
    const [, prefix, below] = op
    for (const name of fields.keys()) {
      if (name.startsWith(prefix) && isBelow(name.slice(prefix.length), below)) fields.delete(name)
    }
    return
  }
  const field = op[1]
  const before = fields.get(field)
  if (field.length > MAX_NAME || (before === undefined && fields.size >= roomFor(field))) return
  if (op[0] === 'latest') {
    const [, , atMs, text] = op
    if (!Number.isFinite(atMs) || text.length > MAX_TEXT) return
    const after = `${Math.trunc(atMs)}|${text}`
    if (typeof before !== 'string' || isLater(after, before)) fields.set(field, after)
    return
  }
  const value = op[2]
  if (!Number.isFinite(value)) return
  if (typeof before !== 'number') fields.set(field, value)
  else if (op[0] === 'add') fields.set(field, before + value)
  else fields.set(field, op[0] === 'max' ? Math.max(before, value) : Math.min(before, value))
}

function roomFor(field: string): number {
  return field.length <= 2 || field.startsWith('cs:') || field.startsWith('tc:')
    ? MAX_FIELDS + MAX_RESERVED
    : MAX_FIELDS
}

function isBelow(digits: string, below: number): boolean {
  return /^[0-9]+$/.test(digits) && Number(digits) < below
}

function isLater(after: string, before: string): boolean {
  const [afterMs, beforeMs] = [timeOf(after), timeOf(before)]
  return afterMs === beforeMs ? after > before : afterMs > beforeMs
}

function timeOf(stored: string): number {
  return Number(stored.slice(0, stored.indexOf('|')))
}

/** What a `latest` field holds; undefined when absent or not one. */
export function latestOf(
  record: StateRecord,
  field: string,
): { readonly atMs: number; readonly text: string } | undefined {
  const stored = record.get(field)
  if (typeof stored !== 'string') return undefined
  const bar = stored.indexOf('|')
  const atMs = Number(stored.slice(0, bar))
  return bar > 0 && Number.isFinite(atMs) ? { atMs, text: stored.slice(bar + 1) } : undefined
}

/** A number field; undefined when absent or not one. */
export function numberOf(record: StateRecord, field: string): number | undefined {
  const value = record.get(field)
  return typeof value === 'number' ? value : undefined
}
