/** The last security events, for people to look at; a restart forgets them. */
export class RecentDecisions {
  readonly #lines: string[] = []
  readonly #capacity: number
  readonly #listeners = new Set<(line: string) => void>()
  /** Where the next one goes, once all places are taken. */
  #at = 0

  /** `capacity`: events kept at most. */
  constructor(capacity: number) {
    this.#capacity = capacity
  }

  /** `line`: one security event as JSON text. */
  note(line: string): void {
    this.#lines[this.#at] = line
    this.#at = (this.#at + 1) % this.#capacity
    for (const listener of this.#listeners) listener(line)
  }

  *newest(): Generator<string> {
    const { length } = this.#lines
    for (let back = 1; back <= length; back++) {
      const line = this.#lines[(this.#at - back + length) % length]
      if (line !== undefined) yield line
    }
  }

  follow(listener: (line: string) => void): () => void {
    this.#listeners.add(listener)
    return () => {
      this.#listeners.delete(listener)
    }
  }
}
