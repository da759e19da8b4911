/** Why an entry about a decision doesn't count. */
export type NotTaken = 'unknown' | 'foreign' | 'repeated'

const MAX_DECISIONS = 100_000
const LIFETIME_MS = 10 * 60_000
const NONE = -1

/**
 * Decisions that Envoys were given and haven't told about yet. An entry counts once, for a decision given to that
 * Envoy: what another Envoy tells, what was told before, and what is older than `lifetimeMs` is not taken.
 * A ring of fixed size: the oldest makes room. On every request's way, so ids are kept as 64 bits of hash in flat
 * arrays: strings that outlive their request cost twice as much. The hash is no secret; whoever finds
 * another id with the same one has named a decision of its own. Times are milliseconds since the epoch.
 */
export class GivenDecisions<Memory extends object> {
  readonly #lifetimeMs: number
  /** By hash: the slot of the latest decision there. */
  readonly #heads: Int32Array
  /** By slot: an earlier one of the same place. */
  readonly #next: Int32Array
  readonly #high: Int32Array
  readonly #low: Int32Array
  readonly #atMs: Float64Array
  readonly #askers: (string | undefined)[] = []
  /** Undefined once it was taken. */
  readonly #memories: (Memory | undefined)[] = []
  #slot = 0
  readonly #notTaken: Record<NotTaken, number> = { unknown: 0, foreign: 0, repeated: 0 }
  #taken = 0

  constructor(maxDecisions = MAX_DECISIONS, lifetimeMs = LIFETIME_MS) {
    this.#lifetimeMs = lifetimeMs
    this.#heads = new Int32Array(2 ** Math.ceil(Math.log2(maxDecisions))).fill(NONE)
    this.#next = new Int32Array(maxDecisions)
    this.#high = new Int32Array(maxDecisions)
    this.#low = new Int32Array(maxDecisions)
    this.#atMs = new Float64Array(maxDecisions)
  }

  /** `asker`: SPIFFE ID of the Envoy that was answered; undefined on a listener that knows none. */
  remember(decisionId: string, asker: string | undefined, memory: Memory, nowMs: number): void {
    const slot = this.#slot
    if (slot < this.#memories.length) this.#forget(slot)
    const high = hash(decisionId, FNV_BASIS, FNV_PRIME)
    const place = this.#placeOf(high)
    this.#high[slot] = high
    this.#low[slot] = hash(decisionId, 1, LOW_PRIME)
    this.#atMs[slot] = nowMs
    this.#askers[slot] = asker
    this.#memories[slot] = memory
    this.#next[slot] = this.#heads[place] ?? NONE
    this.#heads[place] = slot
    this.#slot = (slot + 1) % this.#next.length
  }

  /** What was remembered, once; else why the entry doesn't count. */
  take(decisionId: string, asker: string | undefined, nowMs: number): Memory | NotTaken {
    const slot = this.#find(decisionId)
    if (slot === NONE || nowMs - (this.#atMs[slot] ?? 0) > this.#lifetimeMs) return this.#refuse('unknown')
    if (this.#askers[slot] !== asker) return this.#refuse('foreign')
    const memory = this.#memories[slot]
    if (memory === undefined) return this.#refuse('repeated')
    this.#memories[slot] = undefined
    this.#taken++
    return memory
  }

  /** Decisions held. */
  get size(): number {
    return this.#memories.length
  }

  get taken(): number {
    return this.#taken
  }

  /** Entries that didn't count, by reason. */
  get notTaken(): Readonly<Record<NotTaken, number>> {
    return this.#notTaken
  }

  #placeOf(high: number): number {
    return (high ^ (high >>> 15)) & (this.#heads.length - 1)
  }

  #find(decisionId: string): number {
    const high = hash(decisionId, FNV_BASIS, FNV_PRIME)
    const low = hash(decisionId, 1, LOW_PRIME)
    let slot = this.#heads[this.#placeOf(high)] ?? NONE
    while (slot !== NONE && (this.#high[slot] !== high || this.#low[slot] !== low)) {
      slot = this.#next[slot] ?? NONE
    }
    return slot
  }

  /** Takes a slot out of its place, where it is the oldest and so the last. */
  #forget(slot: number): void {
    const place = this.#placeOf(this.#high[slot] ?? 0)
    let before = NONE
    for (let at = this.#heads[place] ?? NONE; at !== slot; at = this.#next[at] ?? NONE) before = at
    if (before === NONE) this.#heads[place] = NONE
    else this.#next[before] = NONE
  }

  #refuse(reason: NotTaken): NotTaken {
    this.#notTaken[reason]++
    return reason
  }
}

const FNV_BASIS = 0x811c9dc5
const FNV_PRIME = 0x01000193
const LOW_PRIME = 0x01000197

/** FNV-1a over UTF-16 units. */
function hash(text: string, basis: number, prime: number): number {
  let value = basis
  for (let at = 0; at < text.length; at++) value = Math.imul(value ^ text.charCodeAt(at), prime)
  return value | 0
}
