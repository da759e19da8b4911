import { parseAddress, type Address, type AddressRange } from '../segmentation/when/address.js'
import { SegmentWriter, spansOf, word32 } from './cidr-spans.js'
import { sortInTurns } from './sort-in-turns.js'

/** A range and what is known of it. */
export type CidrEntry<Value> = { readonly range: AddressRange; readonly value: Value }

/**
 * What is known of addresses by ranges; the most specific range wins, of the same range twice the later one. Immutable.
 * Per family sorted arrays of where something else begins, so a lookup is one binary search over numbers.
 */
export type CidrTable<Value> = {
  /** Ranges it was made of. */
  readonly size: number
  /** By a textual IP address; undefined where nothing is known or the text is no address. */
  find(ip: string): Value | undefined
}

/** Entries worked on between two chances for others. */
const A_TURN = 4096

const NOTHING = -1

/**
 * Compiles a table. A generator, because 100,000 ranges take a good tenth of a second: whoever serves calls meanwhile
 * lets others have a turn at each step.
 */
export function* compileCidrTable<Value>(
  entries: readonly CidrEntry<Value>[],
): Generator<void, CidrTable<Value>> {
  const v4 = yield* compileFamily(entries, 4)
  const v6 = yield* compileFamily(entries, 6)
  const values = entries.map(({ value }) => value)
  return {
    size: values.length,
    find(ip) {
      const address = parseAddress(ip)
      if (!address) return undefined
      const index = address.family === 4 ? find4(v4, address) : find6(v6, address)
      return index === NOTHING ? undefined : values[index]
    },
  }
}

/** From `starts[i]`, of one or four 32-bit words, up to the next one the entry at `owners[i]` is the most specific. */
type Segments = { readonly starts: Uint32Array; readonly owners: Int32Array }

function* compileFamily(entries: readonly CidrEntry<unknown>[], family: 4 | 6): Generator<void, Segments> {
  const spans = yield* spansOf(entries, family)
  const order = yield* sortInTurns(spans.numbers(), (a, b) => spans.compare(a, b))
  const segments = new SegmentWriter(family === 4 ? 1 : 4, order.length)
  const open: number[] = []
  /** Ends open spans, innermost first, that end before the span `next`, or all; what is around one goes on behind it. */
  const closeBefore = (next: number | undefined): void => {
    for (let top = open.at(-1); top !== undefined; top = open.at(-1)) {
      if (next !== undefined && !spans.endsBefore(top, next)) return
      open.pop()
      const around = open.at(-1)
      const after = spans.after(top)
      if (after) segments.begin(after, around === undefined ? NOTHING : spans.ownerOf(around))
    }
  }
  for (const [index, span] of order.entries()) {
    if (index % A_TURN === 0) yield
    closeBefore(span)
    segments.begin(spans.firstOf(span), spans.ownerOf(span))
    open.push(span)
  }
  closeBefore(undefined)
  return segments.finish()
}

function find4({ starts, owners }: Segments, { words }: Address): number {
  const wanted = word32(words, 0)
  let low = 0
  let high = owners.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if ((starts[middle] ?? 0) <= wanted) low = middle + 1
    else high = middle
  }
  return low === 0 ? NOTHING : (owners[low - 1] ?? NOTHING)
}

function find6({ starts, owners }: Segments, { words }: Address): number {
  const [a, b, c, d] = [word32(words, 0), word32(words, 1), word32(words, 2), word32(words, 3)]
  let low = 0
  let high = owners.length
  while (low < high) {
    const middle = (low + high) >>> 1
    const at = middle * 4
    const difference =
      (starts[at] ?? 0) - a ||
      (starts[at + 1] ?? 0) - b ||
      (starts[at + 2] ?? 0) - c ||
      (starts[at + 3] ?? 0) - d
    if (difference <= 0) low = middle + 1
    else high = middle
  }
  return low === 0 ? NOTHING : (owners[low - 1] ?? NOTHING)
}
