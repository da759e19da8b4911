/** Room for what is written together under load, with its chain. */
const SPARE_BYTES = 192 * 1024
/** Less comes from the ordinary memory at no such price. */
const LEAST_BYTES = 32 * 1024
const MOST_SPARES = 64

/**
 * Buffers that are used again. New ones of this size are mapped, zeroed page by page, and counted by the garbage
 * collector against what the whole process may hold, ten times a second and more.
 */
export class SpareBuffers {
  readonly #spares: Buffer[] = []

  /** At least `bytes`, with anything in them. */
  take(bytes: number): Buffer {
    if (bytes < LEAST_BYTES || bytes > SPARE_BYTES) return Buffer.allocUnsafe(bytes)
    return this.#spares.pop() ?? Buffer.allocUnsafeSlow(SPARE_BYTES)
  }

  /** Takes back what nobody reads any more. */
  give(buffer: Buffer): void {
    if (buffer.length === SPARE_BYTES && this.#spares.length < MOST_SPARES) this.#spares.push(buffer)
  }
}
