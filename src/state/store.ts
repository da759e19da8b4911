import type { Eventually } from '../identity/eventually.js'
import type { ReplayGuard } from '../identity/replay.js'
import type { StateDelta, StateRecord } from './record.js'

/** The record, EMPTY_RECORD where the store has none; or that nobody can tell. */
export type ReadAnswer = StateRecord | 'unavailable'

/**
 * - `current`: what is read is what the store has, up to the time that a change takes to come here.
 * - `last-known`: the store can't be reached; copies that are here are read, everything else is `unavailable`.
 * - `unavailable`: and not even copies may be read any more.
 * Source: REQUIREMENTS R7, FORMATS 2 `onUnavailable`.
 */
export type Standing = 'current' | 'last-known' | 'unavailable'

/** State of subjects, shared by all replicas. One contract suite holds for every implementation: test/contract. */
export type StateStore = {
  /** From the local copy where there is a valid one, without a promise; else one trip to the store. Never throws. */
  read(key: string, nowMs: number): Eventually<ReadAnswer>
  /**
   * Applies changes to the local copies at once, and to the store soon, many together. What can't be written is kept
   * for later within a bound, then counted as lost. For what may be lost in a crash: counters, sightings.
   */
  note(deltas: readonly StateDelta[]): void
  /**
   * Settles once the store has the changes durably; every replica sees them within a second. For what must not be
   * lost: terminated sessions, quarantine, grants. The local copy has them at once even when it is `unavailable`.
   */
  commit(deltas: readonly StateDelta[]): Promise<'committed' | 'unavailable'>
  /** One-time use, exact over all replicas. */
  readonly claims: ReplayGuard
  readonly health: () => StoreHealth
  /** Writes what was noted, then lets go. */
  close(nowMs: number): Promise<void>
}

export type StoreHealth = {
  readonly standing: Standing
  /** Why it is not `current`, or the last thing that went wrong. */
  readonly problem: string | undefined
  /** Local copies. */
  readonly copies: number
  /** Changes noted and not written yet. */
  readonly pending: number
  /** Changes noted and given up. */
  readonly lost: number
  /**
   * What was known of sessions from before this time was lost (a corrupt file, a flushed store); undefined: nothing
   * was. Milliseconds since the epoch.
   */
  readonly lostBeforeMs: number | undefined
}
