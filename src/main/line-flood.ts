import type { LogFields, LogLevel } from './log-line.js'

type Put = (level: LogLevel, component: string, message: string, fields: LogFields) => void

/** Lines with the same message that are written within one window; the others are counted. */
const FIRST_LINES = 20
const WINDOW_MS = 10_000
/** Messages that are told apart; they are written in the code, so that only a few hold a name. */
const MAX_MESSAGES = 1000

type Counted = {
  readonly level: LogLevel
  readonly component: string
  readonly message: string
  lines: number
}

/** Keeps a flood of one message from filling the disk: its first lines, then a line that says how many came. */
export class LineFlood {
  readonly #put: Put
  readonly #messages = new Map<string, Counted>()
  #timer: NodeJS.Timeout | undefined
  #heldBack = 0

  constructor(put: Put) {
    this.#put = put
  }

  get heldBack(): number {
    return this.#heldBack
  }

  take(level: LogLevel, component: string, message: string, fields: LogFields): void {
    const counted = this.#countedOf(level, component, message)
    counted.lines++
    if (counted.lines <= FIRST_LINES) this.#put(level, component, message, fields)
    else this.#heldBack++
    this.#timer ??= setTimeout(() => this.#tell(), WINDOW_MS).unref()
  }

  /** Tells of what was counted, and begins anew. */
  close(): void {
    clearTimeout(this.#timer)
    this.#tell()
  }

  #countedOf(level: LogLevel, component: string, message: string): Counted {
    const name = `${level} ${component} ${message}`
    const isFull = this.#messages.size >= MAX_MESSAGES && !this.#messages.has(name)
    const key = isFull ? '' : name
    let counted = this.#messages.get(key)
    if (!counted) {
      counted = { level, component, message: isFull ? 'other messages' : message, lines: 0 }
      this.#messages.set(key, counted)
    }
    return counted
  }

  #tell(): void {
    this.#timer = undefined
    for (const { level, component, message, lines } of this.#messages.values()) {
      if (lines > FIRST_LINES) this.#put(level, component, message, { heldBack: lines - FIRST_LINES })
    }
    this.#messages.clear()
  }
}
