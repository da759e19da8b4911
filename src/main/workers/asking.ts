import type { Answer } from './protocol.js'

/** Questions that wait for their answers, each for a bounded time. */
export class Asking<Given = Answer> {
  readonly #waiting = new Map<number, (answer: Given | undefined) => void>()
  #lastId = 0

  /** `send` gets the id that the answer will name. Undefined: there was no answer within `withinMs`. */
  ask(send: (id: number) => void, withinMs: number): Promise<Given | undefined> {
    const id = ++this.#lastId
    return new Promise((resolve) => {
      const settle = (answer: Given | undefined): void => {
        clearTimeout(timer)
        this.#waiting.delete(id)
        resolve(answer)
      }
      const timer = setTimeout(() => settle(undefined), withinMs)
      this.#waiting.set(id, settle)
      send(id)
    })
  }

  /** One that nobody waits for any more is nothing. */
  answer(id: number, answer: Given): void {
    this.#waiting.get(id)?.(answer)
  }

  /** Nobody will answer. */
  giveUp(): void {
    for (const settle of this.#waiting.values()) settle(undefined)
  }
}
