import { createHash } from 'node:crypto'
import type { FileHandle } from 'node:fs/promises'
import { type ChainEnd, chainHash, splitLine } from '../../audit/chain/chain-line.js'
import { previousOf, type TornEnd } from '../../audit/chain/log-lines.js'

/** Where a file of the log ends, as far as its lines are whole. */
export type Tail = {
  /** Undefined: no line of the file is whole. */
  readonly end: ChainEnd | undefined
  /** The last whole line lacks nothing but its line feed. */
  readonly lacksLineFeed: boolean
  /** What stands behind the last whole line, the line feed at its very end apart. */
  readonly torn: TornEnd | undefined
  /** The torn bytes have a line feed at their very end. */
  readonly tornIsEnded: boolean
  /** Of the last whole line. */
  readonly lastTimestampMs: number | undefined
}

const FIRST_WINDOW_BYTES = 256 * 1024
const LARGEST_WINDOW_BYTES = 64 * 1024 * 1024
const LINE_FEED = 10
const TIMESTAMP = /^\{"schemaVersion":"[^"]{1,16}","timestamp":"([^"]{20,32})"/

/** Throws where the last 64 MiB of a longer file hold no whole line. */
export async function readTail(handle: FileHandle, size: number): Promise<Tail> {
  for (let window = FIRST_WINDOW_BYTES; ; window *= 4) {
    const from = Math.max(0, size - window)
    const bytes = await readAt(handle, from, size - from)
    const found = lastWhole(bytes, from === 0)
    if (found || from === 0) return tailOf(bytes, found)
    if (window >= LARGEST_WINDOW_BYTES) throw new Error('its last 64 MiB hold no whole line of an audit log')
  }
}

type Whole = { readonly end: ChainEnd; readonly line: Buffer; readonly endsAt: number }

/** A line is whole when its hash follows from the line before, or from what it says of that itself. */
function lastWhole(bytes: Buffer, isWholeFile: boolean): Whole | undefined {
  let previous: ChainEnd | undefined
  let whole: Whole | undefined
  let at = isWholeFile ? 0 : bytes.indexOf(LINE_FEED) + 1
  while (at < bytes.length) {
    const lineFeed = bytes.indexOf(LINE_FEED, at)
    const endsAt = lineFeed === -1 ? bytes.length : lineFeed
    const line = bytes.subarray(at, endsAt)
    at = endsAt + 1
    const split = splitLine(line)
    if (!split) continue
    const { seq, hash, body } = split
    const before = previousOf(body) ?? previous
    const follows =
      before !== undefined && seq === before.seq + 1 && chainHash(before.hash, body, seq) === hash
    if (follows) whole = { end: { seq, hash }, line, endsAt }
    if (follows || lineFeed !== -1) previous = { seq, hash }
  }
  return whole
}

function tailOf(bytes: Buffer, whole: Whole | undefined): Tail {
  const rest = bytes.subarray(whole ? Math.min(bytes.length, whole.endsAt + 1) : 0)
  const tornIsEnded = rest.length > 0 && rest[rest.length - 1] === LINE_FEED
  const torn = tornIsEnded ? rest.subarray(0, rest.length - 1) : rest
  return {
    end: whole?.end,
    lacksLineFeed: whole?.endsAt === bytes.length,
    torn:
      rest.length === 0
        ? undefined
        : { bytes: torn.length, hash: createHash('sha256').update(torn).digest('base64url') },
    tornIsEnded,
    lastTimestampMs: whole && timestampOf(whole.line),
  }
}

/** Of a line that is not encrypted. */
export function timestampOf(line: Buffer): number | undefined {
  const ms = Date.parse(TIMESTAMP.exec(line.toString('latin1', 0, 80))?.[1] ?? '')
  return Number.isNaN(ms) ? undefined : ms
}

const LONGEST_OPENED = 4096

export type FirstLine = { readonly seq: number; readonly atMs: number | undefined }

/** Undefined: the file doesn't begin with a short whole line. */
export async function readFirst(handle: FileHandle, size: number): Promise<FirstLine | undefined> {
  const bytes = await readAt(handle, 0, Math.min(size, LONGEST_OPENED))
  const lineFeed = bytes.indexOf(LINE_FEED)
  const line = lineFeed === -1 ? undefined : splitLine(bytes.subarray(0, lineFeed))
  return line && { seq: line.seq, atMs: timestampOf(bytes) }
}

async function readAt(handle: FileHandle, from: number, length: number): Promise<Buffer> {
  const bytes = Buffer.alloc(length)
  let filled = 0
  while (filled < length) {
    const { bytesRead } = await handle.read(bytes, filled, length - filled, from + filled)
    if (bytesRead === 0) break
    filled += bytesRead
  }
  return bytes.subarray(0, filled)
}
