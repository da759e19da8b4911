/** What one proxy said about its peer. Values are unquoted and otherwise as sent: nothing is percent-decoded. */
export type XfccElement = {
  /** Lower-case key and value, in the order of the header. */
  readonly pairs: readonly (readonly [key: string, value: string])[]
}

export type ParsedXfcc =
  | { readonly ok: true; readonly elements: readonly XfccElement[] }
  | { readonly ok: false; readonly problem: string }

/** UTF-16 units. */
export const MAX_XFCC_LENGTH = 128 * 1024
const MAX_ELEMENTS = 64
const MAX_PAIRS_OF_ELEMENT = 64
const KEY = /^[A-Za-z][A-Za-z0-9_-]{0,31}$/
const REPEATABLE: ReadonlySet<string> = new Set(['by', 'uri', 'dns'])
/** Ends an unquoted value, or has no place in one. */
const DELIMITER = /[,;="\s]/g

/**
 * Parses an `x-forwarded-client-cert` header by the strict reading of its grammar: no blanks around keys, no empty
 * pair or element, values with `,` `;` `=` or blanks only in quotes, no key twice in an element but By, URI and DNS.
 * The last element is the word of the proxy nearest to us. Limits: 128 KiB, 64 elements of 64 pairs.
 * Source: Envoy's documentation of the header, SPECS 2.
 */
export function parseXfcc(header: string): ParsedXfcc {
  if (header.length > MAX_XFCC_LENGTH) return problem(`longer than ${MAX_XFCC_LENGTH} characters`)
  if (hasControl(header)) return problem('a control character')
  const elements: XfccElement[] = []
  let pairs: (readonly [string, string])[] = []
  for (let at = 0; ;) {
    const equals = header.indexOf('=', at)
    const spelling = equals < 0 ? '' : header.slice(at, equals)
    if (!KEY.test(spelling)) return problem('something that is no pair of key and value')
    const key = spelling.toLowerCase()
    if (!REPEATABLE.has(key) && pairs.some(([other]) => other === key))
      return problem('a key twice in one element')
    const value = header[equals + 1] === '"' ? readQuoted(header, equals + 2) : readToken(header, equals + 1)
    if (value === undefined) return problem('a quote that does not end')
    if (pairs.push([key, value.text]) > MAX_PAIRS_OF_ELEMENT) return problem('too many pairs in one element')
    const delimiter = header[value.end]
    if (delimiter !== undefined && delimiter !== ';' && delimiter !== ',') {
      return problem('a value that needs quotes, or more than a value')
    }
    if (delimiter !== ';') {
      if (elements.push({ pairs }) > MAX_ELEMENTS) return problem('too many elements')
      if (delimiter === undefined) return { ok: true, elements }
      pairs = []
    }
    at = value.end + 1
  }
}

/** The value of a key that may occur once; undefined when it is absent. */
export function xfccValue(element: XfccElement, key: string): string | undefined {
  return element.pairs.find(([name]) => name === key)?.[1]
}

type Value = { readonly text: string; readonly end: number }

function readToken(header: string, from: number): Value {
  DELIMITER.lastIndex = from
  const end = DELIMITER.exec(header)?.index ?? header.length
  return { text: header.slice(from, end), end }
}

/** Only `\"` is an escape: any other backslash stands for itself. */
function readQuoted(header: string, from: number): Value | undefined {
  for (let at = header.indexOf('"', from); at >= 0; at = header.indexOf('"', at + 1)) {
    if (header[at - 1] !== '\\' || at === from) {
      return { text: header.slice(from, at).replaceAll('\\"', '"'), end: at + 1 }
    }
  }
  return undefined
}

function hasControl(header: string): boolean {
  for (let at = 0; at < header.length; at += 1) {
    const code = header.charCodeAt(at)
    if (code < 0x20 || code === 0x7f) return true
  }
  return false
}

function problem(text: string): { readonly ok: false; readonly problem: string } {
  return { ok: false, problem: text }
}
