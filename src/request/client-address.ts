import type { AccessRequest } from './access-request.js'
import { canonicalIp } from './ip-text.js'
import type { ListenerRules } from './listener.js'

const FORWARDED_FOR = 'x-forwarded-for'
/** The longest element that is looked at: an IPv6 address in brackets with a port has 47. */
const MAX_ELEMENT = 64

/**
 * The client's address, in the one spelling of `canonicalIp`; undefined: unknown. Nothing that a caller may choose
 * counts.
 *
 * - Elsewhere than on Gateway listeners and from trusted proxies: the peer's.
 * - On a Gateway listener with `trustedHops: 0`: the peer's, for no hop in front is trusted. With n: the element n
 *   before the last one of x-forwarded-for, and only if the last one is the peer itself, as an Envoy with
 *   `use_remote_address` appends it.
 * - From a trusted proxy on a Sidecar listener: the element n before the last one. The last one is what the proxy
 *   appended, or, if this Envoy too appends (`use_remote_address`), the proxy; then n counts from 1. Without the header
 *   and with n 0 the proxy forwards for nobody, and the peer is the client. So it is for TCP, which has no header.
 *
 * A header that is repeated, too short, or has something else there makes the client unknown: the peer would be a
 * trusted hop, and more may be open to that. Source: Envoy, xff_num_trusted_hops: with `use_remote_address` the same n;
 * without it n + 1 from the right likewise.
 *
 * Examples, n = 1, peer 10.0.0.9: `6.6.6.6, 1.2.3.4, 10.0.0.9` on a Gateway is 1.2.3.4 (6.6.6.6 is the caller's own
 * word); `1.2.3.4, 10.0.0.8` is unknown; `10.0.0.9` is unknown.
 */
export function clientAddress(
  { source, http }: AccessRequest,
  { role, trustedHops }: Pick<ListenerRules, 'role' | 'trustedHops'>,
  fromTrustedProxy: boolean,
): string | undefined {
  const peer = canonicalIp(source.ip)
  const gateway = role === 'Gateway'
  if (!http || (gateway ? trustedHops === 0 : !fromTrustedProxy)) return peer
  const count = http.headers.count(FORWARDED_FOR)
  if (count === 0 && trustedHops === 0) return peer
  const header = count === 1 ? http.headers.get(FORWARDED_FOR) : undefined
  if (header === undefined) return undefined
  if (gateway && !isAppended(addressOf(elementBeforeLast(header, 0)), peer)) return undefined
  return addressOf(elementBeforeLast(header, trustedHops))
}

/** Whether Envoy itself wrote the last element: the peer, or for a peer on Envoy's own host the host's address. */
function isAppended(last: string | undefined, peer: string | undefined): boolean {
  if (last === undefined || peer === undefined) return false
  return last === peer || peer === '::1' || peer.startsWith('127.')
}

/** Reads from the right, so that what a caller puts in front costs nothing. */
function elementBeforeLast(header: string, before: number): string | undefined {
  let end = header.length
  for (let skipped = 0; skipped < before; skipped += 1) {
    // Beyond the first element, where there is no comma left.
    if (end <= 0) return undefined
    end = header.lastIndexOf(',', end - 1)
    if (end < 0) return undefined
  }
  const start = end === 0 ? 0 : header.lastIndexOf(',', end - 1) + 1
  return header.slice(start, end)
}

/** `1.2.3.4`, `1.2.3.4:5678`, `::1`, `[::1]`, `[::1]:5678`. */
function addressOf(element: string | undefined): string | undefined {
  if (element === undefined || element.length > MAX_ELEMENT) return undefined
  const text = element.replace(/^[ \t]+|[ \t]+$/g, '')
  const [, bracketed, dotted] = /^(?:\[([^\]]*)\]|([0-9.]+))(?::[0-9]{1,5})?$/.exec(text) ?? []
  if (bracketed !== undefined) return bracketed.includes(':') ? canonicalIp(bracketed) : undefined
  return canonicalIp(dotted ?? text)
}
