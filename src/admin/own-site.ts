import type { IncomingHttpHeaders } from 'node:http'

/** No name of somebody else's: those are letters. */
const LOOPBACK = /^(?:localhost|127(?:\.\d{1,3}){3}|\[::1\])$/

/**
 * Why a request may come from a page of another site that somebody has open; undefined where it doesn't. On loopback a
 * foreign name in `Host` is one that was made to point here (DNS rebinding); elsewhere TLS names the server.
 */
export function foreignSite(
  { host, origin, 'sec-fetch-site': site }: IncomingHttpHeaders,
  listensOnLoopback: boolean,
): string | undefined {
  if (host === undefined) return 'the request has no Host header'
  const name = host.replace(/:\d{1,5}$/, '').toLowerCase()
  if (listensOnLoopback && !LOOPBACK.test(name)) {
    return 'the Host header is none of localhost, 127.0.0.1 and [::1], which this API is at'
  }
  if (origin !== undefined && hostOf(origin) !== host.toLowerCase()) {
    return 'the request comes from a page of another site'
  }
  if (site === 'cross-site' || site === 'same-site') return 'the request comes from a page of another site'
  return undefined
}

function hostOf(origin: string): string | undefined {
  return /^https?:\/\/([^/?#@\s]+)$/i.exec(origin)?.[1]?.toLowerCase()
}
