import type { ByteBudget } from '../byte-budget.js'

/** Flag and length in front of every gRPC message. */
const PREFIX_BYTES = 5
const LEAST_ROOM_BYTES = 4096
const NOTHING: Buffer = Buffer.alloc(0)

/** Why no more messages can be taken from a stream. */
export type FramingFailure = 'too-long' | 'compressed' | 'no-room'

/**
 * Takes gRPC messages out of a stream's chunks. Of a message that isn't whole yet a copy is kept, since the chunk is
 * a part of a larger buffer, and the budget pays for it; between messages nothing is held. Room doubles, so many
 * small chunks cost no more than one large. Source: gRPC over HTTP/2, "Length-Prefixed-Message".
 */
export class FramedMessages {
  readonly #maxMessageBytes: number
  readonly #budget: ByteBudget
  #part = NOTHING
  #size = 0

  constructor(maxMessageBytes: number, budget: ByteBudget) {
    this.#maxMessageBytes = maxMessageBytes
    this.#budget = budget
  }

  /** Whether a message has begun and isn't whole. */
  get waiting(): boolean {
    return this.#size > 0
  }

  /** `take` sees each message that is whole now, valid during the call only; it ends the reading with false. */
  push(chunk: Buffer, take: (message: Buffer) => boolean): FramingFailure | undefined {
    let rest = chunk
    while (rest.length > 0) {
      if (this.#size > 0) {
        const needed = this.#needed()
        const taken = rest.subarray(0, needed - this.#size)
        if (!this.#append(taken, needed)) return 'no-room'
        rest = rest.subarray(taken.length)
        const failure = this.#failureOf(this.#part, this.#size)
        if (failure) return failure
        if (this.#size < PREFIX_BYTES || this.#size < this.#needed()) continue
        const message = this.#part.subarray(PREFIX_BYTES, this.#size)
        this.release()
        if (!take(message)) return undefined
        continue
      }
      const failure = this.#failureOf(rest, rest.length)
      if (failure) return failure
      const end = rest.length < PREFIX_BYTES ? Infinity : PREFIX_BYTES + rest.readUInt32BE(1)
      if (end > rest.length) {
        return this.#append(rest, Math.min(end, rest.length + LEAST_ROOM_BYTES)) ? undefined : 'no-room'
      }
      const message = rest.subarray(PREFIX_BYTES, end)
      rest = rest.subarray(end)
      if (!take(message)) return undefined
    }
    return undefined
  }

  /** Gives back what is held. */
  release(): void {
    if (this.#part.length > 0) this.#budget.giveBack(this.#part.length)
    this.#part = NOTHING
    this.#size = 0
  }

  #failureOf(bytes: Buffer, size: number): FramingFailure | undefined {
    if (size > 0 && bytes[0] !== 0) return 'compressed'
    if (size < PREFIX_BYTES) return undefined
    return bytes.readUInt32BE(1) > this.#maxMessageBytes ? 'too-long' : undefined
  }

  /** Bytes of the message that has begun, as far as that is known: its prefix first. */
  #needed(): number {
    return this.#size < PREFIX_BYTES ? PREFIX_BYTES : PREFIX_BYTES + this.#part.readUInt32BE(1)
  }

  #append(chunk: Buffer, needed: number): boolean {
    const size = this.#size + chunk.length
    if (size > this.#part.length) {
      const room = Math.max(size, Math.min(needed, size * 2), LEAST_ROOM_BYTES)
      if (!this.#budget.tryTake(room - this.#part.length)) return false
      const roomy = Buffer.allocUnsafeSlow(room)
      this.#part.copy(roomy, 0, 0, this.#size)
      this.#part = roomy
    }
    chunk.copy(this.#part, this.#size)
    this.#size = size
    return true
  }
}
