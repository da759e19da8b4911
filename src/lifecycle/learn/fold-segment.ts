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
  return IDS.find(([, shape]) => shape.test(segment))?.[0]
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

/**
 * A path as it counts when somebody tries many: the first word behind prefixes such as `/api/v1` as it is, later ones
 * by their kind or shape, because names of things follow there.
 */
export function probeOf(path: string): string {
  let wordSeen = false
  return path
    .split('/')
    .map((segment) => {
      if (segment === '' || PREFIX.test(segment)) return segment
      const kind = idKind(segment)
      if (kind !== undefined) return `{${kind}}`
      if (wordSeen) return shapeOf(segment)
      wordSeen = true
      return segment
    })
    .join('/')
}
