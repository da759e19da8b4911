import { PassThrough, type Readable } from 'node:stream'
import type { AdminLimits } from './limits.js'

/** Lines on their way to callers who stay. */
export class Followers {
  readonly #ends = new Set<() => void>()
  readonly #limits: AdminLimits

  constructor(limits: AdminLimits) {
    this.#limits = limits
  }

  get full(): boolean {
    return this.#ends.size >= this.#limits.followers
  }

  /** A stream of lines until its reader leaves, falls too far behind, or all are ended. */
  add(open: (write: (line: string) => void) => () => void): Readable {
    const lines = new PassThrough()
    const { followerBytes, followMs, heartbeatMs } = this.#limits
    const end = (): void => void lines.end()
    const stop = open((line) => {
      if (lines.writableEnded || lines.destroyed) return
      if (lines.writableLength + lines.readableLength > followerBytes) lines.destroy()
      else lines.write(`${line}\n`)
    })
    const heartbeat = setInterval(() => {
      if (!lines.writableEnded && !lines.destroyed) lines.write('\n')
    }, heartbeatMs)
    const longest = setTimeout(end, followMs)
    this.#ends.add(end)
    lines.once('close', () => {
      clearInterval(heartbeat)
      clearTimeout(longest)
      this.#ends.delete(end)
      stop()
    })
    // Sends the headers at once.
    lines.write('\n')
    return lines
  }

  /** Callers come again, and are asked who they are again. */
  endAll(): void {
    for (const end of this.#ends) end()
  }
}
