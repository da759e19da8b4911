import type { FileHandle } from 'node:fs/promises'
import type { ChainEnd } from '../../audit/chain/chain-line.js'

type Chunk = {
  readonly at: number
  readonly bytes: Buffer
  readonly end: ChainEnd
  readonly release: (() => void) | undefined
}

/**
 * What is appended to one open file, in memory until it is on the disk. Every write says where in the file it goes, so
 * that one that failed halfway, or that the disk dropped, is repeated without a duplicate or a gap.
 */
export class FileBytes {
  readonly #handle: FileHandle
  readonly #isSynced: boolean
  /** Not on the disk yet, oldest first; those before `#writtenTo` are written. */
  readonly #chunks: Chunk[] = []
  #size: number
  #writtenTo: number
  #syncedTo: number
  #mustRewrite = false
  #isUneven = false
  #durableEnd: ChainEnd

  /** `size` bytes are there already; `end` is the last line of them. */
  constructor(handle: FileHandle, size: number, end: ChainEnd, isSynced: boolean) {
    this.#handle = handle
    this.#size = this.#writtenTo = this.#syncedTo = size
    this.#durableEnd = end
    this.#isSynced = isSynced
  }

  /** With what is not written yet. */
  get size(): number {
    return this.#size
  }

  get writtenTo(): number {
    return this.#writtenTo
  }

  /** The last line that is on the disk, or written where nobody waits for the disk. */
  get durableEnd(): ChainEnd {
    return this.#durableEnd
  }

  get isDurable(): boolean {
    return this.#chunks.length === 0
  }

  /** `flush` has something to do. */
  get isUnwritten(): boolean {
    return this.#writtenTo < this.#size || this.#mustRewrite
  }

  /** Appended and not on the disk. */
  get heldBytes(): number {
    return this.#size - this.#syncedTo
  }

  /** A write failed halfway and could not be cut back: the file may be longer than what was written. */
  get isUneven(): boolean {
    return this.#isUneven
  }

  /** Whole lines, the last of which is `end`. `release` is told when `bytes` are no longer read. */
  append(bytes: Buffer, end: ChainEnd, release?: () => void): void {
    this.#chunks.push({ at: this.#size, bytes, end, release })
    this.#size += bytes.length
  }

  async flush(): Promise<void> {
    if (this.#mustRewrite) {
      this.#mustRewrite = false
      this.#writtenTo = this.#syncedTo
    }
    // A `sync` may drop chunks meanwhile: those that it drops are written.
    for (const { at, bytes } of this.#chunks.filter((chunk) => chunk.at >= this.#writtenTo)) {
      await this.#write(at, bytes)
      this.#writtenTo = at + bytes.length
      if (!this.#isSynced) this.#forget(this.#writtenTo)
    }
  }

  /** Makes what was written durable, and says up to where. After a failure `flush` writes it again. */
  async sync(): Promise<number> {
    const upTo = this.#writtenTo
    if (!this.#isSynced || this.#syncedTo === upTo) return upTo
    try {
      await this.#handle.datasync()
    } catch (error) {
      // The disk may have dropped what it had taken, and would not say so again.
      this.#mustRewrite = true
      throw error
    }
    this.#forget(upTo)
    return upTo
  }

  async #write(at: number, bytes: Buffer): Promise<void> {
    let done = 0
    try {
      while (done < bytes.length) {
        const { bytesWritten } = await this.#handle.write(bytes, done, bytes.length - done, at + done)
        if (bytesWritten === 0) throw new Error('nothing was written')
        done += bytesWritten
      }
      this.#isUneven = false
    } catch (error) {
      // Repeating the write makes it good too; until then, and should the process die, no half line is to be seen.
      this.#isUneven = await this.#handle.truncate(at).then(
        () => false,
        () => true,
      )
      throw error
    }
  }

  #forget(upTo: number): void {
    for (let [first] = this.#chunks; first && first.at < upTo; [first] = this.#chunks) {
      this.#durableEnd = first.end
      this.#chunks.shift()
      first.release?.()
    }
    this.#syncedTo = upTo
  }
}
