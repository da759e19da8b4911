/** How much may still be kept, over everything that shares it: no file can make the memory grow beyond. */
export class Room {
  #left: number

  constructor(entries: number) {
    this.#left = entries
  }

  /** False where there is none left. */
  take(): boolean {
    if (this.#left <= 0) return false
    this.#left--
    return true
  }

  giveBack(): void {
    this.#left++
  }
}
