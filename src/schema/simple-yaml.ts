import { readPlainScalar } from './plain-scalar.js'
import { MAX_DEPTH, type Place } from './plain-value.js'
import { finish, type Steps } from './steps.js'

export type SimpleDocument = { readonly value: unknown; readonly place: Place }
type Found = SimpleDocument

/** Longer keys are left to the whole reader; YAML ends them at 1024 characters. */
const MAX_KEY = 1000
/** What makes a text more than simple wherever it stands: tabs, carriage returns, odd blanks, a second byte-order mark. */
const NOT_SIMPLE = /[\t\r\u0085\u00a0\u2028\u2029\ufeff]/
/** What a plain scalar begins with here; YAML has more, with exceptions. */
const PLAIN_START = /[A-Za-z0-9_/.$(+^~<=;\\\u0100-\ud7ff]/

const [LF, SPACE, QUOTE, HASH, APOSTROPHE, COMMA, DASH, COLON] = [10, 32, 34, 35, 39, 44, 45, 58]
const [OPEN_LIST, BACKSLASH, CLOSE_LIST, OPEN_MAP, CLOSE_MAP] = [91, 92, 93, 123, 125]

/**
 * Reads the plain part of YAML in which nearly all policy is written: block maps and lists, one-line flow maps and
 * lists, scalars of one line, comments. Undefined for a text with anything else, however sound, and for one with
 * anything wrong: the whole reader then reads it from its beginning and says what there is to say. What it does
 * read it gives with the values and offsets of the whole reader, about ten times as fast.
 */
export function readSimpleYaml(text: string): SimpleDocument[] | undefined {
  return finish(readSimpleYamlInSteps(text))
}

/** The same, a document a step. */
export function* readSimpleYamlInSteps(text: string): Steps<SimpleDocument[] | undefined> {
  return NOT_SIMPLE.test(text) ? undefined : yield* new SimpleReader(text).read()
}

class SimpleReader {
  readonly #text: string
  /** Where reading goes on: within a line, or at the first character of the line found by `#nextLine`. */
  #at = 0
  /** Column of `#at` once `#nextLine` has found a line with content; -1 at a document's end. */
  #indent = -1

  constructor(text: string) {
    this.#text = text
  }

  *read(): Steps<SimpleDocument[] | undefined> {
    const documents: SimpleDocument[] = []
    let line = 0
    while (line < this.#text.length) {
      this.#at = line
      if (!this.#nextLine()) return undefined
      if (this.#indent >= 0) {
        const found = this.#block(0)
        if (!found || this.#indent >= 0) return undefined
        documents.push(found)
        yield
      }
      if (this.#at >= this.#text.length) break
      // At a `---`.
      line = this.#endOfLine(this.#at + 3)
      if (line < 0) return undefined
    }
    return documents
  }

  /** From the beginning of a line to the next content; false for what is not simple. */
  #nextLine(): boolean {
    const text = this.#text
    let at = this.#at
    for (;;) {
      const start = at
      while (text.charCodeAt(at) === SPACE) at++
      const code = text.charCodeAt(at)
      if (Number.isNaN(code)) {
        this.#at = text.length
        this.#indent = -1
        return true
      }
      if (code === LF) at++
      else if (code === HASH) {
        const end = text.indexOf('\n', at)
        at = end < 0 ? text.length : end + 1
      } else {
        this.#at = at
        this.#indent = at - start
        if (this.#indent > 0) return true
        if (code === DASH && text.startsWith('---', at)) this.#indent = -1
        return !text.startsWith('...', at)
      }
    }
  }

  /** The beginning of the line after blanks and a comment; -1 when there is more on this one. */
  #endOfLine(from: number): number {
    const text = this.#text
    let at = from
    while (text.charCodeAt(at) === SPACE) at++
    if (at >= text.length) return at
    const code = text.charCodeAt(at)
    if (code === LF) return at + 1
    if (code !== HASH || at === from) return -1
    const end = text.indexOf('\n', at)
    return end < 0 ? text.length : end + 1
  }

  /** A block value that begins at `#at`, whose column is `#indent`. */
  #block(depth: number): Found | undefined {
    if (depth > MAX_DEPTH - 2) return undefined
    if (this.#isDash()) return this.#list(depth)
    const key = this.#keyEnd()
    return key < 0 ? undefined : this.#map(depth)
  }

  #isDash(): boolean {
    if (this.#text.charCodeAt(this.#at) !== DASH) return false
    const next = this.#text.charCodeAt(this.#at + 1)
    return next === SPACE || next === LF || Number.isNaN(next)
  }

  /** Where the colon of a simple key at `#at` stands; -1 without one. */
  #keyEnd(): number {
    const text = this.#text
    const first = text.charCodeAt(this.#at)
    if (first === QUOTE || first === APOSTROPHE) {
      const end = this.#quoteEnd(this.#at)
      const isKey = end >= 0 && end - this.#at < MAX_KEY && text.charCodeAt(end) === COLON
      return isKey && this.#isBlank(end + 1) ? end : -1
    }
    if (!PLAIN_START.test(text.charAt(this.#at))) return -1
    for (let at = this.#at + 1; at < this.#at + MAX_KEY; at++) {
      const code = text.charCodeAt(at)
      if (code === COLON && this.#isBlank(at + 1)) return text.charCodeAt(at - 1) === SPACE ? -1 : at
      if (code === LF || Number.isNaN(code) || (code === HASH && text.charCodeAt(at - 1) === SPACE)) return -1
    }
    return -1
  }

  #isBlank(at: number): boolean {
    const code = this.#text.charCodeAt(at)
    return code === SPACE || code === LF || Number.isNaN(code)
  }

  /** The place after the closing quote on the same line; -1 for what is not simple. */
  #quoteEnd(from: number): number {
    const text = this.#text
    const quote = text.charCodeAt(from)
    for (let at = from + 1; ; at++) {
      const code = text.charCodeAt(at)
      if (code === quote) return text.charCodeAt(at + 1) === quote ? -1 : at + 1
      if (code === LF || Number.isNaN(code) || (code === BACKSLASH && quote === QUOTE)) return -1
    }
  }

  #key(end: number): string | undefined {
    const text = this.#text
    const first = text.charCodeAt(this.#at)
    if (first === QUOTE || first === APOSTROPHE) return text.slice(this.#at + 1, end - 1)
    const source = text.slice(this.#at, end)
    if (source === '<<') return undefined
    const { value, problem } = readPlainScalar(source)
    return problem || typeof value !== 'string' ? undefined : source
  }

  #map(depth: number): Found | undefined {
    const indent = this.#indent
    const place = { at: this.#at, names: [] as string[], keys: [] as number[], values: [] as Place[] }
    const value: Record<string, unknown> = Object.create(null)
    while (this.#indent === indent) {
      const keyAt = this.#at
      const end = this.#keyEnd()
      const name = end < 0 ? undefined : this.#key(end)
      if (name === undefined || name in value) return undefined
      const found = this.#valueAfter(end + 1, keyAt, indent, true, depth)
      if (!found) return undefined
      value[name] = found.value
      place.names.push(name)
      place.keys.push(keyAt)
      place.values.push(found.place)
    }
    return this.#indent > indent ? undefined : { value, place }
  }

  #list(depth: number): Found | undefined {
    const indent = this.#indent
    const place = { at: this.#at, values: [] as Place[] }
    const value: unknown[] = []
    while (this.#indent === indent && this.#isDash()) {
      const found = this.#valueAfter(this.#at + 1, place.at, indent, false, depth)
      if (!found) return undefined
      value.push(found.value)
      place.values.push(found.place)
    }
    return this.#indent > indent ? undefined : { value, place }
  }

  /**
   * What stands behind a colon or dash, on its line or below it. Afterwards `#at` is at the next line with content,
   * which does not belong to it.
   */
  #valueAfter(
    from: number,
    emptyAt: number,
    indent: number,
    ofKey: boolean,
    depth: number,
  ): Found | undefined {
    const below = this.#endOfLine(from)
    if (below >= 0) {
      this.#at = below
      if (!this.#nextLine()) return undefined
      if (this.#indent > indent || (ofKey && this.#indent === indent && this.#isDash()))
        return this.#block(depth + 1)
      return { value: null, place: { at: emptyAt } }
    }
    let at = from
    while (this.#text.charCodeAt(at) === SPACE) at++
    if (!ofKey) {
      const lineIndent = indent + at - (from - 1)
      this.#at = at
      if (this.#isDash() || this.#keyEnd() >= 0) {
        this.#indent = lineIndent
        return this.#block(depth + 1)
      }
    }
    const found = this.#oneLine(at, depth + 1)
    if (!found) return undefined
    const line = this.#endOfLine(this.#at)
    if (line < 0) return undefined
    this.#at = line
    if (!this.#nextLine() || this.#indent > indent) return undefined
    return found
  }

  /** A scalar or flow collection within one line; `#at` is then behind it. */
  #oneLine(at: number, depth: number): Found | undefined {
    const code = this.#text.charCodeAt(at)
    if (code === OPEN_LIST) return this.#flowList(at, depth)
    if (code === OPEN_MAP) return this.#flowMap(at, depth)
    if (code === QUOTE || code === APOSTROPHE) return this.#quoted(at)
    return this.#plain(at, false)
  }

  #quoted(at: number): Found | undefined {
    const end = this.#quoteEnd(at)
    if (end < 0) return undefined
    this.#at = end
    return { value: this.#text.slice(at + 1, end - 1), place: { at } }
  }

  #plain(from: number, inFlow: boolean): Found | undefined {
    const end = this.#plainEnd(from, inFlow)
    if (end < 0) return undefined
    const { value, problem } = readPlainScalar(this.#text.slice(from, end))
    if (problem) return undefined
    this.#at = end
    return { value, place: { at: from } }
  }

  /** Behind the last character of a plain scalar; -1 for what is not simple. */
  #plainEnd(from: number, inFlow: boolean): number {
    const text = this.#text
    const first = text.charAt(from)
    const signed = first === '-' && /[A-Za-z0-9.]/.test(text.charAt(from + 1))
    if (!signed && !PLAIN_START.test(first)) return -1
    let end = from + 1
    for (let at = from + 1; ; at++) {
      const code = text.charCodeAt(at)
      if (code === LF || Number.isNaN(code)) return inFlow ? -1 : end
      if (code === SPACE) continue
      if (code === HASH && text.charCodeAt(at - 1) === SPACE) return inFlow ? -1 : end
      if (code === COLON && (this.#isBlank(at + 1) || (inFlow && isFlowMark(text.charCodeAt(at + 1))))) {
        return inFlow ? end : -1
      }
      if (inFlow && isFlowMark(code)) return code === OPEN_LIST || code === OPEN_MAP ? -1 : end
      end = at + 1
    }
  }

  #flowList(open: number, depth: number): Found | undefined {
    const place = { at: open, values: [] as Place[] }
    const value: unknown[] = []
    let at = this.#afterBlanks(open + 1)
    if (this.#text.charCodeAt(at) === CLOSE_LIST) {
      this.#at = at + 1
      return { value, place }
    }
    for (;;) {
      const found = this.#flowValue(at, depth + 1)
      if (!found) return undefined
      value.push(found.value)
      place.values.push(found.place)
      at = this.#afterBlanks(this.#at)
      const code = this.#text.charCodeAt(at)
      this.#at = at + 1
      if (code === CLOSE_LIST) return { value, place }
      if (code !== COMMA) return undefined
      at = this.#afterBlanks(at + 1)
    }
  }

  #flowMap(open: number, depth: number): Found | undefined {
    const place = { at: open, names: [] as string[], keys: [] as number[], values: [] as Place[] }
    const value: Record<string, unknown> = Object.create(null)
    let at = this.#afterBlanks(open + 1)
    if (this.#text.charCodeAt(at) === CLOSE_MAP) {
      this.#at = at + 1
      return { value, place }
    }
    for (;;) {
      const quoted = this.#text.charCodeAt(at) === QUOTE || this.#text.charCodeAt(at) === APOSTROPHE
      const end = quoted ? this.#quoteEnd(at) : this.#plainEnd(at, true)
      if (end < 0 || end - at > MAX_KEY) return undefined
      if (this.#text.charCodeAt(end) !== COLON || this.#text.charCodeAt(end + 1) !== SPACE) return undefined
      this.#at = at
      const name = this.#key(end)
      if (name === undefined || name in value) return undefined
      const found = this.#flowValue(this.#afterBlanks(end + 1), depth + 1)
      if (!found) return undefined
      value[name] = found.value
      place.names.push(name)
      place.keys.push(at)
      place.values.push(found.place)
      at = this.#afterBlanks(this.#at)
      const code = this.#text.charCodeAt(at)
      this.#at = at + 1
      if (code === CLOSE_MAP) return { value, place }
      if (code !== COMMA) return undefined
      at = this.#afterBlanks(at + 1)
    }
  }

  #flowValue(at: number, depth: number): Found | undefined {
    if (depth > MAX_DEPTH - 2) return undefined
    const code = this.#text.charCodeAt(at)
    if (code === OPEN_LIST) return this.#flowList(at, depth)
    if (code === OPEN_MAP) return this.#flowMap(at, depth)
    if (code === QUOTE || code === APOSTROPHE) return this.#quoted(at)
    return this.#plain(at, true)
  }

  #afterBlanks(from: number): number {
    let at = from
    while (this.#text.charCodeAt(at) === SPACE) at++
    return at
  }
}

function isFlowMark(code: number): boolean {
  return (
    code === COMMA || code === OPEN_LIST || code === CLOSE_LIST || code === OPEN_MAP || code === CLOSE_MAP
  )
}
