import { contains, parseAddress, parseRange } from '../segmentation/when/address.js'

/** What is not reachable worldwide. Source: IANA IPv4 and IPv6 Special-Purpose Address Registries (RFC 6890), and multicast. */
const NOT_PUBLIC = [
  '0.0.0.0/8',
  '10.0.0.0/8',
  '100.64.0.0/10',
  '127.0.0.0/8',
  '169.254.0.0/16',
  '172.16.0.0/12',
  '192.0.0.0/24',
  '192.0.2.0/24',
  '192.88.99.0/24',
  '192.168.0.0/16',
  '198.18.0.0/15',
  '198.51.100.0/24',
  '203.0.113.0/24',
  '224.0.0.0/4',
  '240.0.0.0/4',
  '2001::/23',
  '2001:db8::/32',
  '2002::/16',
  '3fff::/20',
].map(rangeOf)

/** All that has been given out for use worldwide. */
const GLOBAL_UNICAST = rangeOf('2000::/3')

/** Whether a textual IP address can be somewhere on earth: false for private, reserved and documentation addresses, and for what is no address. */
export function isPublicAddress(ip: string): boolean {
  const address = parseAddress(ip)
  if (!address || (address.family === 6 && !contains(GLOBAL_UNICAST, address))) return false
  return !NOT_PUBLIC.some((range) => contains(range, address))
}

function rangeOf(text: string): Exclude<ReturnType<typeof parseRange>, { problem: string }> {
  const range = parseRange(text)
  if ('problem' in range) throw new Error(range.problem)
  return range
}
