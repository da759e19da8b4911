import { setTimeout as sleep } from 'node:timers/promises'

const LOOK_EVERY_MS = 40

/** Looks until it is so. Throws with `what` when it isn't within the time. */
export async function until(
  what: string,
  withinMs: number,
  isSo: () => boolean | Promise<boolean>,
): Promise<void> {
  const endMs = performance.now() + withinMs
  while (!(await isSo())) {
    if (performance.now() > endMs) throw new Error(`${what}: not within ${withinMs} ms`)
    await sleep(LOOK_EVERY_MS)
  }
}
