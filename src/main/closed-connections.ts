import { CLOSED_FOR, type Closed, type ClosedFor, isExcess } from '../adapters/grpc/closing.js'
import type { Log } from './log.js'

/** One line for each listener, reason and peer within this time; the others are counted. */
const TELL_EVERY_MS = 60_000
/** Peers that are told apart within that time. */
const MAX_TOLD = 1000

export type ClosedConnections = {
  /** What one listener is to tell. */
  readonly of: (listener: string) => (closed: Closed) => void
  /** Of every listener and reason, those that never came about included. */
  readonly counts: () => Iterable<readonly [listener: string, reason: ClosedFor, count: number]>
  close(): void
}

/** Counts the connections that listeners end, and says in the log which peers do what nobody does that means well. */
export function countClosedConnections(log: Log): ClosedConnections {
  const counts = new Map<string, Map<ClosedFor, number>>()
  const told = new Map<string, { readonly fields: Record<string, string>; more: number }>()
  let timer: NodeJS.Timeout | undefined

  function tell(listener: string, { reason, peer = 'a Unix socket' }: Closed): void {
    timer ??= setTimeout(tellOfMore, TELL_EVERY_MS).unref()
    const full = told.size >= MAX_TOLD
    const key = full ? `${listener} ${reason}` : `${listener} ${reason} ${peer}`
    const earlier = told.get(key)
    if (earlier) {
      earlier.more++
      return
    }
    const fields = { listener, reason, peer: full ? 'further peers' : peer }
    told.set(key, { fields, more: 0 })
    log('warn', 'closed the connection of a peer that does too much', fields)
  }

  function tellOfMore(): void {
    clearTimeout(timer)
    timer = undefined
    for (const { fields, more } of told.values()) {
      if (more > 0)
        log('warn', 'closed further connections of a peer that does too much', { ...fields, more })
    }
    told.clear()
  }

  return {
    of: (listener) => {
      const ofListener = new Map(CLOSED_FOR.map((reason) => [reason, 0]))
      counts.set(listener, ofListener)
      return (closed) => {
        ofListener.set(closed.reason, (ofListener.get(closed.reason) ?? 0) + 1)
        if (isExcess(closed.reason)) tell(listener, closed)
      }
    },
    counts: function* () {
      for (const [listener, ofListener] of counts) {
        for (const [reason, count] of ofListener) yield [listener, reason, count] as const
      }
    },
    close: tellOfMore,
  }
}
