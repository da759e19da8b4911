/** UTF-8 bytes of one UTF-16 unit at most. */
const BYTES_A_UNIT = 3

/**
 * The last security events, for people to look at; a restart forgets them. Every event passes by here, so they are
 * kept as bytes in one buffer: strings that outlive their request cost several times as much.
 */
export class RecentDecisions {
  readonly #bytes: Buffer
  /** By number of the event, modulo capacity: where it begins, counted over all rounds of the buffer, and its bytes. */
  readonly #starts: Float64Array
  readonly #lengths: Int32Array
  readonly #listeners = new Set<(line: string) => void>()
  /** Bytes of the buffer that were gone through, over all rounds. */
  #end = 0
  #count = 0

  /** `capacity`: events kept at most; `bytes`: and so many of them. */
  constructor(capacity: number, bytes = 2 * 1024 * 1024) {
    this.#bytes = Buffer.alloc(bytes)
    this.#starts = new Float64Array(capacity)
    this.#lengths = new Int32Array(capacity)
  }

  /** `line`: one security event as JSON text. One that can't fit is not kept. */
  note(line: string): void {
    const size = this.#bytes.length
    const most = line.length * BYTES_A_UNIT
    if (most <= size) {
      // An event lies in one piece: what is left at the end of the buffer is passed over.
      if ((this.#end % size) + most > size) this.#end += size - (this.#end % size)
      const slot = this.#count % this.#starts.length
      const length = this.#bytes.write(line, this.#end % size)
      this.#starts[slot] = this.#end
      this.#lengths[slot] = length
      this.#end += length
      this.#count++
    }
    for (const listener of this.#listeners) listener(line)
  }

  *newest(): Generator<string> {
    const size = this.#bytes.length
    const capacity = this.#starts.length
    // Asked for while others come: those are newer and not told.
    const newest = this.#count - 1
    for (let number = newest; number >= 0 && this.#count - number <= capacity; number--) {
      const start = this.#starts[number % capacity] ?? 0
      if (start < this.#end - size) return
      const at = start % size
      yield this.#bytes.toString('utf8', at, at + (this.#lengths[number % capacity] ?? 0))
    }
  }

  follow(listener: (line: string) => void): () => void {
    this.#listeners.add(listener)
    return () => {
      this.#listeners.delete(listener)
    }
  }
}
