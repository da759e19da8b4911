import { open, stat } from 'node:fs/promises'
import type { CliIo } from './io.js'

/** A line that is longer is cut, so that it is told as bad and fills no memory, bytes. */
const MAX_LINE_BYTES = 2 * 1024 * 1024
const PIECE_BYTES = 1024 * 1024
/** Lines that can't be read are told one by one up to so many of a file. */
const MAX_TOLD = 5
const PROGRESS_MS = 500

export type LinesRead = {
  /** False: told already, and the exit code is set. */
  readonly ok: boolean
  readonly lines: number
  readonly skipped: number
}

/**
 * Hands every line of JSON-line files to `take`, which gives what keeps it from reading one. Streamed: memory does not
 * depend on the files' size. What can't be read is told on standard error and skipped; a file that isn't there, and
 * files in which nothing could be read, end with exit code 2.
 */
export async function readLines(
  files: readonly string[],
  take: (line: string) => string | undefined,
  { what, io, quiet = false }: { readonly what: string; readonly io: CliIo; readonly quiet?: boolean },
): Promise<LinesRead> {
  let [lines, skipped] = [0, 0]
  const refuse = (problem: string): LinesRead => {
    io.stderr(`error: ${problem}\n`)
    io.exitCode = 2
    return { ok: false, lines, skipped }
  }
  const unusable = await unusableFile(files, what)
  if (unusable !== undefined) return refuse(unusable)
  const progress = progressOf(io)
  for (const file of files) {
    let [number, told] = [0, 0]
    const skip = (problem: string): void => {
      skipped++
      if (quiet || told++ >= MAX_TOLD) return
      io.stderr(`warning: ${file}:${number}: skipped, ${problem}\n`)
    }
    try {
      for await (const { line, complete } of linesOf(file)) {
        number++
        lines++
        const problem = take(line)
        if (problem !== undefined) skip(complete ? problem : `${problem} (the last line is cut off)`)
        progress.at(`${file}: ${lines.toLocaleString('en')} lines`)
      }
    } catch (error) {
      progress.end()
      return refuse(`${file} can't be read: ${error instanceof Error ? error.message : String(error)}`)
    }
    if (!quiet && told > MAX_TOLD) io.stderr(`warning: ${file}: ${told} lines skipped in all\n`)
  }
  progress.end()
  return { ok: true, lines, skipped }
}

/** Why a file can't be one of lines; undefined where all may be. */
export async function unusableFile(files: readonly string[], what: string): Promise<string | undefined> {
  for (const file of files) {
    const found = await stat(file).catch(() => undefined)
    if (!found) return `${file} can't be read: no such file`
    if (found.isDirectory()) return `${file} is a folder: name the files of ${what}s in it`
    if (found.isFile() && (await isGzip(file))) {
      return `${file} is compressed with gzip: unpack it first (gunzip -k)`
    }
  }
  return undefined
}

/** By its first bytes, whatever its name is; a pipe is not looked at, as it can be read once only. */
async function isGzip(file: string): Promise<boolean> {
  const handle = await open(file).catch(() => undefined)
  if (!handle) return false
  try {
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(2), 0, 2, 0)
    return bytesRead === 2 && buffer[0] === 0x1f && buffer[1] === 0x8b
  } finally {
    await handle.close()
  }
}

/** Streamed, a piece at a time; a line that is too long is cut. */
export async function* linesOf(file: string): AsyncGenerator<{ line: string; complete: boolean }> {
  const handle = await open(file)
  try {
    const buffer = Buffer.alloc(PIECE_BYTES)
    let rest: Buffer[] = []
    let held = 0
    for (;;) {
      const { bytesRead } = await handle.read(buffer, 0, PIECE_BYTES, null)
      if (bytesRead === 0) break
      let from = 0
      for (let end = buffer.indexOf(10, from); end >= 0 && end < bytesRead; end = buffer.indexOf(10, from)) {
        const piece = buffer.subarray(from, end)
        const line = held > 0 ? Buffer.concat([...rest, piece]).toString() : piece.toString()
        rest = []
        held = 0
        from = end + 1
        yield { line, complete: true }
      }
      if (held < MAX_LINE_BYTES && from < bytesRead) {
        rest.push(Buffer.from(buffer.subarray(from, bytesRead)))
        held += bytesRead - from
      }
    }
    if (held > 0) yield { line: Buffer.concat(rest).toString(), complete: false }
  } finally {
    await handle.close()
  }
}

/** One line that is written over, on a terminal alone. */
export function progressOf(io: CliIo): { at(text: string): void; end(): void } {
  let nextMs = Date.now() + 2 * PROGRESS_MS
  let shown = false
  return {
    at: (text) => {
      if (!io.isTerminal || Date.now() < nextMs) return
      nextMs = Date.now() + PROGRESS_MS
      shown = true
      io.stderr(`\r\u001b[K${text}`)
    },
    end: () => {
      if (shown) io.stderr('\r\u001b[K')
    },
  }
}
