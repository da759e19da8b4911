import { constants } from 'node:fs'
import { type FileHandle, open, rename, rm } from 'node:fs/promises'

/** To read for the last byte alone; no symbolic link, and no wait for who reads a pipe. */
const FLAGS =
  constants.O_RDWR | constants.O_APPEND | constants.O_CREAT | constants.O_NOFOLLOW | constants.O_NONBLOCK
const LINE_FEED = 10

/**
 * Lines appended to a file that only its owner may read. Before it would grow beyond `maxBytes` it becomes `PATH.1`,
 * what was `PATH.1` becomes `PATH.2`, and so on; at most `files` are kept. Writes one at a time: the caller waits.
 * A line that a crash or a full disk tore is ended before the next begins. Never writes through a symbolic link.
 */
export class RotatingFile {
  readonly #path: string
  readonly #maxBytes: number
  readonly #files: number
  #handle: FileHandle | undefined
  #bytes = 0

  constructor(path: string, maxBytes: number, files: number) {
    this.#path = path
    this.#maxBytes = maxBytes
    this.#files = files
  }

  /** Whole lines with their line feeds. Rejects when the file can't be written; the next call tries anew. */
  async append(text: string): Promise<void> {
    const length = Buffer.byteLength(text)
    try {
      let handle = this.#handle ?? (await this.#open())
      if (this.#bytes > 0 && this.#bytes + length > this.#maxBytes) {
        await this.close()
        await this.#rotate()
        handle = await this.#open()
      }
      await handle.appendFile(text)
      this.#bytes += length
    } catch (error) {
      await this.close().catch(() => undefined)
      throw error
    }
  }

  async close(): Promise<void> {
    const handle = this.#handle
    this.#handle = undefined
    await handle?.close()
  }

  async #open(): Promise<FileHandle> {
    const handle = await open(this.#path, FLAGS, 0o600)
    this.#handle = handle
    const found = await handle.stat()
    if (!found.isFile()) throw new Error(`${this.#path} is no regular file`)
    await handle.chmod(0o600)
    this.#bytes = found.size
    if (found.size > 0 && !(await endsInLineFeed(handle, found.size))) {
      await handle.appendFile('\n')
      this.#bytes++
    }
    return handle
  }

  async #rotate(): Promise<void> {
    if (this.#files === 1) return rm(this.#path, { force: true })
    for (let number = this.#files - 1; number > 0; number--) {
      const from = number === 1 ? this.#path : `${this.#path}.${number - 1}`
      await rename(from, `${this.#path}.${number}`).catch((error: unknown) => {
        if (!isMissing(error)) throw error
      })
    }
  }
}

async function endsInLineFeed(handle: FileHandle, size: number): Promise<boolean> {
  const { bytesRead, buffer } = await handle.read(Buffer.alloc(1), 0, 1, size - 1)
  return bytesRead === 1 && buffer[0] === LINE_FEED
}

function isMissing(error: unknown): boolean {
  return typeof error === 'object' && error !== null && 'code' in error && error.code === 'ENOENT'
}
