import { mkdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import type { Database, open as Open } from 'lmdb'
import type { Loaded } from '../../state/local-copies.js'
import { applyOps, EMPTY_RECORD, numberOf, type StateDelta } from '../../state/record.js'
import type { DocumentStore, LimitedUse, ReadAnswer, StateStore, StoreHealth } from '../../state/store.js'
import { lockDirectory } from './directory-lock.js'
import { AFTER_DOCUMENTS, LmdbDocuments } from './documents.js'
import { decodeKept, encodeKept, type Kept } from './encoding.js'
import { type EmbeddedReplayGuard, openEmbeddedReplayGuard } from './replay-guard.js'
import { isSound } from './verify-file.js'

export type EmbeddedStoreOptions = {
  /** `store.directory`. Created when absent; held by one process at a time. */
  readonly directory: string
  /** When this process started, in milliseconds since the epoch. */
  readonly startedAtMs: number
  readonly now: () => number
  /** Decoded records held in memory at most. */
  readonly maxCopies?: number | undefined
  /** Told what was found wrong. */
  readonly warn: (message: string) => void
}

export type EmbeddedStore = StateStore & {
  readonly claims: EmbeddedReplayGuard
  /** What `read` says, with the time until which it is kept: without end where there is no record. */
  lookUp(key: string, nowMs: number): Loaded | 'unavailable'
}

const FILE = 'subjects.mdb'
/** Says that the file lies as the last process left it: its size and time of change. */
const MARKER = 'subjects.clean'
/** Where the file remembers that an earlier one was lost: its time. No subject is called so. */
const LOST_KEY = '!lost'
/** A loss is told of for so long: by then every session from before is over. */
const LOST_FOR_MS = 48 * 3_600_000
const MAX_COPIES = 200_000
/** What was noted is written this often; that much of it a crash may lose. */
const FLUSH_MS = 20
const RETRY_MS = 1000
const MAX_PENDING = 100_000
const SWEEP_MS = 1000
const SWEEP_RECORDS = 500

/**
 * Opens the store of a single process on LMDB. A file that is damaged is kept aside under another name and told of, and a
 * new one is begun. Rejects when the directory can't be used or another process has it.
 */
export async function openEmbeddedStore(options: EmbeddedStoreOptions): Promise<EmbeddedStore> {
  const { directory, now, warn, startedAtMs } = options
  await mkdir(directory, { recursive: true })
  const unlock = await lockDirectory(directory)
  try {
    const path = join(directory, FILE)
    const lostAtMs = await setAsideIfDamaged(path, join(directory, MARKER), now(), warn)
    const claims = await openEmbeddedReplayGuard({ directory, startedAtMs, now, warn })
    // The package's module form can't be loaded where modules are linked by a test runner.
    const { open }: { open: typeof Open } = createRequire(import.meta.url)('lmdb')
    const db = open<string, string>({ path, encoding: 'string', noSubdir: true })
    if (lostAtMs !== undefined) {
      await db.put(
        LOST_KEY,
        encodeKept({ record: new Map([['at', lostAtMs]]), expiresAtMs: lostAtMs + LOST_FOR_MS }),
      )
    }
    return new LmdbStore(db, claims, options, async () => {
      await writeMarker(path, join(directory, MARKER))
      await unlock()
    })
  } catch (error) {
    await unlock()
    throw error
  }
}

class LmdbStore implements EmbeddedStore {
  readonly claims: EmbeddedReplayGuard
  readonly documents: DocumentStore
  readonly #db: Database<string, string>
  readonly #maxCopies: number
  readonly #now: () => number
  readonly #warn: (message: string) => void
  readonly #release: () => Promise<void>
  /** Decoded records, the least lately used first. What is not written yet is always here. */
  readonly #copies = new Map<string, Kept>()
  readonly #dirty = new Set<string>()
  readonly #sweeper: NodeJS.Timeout
  #flushing: Promise<boolean> | undefined
  #timer: NodeJS.Timeout | undefined
  #sweptTo = AFTER_DOCUMENTS
  #lost = 0
  #problem: string | undefined
  #closed = false

  constructor(
    db: Database<string, string>,
    claims: EmbeddedReplayGuard,
    { maxCopies = MAX_COPIES, now, warn }: EmbeddedStoreOptions,
    release: () => Promise<void>,
  ) {
    this.#db = db
    this.claims = claims
    this.#maxCopies = maxCopies
    this.#now = now
    this.#warn = warn
    this.#release = release
    this.documents = new LmdbDocuments({
      db,
      isOpen: () => !this.#closed,
      onFailure: (error) => this.#fail(error),
    })
    this.#sweeper = setInterval(() => this.#sweep(), SWEEP_MS).unref()
  }

  lookUp(key: string, nowMs: number): Loaded | 'unavailable' {
    const kept = this.#kept(key)
    if (kept === 'unavailable') return kept
    return kept && kept.expiresAtMs > nowMs ? kept : { record: EMPTY_RECORD, expiresAtMs: Infinity }
  }

  read(key: string, nowMs: number): ReadAnswer {
    const kept = this.#kept(key)
    if (kept === 'unavailable') return kept
    return kept && kept.expiresAtMs > nowMs ? kept.record : EMPTY_RECORD
  }

  note(deltas: readonly StateDelta[]): void {
    for (const delta of deltas) this.#apply(delta)
    this.#schedule()
  }

  /** Writes soon what is not written yet, unless that is under way. */
  #schedule(): void {
    if (this.#dirty.size === 0 || this.#timer !== undefined || this.#flushing || this.#closed) return
    const afterMs = this.#problem === undefined ? FLUSH_MS : RETRY_MS
    this.#timer = setTimeout(() => {
      this.#timer = undefined
      void this.#flush()
    }, afterMs)
  }

  async commit(deltas: readonly StateDelta[]): Promise<'committed' | 'unavailable'> {
    for (const delta of deltas) this.#apply(delta)
    return (await this.#isDurable()) ? 'committed' : 'unavailable'
  }

  /** What could not be written is used up all the same. */
  async consume({
    key,
    field,
    limit,
    expiresAtMs,
  }: LimitedUse): Promise<'consumed' | 'exhausted' | 'unavailable'> {
    const nowMs = this.#now()
    const before = this.#kept(key)
    if (this.#closed || before === 'unavailable' || !Number.isFinite(expiresAtMs)) return 'unavailable'
    const isLive = before !== undefined && before.expiresAtMs > nowMs
    // A count that ends at once would count nothing.
    if (!isLive && expiresAtMs <= nowMs) return 'unavailable'
    const used = (isLive && numberOf(before.record, field)) || 0
    if (!(used < limit)) return 'exhausted'
    this.#apply({ key, ops: [['add', field, 1]], expiresAtMs })
    const after = this.#kept(key)
    // A record that is full takes in no other field.
    const isCounted = after && after !== 'unavailable' && numberOf(after.record, field) === used + 1
    return isCounted && (await this.#isDurable()) ? 'consumed' : 'unavailable'
  }

  /** Whether all that is here is written. */
  async #isDurable(): Promise<boolean> {
    // One that is under way may have begun before the last of it was there.
    await this.#flushing
    return (await this.#flush()) && !this.#closed
  }

  readonly health = (): StoreHealth => ({
    standing: this.#closed ? 'unavailable' : 'current',
    problem: this.#problem,
    copies: this.#copies.size,
    pending: this.#dirty.size,
    lost: this.#lost,
    lostBeforeMs: this.#lostBeforeMs(),
  })

  async close(nowMs: number): Promise<void> {
    if (this.#closed) return
    clearInterval(this.#sweeper)
    await this.#flushing
    await this.#flush()
    this.#closed = true
    clearTimeout(this.#timer)
    await this.claims.close(nowMs)
    await this.#db.close()
    await this.#release()
  }

  #lostBeforeMs(): number | undefined {
    const kept = this.#kept(LOST_KEY)
    if (kept === undefined || kept === 'unavailable' || kept.expiresAtMs <= this.#now()) return undefined
    const atMs = kept.record.get('at')
    return typeof atMs === 'number' ? atMs : undefined
  }

  /** Undefined: there is none. Absence is remembered too, as a record that has expired. */
  #kept(key: string): Kept | undefined | 'unavailable' {
    const copy = this.#copies.get(key)
    if (copy) {
      if (this.#copies.size >= this.#maxCopies / 2) this.#touch(key, copy)
      return copy
    }
    if (this.#closed) return 'unavailable'
    let kept: Kept | undefined | 'corrupt'
    try {
      const stored = this.#db.get(key)
      kept = stored === undefined ? undefined : decodeKept(stored)
    } catch (error) {
      this.#fail(error)
      return 'unavailable'
    }
    if (kept === 'corrupt') {
      this.#fail(new Error(`a record of ${FILE} is damaged; restart to have the file looked at`))
      return 'unavailable'
    }
    this.#touch(key, kept ?? ABSENT)
    return kept
  }

  #touch(key: string, kept: Kept): void {
    this.#copies.delete(key)
    this.#copies.set(key, kept)
    if (this.#copies.size <= this.#maxCopies) return
    for (const oldest of this.#copies.keys()) {
      if (this.#copies.size <= this.#maxCopies) return
      if (!this.#dirty.has(oldest)) this.#copies.delete(oldest)
    }
  }

  #apply({ key, ops, expiresAtMs }: StateDelta): void {
    if (this.#closed) {
      this.#lost++
      return
    }
    const kept = this.#kept(key)
    const nowMs = this.#now()
    const before = kept === 'unavailable' || !kept || kept.expiresAtMs <= nowMs ? ABSENT : kept
    if (kept === 'unavailable' || (!this.#dirty.has(key) && this.#dirty.size >= MAX_PENDING)) {
      this.#lost++
      return
    }
    this.#dirty.add(key)
    this.#touch(key, {
      record: applyOps(before.record, ops),
      expiresAtMs: Math.max(before.expiresAtMs, expiresAtMs),
    })
  }

  /** Whether everything that was there when it began is written durably. */
  #flush(): Promise<boolean> {
    this.#flushing ??= this.#write().finally(() => {
      this.#flushing = undefined
      // What came meanwhile, or what could not be written.
      this.#schedule()
    })
    return this.#flushing
  }

  async #write(): Promise<boolean> {
    clearTimeout(this.#timer)
    this.#timer = undefined
    if (this.#dirty.size === 0) return true
    const writing = [...this.#dirty].map((key) => [key, this.#copies.get(key)] as const)
    this.#dirty.clear()
    try {
      await this.#db.transaction(() => {
        for (const [key, kept] of writing) if (kept) void this.#db.put(key, encodeKept(kept))
      })
      await this.#db.flushed
      this.#problem = undefined
      return true
    } catch (error) {
      for (const [key] of writing) this.#dirty.add(key)
      this.#fail(error)
      return false
    }
  }

  #fail(error: unknown): void {
    const problem = error instanceof Error ? error.message : String(error)
    if (this.#problem !== problem) this.#warn(`the embedded store: ${problem}`)
    this.#problem = problem
  }

  /** Removes records that have expired, a small slice at a time. Documents never expire. */
  #sweep(): void {
    const nowMs = this.#now()
    let last: string | undefined
    try {
      for (const { key, value } of this.#db.getRange({ start: this.#sweptTo, limit: SWEEP_RECORDS })) {
        last = key
        const kept = decodeKept(value)
        if (kept === 'corrupt' || kept.expiresAtMs > nowMs || this.#dirty.has(key)) continue
        this.#copies.delete(key)
        void this.#db.remove(key).catch((error: unknown) => this.#fail(error))
      }
    } catch (error) {
      this.#fail(error)
    }
    // A key is its own smallest successor with one more byte.
    this.#sweptTo = last === undefined ? AFTER_DOCUMENTS : `${last}\0`
  }
}

const ABSENT: Kept = { record: EMPTY_RECORD, expiresAtMs: 0 }

/** Returns when the file was found damaged and moved; undefined for a sound one, or none. */
async function setAsideIfDamaged(
  path: string,
  marker: string,
  nowMs: number,
  warn: (message: string) => void,
): Promise<number | undefined> {
  const is = await fingerprint(path)
  const was = await readFile(marker, 'utf8').catch(() => undefined)
  await rm(marker, { force: true })
  if (is === undefined || is === was || (await isSound(path))) return undefined
  const aside = `${path}.corrupt-${new Date(nowMs).toISOString().replaceAll(':', '')}`
  await rename(path, aside)
  await rm(`${path}-lock`, { force: true, recursive: true })
  warn(`${path} is damaged and was moved to ${aside}; what it knew of users, sessions and workloads is lost`)
  return nowMs
}

async function fingerprint(path: string): Promise<string | undefined> {
  try {
    const { size, mtimeMs } = await stat(path)
    return `${size} ${mtimeMs}`
  } catch (error) {
    if (typeof error === 'object' && error !== null && 'code' in error && error.code === 'ENOENT')
      return undefined
    throw error
  }
}

async function writeMarker(path: string, marker: string): Promise<void> {
  const now = await fingerprint(path)
  if (now !== undefined) await writeFile(marker, now)
}
