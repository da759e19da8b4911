import { isPlainNumber } from './numbers.js'

/** Weight of the newest window once there are many; before that all weigh the same. */
const NEWEST = 0.1
/** A peak that does not come again is half as high after so long, so that what happens weekly is remembered. */
const PEAK_HALF_LIFE_MS = 14 * 24 * 3_600_000
/** What is not this much higher than a remembered peak has been there before. */
const OVER_PEAK = 1.5

/** How a limit follows from what is usual. */
export type Measure = {
  /** So many times the mean. */
  readonly times: number
  /** Never below this. */
  readonly floor: number
  /** Windows that must have been before anything is remarkable. */
  readonly leastWindows: number
}

/**
 * What is usual in a window in which a subject does anything at all: an exponentially weighted mean and a slowly
 * forgotten peak. A window beyond the limit counts no more than the limit, so that an attack does not become usual.
 */
export class Baseline {
  #mean = 0
  #windows = 0
  #peak = 0
  #peakAtMs = 0

  get mean(): number {
    return this.#mean
  }

  /** A window with more than this is remarkable; Infinity while too little is known. */
  limit({ times, floor, leastWindows }: Measure, nowMs: number): number {
    if (this.#windows < leastWindows) return Infinity
    return Math.max(floor, times * this.#mean, OVER_PEAK * this.#peakNow(nowMs))
  }

  learn(value: number, measure: Measure, nowMs: number): void {
    const { times, floor, leastWindows } = measure
    const kept = this.#windows < leastWindows ? value : Math.min(value, Math.max(floor, times * this.#mean))
    this.#windows++
    this.#mean += (kept - this.#mean) * Math.max(NEWEST, 1 / this.#windows)
    const peak = this.#peakNow(nowMs)
    if (kept < peak) return
    this.#peak = kept
    this.#peakAtMs = nowMs
  }

  #peakNow(nowMs: number): number {
    return this.#peak * 2 ** (-Math.max(0, nowMs - this.#peakAtMs) / PEAK_HALF_LIFE_MS)
  }

  /** Undefined while nothing was learned. */
  toJson(): readonly number[] | undefined {
    return this.#windows === 0
      ? undefined
      : [this.#mean, this.#windows, this.#peak, this.#peakAtMs].map((each) => Math.round(each * 1000) / 1000)
  }

  /** Undefined for what `toJson` can't have written. */
  static fromJson(json: unknown): Baseline | undefined {
    const baseline = new Baseline()
    if (json === undefined) return baseline
    if (!Array.isArray(json) || json.length !== 4 || !json.every(isPlainNumber)) return undefined
    const [mean = 0, windows = 0, peak = 0, peakAtMs = 0] = json.filter(isPlainNumber)
    baseline.#mean = mean
    baseline.#windows = windows
    baseline.#peak = peak
    baseline.#peakAtMs = peakAtMs
    return baseline
  }
}
