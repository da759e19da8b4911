import type { Loaded } from '../../state/local-copies.js'
import { MAX_NAME, MAX_TEXT, type StateDelta, type StateOp } from '../../state/record.js'

/** Of the language of a supervisor and its workers. They are of one program, but it may have been replaced between. */
export const FORMAT = 1
/** UTF-16 units of a record's key, or of a claim's. */
export const MAX_KEY = 128
const MAX_DELTAS = 4096

/** Messages of one frame; undefined: it is none. A message is an array that begins with its name. */
export function decodeMessages(body: Buffer): readonly (readonly unknown[])[] | undefined {
  const value = parse(body)
  return isListOf(value, isArray) ? value : undefined
}

export function encodeDeltas(deltas: Iterable<StateDelta>): Buffer {
  const list: unknown[] = []
  for (const { key, expiresAtMs, ops } of deltas) list.push([key, expiresAtMs, ops.map(finite)])
  return Buffer.from(JSON.stringify(list))
}

/** Undefined: these are no changes. */
export function decodeDeltas(body: Buffer): readonly StateDelta[] | undefined {
  const value = parse(body)
  if (!isArray(value) || value.length > MAX_DELTAS) return undefined
  const deltas: StateDelta[] = []
  for (const entry of value) {
    if (!isArray(entry)) return undefined
    const [key, expiresAtMs, ops] = entry
    if (!isKey(key) || !isNumber(expiresAtMs) || !isListOf(ops, isOp)) return undefined
    deltas.push({ key, ops, expiresAtMs })
  }
  return deltas
}

/** As the rest of a message: when it ends (null: never), then names and values. */
export function recordParts({ record, expiresAtMs }: Loaded): unknown[] {
  const parts: unknown[] = [Number.isFinite(expiresAtMs) ? expiresAtMs : null]
  for (const [name, value] of record) {
    // JSON has no number for what two large ones may come to. A text of a record has a bar in it.
    parts.push(name, typeof value === 'number' && !Number.isFinite(value) ? `${value}` : value)
  }
  return parts
}

/** Of the parts from `at` on. */
export function recordOf(parts: readonly unknown[], at: number): Loaded | undefined {
  const expiresAtMs = parts[at] === null ? Infinity : parts[at]
  if (typeof expiresAtMs !== 'number') return undefined
  const record = new Map<string, number | string>()
  for (let n = at + 1; n < parts.length; n += 2) {
    const [name, value] = [parts[n], parts[n + 1]]
    if (typeof name !== 'string' || (typeof value !== 'string' && typeof value !== 'number')) return undefined
    record.set(name, typeof value === 'string' && !value.includes('|') ? Number(value) : value)
  }
  return { record, expiresAtMs }
}

export function isKey(value: unknown): value is string {
  return typeof value === 'string' && value.length > 0 && value.length <= MAX_KEY
}

export function isText(value: unknown, most: number): value is string {
  return typeof value === 'string' && value.length <= most
}

/** What JSON can hold. */
export function isNumber(value: unknown): value is number {
  return typeof value === 'number' && Number.isFinite(value)
}

function isOp(op: unknown): op is StateOp {
  if (!isArray(op) || !isText(op[1], MAX_NAME)) return false
  switch (op[0]) {
    case 'drop':
      return op.length === 2
    case 'add':
    case 'max':
    case 'min':
    case 'prune':
      return op.length === 3 && isNumber(op[2])
    case 'latest':
      return op.length === 4 && isNumber(op[2]) && isText(op[3], MAX_TEXT)
    default:
      return false
  }
}

/** A bound beyond every number that a field can be named by is as good as the largest one. */
function finite(op: StateOp): StateOp {
  if (op[0] !== 'prune' || Number.isFinite(op[2])) return op
  return ['prune', op[1], op[2] > 0 ? Number.MAX_VALUE : -Number.MAX_VALUE]
}

function parse(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString())
  } catch {
    return undefined
  }
}

function isArray(value: unknown): value is readonly unknown[] {
  return Array.isArray(value)
}

function isListOf<T>(value: unknown, is: (entry: unknown) => entry is T): value is readonly T[] {
  return isArray(value) && value.every(is)
}
