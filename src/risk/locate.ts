import type { Identity } from '../identity/principal.js'
import type { AccessRequest } from '../request/access-request.js'
import { clientAddress } from '../request/client-address.js'
import { edgePlace } from '../request/edge-place.js'
import type { ListenerRules } from '../request/listener.js'
import type { Place } from '../request/place.js'
import { isPublicAddress } from '../request/public-address.js'
import { type Client, UNKNOWN_CLIENT } from '../segmentation/facts.js'

/** Where a call comes from, and what is known of that. */
export type Located = {
  readonly client: Client
  /** Undefined where nobody knows, or where the address says nothing of the user. */
  readonly place: Place | undefined
  /** The address is on a threat list. */
  readonly malicious: boolean
}

/** Nobody looked. */
export const NOWHERE: Located = { client: UNKNOWN_CLIENT, place: undefined, malicious: false }

/** What is known of addresses. */
export type Places = {
  readonly placeOf: (ip: string) => Place | undefined
  readonly isMalicious: (ip: string) => boolean
  /** A trusted proxy's header that names the country; undefined: none does. */
  readonly header: string | undefined
}

/**
 * The client of a call. A user's place is told only where the client's address is the user's: where a workload calls on a
 * user's behalf, it is the workload's. Source: REQUIREMENTS R8.
 */
export function locate(
  request: AccessRequest,
  listener: ListenerRules,
  { workload }: Identity,
  places: Places,
): Located {
  const throughProxy =
    workload !== undefined &&
    (workload.via !== undefined || listener.trustedProxies.has(workload.spiffeId.text))
  const ip = clientAddress(request, listener, throughProxy)
  const told =
    places.header === undefined ? undefined : edgePlace(request, listener, throughProxy, places.header)
  const place = told ?? (ip === undefined ? undefined : places.placeOf(ip))
  const isPublic = ip === undefined || isKnownPublic(ip)
  return {
    client: { ip, country: place?.country, isPublic },
    place: workload === undefined || throughProxy ? place : undefined,
    malicious: ip !== undefined && places.isMalicious(ip),
  }
}

const publicAddresses = new Map<string, boolean>()
const ADDRESSES_KEPT = 10_000

/** Remembers the addresses it was asked about lately. */
function isKnownPublic(ip: string): boolean {
  let known = publicAddresses.get(ip)
  if (known === undefined) {
    known = isPublicAddress(ip)
    if (publicAddresses.size >= ADDRESSES_KEPT) publicAddresses.clear()
    publicAddresses.set(ip, known)
  }
  return known
}
