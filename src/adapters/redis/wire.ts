import { MAX_TEXT, type StateOp, type StateRecord } from '../../state/record.js'

/**
 * A text as bytes whose order is that of its UTF-16 units, and which any text survives, lone surrogates too: every
 * unit is written like a code point of its own. ASCII stays as it is.
 */
export function toBytes(text: string): string | Buffer {
  if (isAscii(text)) return text
  const bytes = Buffer.allocUnsafe(text.length * 3)
  let length = 0
  for (let at = 0; at < text.length; at++) {
    const unit = text.charCodeAt(at)
    if (unit < 0x80) bytes[length++] = unit
    else {
      if (unit < 0x800) bytes[length++] = 0xc0 | (unit >> 6)
      else {
        bytes[length++] = 0xe0 | (unit >> 12)
        bytes[length++] = 0x80 | ((unit >> 6) & 0x3f)
      }
      bytes[length++] = 0x80 | (unit & 0x3f)
    }
  }
  return bytes.subarray(0, length)
}

/** No name and no value of a record is longer, in bytes. */
const MAX_BYTES = 4 * (MAX_TEXT + 32)

/** What `toBytes` wrote; of other bytes, or more than `maxBytes`, some text. */
export function fromBytes(bytes: Buffer, maxBytes = MAX_BYTES): string {
  const latin = bytes.toString('latin1')
  if (isAscii(latin) || bytes.length > maxBytes) return latin
  const units: number[] = []
  const rest = (at: number): number => (bytes[at] ?? 0) & 0x3f
  for (let at = 0; at < bytes.length;) {
    const first = bytes[at] ?? 0
    if (first < 0x80) units.push(first)
    else if (first < 0xe0) units.push(((first & 0x1f) << 6) | rest(at + 1))
    else units.push(((first & 0x0f) << 12) | (rest(at + 1) << 6) | rest(at + 2))
    at += first < 0x80 ? 1 : first < 0xe0 ? 2 : 3
  }
  return String.fromCharCode(...units)
}

function isAscii(text: string): boolean {
  for (let at = 0; at < text.length; at++) if (text.charCodeAt(at) > 0x7f) return false
  return true
}

/** Three arguments of the script. */
export function writeOp(op: StateOp, into: (string | Buffer)[]): void {
  const value =
    op[0] === 'drop' ? '' : op[0] === 'latest' ? `${Math.trunc(op[2])}|${op[3]}` : writeNumber(op[2])
  into.push(op[0], toBytes(op[1]), toBytes(value))
}

function writeNumber(value: number): string {
  return Number.isFinite(value) ? `${value}` : value > 0 ? '1e999' : '-1e999'
}

/** Fields and values, from `offset` on. */
export function readRecord(flat: readonly unknown[], offset: number): StateRecord {
  const record = new Map<string, number | string>()
  for (let at = offset; at + 1 < flat.length; at += 2) {
    const [name, value] = [flat[at], flat[at + 1]]
    if (Buffer.isBuffer(name) && Buffer.isBuffer(value))
      record.set(fromBytes(name), readValue(fromBytes(value)))
  }
  return record
}

/** Texts hold a bar after their time, numbers don't. */
function readValue(text: string): number | string {
  if (text.includes('|')) return text
  if (text.endsWith('inf')) return text.startsWith('-') ? -Infinity : Infinity
  return Number(text) + 0
}
