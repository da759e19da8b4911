import type { AlertSink } from '../../risk/alert-sink.js'
import { createAlertQueue } from './queue.js'

/** Adds an entry with the line to the stream of that key and keeps about `maxLength` entries. Rejects on failure. */
export type AppendToStream = (stream: string, line: string, maxLength: number) => Promise<unknown>

export type AlertStreamOptions = {
  readonly append: AppendToStream
  readonly stream: string
  readonly maxLength: number
  /** Alerts that wait at most. */
  readonly buffer: number
  readonly random: () => number
  readonly warn: (message: string) => void
  /** Wait before the first retry, milliseconds. */
  readonly backoffMs?: number
}

/** Alerts as entries of a Redis stream. A store that is away is waited for: only want of room ends an alert. */
export function createAlertStream(options: AlertStreamOptions): AlertSink {
  const { append, stream, maxLength } = options
  return createAlertQueue({
    ...options,
    name: `stream ${stream}`,
    retries: Infinity,
    attempt: async (line) => {
      try {
        await append(stream, line, maxLength)
        return { outcome: 'delivered' }
      } catch (error) {
        return { outcome: 'failed', problem: error instanceof Error ? error.message : 'not appended' }
      }
    },
  })
}
