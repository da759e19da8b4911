import type { VerificationQueue } from './verification-queue.js'

/** Where a verdict is kept and how long it stands at most, in milliseconds since the epoch (exclusive). */
export type Retention = { readonly space: 'accepted' | 'refused'; readonly untilMs: number }

export type VerdictCacheLimits = {
  /** Verdicts that accepted. */
  readonly maxAccepted: number
  /** Verdicts that refused: a space of their own, so that a flood of bad credentials evicts no good one. */
  readonly maxRefused: number
  /** Verifications under way at once. */
  readonly maxPending: number
  /** Bounds them further, to what is done in time; undefined: nothing does. */
  readonly queue?: Pick<VerificationQueue, 'enter'> | undefined
  /** UTF-16 units; a verdict on a longer key is not kept. */
  readonly maxKeyLength: number
}

/** What a verdict was made from, such as trust bundles or a key set. Its generation rises with every change. */
export type Basis = { readonly generation: number }

type Kept<V> = {
  readonly key: string
  readonly value: V
  readonly basis: Basis
  readonly generation: number
  readonly untilMs: number
}
type Pending<V> = { readonly generation: number; readonly verdict: Promise<V> }

/**
 * Remembers verdicts on exact credential bytes, so that each credential costs one verification.
 * A verdict counts only while its basis has the generation it was made under, and before its `untilMs`.
 * What changes from call to call (time window, binding, revocation, one-time use) is checked on every hit by
 * the caller. Memory is bounded by the limits; the least recently used half goes first.
 */
export class VerdictCache<V> {
  readonly #limits: VerdictCacheLimits
  readonly #retain: (value: V, nowMs: number) => Retention | undefined
  readonly #accepted: Shelf<V>
  readonly #refused: Shelf<V>
  readonly #pending = new Map<string, Pending<V>>()

  /** `retain` says where a fresh verdict goes; undefined: it is not kept. */
  constructor(limits: VerdictCacheLimits, retain: (value: V, nowMs: number) => Retention | undefined) {
    this.#limits = limits
    this.#retain = retain
    this.#accepted = new Shelf(limits.maxAccepted)
    this.#refused = new Shelf(limits.maxRefused)
  }

  /** The verdict on this key if one stands. A hit on a recently used accepted verdict costs one look-up. */
  get(key: string, nowMs: number): V | undefined {
    const kept = this.#accepted.get(key) ?? this.#refused.get(key)
    if (kept === undefined || kept.generation !== kept.basis.generation || nowMs >= kept.untilMs)
      return undefined
    return kept.value
  }

  /**
   * Verifies and remembers; whoever asks for the same key and generation meanwhile shares the one verification.
   * `verify` must look at `basis` as it is when it is called. If it throws, all who wait get the exception and
   * nothing is kept. Undefined when too many verifications are under way: the caller answers `overloaded`.
   */
  verify(key: string, basis: Basis, nowMs: number, verify: () => Promise<V>): Promise<V> | undefined {
    const { generation } = basis
    const shared = this.#pending.get(key)
    if (shared?.generation === generation) return shared.verdict
    const { maxPending, queue } = this.#limits
    if (this.#pending.size >= maxPending) return undefined
    const leave = queue ? queue.enter() : nothing
    if (!leave) return undefined
    const pending: Pending<V> = { generation, verdict: this.#settle(key, basis, generation, nowMs, verify) }
    this.#pending.set(key, pending)
    const done = (): void => {
      leave()
      if (this.#pending.get(key) === pending) this.#pending.delete(key)
    }
    pending.verdict.then(done, done)
    return pending.verdict
  }

  /** Remembers a verdict that was reached under `generation`. One made under an older generation replaces none. */
  keep(key: string, basis: Basis, generation: number, nowMs: number, value: V): void {
    const retention = this.#retain(value, nowMs)
    if (retention === undefined || key.length > this.#limits.maxKeyLength) return
    const [shelf, other] =
      retention.space === 'accepted' ? [this.#accepted, this.#refused] : [this.#refused, this.#accepted]
    const newest = Math.max(
      shelf.get(key)?.generation ?? generation,
      other.get(key)?.generation ?? generation,
    )
    if (newest !== generation) return
    other.delete(key)
    shelf.set({ key, value, basis, generation, untilMs: retention.untilMs })
  }

  /** What is held now, for metrics. */
  get size(): { readonly accepted: number; readonly refused: number; readonly pending: number } {
    return { accepted: this.#accepted.size, refused: this.#refused.size, pending: this.#pending.size }
  }

  async #settle(
    key: string,
    basis: Basis,
    generation: number,
    nowMs: number,
    verify: () => Promise<V>,
  ): Promise<V> {
    const value = await verify()
    this.keep(key, basis, generation, nowMs, value)
    return value
  }
}

function nothing(): void {
  // There is no queue to leave.
}

/**
 * At most `limit` entries in two maps: when the young one holds half of them it becomes the old one. Entries are
 * found by a part of their key, since hashing a whole new string costs about a microsecond a kilobyte, and
 * compared whole. Of two keys with the same part the younger stays.
 */
class Shelf<V> {
  readonly #half: number
  #young = new Map<string, Kept<V>>()
  #old = new Map<string, Kept<V>>()

  constructor(limit: number) {
    this.#half = Math.max(1, Math.floor(limit / 2))
  }

  get size(): number {
    return this.#young.size + this.#old.size
  }

  get(key: string): Kept<V> | undefined {
    const part = partOf(key)
    const young = this.#young.get(part)
    if (young !== undefined && young.key === key) return young
    const old = this.#old.get(part)
    if (old === undefined || old.key !== key) return undefined
    this.set(old)
    return old
  }

  set(kept: Kept<V>): void {
    const part = partOf(kept.key)
    this.#old.delete(part)
    if (this.#young.size >= this.#half && !this.#young.has(part)) {
      this.#old = this.#young
      this.#young = new Map()
    }
    this.#young.set(part, kept)
  }

  delete(key: string): void {
    const part = partOf(key)
    if (this.#young.get(part)?.key === key) this.#young.delete(part)
    if (this.#old.get(part)?.key === key) this.#old.delete(part)
  }
}

/** Characters of the signature: before the last line of a percent-encoded PEM, within the last part of a token. */
function partOf(key: string): string {
  return key.length <= 96 ? key : key.slice(-96, -40)
}
