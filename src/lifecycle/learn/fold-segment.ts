/** What a segment of a path is when it names one of many things. The word becomes the parameter's name. */
const IDS: readonly (readonly [name: string, shape: RegExp])[] = [
  ['id', /^[0-9]{1,20}$/],
  ['uuid', /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i],
  ['ulid', /^[0-7][0-9A-HJKMNP-TV-Z]{25}$/i],
  ['date', /^[0-9]{4}-[0-9]{2}(?:-[0-9]{2})?(?:T[0-9:.]+(?:Z|[+-][0-9:]+)?)?$/],
  ['hash', /^(?=[a-f]*[0-9])[0-9a-f]{16,128}$/i],
  ['email', /^[^@]{1,64}@[^@]+\.[^@]+$/],
]

/** The kind of an id: `id`, `uuid`, `ulid`, `date`, `hash`, `email`; undefined for a word. */
export function idKind(segment: string): string | undefined {
  if (segment.length > MAX_WORD || segment.includes('[redacted]')) return 'value'
  return IDS.find(([, shape]) => shape.test(segment))?.[0] ?? (looksSecret(segment) ? 'value' : undefined)
}

/** Shorter words are taken for what they say, UTF-16 units without percent-encoding. */
const LEAST_SECRET = 16
/** No word of a language has so many consonants on end. */
const UNSPEAKABLE = /[bcdfghjklmnpqrstvwxz]{7}/i

/**
 * What could be a token, key or random id, so that no policy may hold it: long, and either of letters and digits or of
 * letters as nobody writes them. Some long names of things are taken for one too.
 */
function looksSecret(segment: string): boolean {
  const text = segment.replaceAll(/%[0-9A-F]{2}/gi, '_')
  if (text.length < LEAST_SECRET) return false
  if (/[0-9]/.test(text) && /[a-z]/i.test(text)) return true
  // Random letters change their case about once in four, a word in camel case where another begins.
  const humps = text.match(/[a-z][A-Z]/g)?.length ?? 0
  return humps * 6 > text.length || UNSPEAKABLE.test(text)
}

/** No word of a route is longer, UTF-16 units. */
const MAX_WORD = 128

/**
 * What words of one place have in common when they are names of things: runs of letters, digits and signs, for example
 * `order-2024a` is `a-0a`. Case does not count; `.json` at the end does.
 */
export function shapeOf(segment: string): string {
  const extension = /\.[a-z0-9]{1,5}$/i.exec(segment)?.[0] ?? ''
  const stem = segment.slice(0, segment.length - extension.length)
  return stem.replaceAll(/[a-z]+/gi, 'a').replaceAll(/[0-9]+/g, '0') + extension.toLowerCase()
}

/** Segments in front of what a path is about. */
const PREFIX = /^(?:api|rest|v[0-9]+)$/i

/** Whether it says nothing of what a path is about, such as `api` and `v1`. */
export function isPrefix(segment: string): boolean {
  return PREFIX.test(segment)
}

/** A path as it counts when somebody tries many: every word as it is, ids by their kind. */
export function probeOf(path: string): string {
  return path
    .split('/')
    .map((segment) => {
      const kind = segment === '' ? undefined : idKind(segment)
      return kind === undefined ? segment : `{${kind}}`
    })
    .join('/')
}
