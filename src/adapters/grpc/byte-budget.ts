/** Bytes held at this moment against the bytes that may be held; a part's bytes are the whole's too. */
export class ByteBudget {
  readonly #maxBytes: number
  readonly #whole: ByteBudget | undefined
  #heldBytes = 0

  constructor(maxBytes: number, whole?: ByteBudget) {
    this.#maxBytes = maxBytes
    this.#whole = whole
  }

  /** Takes all of it or, where that would be too much, nothing. */
  tryTake(bytes: number): boolean {
    if (this.#heldBytes + bytes > this.#maxBytes) return false
    if (this.#whole?.tryTake(bytes) === false) return false
    this.#heldBytes += bytes
    return true
  }

  /** For what is held already and can't be refused any more. */
  take(bytes: number): void {
    this.#heldBytes += bytes
    this.#whole?.take(bytes)
  }

  giveBack(bytes: number): void {
    this.#heldBytes -= bytes
    this.#whole?.giveBack(bytes)
  }

  /** Whether nothing more may be taken. */
  get spent(): boolean {
    return this.#heldBytes >= this.#maxBytes || this.#whole?.spent === true
  }

  get heldBytes(): number {
    return this.#heldBytes
  }
}
