import type { AuditEvent, EventSink } from '../../audit/event-sink.js'
import { AuditLog, type AuditLogOptions } from './audit-log.js'
import { messageOf } from './io-error.js'

export type FileSinkOptions = Omit<AuditLogOptions, 'isSynced'> & {
  readonly name: string
  readonly fsync: 'Never' | 'Interval' | 'Always'
  /** How long an event waits in memory at most to be written with others. */
  readonly flushIntervalMs: number
  readonly checkpointIntervalMs: number
  /** Events held at most. */
  readonly bufferEvents: number
  /** Told what keeps the log from being written, whenever that changes; undefined: nothing any more. */
  readonly onProblem: (problem: string | undefined) => void
}

/** Events that are written together, and who waits until they are durable. */
type Group = {
  readonly events: AuditEvent[]
  units: number
  readonly settled: Promise<'kept' | 'lost'>
  readonly settle: (outcome: 'kept' | 'lost') => void
}

/** UTF-16 units written at once: enough to make the system call cheap, too little to hold the loop for long. */
const GROUP_UNITS = 128 * 1024
const FIRST_RETRY_MS = 50
const LAST_RETRY_MS = 5000
/** How often the files are looked for at their places. */
const PLACE_MS = 1000
/** How often old files are looked for, at least. */
const TIDY_MS = 60_000
/** Closing an empty log may take as long, whatever the time given for events. */
const CLOSE_MS = 1000

/**
 * Opens the log and writes events to it. What was taken stays in memory until it is written, however long that can't be
 * done. Rejects where the log can't be opened or written at the start.
 */
export async function openFileLog(options: FileSinkOptions): Promise<EventSink> {
  const { name, fsync, flushIntervalMs, bufferEvents, checkpointIntervalMs, maxAgeMs, onProblem } = options
  const log = await AuditLog.open({ ...options, isSynced: fsync !== 'Never' })
  const isAlways = fsync === 'Always'
  const queue: Group[] = []
  /** Appended to the log, and not yet known to be written. */
  let held: Group | undefined
  let pending = 0
  let written = 0
  let lost = 0
  let state: 'open' | 'draining' | 'closed' = 'open'
  let running: Promise<void> | undefined
  let isScheduled = false
  let flushTimer: NodeJS.Timeout | undefined
  let syncTimer: NodeJS.Timeout | undefined
  let retryTimer: NodeJS.Timeout | undefined
  let retryMs = FIRST_RETRY_MS
  let placedAtMs = performance.now()
  let problem: string | undefined
  let syncProblem: string | undefined
  let tellRoom: (() => void) | undefined
  let drained: Promise<void> | undefined
  /** What is to be done beside writing events. */
  const due = { checkpoint: false, tidy: true }
  const timers = [
    setInterval(() => want('checkpoint'), checkpointIntervalMs).unref(),
    setInterval(() => want('tidy'), Math.min(TIDY_MS, maxAgeMs)).unref(),
  ]
  kick()

  function take(event: AuditEvent): undefined | Promise<'kept' | 'lost'> {
    if (state === 'closed') {
      lost++
      return isAlways ? Promise.resolve('lost') : undefined
    }
    let group = queue.at(-1)
    if (!group || group.units >= GROUP_UNITS) queue.push((group = newGroup()))
    // A line comes as a tree of its parts, all of which would be kept while it waits. Read once, it is one piece.
    event.line.charCodeAt(0)
    group.events.push(event)
    group.units += event.line.length
    pending++
    if (isAlways || group.units >= GROUP_UNITS) soon()
    else flushTimer ??= setTimeout(flushLast, flushIntervalMs)
    return isAlways ? group.settled : undefined
  }

  function flushLast(): void {
    flushTimer = undefined
    const last = queue.at(-1)
    if (last) seal(last)
    kick()
  }

  function want(what: keyof typeof due): void {
    due[what] = true
    kick()
  }

  function soon(): void {
    if (isScheduled || running) return
    isScheduled = true
    setImmediate(() => {
      isScheduled = false
      kick()
    })
  }

  function kick(): void {
    if (state === 'closed' || running || retryTimer) return
    running = run().finally(() => {
      running = undefined
      if (hasWork()) kick()
    })
  }

  function hasWork(): boolean {
    return mustFlush() || due.checkpoint || due.tidy || nextGroup() !== undefined
  }

  function mustFlush(): boolean {
    return held !== undefined || log.isUnwritten
  }

  /** The oldest group, once it is time for it. */
  function nextGroup(): Group | undefined {
    const [first] = queue
    return first && (isAlways || state === 'draining' || first.units >= GROUP_UNITS) ? first : undefined
  }

  async function run(): Promise<void> {
    try {
      while (hasWork() && !isClosed()) await step()
      retryMs = FIRST_RETRY_MS
      tell(undefined, syncProblem)
    } catch (error) {
      tell(messageOf(error), syncProblem)
      retryTimer = setTimeout(() => {
        retryTimer = undefined
        kick()
      }, retryMs).unref()
      retryMs = Math.min(LAST_RETRY_MS, retryMs * 2)
    }
  }

  async function step(): Promise<void> {
    if (mustFlush()) {
      await log.flush()
      if (isAlways) await log.sync()
      else scheduleSync()
      if (held) settleHeld(held)
    }
    if (performance.now() - placedAtMs >= PLACE_MS) {
      await log.checkPlaces()
      placedAtMs = performance.now()
    }
    if (due.tidy) {
      await log.tidy()
      due.tidy = false
    }
    if (due.checkpoint) {
      await log.checkpoint()
      due.checkpoint = false
    }
    const group = nextGroup()
    if (!group) return
    seal(group)
    await log.append(group.events)
    held = group
    queue.shift()
  }

  /** Nothing more joins the group. */
  function seal(group: Group): void {
    group.units = Math.max(group.units, GROUP_UNITS)
  }

  function settleHeld(group: Group): void {
    // Given up meanwhile: it counts as lost already.
    if (state === 'closed') return
    held = undefined
    written += group.events.length
    pending -= group.events.length
    group.settle('kept')
    tellRoom?.()
  }

  function scheduleSync(): void {
    if (syncTimer || log.isDurable) return
    syncTimer = setTimeout(() => void sync(), flushIntervalMs)
  }

  async function sync(): Promise<void> {
    try {
      await log.sync()
      tell(problem, undefined)
    } catch (error) {
      if (state === 'closed') return
      tell(problem, messageOf(error))
      await new Promise((resolve) => setTimeout(resolve, LAST_RETRY_MS).unref())
    }
    syncTimer = undefined
    if (state === 'closed') return
    if (log.isUnwritten) kick()
    else scheduleSync()
  }

  function tell(newProblem: string | undefined, newSyncProblem: string | undefined): void {
    const before = problem ?? syncProblem
    problem = newProblem
    syncProblem = newSyncProblem
    const now = problem ?? syncProblem
    if (now !== before) onProblem(now)
    if (now === undefined && before !== undefined) tellRoom?.()
  }

  async function drain(withinMs?: number): Promise<void> {
    state = 'draining'
    clearTimeout(flushTimer)
    for (const timer of timers) clearInterval(timer)
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<'late'>((resolve) => {
      if (withinMs === undefined) return
      timer = setTimeout(() => resolve('late'), pending > 0 ? withinMs : Math.max(withinMs, CLOSE_MS))
    })
    if ((await Promise.race([writeAll(), late])) === 'late') {
      state = 'closed'
      // A disk that hangs lets go of no file.
      await Promise.race([log.abandon(), pause(CLOSE_MS)])
    }
    state = 'closed'
    clearTimeout(timer)
    clearTimeout(syncTimer)
    clearTimeout(retryTimer)
    for (const group of [...(held ? [held] : []), ...queue]) group.settle('lost')
    lost += pending
    pending = 0
    tellRoom?.()
  }

  async function writeAll(): Promise<void> {
    for (;;) {
      clearTimeout(retryTimer)
      retryTimer = undefined
      kick()
      await running
      if (isClosed()) return
      if (pending === 0) {
        try {
          await log.close()
          return
        } catch (error) {
          tell(messageOf(error), syncProblem)
        }
      }
      await pause(FIRST_RETRY_MS)
    }
  }

  function isClosed(): boolean {
    return state === 'closed'
  }

  return {
    name,
    // Where answers wait for the disk, room in memory helps nobody while there is none on it.
    hasRoom: () => state === 'open' && pending < bufferEvents && !(isAlways && problem !== undefined),
    take,
    onRoom: (listener) => {
      tellRoom = listener
    },
    drain: (withinMs) => (drained ??= drain(withinMs)),
    figures: () => ({
      pending,
      written,
      lost,
      problem: problem ?? syncProblem,
      isBroken: false,
    }),
  }
}

function newGroup(): Group {
  let settle: Group['settle'] = ignore
  const settled = new Promise<'kept' | 'lost'>((resolve) => {
    settle = resolve
  })
  return { events: [], units: 0, settled, settle }
}

function ignore(): void {
  // Replaced at once.
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms)
  })
}
