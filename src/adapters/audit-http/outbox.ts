import { type Backoff, backoffMs } from '../../audit/backoff.js'
import { type Batch, halvesOf } from './batch.js'
import { createNotices, type Tell } from './notices.js'
import type { Attempt, Poster } from './post.js'
import { codeOf, createShelf, type Entry } from './shelf.js'
import type { Spool } from './spool.js'

export type OutboxOptions = {
  readonly poster: Poster
  /** Undefined: batches wait in memory. */
  readonly spool: Spool | undefined
  readonly backoff: Backoff
  /** How long after a failure the spool is tried again, milliseconds. */
  readonly spoolAgainMs: number
  /** In [0, 1), for the jitter. */
  readonly random: () => number
  /** Told when sending or the spool begins to fail or works again, and of losses. */
  readonly tell: Tell
  /** Told when less is held in memory. */
  readonly onRoom: () => void
}

/** Batches on their way, in their order, one at a time. */
export type Outbox = {
  /** Resolves once it is in the spool, or waits in memory since it can't be there. */
  readonly add: (batch: Batch) => Promise<void>
  /**
   * Brings what is in memory to the spool; what can't go there is tried until `withinMs` are over, and the rest of it
   * counts as lost. Sending goes on meanwhile, as long as it goes well.
   */
  readonly drain: (withinMs: number | undefined) => Promise<void>
  /** Events that are in memory alone. */
  readonly inMemory: () => number
  /** Of events. */
  readonly figures: () => {
    readonly pending: number
    readonly written: number
    readonly lost: number
    readonly problem: string | undefined
  }
}

export function createOutbox(options: OutboxOptions): Outbox {
  const { poster, spool, backoff, spoolAgainMs, random, tell, onRoom } = options
  const entries = new Map<number, Entry>()
  for (const file of spool?.found ?? []) {
    const { number, count } = file
    entries.set(number, { number, count, batch: undefined, file, parts: undefined })
  }
  let pending = countOf(entries.values())
  let nextNumber = 1 + (spool?.lastNumber ?? 0)
  let written = 0
  let lost = 0
  let failures = 0
  let isDraining = false
  let isStopped = false
  let running: Promise<void> | undefined
  let wake: (() => void) | undefined
  const stopping = new AbortController()
  const notices = createNotices(tell)
  const shelf = createShelf({ spool, spoolAgainMs, notices, onRoom })
  const { held } = shelf

  async function add(batch: Batch): Promise<void> {
    const number = nextNumber++
    const { count } = batch
    pending += count
    const entry = { number, count, batch, file: undefined, parts: undefined }
    entries.set(number, entry)
    shelf.hold(entry)
    await shelf.store()
    send()
  }

  function send(): void {
    if (isStopped || entries.size === 0) return
    running ??= run().finally(() => {
      running = undefined
      if (!isDraining) send()
    })
  }

  async function run(): Promise<void> {
    for (let entry = next(); entry; entry = next()) {
      const result = await deliver(entry)
      if (result === 'done') continue
      // What is on the disk is sent by the next start.
      if (isDraining && held.size === 0) return
      await pause(backoffMs(failures, backoff, random(), result.afterMs))
    }
  }

  /** The oldest; while draining first what would be lost otherwise; none once it is over. */
  function next(): Entry | undefined {
    if (isStopped) return undefined
    for (const entry of isDraining && held.size > 0 ? held : entries.values()) return entry
    return undefined
  }

  /** One batch, until all of it is sent or given up, or an attempt fails. */
  async function deliver(entry: Entry): Promise<'done' | { readonly afterMs: number | undefined }> {
    try {
      entry.parts ??= await open(entry)
    } catch (error) {
      return fail(`the spool can't be read: ${codeOf(error)}`)
    }
    for (let part = entry.parts?.[0]; part; part = entry.parts?.[0]) {
      const attempt = await poster.post(part.body, stopping.signal)
      if (attempt.outcome === 'failed') return isStopped ? 'done' : fail(attempt.problem, attempt.afterMs)
      await settle(entry, part, attempt)
    }
    entries.delete(entry.number)
    await shelf.letGo(entry)
    return 'done'
  }

  /** Undefined: it can't be sent, and was told of. */
  async function open(entry: Entry): Promise<Batch[] | undefined> {
    if (entry.batch) return [entry.batch]
    if (!spool || !entry.file) return undefined
    const read = await spool.read(entry.file)
    if (read.ok) return [{ body: read.body, count: entry.count }]
    const { problem, isGone } = read
    const aside = isGone ? undefined : await spool.setAside(entry.file)
    lose(entry.count, aside === undefined ? problem : `${problem} and was kept as ${aside}`)
    entry.file = undefined
    return undefined
  }

  async function settle(
    entry: Entry,
    part: Batch,
    attempt: Exclude<Attempt, { outcome: 'failed' }>,
  ): Promise<void> {
    if (attempt.outcome === 'too-large') {
      const halves = await halvesOf(part)
      if (halves) {
        notices.split()
        entry.parts?.splice(0, 1, ...halves)
        return
      }
    }
    entry.parts?.shift()
    failures = 0
    if (attempt.outcome === 'delivered') {
      written += part.count
      pending -= part.count
      notices.sending(undefined, pending)
    } else {
      const problem = `${attempt.problem}: refused for good`
      lose(part.count, problem)
      notices.sending(problem, pending)
    }
  }

  function fail(problem: string, afterMs?: number): { readonly afterMs: number | undefined } {
    failures++
    notices.sending(problem, pending)
    return { afterMs }
  }

  function lose(count: number, problem: string): void {
    lost += count
    pending -= count
    notices.lost(lost, problem)
  }

  function pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, ms).unref()
      wake = () => {
        clearTimeout(timer)
        resolve()
      }
    })
  }

  async function drain(withinMs: number | undefined): Promise<void> {
    isDraining = true
    await shelf.store()
    // There is no later for a long pause.
    if (held.size > 0) {
      wake?.()
      send()
    }
    if (running && (held.size > 0 || failures === 0)) {
      let timer: NodeJS.Timeout | undefined
      const end = new Promise<void>((resolve) => {
        if (withinMs !== undefined) timer = setTimeout(resolve, withinMs)
      })
      await Promise.race([running, end])
      clearTimeout(timer)
    }
    isStopped = true
    stopping.abort()
    wake?.()
    await running
    await shelf.close()
    poster.close()
    giveUpMemory()
  }

  /** What is in memory alone ends with this process. */
  function giveUpMemory(): void {
    let count = 0
    for (const { parts, batch } of held) {
      for (const part of parts ?? (batch ? [batch] : [])) count += part.count
    }
    if (count === 0) return
    lost += count
    pending -= count
    notices.lost(lost, notices.problem() ?? 'no time was left', true)
  }

  if (entries.size > 0) send()
  return {
    add,
    drain,
    inMemory: shelf.inMemory,
    figures: () => ({ pending, written, lost, problem: notices.problem() }),
  }
}

function countOf(entries: Iterable<Entry>): number {
  let count = 0
  for (const entry of entries) count += entry.count
  return count
}
