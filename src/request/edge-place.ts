import type { AccessRequest } from './access-request.js'
import type { ListenerRules } from './listener.js'
import { type Place, placeOf } from './place.js'

/** What edges write where they don't know the country. */
const UNKNOWN_COUNTRIES = new Set(['XX', 'ZZ'])

/**
 * The client's country as a trusted edge names it in a header of two letters; undefined where it doesn't, the header is
 * repeated or holds anything else. Believed on Gateway listeners, where the edge must overwrite what clients send, and from
 * trusted proxies; elsewhere it is the caller's own word.
 */
export function edgePlace(
  { http }: AccessRequest,
  { role }: Pick<ListenerRules, 'role'>,
  fromTrustedProxy: boolean,
  header: string,
): Place | undefined {
  if (role !== 'Gateway' && !fromTrustedProxy) return undefined
  const place = placeOf(undefined, undefined, http?.headers.get(header)?.trim())
  return place?.country === undefined || UNKNOWN_COUNTRIES.has(place.country) ? undefined : place
}
