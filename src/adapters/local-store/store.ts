import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Eventually } from '../../identity/eventually.js'
import type { Claim, ClaimAnswer, ReplayGuard } from '../../identity/replay.js'
import { append, type Waiting } from '../../state/coalesce.js'
import { effective, MAX_FIELDS, MAX_NAME, type StateDelta, type StateOp } from '../../state/record.js'
import type {
  DocumentStore,
  LimitedUse,
  ReadAnswer,
  Standing,
  StateStore,
  StoreHealth,
} from '../../state/store.js'
import { type Answered, Asked } from './asked.js'
import { OrderedCopies } from './copies.js'
import { LocalDocuments } from './documents.js'
import { Link } from './link.js'
import { type Batch, OwnChanges } from './own-changes.js'
import { encodeDeltas, isKey, isNumber, recordOf } from './wire.js'

export type LocalStoreOptions = {
  /** Of the supervisor's socket. */
  readonly path: string
  /** Records held here at most; 200,000 by default. */
  readonly maxCopies?: number | undefined
  /** Records with changes that the supervisor has not taken; changes of more are lost. 100,000 by default. */
  readonly maxPending?: number | undefined
  /** What is noted is sent after so long at most, many together; 20 by default. */
  readonly flushEveryMs?: number | undefined
  /** No read or claim waits longer; 250 by default. */
  readonly commandTimeoutMs?: number | undefined
  readonly onUnavailable: { readonly mode: 'Deny' } | { readonly mode: 'LastKnown'; readonly forMs: number }
  readonly now: () => number
  readonly warn: (message: string) => void
}

const FIRST_CONNECTION_MS = 5000
/** For what waits for a disk. */
const DURABLE_MS = 2000
/** Questions on their way; what is asked beyond is `unavailable`. */
const MAX_ASKED = 10_000

/** A read on its way, with own changes since it was asked: they are sent behind it, so its answer is without them. */
type Flight = {
  readonly id: number
  readonly own: Waiting
  isWhole: boolean
  readonly answer: Promise<ReadAnswer>
}

/**
 * Opens the store that a supervisor serves, in a worker. Waits 5 s at most for the connection; without one it is
 * `unavailable` and goes on trying. Never rejects.
 *
 * Copies are kept right by being told of every change in the store's order (see `serveLocalStore`). Own changes are in
 * them before the store has them, so for a moment they stand at another place in the order; for operations that
 * commute that makes no difference, and where it could (a field dropped, a record at its limit of fields) while own
 * changes and told ones cross, the record is asked for again.
 *
 * After a gap all copies are in doubt, and changes that had no answer are sent again under their old numbers, by which
 * the supervisor knows those that it has. One that was started anew knows none: what was on its way then may count twice.
 */
export async function openLocalStore(options: LocalStoreOptions): Promise<StateStore> {
  const store = new LocalStore(options)
  const end = performance.now() + FIRST_CONNECTION_MS
  while (store.health().standing !== 'current' && performance.now() < end) await sleep(5)
  return store
}

class LocalStore implements StateStore {
  readonly documents: DocumentStore
  readonly claims: ReplayGuard
  readonly #options: LocalStoreOptions
  readonly #link: Link
  readonly #copies: OrderedCopies
  readonly #own: OwnChanges
  readonly #flights = new Map<string, Flight>()
  readonly #reads: Asked
  readonly #quick: Asked
  readonly #durable = new Asked(DURABLE_MS)
  #lastId = 0
  #lost = 0
  #isServed = false
  #linkProblem: string | undefined = 'not connected yet'
  #storeProblem: string | undefined
  #lostBeforeMs: number | undefined
  #isWarned = false
  #closed = false

  constructor(options: LocalStoreOptions) {
    const { path, maxCopies = 200_000, flushEveryMs = 20, commandTimeoutMs = 250 } = options
    this.#options = options
    this.#copies = new OrderedCopies(maxCopies)
    this.#reads = new Asked(commandTimeoutMs)
    this.#quick = new Asked(commandTimeoutMs)
    this.#own = new OwnChanges({
      flushEveryMs,
      isOpen: () => this.#link.isUp,
      send: (batch) => this.#link.sendChanges(batch.number, batch.isDurable, encodeDeltas(deltasOf(batch))),
    })
    this.#link = new Link({
      path,
      instance: randomUUID(),
      onUp: () => this.#onUp(),
      onDown: () => {
        this.#quick.giveUp()
        this.#durable.giveUp()
      },
      onMessage: (message) => this.#onMessage(message),
      onTold: (deltas) => this.#onTold(deltas),
      onHealth: (health) => this.#onHealth(health),
      onFailure: (error) => this.#fail(error),
    })
    this.documents = new LocalDocuments((name, ...parts) => this.#ask(this.#durable, name, ...parts))
    this.claims = { claim: (claim, nowMs) => this.#claim(claim, nowMs) }
  }

  read(key: string, nowMs: number): Eventually<ReadAnswer> {
    const standing = this.#standing()
    if (standing === 'unavailable') return standing
    if (standing === 'last-known') {
      const copy = this.#copies.lastKnown(key, nowMs)
      if (copy) return copy
      // A connection that ended just now may be back before the time is over.
      return this.#link.isCurrent ? this.#askRecord(key) : 'unavailable'
    }
    const valid = this.#link.isUp ? this.#copies.valid(key, nowMs) : undefined
    return valid ?? this.#askRecord(key)
  }

  note(deltas: readonly StateDelta[]): void {
    const { maxPending = 100_000 } = this.#options
    for (const delta of this.#begin(deltas)) {
      const hasRoom = this.#own.isWaiting(delta.key) || this.#own.pending < maxPending
      if (!hasRoom || !this.#own.note(delta)) this.#lost++
    }
  }

  async commit(deltas: readonly StateDelta[]): Promise<'committed' | 'unavailable'> {
    if (this.#closed) return 'unavailable'
    const isWritten = await within(this.#own.commit(this.#begin(deltas)), DURABLE_MS)
    return isWritten === true ? 'committed' : 'unavailable'
  }

  /** A use that the store may have counted without an answer in time is used up, and `unavailable`. */
  async consume(use: LimitedUse): Promise<'consumed' | 'exhausted' | 'unavailable'> {
    const { key, field, limit, expiresAtMs } = use
    if (this.#standing() !== 'current' || field.length > MAX_NAME || !Number.isFinite(expiresAtMs)) {
      return 'unavailable'
    }
    if (!isKey(key)) return 'unavailable'
    if (!(limit > 0)) return 'exhausted'
    // What is noted counts before it.
    if (this.#own.isWaiting(key)) void this.#own.flush()
    const most = Math.min(limit, Number.MAX_SAFE_INTEGER)
    const answer = await this.#ask(this.#durable, 'consume', key, field, most, expiresAtMs)
    if (answer === 'consumed' || answer === 'exhausted') return answer
    return 'unavailable'
  }

  readonly health = (): StoreHealth => ({
    standing: this.#standing(),
    problem: this.#linkProblem ?? this.#storeProblem,
    copies: this.#copies.size,
    pending: this.#own.pending,
    lost: this.#lost,
    lostBeforeMs: this.#lostBeforeMs,
  })

  async close(_nowMs: number): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    if (this.#link.isUp) await within(this.#own.flushAll(), DURABLE_MS)
    this.#lost += this.#own.pending
    this.#own.stop()
    this.#link.stop()
    for (const asked of [this.#reads, this.#quick, this.#durable]) asked.giveUp()
  }

  #standing(): Standing {
    if (this.#closed) return 'unavailable'
    const { onUnavailable } = this.#options
    const { isCurrent, isUp, agoMs } = this.#link
    const isSound = isCurrent && this.#isServed
    if (onUnavailable.mode === 'Deny') return isSound ? 'current' : 'unavailable'
    if (isSound && isUp) return 'current'
    return agoMs <= onUnavailable.forMs ? 'last-known' : 'unavailable'
  }

  /** What there is to change at all, applied to the copies. */
  #begin(deltas: readonly StateDelta[]): readonly StateDelta[] {
    if (this.#closed) {
      this.#lost += deltas.length
      return []
    }
    const nowMs = this.#options.now()
    const begun: StateDelta[] = []
    for (const delta of deltas) {
      const ops = effective(delta.ops)
      if (ops.length === 0 || !Number.isFinite(delta.expiresAtMs) || !isKey(delta.key)) continue
      const own = ops === delta.ops ? delta : { ...delta, ops }
      begun.push(own)
      this.#copies.apply(own, nowMs)
      const flight = this.#flights.get(own.key)
      if (flight && !append(flight.own, own)) flight.isWhole = false
    }
    return begun
  }

  #askRecord(key: string): Eventually<ReadAnswer> {
    const under = this.#flights.get(key)
    if (under) return under.answer
    if (!isKey(key) || this.#reads.size >= MAX_ASKED) return 'unavailable'
    // The answer is to have what was changed before.
    if (this.#own.isWaiting(key)) void this.#own.flush()
    const id = ++this.#lastId
    const answer = new Promise<ReadAnswer>((resolve) => {
      this.#reads.add(id, (answered) => resolve(this.#landed(key, answered)))
    })
    this.#flights.set(key, { id, own: { ops: [], expiresAtMs: 0 }, isWhole: true, answer })
    this.#link.send(['read', id, key])
    return answer
  }

  /** Runs at the answer itself, before anything that is told behind it. */
  #landed(key: string, answered: Answered): ReadAnswer {
    const flight = this.#flights.get(key)
    this.#flights.delete(key)
    if (answered === 'late' || answered.parts[2] !== 'record' || !flight) return 'unavailable'
    const loaded = recordOf(answered.parts, 3)
    if (!loaded || !flight.isWhole) return 'unavailable'
    this.#copies.keep(key, loaded)
    const nowMs = this.#options.now()
    const { ops, expiresAtMs } = flight.own
    if (ops.length > 0) this.#copies.apply({ key, ops, expiresAtMs }, nowMs)
    return this.#copies.lastKnown(key, nowMs) ?? 'unavailable'
  }

  #claim({ key, issuedAtMs, expiresAtMs }: Claim, nowMs: number): Eventually<ClaimAnswer> {
    if (this.#standing() !== 'current' || !isKey(key)) return 'unavailable'
    if (!isNumber(issuedAtMs) || !isNumber(expiresAtMs) || !isNumber(nowMs)) return 'unavailable'
    return this.#ask(this.#quick, 'claim', key, issuedAtMs, expiresAtMs, nowMs).then((answer) =>
      answer === 'first' || answer === 'replayed' || answer === 'before-start' ? answer : 'unavailable',
    )
  }

  /** One trip; without an answer it is `unavailable`. */
  #ask(asked: Asked, name: string, ...parts: readonly unknown[]): Promise<unknown> {
    if (this.#closed || !this.#link.isUp || asked.size >= MAX_ASKED) return Promise.resolve('unavailable')
    const id = ++this.#lastId
    return new Promise((resolve) => {
      asked.add(id, (answered) => resolve(answered === 'late' ? 'unavailable' : answered.parts[2]))
      this.#link.send([name, id, ...parts])
    })
  }

  #onUp(): void {
    this.#copies.doubtAll()
    this.#own.resend()
    for (const [key, { id, own }] of this.#flights) {
      // They have been sent before it now.
      own.ops.splice(0)
      this.#link.send(['read', id, key])
    }
    if (this.#isWarned) this.#options.warn('the store of the supervisor: reachable again')
    this.#isWarned = false
    this.#linkProblem = undefined
  }

  #onMessage(message: readonly unknown[]): boolean {
    const [name, id, isWritten, lost] = message
    if (typeof id !== 'number') return false
    if (name === 'answer') {
      const answer = { parts: message }
      if (!this.#reads.answer(id, answer) && !this.#quick.answer(id, answer)) this.#durable.answer(id, answer)
      return true
    }
    if (name !== 'written' || typeof lost !== 'number') return false
    this.#lost += lost
    this.#own.written(id, isWritten === true)
    return true
  }

  #onTold(deltas: readonly StateDelta[]): void {
    const nowMs = this.#options.now()
    for (const delta of deltas) {
      const fields = this.#copies.apply(delta, nowMs)
      if (fields !== undefined && this.#isCrossed(delta, fields)) this.#copies.doubt(delta.key)
    }
  }

  /** Own changes may have another place in the store's order than here, and it matters. */
  #isCrossed({ key, ops }: StateDelta, fields: number): boolean {
    for (const own of this.#own.of(key)) {
      if (fields >= MAX_FIELDS || ops.some(isDrop) || own.ops.some(isDrop)) return true
    }
    return false
  }

  #onHealth(health: unknown): boolean {
    if (!Array.isArray(health)) return false
    const [isServed, problem, lostBeforeMs]: readonly unknown[] = health
    this.#isServed = isServed === true
    this.#storeProblem = typeof problem === 'string' ? problem : undefined
    this.#lostBeforeMs = typeof lostBeforeMs === 'number' ? lostBeforeMs : undefined
    return true
  }

  #fail(error: unknown): void {
    this.#linkProblem = error instanceof Error ? error.message : String(error)
    if (this.#closed || this.#isWarned) return
    this.#isWarned = true
    this.#options.warn(`the store of the supervisor is not reachable: ${this.#linkProblem}`)
  }
}

const isDrop = (op: StateOp): boolean => op[0] === 'drop'

function* deltasOf({ entries }: Batch): Generator<StateDelta> {
  for (const [key, { ops, expiresAtMs }] of entries) yield { key, ops, expiresAtMs }
}

async function within<T>(promise: Promise<T>, ms: number): Promise<T | 'late'> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<'late'>((resolve) => {
    timer = setTimeout(() => resolve('late'), ms)
  })
  try {
    return await Promise.race([promise, late])
  } finally {
    clearTimeout(timer)
  }
}
