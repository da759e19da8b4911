import type { ChildProcess } from 'node:child_process'
import type { Socket } from 'node:net'
import type { ToWorker } from './protocol.js'

/** A connection and the listener that it came to. */
export type Arrived = { readonly listener: string; readonly socket: Socket }

/**
 * Hands connections over to one worker, one at a time: what the worker has not said to have stays here, and is for
 * another worker when this one dies.
 */
export class Handing {
  readonly #child: ChildProcess
  #waiting: Arrived[] = []
  #underWay: Arrived | undefined
  readonly #open = new Map<string, number>()
  /** What to do once a listener that gives no more has nothing waiting. */
  readonly #shut = new Map<string, () => void>()

  constructor(child: ChildProcess) {
    this.#child = child
  }

  /** Whether the worker takes connections of the listener. */
  takes(listener: string): boolean {
    return !this.#shut.has(listener)
  }

  /** Connections of the listener that the worker has or will have. */
  open(listener: string): number {
    return this.#open.get(listener) ?? 0
  }

  give(arrived: Arrived): void {
    this.#count(arrived.listener, 1)
    this.#waiting.push(arrived)
    this.#next()
  }

  took(): void {
    this.#underWay = undefined
    this.#next()
    this.#settleShut()
  }

  left(listener: string): void {
    this.#count(listener, -1)
  }

  /** Nothing of that listener comes any more; `then` is called once the worker has all that came. */
  shut(listener: string, then: () => void): void {
    this.#shut.set(listener, then)
    this.#settleShut()
  }

  /** The worker is gone: what it never had. A connection that was under way is closed with the channel. */
  lost(): Arrived[] {
    const back = this.#waiting
    this.#waiting = []
    this.#underWay = undefined
    return back
  }

  #next(): void {
    if (this.#underWay !== undefined || !this.#child.connected) return
    const arrived = this.#waiting.shift()
    if (!arrived) return
    this.#underWay = arrived
    const message: ToWorker = { kind: 'connection', listener: arrived.listener }
    this.#child.send(message, arrived.socket, { keepOpen: false }, (error) => {
      // The socket is closed then.
      if (error === null || this.#underWay !== arrived) return
      this.left(arrived.listener)
      this.took()
    })
  }

  #settleShut(): void {
    for (const [listener, then] of this.#shut) {
      const isDue =
        this.#underWay?.listener === listener || this.#waiting.some((each) => each.listener === listener)
      if (isDue) continue
      this.#shut.set(listener, () => undefined)
      then()
    }
  }

  #count(listener: string, change: number): void {
    this.#open.set(listener, this.open(listener) + change)
  }
}
