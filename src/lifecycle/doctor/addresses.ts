import { parseAddress } from '../../segmentation/when/address.js'
import { isThere, items, member, textOf, type Part } from './part.js'

/** Host of an `address` message; '' for what is no network address (pipe, internal). */
export const hostOf = (address: Part): string =>
  textOf(member(address, 'socket_address', 'address')) || namesNoNetwork(address)

/** Whether only processes of this host get to it: loopback, a Unix socket, Envoy itself. */
export function isLocal(host: string): boolean {
  if (host === '' || host === 'localhost') return true
  const address = parseAddress(host)
  if (!address) return false
  const { family, words } = address
  if (family === 4) return (words[0] ?? 0) >> 8 === 127
  return words.every((word, index) => word === (index === words.length - 1 ? 1 : 0))
}

/** A missing address is nowhere, but not known to be local. */
function namesNoNetwork(address: Part): string {
  return isThere(member(address, 'pipe')) || isThere(member(address, 'envoy_internal_address'))
    ? ''
    : '(no address)'
}

/** Hosts of a cluster's endpoints. */
export function endpointHosts(assignment: Part): string[] {
  return items(member(assignment, 'endpoints')).flatMap((locality) =>
    items(member(locality, 'lb_endpoints')).map((each) => hostOf(member(each, 'endpoint', 'address'))),
  )
}
