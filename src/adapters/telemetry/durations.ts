import type { Bucket, Exemplar } from './family.js'

/** Upper bounds in microseconds; 250 µs and 1 ms tell a cached verdict from a first one. */
const BOUNDS_US = [
  50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 1_000_000,
]

/** How long decisions take. A bucket remembers the last trace that fell into it. */
export class Durations {
  readonly #counts = new Float64Array(BOUNDS_US.length + 1)
  readonly #exemplars: (Exemplar | undefined)[] = []
  #sumUs = 0

  /** `traceId` of a call whose span is exported. */
  observe(durationUs: number, traceId: string | undefined): void {
    let at = 0
    while (at < BOUNDS_US.length && durationUs > (BOUNDS_US[at] ?? 0)) at++
    this.#counts[at] = (this.#counts[at] ?? 0) + 1
    this.#sumUs += durationUs
    if (traceId !== undefined) {
      this.#exemplars[at] = { traceId, value: durationUs / 1e6, atMs: Date.now() }
    }
  }

  /** Seconds. */
  get sum(): number {
    return this.#sumUs / 1e6
  }

  buckets(): Bucket[] {
    return Array.from(this.#counts, (count, at) => {
      const bound = BOUNDS_US[at]
      const upperBound = bound === undefined ? Infinity : bound / 1e6
      return { upperBound, count, exemplar: this.#exemplars[at] }
    })
  }
}
