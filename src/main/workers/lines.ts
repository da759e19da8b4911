import { once } from 'node:events'
import type { Readable, Writable } from 'node:stream'

const LINE_FEED = 10

/**
 * Lines of several sources in one output, each whole. While the output is full no source is read, so that whoever
 * writes to it has to wait. When the output breaks, the sources are closed and their writers learn of it.
 */
export class Lines {
  readonly #output: Writable
  readonly #sources = new Set<Readable>()
  #isBroken = false

  constructor(output: Writable) {
    this.#output = output
    output.on('drain', () => {
      for (const source of this.#sources) source.resume()
    })
    output.on('error', () => {
      this.#isBroken = true
      for (const source of this.#sources) source.destroy()
    })
  }

  /** Settles at the end of the source, with the bytes of a line that was not ended and is not written. */
  async follow(source: Readable): Promise<number> {
    if (this.#isBroken) {
      source.destroy()
      return 0
    }
    this.#sources.add(source)
    let rest: Buffer[] = []
    source.on('data', (chunk: Buffer) => {
      const end = chunk.lastIndexOf(LINE_FEED) + 1
      if (end === 0) {
        rest.push(chunk)
        return
      }
      const whole = chunk.subarray(0, end)
      const isFull = !this.#output.write(rest.length === 0 ? whole : Buffer.concat([...rest, whole]))
      rest = end === chunk.length ? [] : [chunk.subarray(end)]
      if (isFull) for (const each of this.#sources) each.pause()
    })
    source.on('error', () => undefined)
    await new Promise<void>((resolve) => source.once('close', resolve))
    this.#sources.delete(source)
    return rest.reduce((sum, { length }) => sum + length, 0)
  }

  /**
   * Settles once every source has ended and all is written, or after `withinMs`; then the sources are closed. False:
   * something was not written.
   */
  async ended(withinMs: number): Promise<boolean> {
    const limit = new AbortController()
    const timer = setTimeout(() => limit.abort(), withinMs)
    await Promise.race([this.#allWritten(), once(limit.signal, 'abort')])
    clearTimeout(timer)
    for (const source of this.#sources) source.destroy()
    return !limit.signal.aborted
  }

  async #allWritten(): Promise<void> {
    await Promise.all(Array.from(this.#sources, async (source) => once(source, 'close')))
    if (this.#isBroken || this.#output.writableLength === 0) return
    await new Promise<void>((resolve) => this.#output.write('', () => resolve()))
  }
}
