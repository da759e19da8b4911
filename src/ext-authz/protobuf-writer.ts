/**
 * Writes a protobuf message from its end to its beginning: an embedded message is finished before its length
 * goes in front of it, so nothing is measured first. Fields are therefore written last to first, and within a
 * field the content before its tag. One writer serves one message at a time.
 */
export class ProtobufWriter {
  private bytes = Buffer.allocUnsafe(16 * 1024)
  /** Where the message written so far begins. */
  pos = this.bytes.length

  /** The message as bytes of its own; the writer is empty again. */
  take(): Buffer {
    const message = Buffer.allocUnsafe(this.bytes.length - this.pos)
    this.bytes.copy(message, 0, this.pos)
    this.pos = this.bytes.length
    return message
  }

  /** Forgets what a failed message left behind. */
  clear(): void {
    this.pos = this.bytes.length
  }

  raw(encoded: Uint8Array): void {
    this.reserve(encoded.length)
    this.pos -= encoded.length
    for (let at = 0; at < encoded.length; at++) this.bytes[this.pos + at] = encoded[at]!
  }

  /** A non-negative integer below 2^31. */
  varint(value: number): void {
    this.reserve(5)
    if (value < 0x80) {
      this.bytes[--this.pos] = value
      return
    }
    const length = value < 0x4000 ? 2 : value < 0x20_0000 ? 3 : value < 0x1000_0000 ? 4 : 5
    this.pos -= length
    for (let at = 0; at < length; at++) {
      this.bytes[this.pos + at] = ((value >>> (7 * at)) & 0x7f) | (at === length - 1 ? 0 : 0x80)
    }
  }

  double(value: number): void {
    this.reserve(8)
    this.pos -= 8
    this.bytes.writeDoubleLE(value, this.pos)
  }

  /** A string field with its tag (one byte: field numbers up to 15). */
  text(tag: number, value: string): void {
    const length = value.length
    if (length + 6 > this.pos) this.reserve(length + 6)
    const bytes = this.bytes
    const start = this.pos - length
    for (let at = 0; at < length; at++) {
      const code = value.charCodeAt(at)
      if (code >= 0x80) return this.unicode(tag, value)
      bytes[start + at] = code
    }
    this.pos = start
    this.opening(tag, length)
  }

  /** A string field that will be a header's value. Whoever builds it encodes it; a line end left in it is a bug. */
  line(tag: number, value: string): void {
    const length = value.length
    if (length + 6 > this.pos) this.reserve(length + 6)
    const bytes = this.bytes
    const start = this.pos - length
    for (let at = 0; at < length; at++) {
      const code = value.charCodeAt(at)
      if (code < 0x20 || code > 0x7e) throw new Error('a header value holds what no header may')
      bytes[start + at] = code
    }
    this.pos = start
    this.opening(tag, length)
  }

  private unicode(tag: number, value: string): void {
    const length = Buffer.byteLength(value)
    this.reserve(length + 6)
    this.pos -= length
    this.bytes.write(value, this.pos, 'utf8')
    this.opening(tag, length)
  }

  private opening(tag: number, length: number): void {
    if (length < 0x80) this.bytes[--this.pos] = length
    else this.varint(length)
    this.bytes[--this.pos] = tag
  }

  /** Closes an embedded message: all that was written since `size()` gave `sizeBefore`, its length and its tag. */
  close(tag: number, sizeBefore: number): void {
    this.reserve(6)
    this.opening(tag, this.bytes.length - this.pos - sizeBefore)
  }

  /** Bytes written so far. Counted from the end, so growing the buffer doesn't change it. */
  size(): number {
    return this.bytes.length - this.pos
  }

  private reserve(count: number): void {
    if (count <= this.pos) return
    const written = this.size()
    const grown = Buffer.allocUnsafe(Math.max(2 * this.bytes.length, written + count))
    this.bytes.copy(grown, grown.length - written, this.pos)
    this.bytes = grown
    this.pos = grown.length - written
  }
}
