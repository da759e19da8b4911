import { isUtf8 } from 'node:buffer'

/** How a field is written, as its message's definition says. */
export const WIRE = { varint: 0, fixed64: 1, bytes: 2, fixed32: 5 } as const

/** Nesting beyond which a message is refused; a JWT's claims as a Struct use three levels for each of theirs. */
export const MAX_DEPTH = 64

/** Ranges from this length on are checked natively: the call costs about what 70 bytes cost in a loop. */
const NATIVE_FROM_BYTES = 72

/**
 * A cursor over one protobuf message. The first thing wrong is kept in `problem` and moves the cursor to the
 * very end, so every loop over it ends; whoever reads looks at `problem` once, when done.
 * Stricter than the encoding in what no serialiser writes: groups, field number 0, over-long tags.
 * Source: protobuf encoding guide.
 */
export class ProtobufReader {
  readonly bytes: Buffer
  pos = 0
  end: number
  problem: string | undefined = undefined

  constructor(bytes: Buffer) {
    this.bytes = bytes
    this.end = bytes.length
  }

  fail(problem: string): void {
    if (this.problem === undefined) this.problem = problem
    this.pos = this.bytes.length
    this.end = this.pos
  }

  /** A tag: field number << 3 | wire type; 0 after a failure. */
  tag(): number {
    const first = this.bytes[this.pos]
    if (first !== undefined && first < 0x80 && first > 7 && this.pos < this.end) {
      this.pos++
      return first
    }
    const tag = this.uint32()
    if (this.problem === undefined && tag >>> 3 === 0) this.fail('field number 0')
    return this.problem === undefined ? tag : 0
  }

  /** A varint that must fit 32 bits: tags and lengths. */
  uint32(): number {
    const bytes = this.bytes
    const left = this.end - this.pos
    let byte = left > 0 ? bytes[this.pos]! : 0x80
    if (byte < 0x80) {
      this.pos++
      return byte
    }
    let value = byte & 0x7f
    for (let at = 1; at < 5 && at < left; at++) {
      byte = bytes[this.pos + at]!
      if (at === 4 && byte > 0x0f) break
      value |= (byte & 0x7f) << (7 * at)
      if (byte < 0x80) {
        this.pos += at + 1
        return value >>> 0
      }
    }
    this.fail(left < 5 ? 'truncated' : 'number out of range')
    return 0
  }

  /** Steps over any varint, at most 10 bytes long; gives its length. */
  skipVarint(): number {
    for (let at = 0; at < 10 && this.pos + at < this.end; at++) {
      if (this.bytes[this.pos + at]! < 0x80) {
        this.pos += at + 1
        return at + 1
      }
    }
    this.fail(this.end - this.pos < 10 ? 'truncated' : 'varint longer than 10 bytes')
    return 0
  }

  /** Steps over an int32, enum or bool: 5 bytes, or 10 when negative. Decoders differ on what is between. */
  skipInt32(): void {
    const length = this.skipVarint()
    if (length > 5 && length < 10) this.fail('number out of range')
  }

  /** The length of a delimited field, known to lie within the message that holds it. */
  length(): number {
    const length = this.uint32()
    if (length <= this.end - this.pos) return length
    this.fail('truncated')
    return 0
  }

  /** Steps over a field that the definition doesn't know. */
  skip(wireType: number): void {
    switch (wireType) {
      case WIRE.varint:
        this.skipVarint()
        return
      case WIRE.fixed64:
        return this.advance(8)
      case WIRE.bytes: {
        const length = this.length()
        this.pos += length
        return
      }
      case WIRE.fixed32:
        return this.advance(4)
      default:
        this.fail('groups are not supported')
    }
  }

  private advance(count: number): void {
    if (count > this.end - this.pos) this.fail('truncated')
    else this.pos += count
  }

  /** Steps over a string and checks that it is UTF-8; its place is then `[pos - length, pos)`. */
  skipText(): number {
    const length = this.length()
    const start = this.pos
    this.pos += length
    this.checkText(start, this.pos)
    return length
  }

  text(): string {
    const length = this.length()
    if (length === 0) return ''
    const start = this.pos
    this.pos += length
    if (length < NATIVE_FROM_BYTES && isAsciiRange(this.bytes, start, this.pos)) {
      return this.bytes.toString('latin1', start, this.pos)
    }
    this.checkText(start, this.pos)
    return this.problem === undefined ? this.bytes.toString('utf8', start, start + length) : ''
  }

  checkText(start: number, end: number): void {
    if (end - start < NATIVE_FROM_BYTES && isAsciiRange(this.bytes, start, end)) return
    if (!isUtf8(this.bytes.subarray(start, end))) this.fail('a string is not UTF-8')
  }

  /** Enters an embedded message: gives the end of the one that holds it, for `leave`. */
  enter(): number {
    const length = this.length()
    const outer = this.end
    if (this.problem === undefined) this.end = this.pos + length
    return outer
  }

  leave(outer: number): void {
    if (this.problem !== undefined) return
    if (this.pos !== this.end) return this.fail('truncated')
    this.end = outer
  }

  /** The same definition read twice would be merged by one decoder and replaced by another, so it is refused. */
  once(seen: number, field: number): number {
    const bit = 1 << field
    if ((seen & bit) !== 0) this.fail('an embedded message occurs twice')
    return seen | bit
  }
}

function isAsciiRange(bytes: Buffer, start: number, end: number): boolean {
  for (let at = start; at < end; at++) if (bytes[at]! >= 0x80) return false
  return true
}
