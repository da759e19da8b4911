import type { FileHandle } from 'node:fs/promises'

/** A longer line is handed over cut, so that it is told as bad and fills no memory, bytes. */
const MAX_LINE_BYTES = 16 * 1024 * 1024
const PIECE_BYTES = 1024 * 1024
const LINE_FEED = 10
/** How far apart an end without a line feed is looked at again, milliseconds. */
const BETWEEN_LOOKS_MS = 50

/** `line` is without its line feed, and valid until `take` returns. */
export type TakeLine = (line: Buffer, isEnded: boolean) => void

/**
 * Hands over the lines of the first `size` bytes of a file. When these end within a line, its rest is waited for, since
 * it may be about to be written. Memory does not depend on the file.
 */
export async function readByteLines(
  file: FileHandle,
  { size, waitMs }: { readonly size: number; readonly waitMs: number },
  take: TakeLine,
): Promise<void> {
  const piece = Buffer.alloc(PIECE_BYTES)
  let rest: Buffer[] = []
  let held = 0
  let waitedMs = 0
  for (let at = 0; ;) {
    const wanted = at < size ? Math.min(PIECE_BYTES, size - at) : PIECE_BYTES
    if (at >= size && held === 0) return
    const { bytesRead } = await file.read(piece, 0, wanted, at)
    if (bytesRead === 0) {
      if (held === 0) return
      if (waitedMs >= waitMs) return take(Buffer.concat(rest), false)
      waitedMs += BETWEEN_LOOKS_MS
      await new Promise((resolve) => setTimeout(resolve, BETWEEN_LOOKS_MS))
      continue
    }
    const isBehind = at >= size
    at += bytesRead
    const bytes = piece.subarray(0, bytesRead)
    let from = 0
    for (let end = bytes.indexOf(LINE_FEED); end >= 0; end = bytes.indexOf(LINE_FEED, from)) {
      const line = bytes.subarray(from, end)
      take(held > 0 ? Buffer.concat([...rest, line]) : line, true)
      rest = []
      held = 0
      from = end + 1
      if (isBehind) return
    }
    if (from < bytesRead && held < MAX_LINE_BYTES) {
      rest.push(Buffer.from(bytes.subarray(from)))
      held += bytesRead - from
    }
  }
}
