import { foldCase } from './fold-case.js'

/** A JSON object as read here: own members only, so no name of a peer's meets a prototype. */
export type JsonObject = { readonly [name: string]: unknown }

export type ParsedJson =
  | { readonly ok: true; readonly value: unknown }
  /** `at`: UTF-16 units before it. */
  | { readonly ok: false; readonly problem: string; readonly at: number }

/** Stands for a number that readers differ on, see `JsonReading`. */
export const INEXACT: unique symbol = Symbol('inexact number')

export type JsonReading = {
  /**
   * For what others read after us, by rules of their own: names in one object that differ in case alone are refused,
   * and a number that a double doesn't hold as it is written, or an integer beyond 2^53, becomes `INEXACT`.
   */
  readonly forAnyReader?: boolean
}

const MAX_DEPTH = 32
/** Characters of a number that is compared with what a double makes of it. */
const MAX_EXACT = 64
const DECIMAL = /^-?([0-9]+)(?:\.([0-9]+))?(?:[eE]([+-]?[0-9]+))?$/
const NUMBER = /-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?/y
const UTF8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/**
 * Reads JSON that a peer signed or serves, by one meaning only: a member named twice, a lone surrogate, a number
 * beyond IEEE doubles, nesting deeper than 32 and anything behind the value are refused, where JSON.parse would
 * pick a meaning. Objects have no prototype. Bad input is a result; no problem repeats the text. Source: RFC 8259, RFC 7493.
 */
export function parseStrictJson(text: string, { forAnyReader = false }: JsonReading = {}): ParsedJson {
  const reader = new Reader(text, forAnyReader)
  const value = reader.value(0)
  return reader.problem === '' && reader.atEnd()
    ? { ok: true, value }
    : { ok: false, problem: reader.problem || 'something follows the JSON value', at: reader.at }
}

/** As `parseStrictJson`, from bytes that must be UTF-8 without a byte order mark. */
export function parseStrictJsonBytes(bytes: Uint8Array, reading?: JsonReading): ParsedJson {
  let text: string
  try {
    text = UTF8.decode(bytes)
  } catch {
    return { ok: false, problem: 'not UTF-8', at: 0 }
  }
  return parseStrictJson(text, reading)
}

export function isJsonObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** State of one reading; the first problem ends it. */
class Reader {
  readonly #text: string
  readonly #forAnyReader: boolean
  #at = 0
  problem = ''

  constructor(text: string, forAnyReader: boolean) {
    this.#text = text
    this.#forAnyReader = forAnyReader
  }

  get at(): number {
    return this.#at
  }

  atEnd(): boolean {
    this.#skipBlanks()
    return this.#at === this.#text.length
  }

  value(depth: number): unknown {
    if (depth > MAX_DEPTH) return this.#fail(`nested deeper than ${MAX_DEPTH}`)
    this.#skipBlanks()
    switch (this.#text.charAt(this.#at)) {
      case '{':
        return this.#object(depth)
      case '[':
        return this.#array(depth)
      case '"':
        return this.#string()
      case 't':
        return this.#word('true', true)
      case 'f':
        return this.#word('false', false)
      case 'n':
        return this.#word('null', null)
      default:
        return this.#number()
    }
  }

  #object(depth: number): unknown {
    const object: Record<string, unknown> = Object.create(null)
    this.#at += 1
    if (this.#take('}')) return object
    const folded = this.#forAnyReader ? new Set<string>() : undefined
    do {
      this.#skipBlanks()
      if (this.#text[this.#at] !== '"') return this.#fail('a member has no name')
      const name = this.#string()
      if (name === undefined) return undefined
      if (name in object) return this.#fail('a member occurs twice')
      if (folded && folded.size === folded.add(foldCase(name)).size)
        return this.#fail('two members differ in case alone')
      if (!this.#take(':')) return this.#fail('a member has no value')
      object[name] = this.value(depth + 1)
      if (this.problem !== '') return undefined
    } while (this.#take(','))
    return this.#take('}') ? object : this.#fail('an object is not closed')
  }

  #array(depth: number): unknown {
    const array: unknown[] = []
    this.#at += 1
    if (this.#take(']')) return array
    do {
      array.push(this.value(depth + 1))
      if (this.problem !== '') return undefined
    } while (this.#take(','))
    return this.#take(']') ? array : this.#fail('an array is not closed')
  }

  #string(): string | undefined {
    const from = this.#at
    let escaped = false
    for (let at = from + 1; at < this.#text.length; at += 1) {
      const code = this.#text.charCodeAt(at)
      if (code === 0x22) {
        this.#at = at + 1
        return escaped ? this.#unescape(from, at + 1) : this.#text.slice(from + 1, at)
      }
      if (code < 0x20) return this.#fail('a control character in a string')
      if (code === 0x5c) {
        escaped = true
        at += 1
      }
    }
    return this.#fail('a string is not closed')
  }

  #unescape(from: number, to: number): string | undefined {
    let value: unknown
    try {
      value = JSON.parse(this.#text.slice(from, to))
    } catch {
      return this.#fail('an unknown escape')
    }
    return typeof value === 'string' && !/\p{Surrogate}/u.test(value)
      ? value
      : this.#fail('half a surrogate pair')
  }

  #number(): number | typeof INEXACT | undefined {
    NUMBER.lastIndex = this.#at
    const text = NUMBER.exec(this.#text)?.[0]
    if (text === undefined) return this.#fail('not a JSON value')
    this.#at += text.length
    const number = Number(text)
    if (!Number.isFinite(number)) return this.#fail('a number that is too large')
    return this.#forAnyReader && !isExact(text, number) ? INEXACT : number
  }

  #word<T>(word: string, value: T): T | undefined {
    if (!this.#text.startsWith(word, this.#at)) return this.#fail('not a JSON value')
    this.#at += word.length
    return value
  }

  #take(character: string): boolean {
    this.#skipBlanks()
    if (this.#text[this.#at] !== character) return false
    this.#at += 1
    return true
  }

  #skipBlanks(): void {
    for (;;) {
      const code = this.#text.charCodeAt(this.#at)
      if (code !== 0x20 && code !== 0x0a && code !== 0x0d && code !== 0x09) return
      this.#at += 1
    }
  }

  #fail(problem: string): undefined {
    this.problem ||= problem
    return undefined
  }
}

/** Whether a double holds the number as it is written, up to zeros at its ends. */
function isExact(text: string, number: number): boolean {
  if (Number.isInteger(number) && !Number.isSafeInteger(number)) return false
  if (text.length <= 15 && !/[eE]/.test(text)) return true
  return text.length <= MAX_EXACT && plainDecimal(text) === plainDecimal(String(number))
}

/** The same for all ways of writing one number. */
function plainDecimal(text: string): string {
  const [, whole = '', fraction = '', exponent = '0'] = DECIMAL.exec(text) ?? []
  const digits = (whole + fraction).replace(/^0+/, '')
  const shortest = digits.replace(/0+$/, '')
  if (shortest === '') return '0'
  return `${shortest}e${Number(exponent) - fraction.length + digits.length - shortest.length}`
}
