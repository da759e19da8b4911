import type { Batch } from './batch.js'
import type { Notices } from './notices.js'
import type { Spool, SpoolEntry } from './spool.js'

export type Entry = {
  readonly number: number
  readonly count: number
  /** Undefined: it is in the spool alone. */
  batch: Batch | undefined
  file: SpoolEntry | undefined
  /** What is still to be sent, once it was begun: halves, where the whole was too large. */
  parts: Batch[] | undefined
}

/** Where entries wait: in the spool as soon as that takes them, until then in memory. */
export type Shelf = {
  /** In memory alone, oldest first. */
  readonly held: ReadonlySet<Entry>
  /** Events of those. */
  readonly inMemory: () => number
  readonly hold: (entry: Entry) => void
  /** Brings to the spool what is in memory, oldest first; one run at a time. */
  readonly store: () => Promise<void>
  /** The entry was sent or given up: it goes from memory and from the spool. */
  readonly letGo: (entry: Entry) => Promise<void>
  /** Stores what can be stored for the last time. What is left in `held` is in memory alone. */
  readonly close: () => Promise<void>
}

export type ShelfOptions = {
  readonly spool: Spool | undefined
  /** How long after a failure the spool is tried again, milliseconds. */
  readonly spoolAgainMs: number
  readonly notices: Notices
  /** Told when less is held in memory. */
  readonly onRoom: () => void
}

export function createShelf({ spool, spoolAgainMs, notices, onRoom }: ShelfOptions): Shelf {
  const held = new Set<Entry>()
  /** Sent, and still in the spool. */
  const done = new Set<SpoolEntry>()
  let inMemory = 0
  let storing: Promise<void> = Promise.resolve()
  let timer: NodeJS.Timeout | undefined
  let isClosed = false

  function store(): Promise<void> {
    storing = storing.then(async () => {
      if (!spool || held.size === 0) return
      for (const entry of held) if (!(await storeOne(spool, entry))) return
      notices.spool(undefined, inMemory)
    })
    return storing
  }

  async function storeOne(into: Spool, entry: Entry): Promise<boolean> {
    if (!entry.batch) return true
    try {
      const file = await into.write(entry.number, entry.count, entry.batch.body)
      if (file === 'no-room') {
        notices.spool('the spool is full', inMemory)
        return false
      }
      if (held.has(entry)) {
        entry.file = file
        release(entry)
      } else {
        // It was sent meanwhile.
        done.add(file)
        await removeDone()
      }
      return true
    } catch (error) {
      notices.spool(`the spool can't be written: ${codeOf(error)}`, inMemory)
      if (!isClosed) timer ??= setTimeout(again, spoolAgainMs).unref()
      return false
    }
  }

  function again(): void {
    timer = undefined
    void store()
  }

  function release(entry: Entry): void {
    held.delete(entry)
    entry.batch = undefined
    inMemory -= entry.count
    onRoom()
  }

  /** What the disk does not let go of now goes with the next one. */
  async function removeDone(): Promise<void> {
    if (!spool || done.size === 0) return
    try {
      for (const file of done) {
        await spool.remove(file)
        done.delete(file)
      }
      notices.removing(undefined)
    } catch (error) {
      notices.removing(codeOf(error))
    }
  }

  return {
    held,
    inMemory: () => inMemory,
    hold: (entry) => {
      held.add(entry)
      inMemory += entry.count
    },
    store,
    letGo: async (entry) => {
      if (held.has(entry)) release(entry)
      if (entry.file) done.add(entry.file)
      await removeDone()
      if (held.size > 0) void store()
    },
    close: async () => {
      isClosed = true
      clearTimeout(timer)
      await store()
      await removeDone()
    },
  }
}

/** The code of what the system refused. */
export function codeOf(error: unknown): string {
  return typeof error === 'object' && error !== null && 'code' in error ? String(error.code) : String(error)
}
