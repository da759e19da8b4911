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
  /**
   * Adds 1 to a counter field of the record unless it has reached `limit`: exact over all replicas, durable and in the
   * local copy when it settles. For uses of what may be used so many times.
   */
  consume(use: LimitedUse): Promise<'consumed' | 'exhausted' | 'unavailable'>
  /** What people look up and list; nothing that a call is decided on. */
  readonly documents: DocumentStore
  /** One-time use, exact over all replicas. */
  readonly claims: ReplayGuard
  readonly health: () => StoreHealth
  /** Writes what was noted, then lets go. */
  close(nowMs: number): Promise<void>
}

export type LimitedUse = {
  readonly key: string
  readonly field: string
  /** At least 1. */
  readonly limit: number
  readonly expiresAtMs: number
}

/** Kinds of documents. */
export const COLLECTIONS = ['grants', 'devices', 'sessions', 'quarantine'] as const
export type Collection = (typeof COLLECTIONS)[number]

/** UTF-16 units of a document's text. */
export const MAX_DOCUMENT = 16_384
/** The same of its name. */
export const MAX_DOCUMENT_NAME = 512

/**
 * Texts by collection and name (1 to 512 UTF-16 units), durable and shared by all replicas. Every method settles and
 * never rejects. They are asked by the admin API alone, so each may take a trip to the store.
 */
export type DocumentStore = {
  /** Writes the text, whatever was there. Rejects nothing but what is too long (a bug of ours, thrown). */
  put(collection: Collection, name: string, text: string): Promise<'stored' | 'unavailable'>
  /** Undefined: there is none. */
  get(collection: Collection, name: string): Promise<{ readonly text: string } | undefined | 'unavailable'>
  /** Whether it was there. */
  remove(collection: Collection, name: string): Promise<boolean | 'unavailable'>
  /**
   * Some of a collection, about `limit` of them, in no certain order; `next` goes on from there and is undefined at the end.
   * What is there from the first page to the last is given at least once.
   */
  list(
    collection: Collection,
    cursor: string | undefined,
    limit: number,
  ): Promise<DocumentPage | 'unavailable'>
}

export type DocumentPage = {
  readonly documents: readonly { readonly name: string; readonly text: string }[]
  readonly next: string | undefined
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
