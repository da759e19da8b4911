const LABELS = /^(?!-)[a-z0-9_-]{1,63}(?:\.(?!-)[a-z0-9_-]{1,63})*$/
const IPV6 = /^\[[0-9a-f:.]{2,45}\]$/
const PORT = /^[0-9]{1,5}$/
const SIMPLE = /^[a-z0-9_.-]+$/
const MAX_HOST_LENGTH = 253

/**
 * The host of an authority in lower case and without its port: `Shop.Example:8443` gives `shop.example`, `[::1]:80`
 * gives `[::1]`. Undefined for what is no host: userinfo, a trailing dot, an empty label, a bad port.
 * Underscores are taken, since cluster-internal names have them.
 */
export function canonicalHost(authority: string): string | undefined {
  if (authority.length > MAX_HOST_LENGTH + 6) return undefined
  const lower = SIMPLE.test(authority) ? authority : authority.toLowerCase()
  const colon = lower.startsWith('[') ? lower.indexOf(':', lower.indexOf(']')) : lower.indexOf(':')
  const host = colon === -1 ? lower : lower.slice(0, colon)
  if (colon !== -1) {
    const port = lower.slice(colon + 1)
    if (!PORT.test(port) || Number(port) > 65_535) return undefined
  }
  if (host.length > MAX_HOST_LENGTH) return undefined
  return LABELS.test(host) || IPV6.test(host) ? host : undefined
}
