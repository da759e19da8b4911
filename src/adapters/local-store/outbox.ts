import type { Socket } from 'node:net'
import { header, KINDS } from './frames.js'

/** Messages that are put into one frame. */
const MAX_MESSAGES = 64

/** What is sent in one turn of the event loop goes out in one write, in its order, many messages in one frame. */
export class Outbox {
  readonly #socket: Socket
  readonly #maxBacklog: number
  readonly #onFull: () => void
  #messages: string[] = []
  #ready: Buffer[] = []
  #isScheduled = false

  /** `onFull`: more than `maxBacklog` bytes wait for the other side to read. */
  constructor(socket: Socket, maxBacklog: number, onFull: () => void) {
    this.#socket = socket
    this.#maxBacklog = maxBacklog
    this.#onFull = onFull
  }

  /** A message that can be written as JSON. */
  send(message: readonly unknown[]): void {
    this.#messages.push(JSON.stringify(message))
    if (this.#messages.length >= MAX_MESSAGES) this.#close()
    this.#schedule()
  }

  /** A frame of parts that are sent one after the other. */
  sendFrame(kind: number, ...parts: readonly Buffer[]): void {
    this.#close()
    let length = 0
    for (const part of parts) length += part.length
    this.#ready.push(header(kind, length), ...parts)
    this.#schedule()
  }

  /** Now. */
  flush(): void {
    this.#isScheduled = false
    this.#close()
    const [ready, socket] = [this.#ready, this.#socket]
    if (ready.length === 0) return
    this.#ready = []
    if (socket.destroyed) return
    if (ready.length > 2) socket.write(Buffer.concat(ready))
    else {
      socket.cork()
      for (const bytes of ready) socket.write(bytes)
      socket.uncork()
    }
    if (socket.writableLength > this.#maxBacklog) this.#onFull()
  }

  #close(): void {
    if (this.#messages.length === 0) return
    const body = Buffer.from(`[${this.#messages.join(',')}]`)
    this.#messages = []
    this.#ready.push(header(KINDS.messages, body.length), body)
  }

  #schedule(): void {
    if (this.#isScheduled) return
    this.#isScheduled = true
    setImmediate(() => this.flush())
  }
}
