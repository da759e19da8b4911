import { availableParallelism } from 'node:os'

/** Lets work of the thread pool begin a few at a time, in the order of asking. */
export class ThreadTurns {
  readonly #atOnce: number
  readonly #waiting: (() => void)[] = []
  #running = 0

  constructor(atOnce: number) {
    this.#atOnce = atOnce
  }

  /** How many may wait is for the caller to bound: a verdict cache does by its `maxPending`. */
  take<T>(work: () => Promise<T>): Promise<T> {
    if (this.#running < this.#atOnce) return this.#start(work)
    return new Promise((resolve, reject) => {
      this.#waiting.push(() => void this.#start(work).then(resolve, reject))
    })
  }

  async #start<T>(work: () => Promise<T>): Promise<T> {
    this.#running += 1
    try {
      return await work()
    } finally {
      this.#running -= 1
      this.#waiting.shift()?.()
    }
  }
}

/** Threads of the pool, unless its size was set. */
const POOL_SIZE = 4

/**
 * Turns of all signature checks. One core stays for the thread that answers: on two cores four checks of a flood would
 * take turns with it, and callers whose credentials are known would wait for them.
 */
export const signatureTurns = new ThreadTurns(Math.max(1, Math.min(POOL_SIZE, availableParallelism() - 1)))
