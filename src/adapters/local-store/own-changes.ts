import { append, type Waiting } from '../../state/coalesce.js'
import type { StateDelta } from '../../state/record.js'

/** Changes that are sent together. A batch keeps its number until it is written, so that it counts once. */
export type Batch = {
  readonly number: number
  readonly isDurable: boolean
  readonly entries: ReadonlyMap<string, Waiting>
}

type Sent = Batch & { readonly settle: (isWritten: boolean) => void; readonly isWritten: Promise<boolean> }

export type OwnChangesOptions = {
  readonly send: (batch: Batch) => void
  /** Whether what is sent now arrives soon. */
  readonly isOpen: () => boolean
  readonly flushEveryMs: number
}

const MAX_BATCH_RECORDS = 128
const MAX_BATCH_OPS = 1000

/** Changes by this process that the store is not known to have: those that wait, and those sent without an answer. */
export class OwnChanges {
  readonly #options: OwnChangesOptions
  #waiting = new Map<string, Waiting>()
  /** By number, the earliest first. */
  readonly #sent = new Map<number, Sent>()
  #sentRecords = 0
  #isUrgent = false
  #number = 0
  #timer: NodeJS.Timeout | undefined

  constructor(options: OwnChangesOptions) {
    this.#options = options
  }

  /** Records with changes. */
  get pending(): number {
    return this.#waiting.size + this.#sentRecords
  }

  isWaiting(key: string): boolean {
    return this.#waiting.has(key)
  }

  /** Everything of the record that is not written, in its order. */
  *of(key: string): Generator<Waiting> {
    for (const { entries } of this.#sent.values()) {
      const sent = entries.get(key)
      if (sent) yield sent
    }
    const waiting = this.#waiting.get(key)
    if (waiting) yield waiting
  }

  /** False: too much waits for this record already, the change is not taken. */
  note(delta: StateDelta): boolean {
    const isTaken = this.#take(delta)
    if (isTaken) {
      this.#timer ??= setTimeout(() => void this.flush(), this.#options.flushEveryMs).unref()
    }
    return isTaken
  }

  /** Sends now. Whether all is written durably; where nothing can be sent now, false at once, and it goes later. */
  async commit(deltas: readonly StateDelta[]): Promise<boolean> {
    let isTaken = true
    for (const delta of deltas) isTaken = this.#take(delta) && isTaken
    this.#isUrgent = true
    if (!this.#options.isOpen()) return false
    return (await this.flush()) && isTaken
  }

  /** Sends what waits. Settles once all of that is written. */
  async flush(): Promise<boolean> {
    const written = await Promise.all(this.#flush())
    return written.every(Boolean)
  }

  /** Everything durably. */
  flushAll(): Promise<unknown> {
    this.#isUrgent = true
    void this.flush()
    return Promise.all([...this.#sent.values()].map(({ isWritten }) => isWritten))
  }

  /** `isWritten` false: the store could not make it durable. It has it, and tries again by itself. */
  written(number: number, isWritten: boolean): void {
    const batch = this.#sent.get(number)
    if (!batch) return
    this.#sent.delete(number)
    this.#sentRecords -= batch.entries.size
    batch.settle(isWritten)
  }

  /** What was sent over a connection that is gone, then what waits. */
  resend(): void {
    for (const batch of this.#sent.values()) this.#options.send(batch)
    void this.flush()
  }

  stop(): void {
    clearTimeout(this.#timer)
  }

  #flush(): Promise<boolean>[] {
    clearTimeout(this.#timer)
    this.#timer = undefined
    if (this.#waiting.size === 0 || !this.#options.isOpen()) return []
    const waiting = this.#waiting
    const isDurable = this.#isUrgent
    this.#waiting = new Map()
    this.#isUrgent = false
    const batches: Promise<boolean>[] = []
    let entries = new Map<string, Waiting>()
    let ops = 0
    const send = (): void => {
      batches.push(this.#send(entries, isDurable))
      entries = new Map()
      ops = 0
    }
    for (const [key, changes] of waiting) {
      entries.set(key, changes)
      ops += changes.ops.length
      if (entries.size >= MAX_BATCH_RECORDS || ops >= MAX_BATCH_OPS) send()
    }
    if (entries.size > 0) send()
    return batches
  }

  #take({ key, ops, expiresAtMs }: StateDelta): boolean {
    const waiting = this.#waiting.get(key)
    if (waiting) return append(waiting, { ops, expiresAtMs })
    const begun: Waiting = { ops: [], expiresAtMs }
    if (!append(begun, { ops, expiresAtMs })) return false
    this.#waiting.set(key, begun)
    return true
  }

  #send(entries: ReadonlyMap<string, Waiting>, isDurable: boolean): Promise<boolean> {
    const { promise, resolve } = deferred()
    const batch: Sent = { number: ++this.#number, isDurable, entries, settle: resolve, isWritten: promise }
    this.#sent.set(batch.number, batch)
    this.#sentRecords += entries.size
    this.#options.send(batch)
    return promise
  }
}

function deferred(): { promise: Promise<boolean>; resolve: (isWritten: boolean) => void } {
  let resolve: (isWritten: boolean) => void = () => undefined
  const promise = new Promise<boolean>((settle) => {
    resolve = settle
  })
  return { promise, resolve }
}
