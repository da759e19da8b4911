/**
 * The shape of paths an endpoint or a `to` stands for. Parameter names are gone: `/users/{id}` and
 * `/users/{name}` are one shape.
 */
export type PathTemplate = {
  /** Literal text of a segment, or PARAMETER for any one segment that is not empty. */
  readonly segments: readonly string[]
  /** A last `/**`: zero or more further segments. */
  readonly rest: boolean
}

/** `{` can't stand in a canonical path, so it never equals a literal. */
export const PARAMETER = '{}'

export type ParsedTemplate =
  { readonly ok: true; readonly template: PathTemplate } | { readonly ok: false; readonly problem: string }

const MAX_TEMPLATE_LENGTH = 2048
const PARAMETER_TEXT = /^\{[A-Za-z_][A-Za-z0-9_-]*\}$/
/** What a canonical path may hold: plain characters, and encoded what can only stand encoded. */
const LITERAL = /^(?:[A-Za-z0-9\-._~!$&'()+,=:@]|%(?:20|22|3[CE]|5[BDE]|60|7[BCD]|[89A-F][0-9A-F]))*$/

/**
 * Parses `/api/users/{id}/files/**`. Refused is what no canonical path can equal, and `/*`, which some
 * read as one segment and others as all.
 */
export function parsePathTemplate(text: string): ParsedTemplate {
  if (text.length > MAX_TEMPLATE_LENGTH) return refuse(`longer than ${MAX_TEMPLATE_LENGTH} characters`)
  if (!text.startsWith('/')) return refuse('a path begins with /')
  const parts = text.slice(1).split('/')
  const rest = parts.at(-1) === '**'
  if (rest) parts.pop()
  const names = new Set<string>()
  const segments: string[] = []
  for (const [at, part] of parts.entries()) {
    const last = at === parts.length - 1 && !rest
    if (part === '' && !last) return refuse('it has an empty segment')
    if (PARAMETER_TEXT.test(part)) {
      if (names.has(part)) return refuse(`the parameter ${part} occurs twice`)
      names.add(part)
      segments.push(PARAMETER)
      continue
    }
    const problem = literalProblem(part)
    if (problem) return refuse(problem)
    segments.push(part)
  }
  return { ok: true, template: { segments, rest } }
}

function literalProblem(part: string): string | undefined {
  if (part === '**') return '/** can only stand at the end'
  if (part === '*') return '/* is refused: write {name} for one segment or a last /** for zero or more'
  if (part.includes('*')) return '* can not be a part of a segment'
  if (part.includes('{') || part.includes('}')) return 'a parameter is a whole segment, such as {id}'
  if (part === '.' || part === '..') return 'dot segments never reach an endpoint'
  if (part.includes('?') || part.includes('#')) return 'a path has neither query nor fragment'
  if (part.includes(';')) return 'path parameters (;) are refused as ambiguous'
  if (part.includes('%') && !LITERAL.test(part)) {
    return 'a canonical path percent-encodes only what can not stand plain, in upper-case hex'
  }
  if (/[^\x00-\x7f]/.test(part) && !/[\ud800-\udfff]/u.test(part)) {
    return `write it percent-encoded, as it is sent: ${encodeURI(part)}`
  }
  if (!LITERAL.test(part)) return 'it has a character that a canonical path never holds'
  return undefined
}

function refuse(problem: string): ParsedTemplate {
  return { ok: false, problem }
}

/** One text for one shape. */
export function templateKey({ segments, rest }: PathTemplate): string {
  return `/${segments.join('/')}${rest ? (segments.length > 0 ? '/**' : '**') : ''}`
}

/** The same shape for paths in which case and a trailing slash don't count. See foldPath. */
export function foldTemplate({ segments, rest }: PathTemplate): PathTemplate {
  const folded = segments.map((segment) => segment.toLowerCase())
  if (!rest && folded.length > 1 && folded.at(-1) === '') folded.pop()
  return { segments: folded, rest }
}

/** A path as forbids and adaptive rules see it: lower-case, without a trailing slash. */
export function foldPath(path: string): string {
  const bare = path.length > 1 && path.endsWith('/') ? path.slice(0, -1) : path
  return bare.toLowerCase()
}

/** The paths that both match, which is a shape again; undefined when there is none. */
export function meet(left: PathTemplate, right: PathTemplate): PathTemplate | undefined {
  const [short, long] = left.segments.length <= right.segments.length ? [left, right] : [right, left]
  if (short.segments.length < long.segments.length && !short.rest) return undefined
  const segments: string[] = []
  for (const [at, mine] of long.segments.entries()) {
    const other = short.segments[at] ?? undefined
    if (other === undefined || other === mine) segments.push(mine)
    else if (other === PARAMETER && mine !== '') segments.push(mine)
    else if (mine === PARAMETER && other !== '') segments.push(other)
    else return undefined
  }
  return { segments, rest: left.rest && right.rest }
}

/** Whether every path of `inner` is one of `outer`. */
export function covers(outer: PathTemplate, inner: PathTemplate): boolean {
  const both = meet(outer, inner)
  return both !== undefined && templateKey(both) === templateKey(inner)
}
