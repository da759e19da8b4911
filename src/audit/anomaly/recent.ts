/** A use is noted when the noted one is older than this. */
const REFRESH_MS = 60_000

/** The `most` values used last, to the minute; the others go. */
export class Recent<Value extends { usedMs: number }> {
  readonly #values = new Map<string, Value>()
  readonly #most: number
  readonly #onGone: (value: Value) => void

  constructor(most: number, onGone: (value: Value) => void) {
    this.#most = most
    this.#onGone = onGone
  }

  get(key: string, nowMs: number): Value | undefined {
    const value = this.#values.get(key)
    if (value && nowMs - value.usedMs >= REFRESH_MS) {
      value.usedMs = nowMs
      this.#values.delete(key)
      this.#values.set(key, value)
    }
    return value
  }

  set(key: string, value: Value): void {
    this.#values.set(key, value)
    if (this.#values.size <= this.#most) return
    for (const [oldest, gone] of this.#values) {
      this.#values.delete(oldest)
      this.#onGone(gone)
      break
    }
  }

  get size(): number {
    return this.#values.size
  }

  values(): IterableIterator<Value> {
    return this.#values.values()
  }
}
