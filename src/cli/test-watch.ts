import { watchPaths } from '../adapters/files.js'

/** A timer that far away only keeps the process alive. */
const LONG_MS = 0x7fff_ffff

/**
 * Runs once, and again after every change at or below `paths`, until `stop`. Runs never overlap; changes during a run
 * are one more run. Settles when the last run is over.
 */
export async function runOnChange(
  paths: readonly string[],
  run: () => Promise<void>,
  stop: AbortSignal,
): Promise<void> {
  let wake = (): void => undefined
  let isChanged = true
  const alive = setInterval(() => undefined, LONG_MS)
  const watcher = watchPaths(paths, () => {
    isChanged = true
    wake()
  })
  const onStop = (): void => wake()
  stop.addEventListener('abort', onStop)
  try {
    while (!stop.aborted) {
      if (isChanged) {
        isChanged = false
        await run()
      } else {
        await new Promise<void>((resolve) => {
          wake = resolve
        })
      }
    }
  } finally {
    stop.removeEventListener('abort', onStop)
    watcher.close()
    clearInterval(alive)
  }
}
