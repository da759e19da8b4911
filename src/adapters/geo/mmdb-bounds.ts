/**
 * Limits of what is decoded from a database in MaxMind format. The reader follows pointers and believes sizes, so a broken
 * file could send it in a circle, or make 2 KB into gigabytes. This looks first, without building anything, at the value
 * that the reader is about to decode. Source: MaxMind DB file format 2.0, "Output Data Section".
 */
const MAX_DEPTH = 32
/** Values within one record or the metadata; those of MaxMind's largest databases have about 300. */
const MAX_VALUES = 8192
const MAX_TEXT_BYTES = 65_536

const POINTER = 1
const MAP = 7
const ARRAY = 11
/** Bytes of the types with one size; others have the size that is written. */
const FIXED: Readonly<Record<number, number>> = { 3: 8, 15: 4 }
/** Of numbers, by type: uint16, uint32, int32, uint64, uint128. */
const MOST_BYTES: Readonly<Record<number, number>> = { 5: 2, 6: 4, 8: 4, 9: 8, 10: 16 }
/** What a pointer of each size adds to its value. */
const POINTER_BASE = [0, 2048, 526_336, 0] as const

/** Why the value at an offset can't be decoded in bounds. */
export class BrokenDatabase extends Error {}

/** Throws BrokenDatabase where the value at `offset` breaks a limit or leaves the file. `base`: what pointers count from. */
export function checkBounds(db: Buffer, offset: number, base: number): void {
  const left = { values: MAX_VALUES }
  checkValue(db, offset, base, left, 0)
}

type Left = { values: number }

/** Where the next value begins. */
function checkValue(db: Buffer, offset: number, base: number, left: Left, depth: number): number {
  if (depth > MAX_DEPTH) throw new BrokenDatabase('its data is nested too deeply')
  if ((left.values -= 1) < 0) throw new BrokenDatabase('a record has too many values')
  const control = byteAt(db, offset)
  let type = control >> 5
  let at = offset + 1
  if (type === POINTER) {
    const size = (control >> 3) & 3
    const high = size === 3 ? 0 : (control & 7) << (8 * (size + 1))
    const target = base + high + uintAt(db, at, size + 1) + (POINTER_BASE[size] ?? 0)
    if (byteAt(db, target) >> 5 === POINTER) throw new BrokenDatabase('a pointer leads to a pointer')
    checkValue(db, target, base, left, depth + 1)
    return at + size + 1
  }
  if (type === 0) {
    type = byteAt(db, at) + 7
    at += 1
  }
  let size = control & 0x1f
  if (size >= 29) {
    const bytes = size - 28
    size = uintAt(db, at, bytes) + (size === 29 ? 29 : size === 30 ? 285 : 65_821)
    at += bytes
  }
  if (type === MAP || type === ARRAY) {
    if (size > left.values) throw new BrokenDatabase('a record has too many values')
    for (let index = 0; index < size; index += 1) {
      if (type === MAP) at = checkValue(db, at, base, left, depth + 1)
      at = checkValue(db, at, base, left, depth + 1)
    }
    return at
  }
  // A boolean's size is its value.
  if (type === 14) return at
  const fixed = FIXED[type]
  if ((fixed !== undefined && size !== fixed) || size > (MOST_BYTES[type] ?? MAX_TEXT_BYTES))
    throw new BrokenDatabase('a value has a wrong size')
  if (at + size > db.length) throw new BrokenDatabase('a value leads beyond the end of the file')
  return at + size
}

function byteAt(db: Buffer, offset: number): number {
  const byte = db[offset]
  if (byte === undefined) throw new BrokenDatabase('a value leads beyond the end of the file')
  return byte
}

/** Of one to four bytes. */
function uintAt(db: Buffer, offset: number, bytes: number): number {
  if (offset + bytes > db.length) throw new BrokenDatabase('a value leads beyond the end of the file')
  return db.readUIntBE(offset, bytes)
}
