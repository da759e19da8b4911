/** An answer as it came, or nothing within the time. */
export type Answered = { readonly parts: readonly unknown[] } | 'late'

type Question = { readonly dueAt: number; readonly settle: (answer: Answered) => void }

/** Questions on their way, each for the same time at most. One timer serves all. */
export class Asked {
  readonly #withinMs: number
  /** By id, those due first coming first. */
  readonly #questions = new Map<number, Question>()
  #timer: NodeJS.Timeout | undefined

  constructor(withinMs: number) {
    this.#withinMs = withinMs
  }

  get size(): number {
    return this.#questions.size
  }

  /** `settle` is called once, at the answer itself. */
  add(id: number, settle: (answer: Answered) => void): void {
    this.#questions.set(id, { dueAt: performance.now() + this.#withinMs, settle })
    this.#timer ??= setTimeout(() => this.#look(), this.#withinMs)
  }

  /** False: it is no question of these, or nobody waits any more. */
  answer(id: number, answer: Answered): boolean {
    const question = this.#questions.get(id)
    if (!question) return false
    this.#questions.delete(id)
    question.settle(answer)
    return true
  }

  /** No answers will come. */
  giveUp(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
    for (const id of this.#questions.keys()) this.answer(id, 'late')
  }

  #look(): void {
    this.#timer = undefined
    const now = performance.now()
    for (const [id, { dueAt }] of this.#questions) {
      if (dueAt > now) {
        this.#timer = setTimeout(() => this.#look(), dueAt - now + 1)
        return
      }
      this.answer(id, 'late')
    }
  }
}
