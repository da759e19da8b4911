import { watchPaths } from '../adapters/files.js'
import { type Log, messageOf } from './log.js'

const SETTLE_MS = 100

/** Files that are read again whenever they change. */
export type Watched = {
  /** Reads once more; resolves when that reading is over. */
  again(): Promise<void>
  close(): void
}

/**
 * Reads now and after every change at or below `paths`. Watching begins before the first reading, so no change is
 * missed; readings never overlap, so an older one can't come last. What the first reading throws is thrown here and
 * ends the watch. Later `read` tells of bad input itself; what it throws is a bug, is logged and changes nothing.
 */
export async function watched(
  paths: readonly string[],
  read: () => Promise<void>,
  what: string,
  log: Log,
): Promise<Watched> {
  let last: Promise<void> = Promise.resolve()
  let waiting: Promise<void> | undefined
  const again = (): Promise<void> => {
    // One that has not begun yet will see whatever is there when it begins.
    waiting ??= last.then(() => {
      waiting = undefined
      last = read().catch((error: unknown) => {
        log('error', `${what}: reading failed, what was read before stays`, { problem: messageOf(error) })
      })
      return last
    })
    return waiting
  }
  const watcher = watchPaths(paths, () => void again(), { settleMs: SETTLE_MS })
  try {
    const first = read()
    last = first.catch(() => undefined)
    await first
  } catch (error) {
    watcher.close()
    throw error
  }
  return { again, close: () => watcher.close() }
}
