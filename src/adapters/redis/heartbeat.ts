import { setTimeout as sleep } from 'node:timers/promises'
import { type Client, masters, reconnect, within } from './connection.js'

const BEAT_EVERY_MS = 250
/** A beat may take longer than a read: nobody waits for it. */
const BEAT_MS = 200
/** Without a beat for longer, changes by others may have been missed. Source: REQUIREMENTS R6, 1 s at worst. */
const CURRENT_MS = 1000
const RECONNECT_AFTER_MS = 2000

type Beat = { readonly awaited: Set<string>; readonly heard: () => void }

export type HeartbeatOptions = {
  readonly client: Client
  /** Of this process alone. What comes there goes to `hear`. */
  readonly channel: string
  readonly commandTimeoutMs: number
  readonly isListening: () => boolean
  readonly listenAnew: () => void
  /** Goes with each beat. Rejects when the store is not what it should be. */
  readonly check: () => Promise<void>
  /** `isReturn`: the first one, or there was none for too long. `at`: when it began, by this process's clock. */
  readonly onBeat: (isReturn: boolean, at: number) => Promise<void>
  readonly onFailure: (error: unknown) => void
  /** What went wrong last. */
  readonly problem: () => string | undefined
}

/** Finds out four times a second whether the store answers, is the one it was, and is heard. */
export class Heartbeat {
  readonly #options: HeartbeatOptions
  #beat: Beat | undefined
  #beats = 0
  /** Times of this process, in milliseconds: of the last good beat, and of the last try to connect anew. */
  #lastGood = -Infinity
  #lastReconnect = -Infinity
  #isBeating = true
  #timer: NodeJS.Timeout | undefined
  #isStopped = false

  constructor(options: HeartbeatOptions) {
    this.#options = options
  }

  /** Milliseconds since the last good one; Infinity before the first. */
  get agoMs(): number {
    return performance.now() - this.#lastGood
  }

  /** No change can have been missed. */
  get isCurrent(): boolean {
    return this.agoMs <= CURRENT_MS
  }

  /** The last one was good. */
  get isBeating(): boolean {
    return this.#isBeating
  }

  /** Settles after the first good one, or so long. It goes on by itself then. */
  async begin(withinMs: number): Promise<void> {
    const end = performance.now() + withinMs
    while (!(await this.beat()) && performance.now() < end) await sleep(BEAT_EVERY_MS / 10)
    this.#again()
  }

  /** One more. False: it was not good, or there is one already. */
  async beat(): Promise<boolean> {
    if (this.#isStopped || this.#beat) return false
    const { commandTimeoutMs, onBeat, onFailure } = this.#options
    const began = performance.now()
    try {
      const came = await within(this.#goOnce(), Math.max(BEAT_MS, commandTimeoutMs))
      if (came === 'late') throw new Error('no answer in time')
    } catch (error) {
      onFailure(error)
      this.#isBeating = false
      this.#reconnect()
      return false
    } finally {
      this.#beat = undefined
    }
    const isReturn = !this.#isBeating || began - this.#lastGood > CURRENT_MS
    this.#isBeating = true
    this.#lastGood = began
    await onBeat(isReturn, began)
    return true
  }

  hear(message: string): void {
    const beat = this.#beat
    if (beat && beat.awaited.delete(message) && beat.awaited.size === 0) beat.heard()
  }

  stop(): void {
    this.#isStopped = true
    clearTimeout(this.#timer)
  }

  #again(): void {
    if (this.#isStopped) return
    this.#timer = setTimeout(() => {
      void this.beat()
        .catch((error: unknown) => this.#options.onFailure(error))
        .then(() => this.#again())
    }, BEAT_EVERY_MS).unref()
  }

  async #goOnce(): Promise<void> {
    const { client, channel, isListening, check, problem } = this.#options
    const servers = client.status === 'ready' ? masters(client) : []
    if (servers.length === 0) throw new Error(problem() ?? 'not connected')
    if (!isListening()) throw new Error('changes by other replicas are not heard')
    const number = ++this.#beats
    const names = servers.map((_, server) => `${number}.${server}`)
    const isHeard = new Promise<void>((resolve) => {
      this.#beat = { awaited: new Set(names), heard: resolve }
    })
    await Promise.all([
      ...servers.map((server, n) => server.publish(channel, names[n] ?? '')),
      check(),
      isHeard,
    ])
  }

  /** A server that is gone without a word, or hung: another connection may find the one that took over. */
  #reconnect(): void {
    const now = performance.now()
    const since = Math.max(this.#lastGood, this.#lastReconnect)
    if (since === -Infinity) this.#lastReconnect = now
    if (now - since <= RECONNECT_AFTER_MS || since === -Infinity) return
    this.#lastReconnect = now
    this.#options.listenAnew()
    reconnect(this.#options.client)
  }
}
