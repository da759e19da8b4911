import { connect, type Socket } from 'node:net'
import { type Backoff, backoffMs } from '../../audit/backoff.js'
import type { StateDelta } from '../../state/record.js'
import { BATCH_BYTES, FrameReader, KINDS } from './frames.js'
import { Outbox } from './outbox.js'
import { decodeDeltas, decodeMessages, FORMAT } from './wire.js'

const AGAIN: Backoff = { firstMs: 10, mostMs: 1000 }
const WELCOME_WITHIN_MS = 1000
const BEAT_EVERY_MS = 250
/** Without an answer to a beat for longer, what is told may be late. Source: REQUIREMENTS R6, 1 s at worst. */
const CURRENT_MS = 1000
/** Without one for longer the connection is given up. */
const SILENT_MS = 2000
/** More than this is not sent to a supervisor that doesn't read. */
const MAX_BACKLOG = 16 * 1024 * 1024

export type LinkOptions = {
  readonly path: string
  /** Names this process for as long as it lives. */
  readonly instance: string
  /** What is asked can be asked now; changes may have been missed before. */
  readonly onUp: () => void
  /** Nothing that was asked will be answered. */
  readonly onDown: () => void
  /** False: it is no message. */
  readonly onMessage: (message: readonly unknown[]) => boolean
  readonly onTold: (deltas: readonly StateDelta[]) => void
  /** What the supervisor says of its store, with each beat. False: it is nothing of the kind. */
  readonly onHealth: (health: unknown) => boolean
  readonly onFailure: (error: unknown) => void
}

/** A worker's connection to its supervisor, made again whenever it ends. */
export class Link {
  readonly #options: LinkOptions
  #socket: Socket | undefined
  #outbox: Outbox | undefined
  #isUp = false
  #failures = 0
  #beats = 0
  #beatAt = -Infinity
  #answeredBeat = 0
  /** When the last beat that was answered was sent, by this process's clock. */
  #lastGood = -Infinity
  #openedAt = 0
  #timer: NodeJS.Timeout | undefined
  readonly #watch: NodeJS.Timeout
  #isStopped = false

  constructor(options: LinkOptions) {
    this.#options = options
    this.#watch = setInterval(() => this.#beat(), BEAT_EVERY_MS).unref()
    this.#open()
  }

  get isUp(): boolean {
    return this.#isUp
  }

  /** Milliseconds since the last good beat; Infinity before the first. */
  get agoMs(): number {
    return performance.now() - this.#lastGood
  }

  /** No change by others came later than it may. */
  get isCurrent(): boolean {
    return this.agoMs <= CURRENT_MS
  }

  /** Into nothing while it is not up. */
  send(message: readonly unknown[]): void {
    if (this.#isUp) this.#outbox?.send(message)
  }

  sendChanges(number: number, isDurable: boolean, changes: Buffer): void {
    if (!this.#isUp) return
    const head = Buffer.allocUnsafe(BATCH_BYTES)
    head.writeDoubleLE(number, 0)
    head[8] = isDurable ? 1 : 0
    this.#outbox?.sendFrame(KINDS.changes, head, changes)
  }

  stop(): void {
    this.#isStopped = true
    clearInterval(this.#watch)
    clearTimeout(this.#timer)
    this.#outbox?.flush()
    this.#socket?.destroySoon()
    this.#down()
  }

  #open(): void {
    const socket = connect(this.#options.path)
    this.#socket = socket
    this.#openedAt = performance.now()
    const outbox = new Outbox(socket, MAX_BACKLOG, () =>
      socket.destroy(new Error('the supervisor does not read')),
    )
    this.#outbox = outbox
    const reader = new FrameReader((kind, body) => this.#take(kind, body))
    socket.once('connect', () => {
      outbox.send(['hello', FORMAT, this.#options.instance])
      outbox.flush()
    })
    socket.on('data', (chunk: Buffer) => {
      // What still comes over a connection that was given up is from before the gap.
      if (this.#socket === socket && !socket.destroyed && !reader.push(chunk)) {
        socket.destroy(new Error('what the supervisor sent can not be read'))
      }
    })
    socket.on('error', (error) => {
      if (!this.#isStopped) this.#options.onFailure(error)
    })
    socket.once('close', () => this.#ended(socket))
  }

  #take(kind: number, body: Buffer): boolean {
    if (kind === KINDS.told) {
      const deltas = decodeDeltas(body)
      if (deltas) this.#options.onTold(deltas)
      return deltas !== undefined
    }
    const messages = kind === KINDS.messages ? decodeMessages(body) : undefined
    return messages?.every((message) => this.#hear(message)) === true
  }

  #hear(message: readonly unknown[]): boolean {
    const [name, number, health] = message
    if (name === 'welcome') {
      if (this.#isUp || !this.#options.onHealth(number)) return false
      this.#isUp = true
      this.#failures = 0
      this.#answeredBeat = this.#beats
      this.#lastGood = this.#openedAt
      this.#options.onUp()
      return true
    }
    if (name !== 'pong') return this.#options.onMessage(message)
    if (typeof number !== 'number' || !this.#options.onHealth(health)) return false
    this.#answeredBeat = number
    if (number === this.#beats) this.#lastGood = this.#beatAt
    return true
  }

  /** One beat is under way at a time, so that a good one says how old it is. */
  #beat(): void {
    if (!this.#isUp) {
      if (performance.now() - this.#openedAt > WELCOME_WITHIN_MS) this.#giveUp('no welcome')
      return
    }
    if (this.#answeredBeat !== this.#beats) {
      if (performance.now() - this.#beatAt > SILENT_MS) this.#giveUp('no answer')
      return
    }
    this.#beatAt = performance.now()
    this.send(['ping', ++this.#beats])
  }

  #giveUp(why: string): void {
    const socket = this.#socket
    if (!socket || socket.destroyed) return
    socket.destroy(new Error(`${why} from the supervisor`))
  }

  #ended(socket: Socket): void {
    if (this.#socket !== socket) return
    this.#down()
    if (this.#isStopped) return
    this.#timer = setTimeout(() => this.#open(), backoffMs(++this.#failures, AGAIN, Math.random())).unref()
  }

  #down(): void {
    this.#socket = undefined
    this.#outbox = undefined
    const wasUp = this.#isUp
    this.#isUp = false
    if (wasUp) this.#options.onDown()
  }
}
