import { stat } from 'node:fs/promises'
import { linesOf } from './record-lines.js'

export type PlacedLine = {
  readonly file: string
  readonly number: number
  readonly line: string
  /** False for a last line without its line feed. */
  readonly complete: boolean
}

/** Files that are open at once; more are read one after the other. */
const MAX_OPEN = 64
const TIMESTAMP = /"timestamp":"([^"\\]{10,40})"/

type Source = {
  readonly lines: AsyncIterator<{ readonly line: string; readonly complete: boolean }>
  readonly file: string
  number: number
  head: PlacedLine
  /** Of the head, or of the last line that had one. */
  atMs: number
}

/**
 * The lines of several files as one log, in the order of their timestamps: each file is in order for itself, and files of
 * several writers overlap. Only files whose time has come are open. Memory does not depend on the files' size.
 */
export async function* mergedLines(files: readonly string[]): AsyncGenerator<PlacedLine> {
  if (files.length === 1) {
    yield* plainLines(files[0] ?? '')
    return
  }
  const starts = await Promise.all(files.map(async (file) => ({ file, fromMs: await firstTime(file) })))
  const closed = starts.toSorted((a, b) => a.fromMs - b.fromMs)
  const open: Source[] = []
  try {
    for (;;) {
      let first = earliest(open)
      while (closed[0] && open.length < MAX_OPEN && (!first || closed[0].fromMs <= first.atMs)) {
        const next = closed.shift()
        const source = next && (await openSource(next.file))
        if (source) open.push(source)
        first = earliest(open)
      }
      if (!first) return
      yield first.head
      if (!(await advance(first))) open.splice(open.indexOf(first), 1)
    }
  } finally {
    for (const { lines } of open) await lines.return?.()
  }
}

async function* plainLines(file: string): AsyncGenerator<PlacedLine> {
  let number = 0
  for await (const { line, complete } of linesOf(file)) yield { file, number: ++number, line, complete }
}

function earliest(open: readonly Source[]): Source | undefined {
  let first: Source | undefined
  for (const source of open) if (!first || source.atMs < first.atMs) first = source
  return first
}

async function openSource(file: string): Promise<Source | undefined> {
  const lines = linesOf(file)
  const source = {
    lines,
    file,
    number: 0,
    head: { file, number: 0, line: '', complete: true },
    atMs: -Infinity,
  }
  return (await advance(source)) ? source : undefined
}

async function advance(source: Source): Promise<boolean> {
  const next = await source.lines.next()
  if (next.done) return false
  source.number++
  source.head = { file: source.file, number: source.number, ...next.value }
  // A line without a time goes with the one before it.
  source.atMs = timeOf(next.value.line) ?? source.atMs
  return true
}

/** Of the first line that has one. A file that has none is read first, as is a pipe, which can be read once only. */
async function firstTime(file: string): Promise<number> {
  if (!(await stat(file)).isFile()) return -Infinity
  let looked = 0
  for await (const { line } of linesOf(file)) {
    const atMs = timeOf(line)
    if (atMs !== undefined) return atMs
    if (++looked >= 100) break
  }
  return -Infinity
}

/** The first timestamp of a line, which is the event's own; milliseconds since the epoch. */
function timeOf(line: string): number | undefined {
  const [, text] = TIMESTAMP.exec(line) ?? []
  const atMs = text === undefined ? NaN : Date.parse(text)
  return Number.isNaN(atMs) ? undefined : atMs
}
