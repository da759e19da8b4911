/** How often something may happen: so much at once, then so much a second. Times are monotonic milliseconds. */
export type Allowed = { readonly burst: number; readonly perSecond: number }

/** What is left of it for one peer. */
export class Allowance {
  readonly #allowed: Allowed
  #left: number
  #atMs: number

  constructor(allowed: Allowed, nowMs: number) {
    this.#allowed = allowed
    this.#left = allowed.burst
    this.#atMs = nowMs
  }

  /** False where that is more than is left; then nothing is taken. */
  take(amount: number, nowMs: number): boolean {
    this.#grow(nowMs)
    if (this.#left < amount) return false
    this.#left -= amount
    return true
  }

  /** Takes it even where it isn't left, on credit of at most as much as may happen at once. */
  owe(amount: number, nowMs: number): void {
    this.#grow(nowMs)
    this.#left = Math.max(-this.#allowed.burst, this.#left - amount)
  }

  /** For what turned out to be of use. */
  giveBack(amount: number): void {
    this.#left = Math.min(this.#allowed.burst, this.#left + amount)
  }

  /** Whether it is as if nothing had been taken. */
  isWhole(nowMs: number): boolean {
    this.#grow(nowMs)
    return this.#left >= this.#allowed.burst
  }

  #grow(nowMs: number): void {
    const { burst, perSecond } = this.#allowed
    this.#left = Math.min(burst, this.#left + ((nowMs - this.#atMs) * perSecond) / 1000)
    this.#atMs = nowMs
  }
}
