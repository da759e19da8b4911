/** A parsed SPIFFE ID. `text` is its one canonical spelling, so it serves as a map key. */
export type SpiffeId = {
  readonly text: string
  /** Lower-case. */
  readonly trustDomain: string
  /** '' or begins with `/`. */
  readonly path: string
}

export type ParsedSpiffeId =
  { readonly ok: true; readonly id: SpiffeId } | { readonly ok: false; readonly problem: string }

export const MAX_SPIFFE_ID_BYTES = 2048
export const MAX_TRUST_DOMAIN_BYTES = 255

const SCHEME = 'spiffe://'
const TRUST_DOMAIN = /^[a-z0-9._-]+$/
const SEGMENT = /^[A-Za-z0-9._-]+$/

/**
 * Parses a SPIFFE ID, for example `spiffe://prod.example/ns/pay/sa/api`.
 * Limits: 2048 bytes in all, 255 for the trust domain. Scheme and trust domain only in lower case: the
 * standard lets a parser fold them, and one spelling per identity is worth more. Source: SPIFFE-ID 2.1 to 2.4.
 * Bad input is a result and not an exception, because the text comes from a peer. No problem repeats the text.
 */
export function parseSpiffeId(text: string): ParsedSpiffeId {
  return parseWith(text, (segment) => SEGMENT.test(segment))
}

/**
 * A SPIFFE ID in which `*` stands for one whole path segment, for example `spiffe://prod.example/ns/pay/sa/*`.
 * It never stands for the trust domain, a part of a segment, or several segments.
 */
export type SpiffePattern = {
  readonly ok: true
  readonly text: string
  readonly trustDomain: string
  /** Without `*`: it names one identity. */
  readonly exact: boolean
  matches(id: SpiffeId): boolean
}

/** Compiles a pattern that a user wrote. Source: FORMATS 1 `identities`. */
export function compileSpiffePattern(
  text: string,
): SpiffePattern | { readonly ok: false; readonly problem: string } {
  const parsed = parseWith(text, (segment) => segment === '*' || SEGMENT.test(segment))
  if (!parsed.ok) return parsed
  const { trustDomain, path } = parsed.id
  const segments = path.split('/')
  const exact = !segments.includes('*')
  const matches = exact
    ? (id: SpiffeId): boolean => id.text === text
    : (id: SpiffeId): boolean => {
        if (id.trustDomain !== trustDomain) return false
        const asked = id.path.split('/')
        return (
          asked.length === segments.length && segments.every((part, at) => part === '*' || part === asked[at])
        )
      }
  return { ok: true, text, trustDomain, exact, matches }
}

function parseWith(text: string, isSegment: (segment: string) => boolean): ParsedSpiffeId {
  if (text.length > MAX_SPIFFE_ID_BYTES) return problem(`longer than ${MAX_SPIFFE_ID_BYTES} bytes`)
  if (!text.startsWith(SCHEME)) return problem('does not begin with spiffe://')
  const slash = text.indexOf('/', SCHEME.length)
  const trustDomain = text.slice(SCHEME.length, slash < 0 ? undefined : slash)
  const path = slash < 0 ? '' : text.slice(slash)
  if (trustDomain === '') return problem('has no trust domain')
  if (trustDomain.length > MAX_TRUST_DOMAIN_BYTES) {
    return problem(`the trust domain is longer than ${MAX_TRUST_DOMAIN_BYTES} bytes`)
  }
  if (!TRUST_DOMAIN.test(trustDomain)) return problem('the trust domain may hold only a-z 0-9 . _ -')
  if (path !== '') {
    for (const segment of path.slice(1).split('/')) {
      if (segment === '') return problem('the path has an empty segment or ends with /')
      if (segment === '.' || segment === '..') return problem('the path has a dot segment')
      if (!isSegment(segment)) return problem('path segments may hold only A-Z a-z 0-9 . _ -')
    }
  }
  return { ok: true, id: { text, trustDomain, path } }
}

function problem(text: string): { readonly ok: false; readonly problem: string } {
  return { ok: false, problem: text }
}
