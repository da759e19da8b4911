import { Composer, Lexer, Parser } from 'yaml'
import type { CST, Document, Node, YAMLParseError } from 'yaml'
import type { Pointer, Position, Problem } from './problem.js'
import { MAX_DEPTH, PlainReader } from './plain-value.js'
import type { Place, Report } from './plain-value.js'
import { readSimpleYamlInSteps } from './simple-yaml.js'
import { DEFAULT_MAX_BYTES, LineIndex, decodeText, hiddenCharacters } from './source-text.js'
import { finish, type Steps } from './steps.js'

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
  return finish(parseYamlDocumentsInSteps(file, source, options))
}

/** The same, a document a step. */
export function* parseYamlDocumentsInSteps(
  file: string,
  source: string | Uint8Array,
  options: { readonly maxBytes?: number } = {},
): Steps<ParsedYaml> {
  const decoded = decodeText(file, source, options.maxBytes ?? DEFAULT_MAX_BYTES)
  if ('problem' in decoded) return { documents: [], problems: [decoded.problem] }
  const { text } = decoded
  const lines = new LineIndex(file, text)
  const problems: Problem[] = []
  const reported = new Set<number>()
  const report: Report = (offset, code, message) => {
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

  yield
  const simple = yield* readSimpleYamlInSteps(text)
  if (simple) {
    for (const { value, place } of simple)
      documents.push(new ParsedDocument(value, file, place, lines, reported))
    return { documents, problems }
  }
  for (const document of compose(text, report)) {
    yield
    const sound = reportSyntax(document, text, report)
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

/** Documents one after the other; directives are reported, since YAML 1.1 would mean other values. */
function* compose(text: string, report: Report): Generator<Document.Parsed<never, false>> {
  const composer = new Composer<never, false>({
    schema: 'failsafe',
    uniqueKeys: false,
    prettyErrors: false,
    logLevel: 'silent',
    strict: true,
  })
  let errors = 0
  for (const token of tokens(text, report)) {
    if (token.type === 'directive') {
      report(token.offset, 'directive', 'directives (%YAML, %TAG) are not read: leave this line out')
    } else yield* composer.next(token)
    if (token.type === 'error' && ++errors >= MAX_PROBLEMS) break
  }
  yield* composer.end()
  const { errors: rest } = composer.streamInfo()
  for (const error of rest) report(error.pos[0], 'yaml-syntax', explain(text, error))
}

/** What the parser makes of the text, until brackets are nested so deeply that nobody can have meant it. */
function* tokens(text: string, report: Report): Generator<CST.Token> {
  const parser = new Parser()
  let depth = 0
  let offset = 0
  let inScalar = false
  for (const lexeme of new Lexer().lex(text)) {
    if (!inScalar && (lexeme === '[' || lexeme === '{') && ++depth > MAX_DEPTH) {
      report(offset, 'too-deep', `nested deeper than ${MAX_DEPTH} levels`)
      return
    }
    if (!inScalar && (lexeme === ']' || lexeme === '}') && depth > 0) depth--
    if (lexeme === START_OF_DOCUMENT) depth = 0
    inScalar = lexeme === START_OF_SCALAR
    if (!NOT_TEXT.has(lexeme)) offset += lexeme.length
    yield* parser.next(lexeme)
  }
  yield* parser.end()
}

/** Lexemes that stand for no text of the source. */
const START_OF_DOCUMENT = '\u0002'
const END_OF_BROKEN_FLOW = '\u0018'
const START_OF_SCALAR = '\u001f'
const NOT_TEXT = new Set([START_OF_DOCUMENT, END_OF_BROKEN_FLOW, START_OF_SCALAR])

/** False when the document can't be trusted to mean what it says. */
function reportSyntax(document: Document.Parsed<never, false>, text: string, report: Report): boolean {
  let derailed = false
  for (const error of document.errors) {
    const [at] = error.pos
    const template = isUnquotedTemplate(text, at)
    // After one, the parser stumbles over what is right too.
    if (derailed && !template && (error.code === 'UNEXPECTED_TOKEN' || error.code === 'MISSING_CHAR'))
      continue
    derailed ||= template
    report(at, 'yaml-syntax', explain(text, error))
  }
  return document.errors.length === 0
}

/** `{` right behind other text: a path template in brackets, where YAML takes it for a map. */
function isUnquotedTemplate(text: string, offset: number): boolean {
  return text[offset] === '{' && /[^\s[{,:]/.test(text[offset - 1] ?? '')
}

function explain(text: string, { code, message, pos }: YAMLParseError): string {
  if (isUnquotedTemplate(text, pos[0])) {
    return 'text that holds `{` must be quoted within brackets, for example ["/items/{id}"]'
  }
  if (code === 'TAB_AS_INDENT') return 'a tab indents this line; YAML is indented with spaces'
  if (code === 'RESOURCE_EXHAUSTION') return 'nested too deeply'
  if (code === 'BLOCK_AS_IMPLICIT_KEY') {
    return 'a second `key: value` on this line; quote the value if the colon belongs to it, else write it on a line of its own'
  }
  return `not YAML: ${message.charAt(0).toLowerCase()}${message.slice(1)}`
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
