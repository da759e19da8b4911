import type { AddressRange } from '../segmentation/when/address.js'

/** Ranges looked at between two chances for others. */
const A_TURN = 4096

/** The ranges of one family, in the order of the entries. */
export function* spansOf(
  entries: readonly { readonly range: AddressRange }[],
  family: 4 | 6,
): Generator<void, Spans> {
  let count = 0
  for (const { range } of entries) if (range.family === family) count += 1
  const spans = new Spans(family === 4 ? 1 : 4, count)
  for (const [owner, { range }] of entries.entries()) {
    if (owner % A_TURN === 0) yield
    if (range.family === family) spans.add(range, owner)
  }
  return spans
}

/**
 * First and last addresses of many ranges, by the number of the range: two blocks of memory and not millions of small
 * objects, which would make the garbage collector stop everybody.
 */
class Spans {
  readonly #width: number
  readonly #first: Uint32Array
  readonly #last: Uint32Array
  readonly #owners: Int32Array
  #size = 0

  /** `width`: 32-bit words of an address. */
  constructor(width: number, count: number) {
    this.#width = width
    this.#first = new Uint32Array(width * count)
    this.#last = new Uint32Array(width * count)
    this.#owners = new Int32Array(count)
  }

  add({ words, prefixLength }: AddressRange, owner: number): void {
    const at = this.#size * this.#width
    for (let index = 0; index < this.#width; index += 1) {
      const free = 32 - Math.min(Math.max(prefixLength - index * 32, 0), 32)
      const word = word32(words, index)
      this.#first[at + index] = word
      this.#last[at + index] = free === 32 ? 0xffff_ffff : (word | ((1 << free) - 1)) >>> 0
    }
    this.#owners[this.#size] = owner
    this.#size += 1
  }

  numbers(): number[] {
    const numbers: number[] = []
    for (let span = 0; span < this.#size; span += 1) numbers.push(span)
    return numbers
  }

  ownerOf(span: number): number {
    return this.#owners[span] ?? 0
  }

  firstOf(span: number): Uint32Array {
    return this.#first.subarray(span * this.#width, (span + 1) * this.#width)
  }

  /** A range comes before those within it; of the same range twice the later one comes last. */
  compare(a: number, b: number): number {
    return (
      this.#difference(this.#first, a, this.#first, b) ||
      this.#difference(this.#last, b, this.#last, a) ||
      a - b
    )
  }

  endsBefore(a: number, b: number): boolean {
    return this.#difference(this.#last, a, this.#first, b) < 0
  }

  /** The address after its last one; undefined after the last of all. */
  after(span: number): Uint32Array | undefined {
    const next = this.#last.slice(span * this.#width, (span + 1) * this.#width)
    for (let index = next.length - 1; index >= 0; index -= 1) {
      const word = ((next[index] ?? 0) + 1) >>> 0
      next[index] = word
      if (word !== 0) return next
    }
    return undefined
  }

  #difference(left: Uint32Array, a: number, right: Uint32Array, b: number): number {
    for (let index = 0; index < this.#width; index += 1) {
      const difference = (left[a * this.#width + index] ?? 0) - (right[b * this.#width + index] ?? 0)
      if (difference !== 0) return difference
    }
    return 0
  }
}

/** Where something else begins, in ascending order. */
export class SegmentWriter {
  readonly #width: number
  readonly #starts: Uint32Array
  readonly #owners: Int32Array
  #size = 0

  /** Each range begins once and ends once at most. */
  constructor(width: number, ranges: number) {
    this.#width = width
    this.#starts = new Uint32Array(2 * ranges * width)
    this.#owners = new Int32Array(2 * ranges)
  }

  /** From `start` on it is `owner`, whatever was said of the same start before. */
  begin(start: Uint32Array, owner: number): void {
    const last = (this.#size - 1) * this.#width
    if (this.#size > 0 && start.every((word, index) => this.#starts[last + index] === word)) {
      this.#owners[this.#size - 1] = owner
      return
    }
    this.#starts.set(start, this.#size * this.#width)
    this.#owners[this.#size] = owner
    this.#size += 1
  }

  finish(): { readonly starts: Uint32Array; readonly owners: Int32Array } {
    return {
      starts: this.#starts.slice(0, this.#size * this.#width),
      owners: this.#owners.slice(0, this.#size),
    }
  }
}

/** The 32-bit word at `index` of an address in 16-bit words. */
export function word32(words: readonly number[], index: number): number {
  return (((words[index * 2] ?? 0) << 16) | (words[index * 2 + 1] ?? 0)) >>> 0
}
