import type { Unwritten } from '../../state/local-copies.js'
import type { StateDelta } from '../../state/record.js'
import { append, type Waiting } from '../../state/coalesce.js'

/** Changes that are written together. A batch keeps its number until it is written, so that it counts once. */
export type Batch = { readonly number: number; readonly entries: ReadonlyMap<string, Waiting> }

/** `epoch`: the store is not the one it was, and nothing was written. `failed`: nobody knows. */
export type Written = 'ok' | 'epoch' | 'failed'

export type LaneOptions = {
  readonly write: (batch: Batch) => Promise<Written>
  readonly onWritten: (keys: Iterable<string>) => void
  readonly flushEveryMs: number
}

const MAX_BATCH_RECORDS = 128
const MAX_BATCH_OPS = 2000
const RETRY_MS = 250

/** Writes changes behind, in their order, one batch at a time; what fails stays and is tried again. */
export class Lane {
  readonly #options: LaneOptions
  readonly #waiting = new Map<string, Waiting>()
  /** Of those that wait, the ones to be written first. */
  readonly #urgent = new Set<string>()
  /** Told once the batch that has their change is written, or failed. */
  readonly #listeners = new Map<string, ((isWritten: boolean) => void)[]>()
  #batch: Batch | undefined
  #number = 0
  #running: Promise<boolean> | undefined
  #timer: NodeJS.Timeout | undefined

  constructor(options: LaneOptions) {
    this.#options = options
  }

  /** Records with changes that are not written. */
  get pending(): number {
    return this.#waiting.size + (this.#batch?.entries.size ?? 0)
  }

  has(key: string): boolean {
    return this.#waiting.has(key)
  }

  /** False: too much waits for this record already, the change is not taken. */
  note(delta: StateDelta): boolean {
    const isTaken = this.#take(delta)
    if (isTaken && !this.#running) this.#later(this.#options.flushEveryMs)
    return isTaken
  }

  /** Writes now. Settles when it is written (true) or the first try has failed; it is tried again then. */
  commit(delta: StateDelta): Promise<boolean> {
    if (!this.#take(delta)) return Promise.resolve(false)
    this.#urgent.add(delta.key)
    return new Promise((resolve) => {
      const listeners = this.#listeners.get(delta.key)
      if (listeners) listeners.push(resolve)
      else this.#listeners.set(delta.key, [resolve])
      void this.flush()
    })
  }

  unwritten(key: string): Unwritten {
    const [sending, waiting] = [this.#batch?.entries.get(key), this.#waiting.get(key)]
    return { sending: sending && { key, ...sending }, waiting: waiting && { key, ...waiting } }
  }

  /** Writes what waits. False: something has failed; it is tried again later. */
  flush(): Promise<boolean> {
    clearTimeout(this.#timer)
    this.#timer = undefined
    this.#running ??= this.#run().then((isWritten) => {
      this.#running = undefined
      if (isWritten && this.#urgent.size > 0) void this.flush()
      else if (this.pending > 0) this.#later(isWritten ? this.#options.flushEveryMs : RETRY_MS)
      return isWritten
    })
    return this.#running
  }

  /** The store has lost everything: what it is to have instead of what waits. Others that wait go on waiting. */
  restore(deltas: Iterable<StateDelta>): void {
    this.#putBack()
    for (const { key, ops, expiresAtMs } of deltas) this.#waiting.set(key, { ops: [...ops], expiresAtMs })
    void this.flush()
  }

  stop(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
  }

  #take({ key, ops, expiresAtMs }: StateDelta): boolean {
    const waiting = this.#waiting.get(key)
    if (waiting) return append(waiting, { ops, expiresAtMs })
    const begun: Waiting = { ops: [], expiresAtMs }
    if (!append(begun, { ops, expiresAtMs })) return false
    this.#waiting.set(key, begun)
    return true
  }

  #later(afterMs: number): void {
    this.#timer ??= setTimeout(() => void this.flush(), afterMs).unref()
  }

  async #run(): Promise<boolean> {
    do {
      this.#batch ??= this.#nextBatch()
      const batch = this.#batch
      const written = await this.#options.write(batch)
      if (written !== 'ok') {
        if (written === 'epoch') this.#putBack()
        for (const key of this.#listeners.keys()) this.#tell(key, false)
        return false
      }
      // It may have been put back meanwhile, and is no batch any more.
      if (this.#batch !== batch) continue
      this.#batch = undefined
      this.#options.onWritten(batch.entries.keys())
      for (const key of batch.entries.keys()) if (!this.#urgent.has(key)) this.#tell(key, true)
      // A few more are better written together with those that come soon.
    } while (this.#batch || this.#urgent.size > 0 || this.#waiting.size >= MAX_BATCH_RECORDS)
    return true
  }

  #nextBatch(): Batch {
    const entries = new Map<string, Waiting>()
    let ops = 0
    for (const keys of [this.#urgent, this.#waiting.keys()]) {
      for (const key of keys) {
        if (entries.size >= MAX_BATCH_RECORDS || ops >= MAX_BATCH_OPS) break
        const waiting = this.#waiting.get(key)
        this.#urgent.delete(key)
        if (!waiting) continue
        this.#waiting.delete(key)
        entries.set(key, waiting)
        ops += waiting.ops.length
      }
    }
    return { number: ++this.#number, entries }
  }

  #putBack(): void {
    const batch = this.#batch
    this.#batch = undefined
    for (const [key, { ops, expiresAtMs }] of batch?.entries ?? []) {
      const earlier: Waiting = { ops: [...ops], expiresAtMs }
      const later = this.#waiting.get(key)
      if (later) append(earlier, later)
      this.#waiting.set(key, earlier)
    }
  }

  #tell(key: string, isWritten: boolean): void {
    const listeners = this.#listeners.get(key)
    this.#listeners.delete(key)
    for (const listener of listeners ?? []) listener(isWritten)
  }
}
