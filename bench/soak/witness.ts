import { readFileSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import type { Timeline } from './timeline.js'

const LOOK_EVERY_MS = 100
/** A Redis that answers later, or a process of ours that had no turn for longer, stalls. */
const SLOW_MS = 250
/** A server that waited for a processor for half of the last second stalls. */
const LOOKS_BACK = 10
const WAITED_MS = 500
/** The server finds out within a second that the store is back, and may have found out as late that it was slow. */
const AFTER_MS = 1500

export type Stall = { readonly fromMs: number; untilMs: number; readonly why: string }

export type WitnessParts = {
  readonly redisPort: number
  /** The server's. */
  readonly pid: number
  readonly now: () => number
  /** True while nobody can say that the server reached its store in time. */
  readonly stalled: Timeline<boolean>
  /** Redis is made to be slow on purpose, and the schedule knows. */
  readonly isStoreAway: () => boolean
}

/**
 * Sees from outside when this machine, and not the server, is what is slow: its own turns, answers of Redis, and how
 * long the kernel let the server wait for a processor. The server's own fault is none of these.
 */
export class Witness {
  readonly stalls: Stall[] = []
  readonly #parts: WitnessParts
  readonly #timer: NodeJS.Timeout
  #socket: Socket | undefined
  #pingMs: number | undefined
  #lookedMs: number
  /** Of the last looks, the newest last. */
  readonly #waitedMs: number[]
  #open: Stall | undefined

  constructor(parts: WitnessParts) {
    this.#parts = parts
    this.#lookedMs = parts.now()
    this.#waitedMs = [waitedMs(parts.pid)]
    this.#timer = setInterval(() => this.#turn(), LOOK_EVERY_MS)
  }

  /** Before an answer is judged, so that a stall which ended with it is known. */
  look(): void {
    const nowMs = this.#parts.now()
    const [lateMs, ageMs] = [nowMs - this.#lookedMs - LOOK_EVERY_MS, nowMs - (this.#pingMs ?? nowMs)]
    if (lateMs > SLOW_MS) this.#slow(this.#lookedMs, 'this process had no turn')
    if (ageMs > SLOW_MS && this.#pingMs !== undefined && !this.#parts.isStoreAway())
      this.#slow(this.#pingMs, 'Redis answers late')
    this.#lookAtProcessor()
  }

  close(): void {
    clearInterval(this.#timer)
    this.#socket?.destroy()
  }

  #turn(): void {
    this.look()
    const nowMs = this.#parts.now()
    this.#lookedMs = nowMs
    const open = this.#open
    if (open && nowMs - open.untilMs > AFTER_MS) {
      this.#open = undefined
      this.#parts.stalled.begin(false, nowMs)
      this.#parts.stalled.settle(nowMs)
    }
    this.#waitedMs.push(waitedMs(this.#parts.pid))
    if (this.#waitedMs.length > LOOKS_BACK) this.#waitedMs.shift()
    this.#ping(nowMs)
  }

  #slow(fromMs: number, why: string): void {
    const nowMs = this.#parts.now()
    if (this.#open) {
      this.#open.untilMs = nowMs
      return
    }
    this.#open = { fromMs, untilMs: nowMs, why }
    this.stalls.push(this.#open)
    this.#parts.stalled.begin(true, fromMs)
  }

  #lookAtProcessor(): void {
    const waited = waitedMs(this.#parts.pid) - (this.#waitedMs[0] ?? 0)
    if (waited > WAITED_MS) this.#slow(this.#parts.now() - waited, 'the server had no processor')
  }

  /** One at a time; while Redis is down there is nobody to ask, which its own window covers. */
  #ping(nowMs: number): void {
    if (this.#pingMs !== undefined) return
    if (!this.#socket) {
      const socket = connect(this.#parts.redisPort, '127.0.0.1')
      this.#socket = socket
      const gone = (): void => {
        if (this.#socket === socket) [this.#socket, this.#pingMs] = [undefined, undefined]
      }
      socket.on('error', gone).on('close', gone)
      socket.on('data', () => {
        this.look()
        this.#pingMs = undefined
      })
    }
    this.#pingMs = nowMs
    this.#socket.write('PING\r\n')
  }
}

/** How long the kernel let the main thread of a process wait while it could have run. */
function waitedMs(pid: number): number {
  try {
    return Number(readFileSync(`/proc/${pid}/task/${pid}/schedstat`, 'utf8').split(' ')[1]) / 1e6
  } catch {
    return 0
  }
}
