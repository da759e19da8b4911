/** What has a time. */
type Timed = { readonly atMs: number }
type Held<Item> = { readonly item: Item; readonly order: number }

/**
 * Puts items in the order of their times, within a tolerance: an item is let go once one that is so much later has
 * come. Of equal times the first stays first. Holds at most `most` items; beyond that the earliest go early.
 */
export class Reorder<Item extends Timed> {
  readonly #heap: Held<Item>[] = []
  readonly #toleranceMs: number
  readonly #most: number
  #order = 0
  #newestMs = -Infinity
  #releasedMs = -Infinity

  constructor(toleranceMs: number, most: number) {
    this.#toleranceMs = toleranceMs
    this.#most = most
  }

  /** False: it comes too late to be put in order, and is not taken. */
  take(item: Item, release: (item: Item) => void): boolean {
    if (item.atMs < this.#releasedMs) return false
    this.#newestMs = Math.max(this.#newestMs, item.atMs)
    this.#push({ item, order: this.#order++ })
    const dueMs = this.#newestMs - this.#toleranceMs
    for (let first = this.#heap[0]; first; first = this.#heap[0]) {
      if (first.item.atMs > dueMs && this.#heap.length <= this.#most) break
      this.#release(release)
    }
    return true
  }

  /** Lets everything go. */
  end(release: (item: Item) => void): void {
    while (this.#heap.length > 0) this.#release(release)
  }

  #release(release: (item: Item) => void): void {
    const first = this.#pop()
    if (!first) return
    this.#releasedMs = Math.max(this.#releasedMs, first.item.atMs)
    release(first.item)
  }

  #push(held: Held<Item>): void {
    const heap = this.#heap
    let at = heap.length
    heap.push(held)
    while (at > 0) {
      const parent = (at - 1) >> 1
      const above = heap[parent]
      if (!above || isBefore(above, held)) break
      heap[at] = above
      at = parent
    }
    heap[at] = held
  }

  #pop(): Held<Item> | undefined {
    const heap = this.#heap
    const first = heap[0]
    const last = heap.pop()
    if (!last || heap.length === 0) return first
    let at = 0
    for (;;) {
      let child = 2 * at + 1
      let below = heap[child]
      const right = heap[child + 1]
      if (below && right && isBefore(right, below)) {
        child++
        below = right
      }
      if (!below || isBefore(last, below)) break
      heap[at] = below
      at = child
    }
    heap[at] = last
    return first
  }
}

function isBefore<Item extends Timed>(left: Held<Item>, right: Held<Item>): boolean {
  const { atMs } = left.item
  return atMs < right.item.atMs || (atMs === right.item.atMs && left.order < right.order)
}
