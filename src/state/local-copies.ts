import { applyOps, EMPTY_RECORD, type StateDelta, type StateRecord } from './record.js'

/** A record as the store has it, with the time until which it keeps it, milliseconds since the epoch. */
export type Loaded = { readonly record: StateRecord; readonly expiresAtMs: number }

/** Own changes that the store is not known to have. */
export type Unwritten = {
  /** On their way, the earlier ones: a record loaded meanwhile may have them already. */
  readonly sending: StateDelta | undefined
  /** Not sent yet. */
  readonly waiting: StateDelta | undefined
}

export type LocalCopiesOptions = {
  /** Copies held at most; the least lately used go first. */
  readonly maxCopies: number
  /** One trip to the store. Never rejects. */
  readonly load: (key: string) => Promise<Loaded | 'unavailable'>
  readonly unwritten: (key: string) => Unwritten
}

type Copy = Loaded & {
  readonly generation: number
  /** Somebody else has changed the record since. */
  readonly stale: boolean
  /** Own changes were on their way when it was loaded, so that they may be in it twice. */
  readonly provisional: boolean
  /** It was read. */
  used: boolean
}

/** A trip that is under way. `spoilt` counts changes by others meanwhile: what comes may be from before them. */
type Flight = { spoilt: number; readonly answer: Promise<StateRecord | 'unavailable'> }

/** Somebody who changes a record without pause must not keep a reader waiting. */
const MAX_TRIPS = 3

/**
 * Copies of records of a store that others write too. A copy is valid until it is invalidated, has ended, or all
 * before it are put in doubt; an invalid one is kept as what was last known, and own changes are applied to it too.
 * One trip at a time is under way for a key; one during which the record was invalidated is made again.
 */
export class LocalCopies {
  readonly #options: LocalCopiesOptions
  /** The least lately used first. */
  readonly #copies = new Map<string, Copy>()
  readonly #flights = new Map<string, Flight>()
  #generation = 0

  constructor(options: LocalCopiesOptions) {
    this.#options = options
  }

  get size(): number {
    return this.#copies.size
  }

  /** The record, when there is a valid copy. */
  valid(key: string, nowMs: number): StateRecord | undefined {
    const copy = this.#copies.get(key)
    if (!copy || copy.stale || copy.generation !== this.#generation || copy.expiresAtMs <= nowMs)
      return undefined
    copy.used = true
    this.#touch(key, copy)
    return copy.record
  }

  /** The record of any copy, one that has ended being an empty one. */
  lastKnown(key: string, nowMs: number): StateRecord | undefined {
    const copy = this.#copies.get(key)
    if (!copy) return undefined
    this.#touch(key, copy)
    return copy.expiresAtMs > nowMs ? copy.record : EMPTY_RECORD
  }

  /** Asks the store, and keeps what it says. */
  load(key: string, nowMs: number): Promise<StateRecord | 'unavailable'> {
    const under = this.#flights.get(key)
    if (under) return under.answer
    const flight: Flight = {
      spoilt: 0,
      answer: Promise.resolve().then(() => this.#fly(key, flight, nowMs)),
    }
    this.#flights.set(key, flight)
    return flight.answer
  }

  /** Applies an own change to the copy, where there is one. */
  apply(delta: StateDelta, nowMs: number): void {
    const copy = this.#copies.get(delta.key)
    if (copy) this.#copies.set(delta.key, { ...copy, ...changed(copy, delta, nowMs) })
  }

  /** Somebody else has changed the record. True: it is read here, so that it is worth loading before it is again. */
  invalidate(key: string): boolean {
    const flight = this.#flights.get(key)
    if (flight) flight.spoilt++
    const copy = this.#copies.get(key)
    if (!copy || copy.stale) return false
    this.#copies.set(key, { ...copy, stale: true })
    return copy.used
  }

  /** The store has own changes now. What is loaded just now may be from before or after them. */
  written(key: string): void {
    const flight = this.#flights.get(key)
    if (flight) flight.spoilt++
    const copy = this.#copies.get(key)
    if (copy?.provisional) this.#copies.set(key, { ...copy, stale: true, provisional: false })
  }

  /** Changes by others may have been missed: no copy is valid any more. */
  doubtAll(): void {
    this.#generation++
    for (const flight of this.#flights.values()) flight.spoilt++
  }

  /** What is last known of everyone with something known, with when it ends. */
  *known(nowMs: number): Generator<readonly [key: string, known: Loaded]> {
    for (const [key, copy] of this.#copies) {
      if (copy.expiresAtMs > nowMs && copy.record.size > 0) yield [key, copy]
    }
  }

  async #fly(key: string, flight: Flight, nowMs: number): Promise<StateRecord | 'unavailable'> {
    try {
      for (let trip = 1; ; trip++) {
        const { spoilt } = flight
        const generation = this.#generation
        const answer = await this.#options.load(key)
        if (answer === 'unavailable') return answer
        const stale = flight.spoilt !== spoilt
        if (stale && trip < MAX_TRIPS) continue
        let loaded = answer
        const { sending, waiting } = this.#options.unwritten(key)
        if (sending) loaded = changed(loaded, sending, nowMs)
        if (waiting) loaded = changed(loaded, waiting, nowMs)
        this.#keep(key, { ...loaded, generation, stale, provisional: sending !== undefined, used: false })
        return loaded.record
      }
    } finally {
      this.#flights.delete(key)
    }
  }

  #touch(key: string, copy: Copy): void {
    if (this.#copies.size < this.#options.maxCopies / 2) return
    this.#copies.delete(key)
    this.#copies.set(key, copy)
  }

  #keep(key: string, copy: Copy): void {
    this.#copies.delete(key)
    this.#copies.set(key, copy)
    if (this.#copies.size <= this.#options.maxCopies) return
    for (const oldest of this.#copies.keys()) {
      this.#copies.delete(oldest)
      if (this.#copies.size <= this.#options.maxCopies) return
    }
  }
}

/** A record as it is after a change. What the store has no record of never ends, but a record does. */
export function changed({ record, expiresAtMs }: Loaded, delta: StateDelta, nowMs: number): Loaded {
  const isLive = record.size > 0 && expiresAtMs > nowMs
  return {
    record: applyOps(isLive ? record : EMPTY_RECORD, delta.ops),
    expiresAtMs: isLive ? Math.max(expiresAtMs, delta.expiresAtMs) : delta.expiresAtMs,
  }
}
