/** How much one new measurement counts. */
const WEIGHT = 0.1
/** Under way at once whatever was measured, so that there is always something to measure. */
const LEAST = 8
/** While known callers wait, one in so many. */
const STRAINED = 8

export type QueueTerms = {
  /** Under way at once, however fast they are. */
  readonly most: number
  /** What one may take in all at this time, waiting included, milliseconds. */
  readonly targetMs: () => number
  /** Monotonic, milliseconds. */
  readonly clockMs: () => number
  /** Whether calls wait so long already that those who are known come first. */
  readonly strained: () => boolean
}

/**
 * How many verifications of never-seen credentials may be under way at once: as many as are done within their time at
 * the pace that was measured, and an eighth of that while known callers wait. What has no room is refused at once, rather
 * than after a wait that its caller's deadline does not allow.
 */
export class VerificationQueue {
  readonly #terms: QueueTerms
  #underWay = 0
  /** Of one verification, milliseconds; undefined until one was measured. */
  #paceMs: number | undefined

  constructor(terms: QueueTerms) {
    this.#terms = terms
  }

  get limit(): number {
    const { most, targetMs, strained } = this.#terms
    const inTime = this.#paceMs === undefined ? most : Math.min(most, Math.floor(targetMs() / this.#paceMs))
    const wanted = strained() ? inTime / STRAINED : inTime
    return Math.max(Math.min(most, LEAST), Math.floor(wanted))
  }

  get underWay(): number {
    return this.#underWay
  }

  /** To be called once it is over; undefined: there is no room. */
  enter(): (() => void) | undefined {
    if (this.#underWay >= this.limit) return undefined
    const place = ++this.#underWay
    const enteredMs = this.#terms.clockMs()
    return () => {
      this.#underWay--
      // It was done together with those before it, so the time is that of all of them.
      const paceMs = (this.#terms.clockMs() - enteredMs) / place
      this.#paceMs = this.#paceMs === undefined ? paceMs : this.#paceMs + WEIGHT * (paceMs - this.#paceMs)
    }
  }
}
