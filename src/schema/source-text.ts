import type { Position, Problem } from './problem.js'

/** What a file of a user may hold at most, unless its reader says otherwise. */
export const DEFAULT_MAX_BYTES = 16 * 1024 * 1024

export type DecodedText = { readonly text: string } | { readonly problem: Problem }

/**
 * Turns the bytes of a user's file into text: UTF-8, at most `maxBytes`, a leading byte-order mark
 * left out. Text that is already a string is held to the same size.
 */
export function decodeText(file: string, source: string | Uint8Array, maxBytes: number): DecodedText {
  const start: Position = { file, line: 1, column: 1 }
  const size = typeof source === 'string' ? Buffer.byteLength(source) : source.byteLength
  if (size > maxBytes) {
    const message = `the file has ${size} bytes; at most ${maxBytes} are read`
    return { problem: { severity: 'error', code: 'file-too-large', message, position: start } }
  }
  const text =
    typeof source === 'string' ? source : new TextDecoder('utf-8', { ignoreBOM: true }).decode(source)
  if (typeof source !== 'string') {
    const invalidAt = firstInvalidOffset(text, source)
    if (invalidAt !== undefined) {
      const position = new LineIndex(file, text).positionOf(invalidAt)
      return {
        problem: { severity: 'error', code: 'invalid-utf8', message: 'the file is not UTF-8 here', position },
      }
    }
  }
  return { text: text.startsWith('\uFEFF') ? text.slice(1) : text }
}

/** Where lossy decoding put a replacement character that the bytes don't hold. */
function firstInvalidOffset(text: string, bytes: Uint8Array): number | undefined {
  let read = 0
  let at = 0
  for (let next = text.indexOf('\uFFFD'); next !== -1; next = text.indexOf('\uFFFD', next + 1)) {
    at += Buffer.byteLength(text.slice(read, next))
    if (bytes[at] !== 0xef || bytes[at + 1] !== 0xbf || bytes[at + 2] !== 0xbd) return next
    at += 3
    read = next + 1
  }
  return undefined
}

/** Offsets of a text as lines and columns; the lines are counted when the first position is asked for. */
export class LineIndex {
  readonly #file: string
  readonly #text: string
  #starts: number[] | undefined

  constructor(file: string, text: string) {
    this.#file = file
    this.#text = text
  }

  positionOf(offset: number): Position {
    const starts = (this.#starts ??= lineStarts(this.#text))
    let low = 0
    let high = starts.length - 1
    while (low < high) {
      const middle = (low + high + 1) >> 1
      if ((starts[middle] ?? 0) <= offset) low = middle
      else high = middle - 1
    }
    return { file: this.#file, line: low + 1, column: offset - (starts[low] ?? 0) + 1 }
  }
}

function lineStarts(text: string): number[] {
  const starts = [0]
  for (let at = text.indexOf('\n'); at !== -1; at = text.indexOf('\n', at + 1)) starts.push(at + 1)
  return starts
}

/**
 * Characters that show nothing, or another order than they have: C0 and C1 controls but tab and line
 * ends, bidirectional overrides and isolates, lone surrogates, noncharacters at the end of the plane.
 */
const HIDDEN =
  /[\0-\x08\x0B\x0C\x0E-\x1F\x7F-\x84\x86-\x9F\u202A-\u202E\u2066-\u2069\uFFFE\uFFFF]|\p{Surrogate}/gu

/** Offsets and code points of characters that nobody can see in review; at most `limit`. */
export function hiddenCharacters(text: string, limit: number): { offset: number; name: string }[] {
  const found: { offset: number; name: string }[] = []
  for (const match of text.matchAll(HIDDEN)) {
    const code = match[0].charCodeAt(0).toString(16).toUpperCase().padStart(4, '0')
    found.push({ offset: match.index, name: `U+${code}` })
    if (found.length >= limit) break
  }
  return found
}
