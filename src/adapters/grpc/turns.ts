/** Shorter than this nothing worth telling was waited for, milliseconds. */
const IDLE_MS = 0.2

/**
 * How long messages may have waited before they were read. The event loop reads every connection once a turn: what is
 * read now came after the connection was read before, so at most one turn ago. Where the loop slept before this turn,
 * nothing waited before the turn began. Times are monotonic milliseconds.
 */
export class Turns {
  /** How long the loop has slept in all. */
  readonly #sleptMs: () => number
  #beganMs = -Infinity
  #sleptAtEndMs = 0
  #isOpen = false
  /** What is read in this turn came after this. */
  #sinceMs = -Infinity
  #lastMs = 0

  constructor(sleptMs = (): number => performance.eventLoopUtilization().idle) {
    this.#sleptMs = sleptMs
  }

  /** Of a message that is read now, at most. The first one of a turn sees to it that its end is noticed. */
  waitedMs(nowMs: number): number {
    if (!this.#isOpen) {
      this.#isOpen = true
      const slept = this.#sleptMs() - this.#sleptAtEndMs > IDLE_MS
      this.#sinceMs = slept || this.#beganMs === -Infinity ? nowMs : this.#beganMs
      this.#beganMs = nowMs
      setImmediate(() => this.#end())
    }
    this.#lastMs = nowMs - this.#sinceMs
    return this.#lastMs
  }

  /** Of the last message that was read; 0 once the loop has slept. */
  get lastMs(): number {
    if (!this.#isOpen && this.#sleptMs() - this.#sleptAtEndMs > IDLE_MS) return 0
    return this.#lastMs
  }

  #end(): void {
    this.#isOpen = false
    this.#sleptAtEndMs = this.#sleptMs()
  }
}
