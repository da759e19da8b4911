/** Longest request target, query included, in bytes. */
export const MAX_TARGET_LENGTH = 8192

export type CanonicalPath =
  | { readonly ok: true; readonly path: string; readonly query: string }
  | { readonly ok: false; readonly problem: PathProblem }

/** Why a path could mean one thing here and another at the upstream. */
export type PathProblem =
  | 'no path'
  | 'path too long'
  | 'no leading slash'
  | 'empty segment'
  | 'dot segment'
  | 'backslash'
  | 'path parameter'
  | 'fragment'
  | 'character not allowed'
  | 'malformed percent-encoding'
  | 'lower-case percent-encoding'
  | 'encoded character that has a plain or a special form'
  | 'invalid UTF-8'
  | 'look-alike of a special character'

const SLASH = 0x2f
const DOT = 0x2e
const PERCENT = 0x25
const QUESTION = 0x3f

const ORDINARY = 1
const SEPARATOR = 2
/** By character code: pchar of RFC 3986 less `;`, which begins a parameter for some upstreams. */
const PATH_CLASS = new Uint8Array(256)
for (const char of "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_~!$&'()*+,=:@") {
  PATH_CLASS[char.charCodeAt(0)] = ORDINARY
}
PATH_CLASS[SLASH] = SEPARATOR
PATH_CLASS[DOT] = SEPARATOR
PATH_CLASS[PERCENT] = SEPARATOR
PATH_CLASS[QUESTION] = SEPARATOR

/**
 * Takes a request target in origin form and gives path and query exactly as sent, or says why the path is
 * ambiguous. It never rewrites: a path has one spelling or it is refused, so what is matched here is what the
 * upstream sees. Percent-encoding stays only where a byte must be encoded (`%20`, `%C3%A9`), in upper-case hex:
 * an encoded letter, `%25` or `%2C` is another spelling of something a rule may name. Source: RFC 3986, S7.
 */
export function canonicalPath(target: string): CanonicalPath {
  const length = target.length
  if (length === 0) return refuse('no path')
  if (length > MAX_TARGET_LENGTH) return refuse('path too long')
  if (target.charCodeAt(0) !== SLASH) return refuse('no leading slash')
  let segment = 1
  let encoded = false
  let at = 1
  for (; at < length; at++) {
    const code = target.charCodeAt(at)
    const kind = code < 256 ? PATH_CLASS[code]! : 0
    if (kind === ORDINARY) continue
    if (kind !== SEPARATOR) return refuse(problemOf(code))
    if (code === QUESTION) break
    if (code === PERCENT) encoded = true
    else if (code === SLASH) {
      if (at === segment) return refuse('empty segment')
      if (isDots(target, segment, at)) return refuse('dot segment')
      segment = at + 1
    }
  }
  if (isDots(target, segment, at)) return refuse('dot segment')
  if (encoded) {
    const problem = encodingProblem(target, at)
    if (problem !== undefined) return refuse(problem)
  }
  if (at === length) return { ok: true, path: target, query: '' }
  const query = target.slice(at + 1)
  const problem = queryProblem(query)
  return problem === undefined ? { ok: true, path: target.slice(0, at), query } : refuse(problem)
}

function refuse(problem: PathProblem): CanonicalPath {
  return { ok: false, problem }
}

function problemOf(code: number): PathProblem {
  if (code === 0x5c) return 'backslash'
  if (code === 0x3b) return 'path parameter'
  return code === 0x23 ? 'fragment' : 'character not allowed'
}

function isDots(target: string, start: number, end: number): boolean {
  if (end - start > 2 || end === start || target.charCodeAt(start) !== DOT) return false
  return end - start === 1 || target.charCodeAt(start + 1) === DOT
}

/** The query is not matched by path, but must end where everybody ends it. */
function queryProblem(query: string): PathProblem | undefined {
  for (let at = 0; at < query.length; at++) {
    const code = query.charCodeAt(at)
    if (code === 0x23) return 'fragment'
    if (code <= 0x20 || code >= 0x7f) return 'character not allowed'
  }
  return undefined
}

/** ASCII that a path can hold only encoded. Brackets are reserved, yet have no meaning in a path. */
const MUST_BE_ENCODED = new Set(Array.from(' "<>[]^`{|}', (char) => char.charCodeAt(0)))

function encodingProblem(target: string, end: number): PathProblem | undefined {
  for (let at = target.indexOf('%'); at !== -1 && at < end; at = target.indexOf('%', at)) {
    const run: number[] = []
    for (; at < end && target.charCodeAt(at) === PERCENT; at += 3) {
      const digits = at + 3 <= end ? target.slice(at + 1, at + 3) : ''
      if (!/^[0-9A-Fa-f]{2}$/.test(digits)) return 'malformed percent-encoding'
      if (/[a-f]/.test(digits)) return 'lower-case percent-encoding'
      run.push(Number.parseInt(digits, 16))
    }
    const problem = runProblem(run)
    if (problem !== undefined) return problem
  }
  return undefined
}

const STRICT_UTF8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
/** Best-fit mappings of some systems, beyond Unicode's own compatibility forms, to `/` and `\`. */
const LOOK_ALIKE = /[\u2044\u2215\u2216\u29f5\u29f6\u29f8\u29f9]/
const CONTROL = /[\u0080-\u009f\u2028\u2029]/

/** Consecutive encoded bytes: a character of several bytes is complete within them or not valid. */
function runProblem(run: readonly number[]): PathProblem | undefined {
  for (const byte of run) {
    if (byte < 0x80 && !MUST_BE_ENCODED.has(byte))
      return 'encoded character that has a plain or a special form'
  }
  let text: string
  try {
    text = STRICT_UTF8.decode(Uint8Array.from(run))
  } catch {
    return 'invalid UTF-8'
  }
  if (CONTROL.test(text)) return 'character not allowed'
  for (const char of text) {
    if (char < '\u0080') continue
    if (LOOK_ALIKE.test(char) || /[./\\;%?#]/.test(char.normalize('NFKC'))) {
      return 'look-alike of a special character'
    }
  }
  return undefined
}
