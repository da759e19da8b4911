import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { LogFileName } from '../../audit/chain/file-names.js'
import type { RemovedFile } from '../../audit/chain/log-lines.js'
import { listLog, readClosed } from './recover-stream.js'

type Closed = { readonly removed: RemovedFile; readonly atMs: number }

/**
 * The closed files of a log, and which of them have been kept long enough. A file that can't be read as part of the log
 * is kept, and so is every later one of its stream: nothing is deleted but from the front.
 */
export class Retention {
  readonly #folder: string
  readonly #stem: string
  /** Closed files don't change: each is looked into once. */
  readonly #known = new Map<string, Closed>()

  constructor(folder: string, stem: string) {
    this.#folder = folder
    this.#stem = stem
  }

  /** By stream, oldest first. `retentionMs` of a stream; undefined: for ever. */
  async expired(
    retentionMs: (stream: string) => number | undefined,
    nowMs: number,
  ): Promise<ReadonlyMap<string, readonly RemovedFile[]>> {
    const closed = (await listLog(this.#folder, this.#stem))
      .filter(({ kind }) => kind === 'closed')
      .toSorted((a, b) => (a.firstSeq ?? 0) - (b.firstSeq ?? 0))
    const expired = new Map<string, RemovedFile[]>()
    const kept = new Set<string>()
    for (const file of closed) {
      const keepMs = retentionMs(file.stream)
      if (keepMs === undefined || kept.has(file.stream)) continue
      const known = await this.#look(file)
      if (!known || nowMs - known.atMs < keepMs) {
        kept.add(file.stream)
        continue
      }
      const ofStream = expired.get(file.stream) ?? []
      ofStream.push(known.removed)
      expired.set(file.stream, ofStream)
    }
    return expired
  }

  async remove(files: readonly RemovedFile[]): Promise<void> {
    for (const { file } of files) {
      await rm(join(this.#folder, file), { force: true })
      this.#known.delete(file)
    }
  }

  async #look({ name, firstSeq = 0 }: LogFileName): Promise<Closed | undefined> {
    const known = this.#known.get(name)
    if (known) return known
    const read = await readClosed(join(this.#folder, name)).catch(() => undefined)
    if (!read) return undefined
    const { seq, hash } = read.end
    const closed = {
      removed: { file: name, firstSeq, lastSeq: seq, lastHash: hash },
      atMs: read.atMs,
    }
    this.#known.set(name, closed)
    return closed
  }
}
