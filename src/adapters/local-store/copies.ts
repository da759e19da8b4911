import { changed, type Loaded } from '../../state/local-copies.js'
import { EMPTY_RECORD, type StateDelta, type StateRecord } from '../../state/record.js'

type Copy = { loaded: Loaded; generation: number }

/**
 * Copies of records that are told of every change in the order in which the store makes it, so that they stay what
 * the store has without being asked for again. Not valid is a copy that has ended, that was put in doubt, or that is
 * from before a gap in what was told; it is kept as what was last known.
 */
export class OrderedCopies {
  readonly #maxCopies: number
  /** The least lately used first. */
  readonly #copies = new Map<string, Copy>()
  #generation = 0

  constructor(maxCopies: number) {
    this.#maxCopies = maxCopies
  }

  get size(): number {
    return this.#copies.size
  }

  valid(key: string, nowMs: number): StateRecord | undefined {
    const copy = this.#copies.get(key)
    if (!copy || copy.generation !== this.#generation || copy.loaded.expiresAtMs <= nowMs) return undefined
    this.#touch(key, copy)
    return copy.loaded.record
  }

  /** The record of any copy, one that has ended being an empty one. */
  lastKnown(key: string, nowMs: number): StateRecord | undefined {
    const copy = this.#copies.get(key)
    if (!copy) return undefined
    this.#touch(key, copy)
    return copy.loaded.expiresAtMs > nowMs ? copy.loaded.record : EMPTY_RECORD
  }

  keep(key: string, loaded: Loaded): void {
    this.#copies.delete(key)
    this.#copies.set(key, { loaded, generation: this.#generation })
    if (this.#copies.size <= this.#maxCopies) return
    for (const oldest of this.#copies.keys()) {
      this.#copies.delete(oldest)
      if (this.#copies.size <= this.#maxCopies) return
    }
  }

  /** The fields that the copy has then; undefined: there is none. */
  apply(delta: StateDelta, nowMs: number): number | undefined {
    const copy = this.#copies.get(delta.key)
    if (!copy) return undefined
    copy.loaded = changed(copy.loaded, delta, nowMs)
    return copy.loaded.record.size
  }

  doubt(key: string): void {
    const copy = this.#copies.get(key)
    if (copy) copy.generation = -1
  }

  /** Changes may have been missed: no copy is valid any more. */
  doubtAll(): void {
    this.#generation++
  }

  #touch(key: string, copy: Copy): void {
    if (this.#copies.size < this.#maxCopies / 2) return
    this.#copies.delete(key)
    this.#copies.set(key, copy)
  }
}
