const URI = /^(https?):\/\/([^/?#\\\s]+)([^?#\\\s]*)(?:[?#][^\s]*)?$/i
const AUTHORITY = /^([a-z0-9_.-]+|\[[0-9a-f:.]+\])(?::([0-9]{0,5}))?$/
const UNRESERVED = /^[A-Za-z0-9._~-]$/
const DEFAULT_PORT: Readonly<Record<string, string>> = { http: '80', https: '443' }
const MAX_LENGTH = 8192

/**
 * The one spelling of an http(s) URI without its query and fragment: lower-case scheme and host, no default port,
 * unreserved characters plain, other escapes in upper case, dot segments gone, `/` for no path. Undefined for what is
 * none, has userinfo or a broken escape. Text from a peer, so no URL parser that repairs. Source: RFC 3986 6.2, RFC 9449 4.3.
 */
export function normaliseTargetUri(text: string): string | undefined {
  if (text.length > MAX_LENGTH) return undefined
  const [, written = '', authority = '', rawPath = ''] = URI.exec(text) ?? []
  const scheme = written.toLowerCase()
  const [, host, port = ''] = AUTHORITY.exec(authority.toLowerCase()) ?? []
  if (host === undefined) return undefined
  const path = normaliseEscapes(rawPath)
  if (path === undefined) return undefined
  const shownPort = port === '' || port === DEFAULT_PORT[scheme] ? '' : `:${port}`
  return `${scheme}://${host}${shownPort}${withoutDotSegments(path)}`
}

function normaliseEscapes(path: string): string | undefined {
  let broken = false
  const normal = path.replace(/%(.{0,2})/gs, (escape, hex: string) => {
    if (!/^[0-9a-f]{2}$/i.test(hex)) broken = true
    const character = String.fromCharCode(Number.parseInt(hex, 16))
    return UNRESERVED.test(character) ? character : escape.toUpperCase()
  })
  return broken ? undefined : normal
}

/** Source: RFC 3986 5.2.4, for a path that is empty or begins with a slash. */
function withoutDotSegments(path: string): string {
  const segments = path.split('/').slice(1)
  const kept: string[] = []
  segments.forEach((segment, index) => {
    const last = index === segments.length - 1
    if (segment === '..') kept.pop()
    else if (segment !== '.') kept.push(segment)
    if (last && (segment === '.' || segment === '..')) kept.push('')
  })
  return `/${kept.join('/')}`
}
