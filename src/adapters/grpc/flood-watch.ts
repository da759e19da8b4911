import type { ServerHttp2Stream } from 'node:http2'
import { Allowance } from './allowance.js'
import type { Excess } from './closing.js'
import type { GrpcLimits } from './limits.js'
import type { Turns } from './turns.js'

/** What a connection did too much of; `resets` may be an Envoy whose callers all went away. */
export type TooMuch =
  Extract<Excess, 'rapid-resets' | 'settings' | 'data-frames' | 'idle-bytes' | 'unread-answers'> | 'resets'

/** DATA frames that a call may have beside one for each KiB. */
const FRAMES_OF_CALL = 16
const FRAME_BYTES = 1024
/** No client gives up so soon, milliseconds. */
const RAPID_MS = 50
/** Frames are counted one by one and judged in lots. */
const LOT = 256
/** So many answers that aren't taken for so long are no slow network. */
const MANY_UNREAD = 256
const MANY_UNREAD_MS = 1000

/** What one connection sends that is no call, or a call whose answer nobody wants. Tells what there is too much of. */
export class FloodWatch {
  readonly #limits: GrpcLimits
  readonly #turns: Turns
  readonly #tell: (reason: TooMuch) => void
  readonly #rapidResets: Allowance
  readonly #resets: Allowance
  readonly #settings: Allowance
  readonly #dataFrames: Allowance
  readonly #idleBytes: Allowance
  /** Open streams by the turn of the event loop that they came in. */
  readonly #open = new Map<ServerHttp2Stream, number>()
  /** Of these, those whose answer isn't taken yet, by when that was first seen. */
  readonly #unread = new Map<ServerHttp2Stream, number>()
  #bytesRead: number
  /** Since they were judged last. */
  #calls = 0
  #messageBytes = 0
  /** Less what calls and their bytes account for. */
  #extraFrames = 0

  /** `bytesRead`: of the connection so far. */
  constructor(
    { limits, turns }: { readonly limits: GrpcLimits; readonly turns: Turns },
    nowMs: number,
    bytesRead: number,
    tell: (reason: TooMuch) => void,
  ) {
    const { floods } = limits
    this.#limits = limits
    this.#turns = turns
    this.#tell = tell
    this.#rapidResets = new Allowance(floods.rapidResets, nowMs)
    this.#resets = new Allowance(floods.resets, nowMs)
    this.#settings = new Allowance(floods.settings, nowMs)
    this.#dataFrames = new Allowance(floods.dataFrames, nowMs)
    this.#idleBytes = new Allowance(floods.idleBytes, nowMs)
    this.#bytesRead = bytesRead
  }

  /** From its opening to its end. */
  follow(stream: ServerHttp2Stream): void {
    this.#calls++
    this.#extraFrames = Math.max(-LOT, this.#extraFrames - FRAMES_OF_CALL)
    this.#open.set(stream, currentTurn())
    stream.on('data', this.#onData)
    stream.on('close', () => this.#ended(stream))
  }

  settings(): void {
    if (!this.#settings.take(1, performance.now())) this.#tell('settings')
  }

  /** `bytesRead`: of the connection, since it began. */
  look(bytesRead: number, nowMs: number): void {
    const idle =
      bytesRead - this.#bytesRead - this.#messageBytes - this.#calls * this.#limits.floods.callBytes
    this.#bytesRead = bytesRead
    this.#messageBytes = 0
    this.#calls = 0
    if (idle > 0 && !this.#idleBytes.take(idle, nowMs)) return this.#tell('idle-bytes')
    for (const stream of this.#open.keys()) {
      if (stream.writableEnded && !this.#unread.has(stream)) this.#unread.set(stream, nowMs)
    }
    const [oldest] = this.#unread.values()
    if (oldest === undefined) return
    const waitMs = this.#unread.size >= MANY_UNREAD ? MANY_UNREAD_MS : this.#limits.stallMs
    if (nowMs - oldest >= waitMs) this.#tell('unread-answers')
  }

  readonly #onData = (chunk: Buffer): void => {
    this.#messageBytes += chunk.length
    this.#extraFrames = Math.max(-LOT, this.#extraFrames + 1 - chunk.length / FRAME_BYTES)
    if (this.#extraFrames < LOT) return
    this.#extraFrames = 0
    if (!this.#dataFrames.take(LOT, performance.now())) this.#tell('data-frames')
  }

  #ended(stream: ServerHttp2Stream): void {
    const cameIn = this.#open.get(stream)
    this.#open.delete(stream)
    this.#unread.delete(stream)
    if (stream.writableFinished && !stream.aborted) return this.#rapidResets.giveBack(1)
    const nowMs = performance.now()
    // What waited for long to be read may have been reset long after it came, by a client whose time was up.
    const isRapid = cameIn === currentTurn() && this.#turns.waitedMs(nowMs) < RAPID_MS
    if (isRapid && !this.#rapidResets.take(1, nowMs)) this.#tell('rapid-resets')
    else if (!this.#resets.take(1, nowMs)) this.#tell('resets')
  }
}

let turn = 0
let turning = false

/** A number for what the event loop handles between two of its looks for new input. */
function currentTurn(): number {
  if (!turning) {
    turning = true
    setImmediate(nextTurn)
  }
  return turn
}

function nextTurn(): void {
  turning = false
  turn++
}
