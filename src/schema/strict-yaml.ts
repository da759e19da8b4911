import { Composer, Parser } from 'yaml'
import type { Document, Node } from 'yaml'
import type { Pointer, Position, Problem } from './problem.js'
import { PlainReader } from './plain-value.js'
import type { Place } from './plain-value.js'
import { DEFAULT_MAX_BYTES, LineIndex, decodeText, hiddenCharacters } from './source-text.js'

/** A value together with where its parts were written, as far as that is known. */
export interface SourcedValue {
  readonly value: unknown
  /** Of the value at `pointer`, or of its key. The nearest enclosing place when there is nothing at `pointer`. */
  positionOf(pointer: Pointer, what?: 'key' | 'value'): Position | undefined
  /** The value there was already reported as unreadable, so its type says nothing more. */
  isReported?(pointer: Pointer): boolean
}

/**
 * One document of a YAML file as plain JSON-like data. Maps are null-prototype objects. A value that
 * an alias stands for is the same object as at its anchor: don't change it.
 */
export interface SourcedDocument extends SourcedValue {
  readonly file: string
  positionOf(pointer: Pointer, what?: 'key' | 'value'): Position
  isReported(pointer: Pointer): boolean
}

export type ParsedYaml = { readonly documents: SourcedDocument[]; readonly problems: Problem[] }

/** After so many problems a file is not read further. */
const MAX_PROBLEMS = 1000

/**
 * Reads what a user wrote, strictly, and tells everything that is wrong with it at once: syntax,
 * duplicate keys, plain `yes`/`no`/`on`/`off`/`y`/`n`, octals, tags, merge keys, directives, keys
 * that are not text, hidden characters, bytes that are not UTF-8, more than `maxBytes` (default
 * 16 MiB). Aliases are read within a bound on what they stand for.
 *
 * `documents` holds those whose syntax is sound; empty ones are left out. When `problems` is not
 * empty they serve only to find more problems.
 */
export function parseYamlDocuments(
  file: string,
  source: string | Uint8Array,
  options: { readonly maxBytes?: number } = {},
): ParsedYaml {
  const decoded = decodeText(file, source, options.maxBytes ?? DEFAULT_MAX_BYTES)
  if ('problem' in decoded) return { documents: [], problems: [decoded.problem] }
  const { text } = decoded
  const lines = new LineIndex(file, text)
  const problems: Problem[] = []
  const reported = new Set<number>()
  const report = (offset: number, code: string, message: string): void => {
    reported.add(offset)
    if (problems.length < MAX_PROBLEMS) {
      problems.push({ severity: 'error', code, message, position: lines.positionOf(offset) })
    }
  }
  for (const { offset, name } of hiddenCharacters(text, 20)) {
    report(
      offset,
      'hidden-character',
      `the character ${name} can't be seen here: take it out, or write it as an escape in double quotes`,
    )
  }
  const documents: SourcedDocument[] = []
  if (problems.length > 0) return { documents, problems }

  for (const document of compose(text, report)) {
    const sound = reportSyntax(document, report)
    if (problems.length >= MAX_PROBLEMS) break
    if (isEmpty(document)) continue
    const { value, place } = new PlainReader(report).read(document.contents, document.range[0])
    if (sound) documents.push(new ParsedDocument(value, file, place, lines, reported))
  }
  return { documents, problems }
}

class ParsedDocument implements SourcedDocument {
  readonly value: unknown
  readonly file: string
  readonly #place: Place
  readonly #lines: LineIndex
  readonly #reported: ReadonlySet<number>

  constructor(value: unknown, file: string, place: Place, lines: LineIndex, reported: ReadonlySet<number>) {
    this.value = value
    this.file = file
    this.#place = place
    this.#lines = lines
    this.#reported = reported
  }

  positionOf(pointer: Pointer, what: 'key' | 'value' = 'value'): Position {
    return this.#lines.positionOf(offsetOf(this.#place, pointer, what))
  }

  isReported(pointer: Pointer): boolean {
    return this.#reported.size > 0 && this.#reported.has(offsetOf(this.#place, pointer, 'value'))
  }
}

function offsetOf(root: Place, pointer: Pointer, what: 'key' | 'value'): number {
  let place = root
  let keyAt = root.at
  for (const step of pointer) {
    const index = typeof step === 'number' ? step : (place.names?.indexOf(step) ?? -1)
    const next = place.values?.[index]
    if (!next) return place.at
    keyAt = place.keys?.[index] ?? next.at
    place = next
  }
  return what === 'key' ? keyAt : place.at
}

type Report = (offset: number, code: string, message: string) => void

/** Documents one after the other; directives are reported, since YAML 1.1 would mean other values. */
function* compose(text: string, report: Report): Generator<Document.Parsed<never, false>> {
  const composer = new Composer<never, false>({
    schema: 'failsafe',
    uniqueKeys: false,
    prettyErrors: false,
    logLevel: 'silent',
    strict: true,
  })
  for (const token of new Parser().parse(text)) {
    if (token.type === 'directive')
      report(token.offset, 'directive', 'directives (%YAML, %TAG) are not read: leave this line out')
    else yield* composer.next(token)
  }
  yield* composer.end()
  for (const error of composer.streamInfo().errors)
    report(error.pos[0], 'yaml-syntax', explain(error.code, error.message))
}

/** False when the document can't be trusted to mean what it says. */
function reportSyntax(document: Document.Parsed<never, false>, report: Report): boolean {
  for (const error of document.errors) report(error.pos[0], 'yaml-syntax', explain(error.code, error.message))
  return document.errors.length === 0
}

function explain(code: string, message: string): string {
  switch (code) {
    case 'TAB_AS_INDENT':
      return 'a tab indents this line; YAML is indented with spaces'
    case 'RESOURCE_EXHAUSTION':
      return 'nested too deeply'
    case 'BLOCK_AS_IMPLICIT_KEY':
      return 'a second `key: value` on this line; quote the value if the colon belongs to it, else write it on a line of its own'
    default:
      return `not YAML: ${message.charAt(0).toLowerCase()}${message.slice(1)}`
  }
}

function isEmpty(document: Document.Parsed<never, false>): boolean {
  const contents = document.contents as Node | null
  return (
    !contents ||
    ('source' in contents &&
      contents.source === '' &&
      'type' in contents &&
      contents.type === 'PLAIN' &&
      !contents.anchor &&
      !contents.tag)
  )
}
