/** A request header's name as it came, with what the reader must know about it. */
export type HeaderName = {
  readonly text: string
  /** Position of the name's dashed form in `WATCHED_HEADERS`, -1 for all others. */
  readonly watch: number
  /** Some upstreams read `_` as `-`, so `x_user_id` is another spelling of `x-user-id`. */
  readonly underscored: boolean
  readonly pseudo: boolean
}

/** Headers that decide something here or at the upstream: they occur once, in one spelling, or not at all. */
export const WATCHED_HEADERS = [
  ':method',
  ':path',
  ':authority',
  ':scheme',
  ':protocol',
  'host',
  'authorization',
  'content-type',
  'upgrade',
  'connection',
  'x-forwarded-client-cert',
  'dpop',
  'x-http-method-override',
  'x-http-method',
  'x-method-override',
] as const
export type WatchedHeader = (typeof WATCHED_HEADERS)[number]

const WATCH: ReadonlyMap<string, number> = new Map(WATCHED_HEADERS.map((name, index) => [name, index]))
const SLOTS = 2048
const NAME = /^:?[!#$%&'*+.^_`|~0-9a-z-]+$/

/**
 * Gives each name's one record without decoding it again: names repeat from request to request. Holds at most
 * 2048 names in pairs of places by hash; a newcomer takes the first of its pair when both are taken.
 */
export class HeaderNames {
  private readonly slots: (HeaderName | undefined)[] = Array.from({ length: SLOTS }, () => undefined)

  /** Undefined for what is not a lower-case header name (RFC 9110 token, or a pseudo-header). */
  at(bytes: Buffer, start: number, end: number): HeaderName | undefined {
    const length = end - start
    if (length === 0) return undefined
    // Length, middle and the last four bytes tell the usual names apart.
    let hash = Math.imul(length, 31) + bytes[start + (length >>> 1)]!
    for (let at = length < 4 ? start : end - 4; at < end; at++) hash = (Math.imul(hash, 31) + bytes[at]!) | 0
    const slot = (hash ^ (hash >>> 10)) & (SLOTS - 1)
    const known = this.slots[slot]
    if (known !== undefined && spells(known.text, bytes, start, end)) return known
    const neighbour = this.slots[slot ^ 1]
    if (neighbour !== undefined && spells(neighbour.text, bytes, start, end)) return neighbour
    const text = bytes.toString('latin1', start, end)
    if (!NAME.test(text)) return undefined
    const name = headerName(text)
    this.slots[known !== undefined && neighbour === undefined ? slot ^ 1 : slot] = name
    return name
  }
}

export function headerName(text: string): HeaderName {
  const underscored = text.includes('_')
  const dashed = underscored ? text.replaceAll('_', '-') : text
  return { text, watch: WATCH.get(dashed) ?? -1, underscored, pseudo: text.startsWith(':') }
}

/** Whether these bytes are this text; a text of other than ASCII never is. */
export function spells(text: string, bytes: Buffer, start: number, end: number): boolean {
  if (text.length !== end - start) return false
  for (let at = start, index = 0; at < end; at++, index++) {
    if (text.charCodeAt(index) !== bytes[at]) return false
  }
  return true
}
