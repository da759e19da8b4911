/** Four bytes of length (little-endian, of what follows), one byte of kind, then the body. */
export const HEADER_BYTES = 5
/** The largest body. A page of documents, or a batch of changes, is smaller whatever is in it. */
export const MAX_BODY = 8 * 1024 * 1024

/** What the body of a frame is. */
export const KINDS = {
  /** A JSON array of messages. */
  messages: 0,
  /** To the supervisor: number of the batch (float64, little-endian), 1 for durable, then changes. */
  changes: 1,
  /** To a worker: changes by another. */
  told: 2,
} as const

/** Bytes of a body of kind `changes` before the changes themselves. */
export const BATCH_BYTES = 9

export function header(kind: number, bodyBytes: number): Buffer {
  const bytes = Buffer.allocUnsafe(HEADER_BYTES)
  bytes.writeUInt32LE(bodyBytes, 0)
  bytes[4] = kind
  return bytes
}

/** Cuts what comes in into frames. At most one frame that has begun is held. */
export class FrameReader {
  readonly #onFrame: (kind: number, body: Buffer) => boolean
  #chunks: Buffer[] = []
  #held = 0
  #needed = HEADER_BYTES

  /** `onFrame` answers whether the frame was a good one. */
  constructor(onFrame: (kind: number, body: Buffer) => boolean) {
    this.#onFrame = onFrame
  }

  /** False: these are no frames, and nothing more may be read. */
  push(chunk: Buffer): boolean {
    this.#chunks.push(chunk)
    this.#held += chunk.length
    if (this.#held < this.#needed) return true
    const bytes = this.#chunks.length === 1 ? chunk : Buffer.concat(this.#chunks, this.#held)
    let at = 0
    this.#needed = HEADER_BYTES
    while (bytes.length - at >= HEADER_BYTES) {
      const length = bytes.readUInt32LE(at)
      if (length > MAX_BODY) return false
      const end = at + HEADER_BYTES + length
      if (end > bytes.length) {
        this.#needed = HEADER_BYTES + length
        break
      }
      if (!this.#onFrame(bytes[at + 4] ?? 0, bytes.subarray(at + HEADER_BYTES, end))) return false
      at = end
    }
    this.#chunks = at < bytes.length ? [bytes.subarray(at)] : []
    this.#held = bytes.length - at
    return true
  }
}
