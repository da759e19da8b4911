import { type Backoff, backoffMs } from '../../audit/backoff.js'
import type { AuditEvent, EventSink } from '../../audit/event-sink.js'
import { connect, reconnect } from './connection.js'
import type { RedisStoreOptions } from './options.js'

/**
 * Adds entries with the field `event` to the stream of that key, in their order, all or none, and keeps about
 * `maxLength` entries. Rejects where the server does not take them, and where nobody knows whether it has.
 */
export type AppendEntries = (stream: string, lines: readonly string[], maxLength: number) => Promise<void>

export type EntryAppender = { readonly append: AppendEntries; readonly close: () => void }

/** A connection of its own, which opens with the first entries. */
export function openEntryAppender(options: RedisStoreOptions): EntryAppender {
  let client: ReturnType<typeof connect> | undefined
  return {
    append: async (stream, lines, maxLength) => {
      if (!client) {
        client = connect(options)
        client.on('error', ignore)
      }
      const transaction = client.multi()
      for (const line of lines) transaction.xadd(stream, 'MAXLEN', '~', maxLength, '*', 'event', line)
      try {
        const results = await transaction.exec()
        const failed = results?.find(([error]) => error !== null)
        if (failed?.[0]) throw failed[0]
        if (results?.length !== lines.length) throw new Error('the transaction was not executed')
      } catch (error) {
        // A server that hangs would carry out every repetition that reached it once it goes on.
        if (isWithoutAnswer(error)) reconnect(client)
        throw reasonOf(error)
      }
    },
    close: () => client?.disconnect(),
  }
}

/** A transaction that is given up says why in the errors of its commands. */
function reasonOf(error: unknown): unknown {
  if (!(error instanceof Error) || !('previousErrors' in error)) return error
  return Array.isArray(error.previousErrors) ? (error.previousErrors[0] ?? error) : error
}

function isWithoutAnswer(error: unknown): boolean {
  return error instanceof Error && /timed out/i.test(error.message)
}

export type AuditStreamOptions = {
  readonly name: string
  readonly append: AppendEntries
  readonly stream: string
  /** Entries kept, about. */
  readonly maxLength: number
  /** Events held at most. */
  readonly buffer: number
  /** The line of an event. */
  readonly render: (event: AuditEvent) => string
  readonly backoff: Backoff
  /** In [0, 1), for the jitter. */
  readonly random: () => number
  readonly tell: (
    level: 'info' | 'warn' | 'error',
    message: string,
    fields?: Readonly<Record<string, string | number>>,
  ) => void
}

const ENTRIES_AT_ONCE = 200
const UNITS_AT_ONCE = 512 * 1024

/**
 * Events as entries of a Redis stream, in the order in which they were taken, each at least once: where an answer was
 * lost, entries may be there twice. A store that is away is waited for.
 */
export function createAuditStream(options: AuditStreamOptions): EventSink {
  const { name, append, stream, maxLength, buffer, render, backoff, random, tell } = options
  let queue: AuditEvent[] = []
  let batch: readonly string[] | undefined
  let written = 0
  let lost = 0
  let failures = 0
  let problem: string | undefined
  let isDraining = false
  let isStopped = false
  let running: Promise<void> | undefined
  let drained: Promise<void> | undefined
  let wake: (() => void) | undefined
  let tellRoom: (() => void) | undefined

  const pending = (): number => queue.length + (batch?.length ?? 0)

  function take(event: AuditEvent): undefined {
    if (isStopped) {
      lost++
      return
    }
    queue.push(event)
    running ??= run()
  }

  async function run(): Promise<void> {
    // What comes in the same turn goes in one transaction.
    await new Promise(setImmediate)
    for (let lines = nextLines(); lines; lines = nextLines()) {
      try {
        await append(stream, lines, maxLength)
        if (!isStopped) settle(lines.length)
      } catch (error) {
        if (!isStopped) await fail(error)
      }
    }
    running = undefined
  }

  /** Those that were not taken yet, before others. */
  function nextLines(): readonly string[] | undefined {
    if (isStopped || pending() === 0) return undefined
    batch ??= nextBatch()
    return batch
  }

  function nextBatch(): readonly string[] {
    const lines: string[] = []
    let units = 0
    for (const event of queue) {
      if (lines.length >= ENTRIES_AT_ONCE || units >= UNITS_AT_ONCE) break
      const line = render(event)
      lines.push(line)
      units += line.length
    }
    queue = lines.length === queue.length ? [] : queue.slice(lines.length)
    return lines
  }

  function settle(count: number): void {
    batch = undefined
    written += count
    failures = 0
    if (problem !== undefined) tell('info', 'the stream takes events again', { pending: pending() })
    problem = undefined
    tellRoom?.()
  }

  async function fail(error: unknown): Promise<void> {
    const now = problemOf(error)
    if (problem !== now) tell('warn', 'events wait for the stream', { problem: now, pending: pending() })
    problem = now
    failures++
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, backoffMs(failures, backoff, random())).unref()
      wake = () => {
        clearTimeout(timer)
        resolve()
      }
    })
  }

  async function drain(withinMs: number | undefined): Promise<void> {
    isDraining = true
    // There is no later for a long pause.
    wake?.()
    let timer: NodeJS.Timeout | undefined
    const end = new Promise<void>((resolve) => {
      if (withinMs !== undefined) timer = setTimeout(resolve, withinMs)
    })
    await Promise.race([running, end])
    clearTimeout(timer)
    isStopped = true
    wake?.()
    const given = pending()
    queue = []
    batch = undefined
    if (given === 0) return
    lost += given
    tell('error', 'security events are lost', { lost: given, problem: problem ?? 'no time was left' })
  }

  return {
    name,
    hasRoom: () => !isDraining && pending() < buffer,
    take,
    onRoom: (listener) => {
      tellRoom = listener
    },
    drain: (withinMs) => (drained ??= drain(withinMs)),
    figures: () => ({ pending: pending(), written, lost, problem, isBroken: false }),
  }
}

/** The first words of Redis' own, or the code of the connection's: what follows may quote an entry. */
function problemOf(error: unknown): string {
  if (!(error instanceof Error)) return 'not appended'
  const code = /^[A-Z]+(?= )/.exec(error.message)?.[0]
  if (code !== undefined) return `Redis answers ${code}`
  if ('code' in error && typeof error.code === 'string') return `the store is away: ${error.code}`
  return isWithoutAnswer(error) ? 'the store does not answer' : 'the store is away'
}

/** Who appends is told by the command's own failure. */
function ignore(): void {}
