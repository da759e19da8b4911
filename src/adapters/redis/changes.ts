import type { Redis } from 'ioredis'

export type ChangesOptions = {
  /** A new connection for messages; undefined while there is nowhere to connect to. */
  readonly connect: () => Redis | undefined
  readonly changesChannel: string
  readonly beatsChannel: string
  readonly onChange: (message: Buffer) => void
  readonly onBeat: (message: string) => void
  /** Messages may have been missed from now on. */
  readonly onGap: () => void
}

const AGAIN_MS = 100

/** Listens to what other replicas change, and to its own beats, which show that it still hears. */
export class Changes {
  readonly #options: ChangesOptions
  #subscriber: Redis | undefined
  #timer: NodeJS.Timeout | undefined
  #isListening = false
  #isStopped = false

  constructor(options: ChangesOptions) {
    this.#options = options
    this.#open()
  }

  get isListening(): boolean {
    return this.#isListening
  }

  /** Begins anew, with another connection. */
  restart(): void {
    const subscriber = this.#subscriber
    subscriber?.disconnect()
    // One that was just being opened may never say that it has ended.
    if (subscriber) this.#onEnd(subscriber)
  }

  stop(): void {
    this.#isStopped = true
    clearTimeout(this.#timer)
    this.#subscriber?.disconnect()
  }

  #open(): void {
    const { connect, changesChannel, beatsChannel, onChange, onBeat, onGap } = this.#options
    const subscriber = connect()
    this.#subscriber = subscriber
    if (!subscriber) {
      this.#again()
      return
    }
    const changes = Buffer.from(changesChannel)
    subscriber.on('error', () => undefined)
    subscriber.on('messageBuffer', (channel: Buffer, message: Buffer) => {
      if (this.#subscriber !== subscriber) return
      if (channel.equals(changes)) onChange(message)
      else onBeat(message.toString())
    })
    subscriber.once('end', () => this.#onEnd(subscriber))
    subscriber.subscribe(changesChannel, beatsChannel).then(
      () => {
        if (this.#subscriber !== subscriber || this.#isStopped) return
        this.#isListening = true
        onGap()
      },
      () => subscriber.disconnect(),
    )
  }

  #onEnd(subscriber: Redis): void {
    if (this.#subscriber !== subscriber) return
    this.#subscriber = undefined
    this.#isListening = false
    this.#options.onGap()
    this.#again()
  }

  #again(): void {
    if (this.#isStopped) return
    this.#timer = setTimeout(() => this.#open(), AGAIN_MS).unref()
  }
}
