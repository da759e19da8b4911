import { createHash, type Hash } from 'node:crypto'
import type { TornEnd } from './log-lines.js'
import type { SavedLinks } from './verify-links.js'

type Region = {
  readonly hash: Hash
  /** How things stood before it. */
  readonly saved: SavedLinks
  readonly found: number
  bytes: number
}

const LINE_FEED = Buffer.from('\n')

/** Lines in a row that don't fit: the torn end of a process that was killed, if the next start says so. */
export class TornRegion {
  #region: Region | undefined

  get isOpen(): boolean {
    return this.#region !== undefined
  }

  /** Adds a line; `saved` and `found` are how things stood before it. */
  add(line: Buffer, saved: SavedLinks, found: number): void {
    const region = this.#region
    if (region) {
      region.hash.update(LINE_FEED).update(line)
      region.bytes += 1 + line.length
    } else {
      this.#region = { hash: createHash('sha256').update(line), saved, found, bytes: line.length }
    }
  }

  /** How things stood before it, if these are its bytes. Closes it. */
  settle({ bytes, hash }: TornEnd): Pick<Region, 'saved' | 'found'> | undefined {
    const region = this.#region
    this.#region = undefined
    return region?.bytes === bytes && region.hash.digest('base64url') === hash ? region : undefined
  }

  close(): void {
    this.#region = undefined
  }
}
