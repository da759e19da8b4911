import { isIPv4, isIPv6 } from 'node:net'

/** Where to listen. `host` is an IP address without brackets; port 0 is a free one. */
export type ListenAddress =
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number }
  | { readonly kind: 'unix'; readonly path: string }

export type ParsedAddress =
  { readonly ok: true; readonly address: ListenAddress } | { readonly ok: false; readonly problem: string }

/** What a URL's host is on this machine alone. */
export const LOOPBACK_HOSTS: ReadonlySet<string> = new Set(['localhost', '127.0.0.1', '[::1]'])

/** The kernel's limit on the path of a Unix socket (sun_path, less its final NUL). */
const MAX_SOCKET_PATH_BYTES = 107

/** Parses `[::]:9191`, `127.0.0.1:0` or `unix:/path`. The path is left as it is written. */
export function parseListenAddress(text: string): ParsedAddress {
  if (text.startsWith('unix:')) {
    const path = text.slice('unix:'.length).replace(/^\/\/(?=\/)/, '')
    if (path === '' || path.includes('\0')) return refused('has no path after unix:')
    if (Buffer.byteLength(path) > MAX_SOCKET_PATH_BYTES) {
      return refused(`is longer than the ${MAX_SOCKET_PATH_BYTES} bytes that a socket's path may have`)
    }
    return { ok: true, address: { kind: 'unix', path } }
  }
  const match = /^(?:\[([^\]]*)\]|([^:[\]]*)):([0-9]{1,5})$/.exec(text)
  const [, bracketed, plain, digits] = match ?? []
  const port = Number(digits)
  if (!match) return refused('must be an IP address and a port such as [::]:9191, or unix:/path')
  if (port > 65_535) return refused('has a port above 65535')
  if (bracketed !== undefined) {
    return isIPv6(bracketed) ? tcp(bracketed, port) : refused('has no IPv6 address within its brackets')
  }
  if (plain === '') return refused(`has no IP address; write [::]:${port} for all`)
  if (plain !== undefined && isIPv4(plain)) return tcp(plain, port)
  return refused(
    `must begin with an IP address; write 127.0.0.1:${port} or [::1]:${port} for this host, [::]:${port} for all`,
  )
}

/** Whether both can't be bound at once. `[::]` takes IPv4 too. */
export function collide(left: ListenAddress, right: ListenAddress): boolean {
  if (left.kind === 'unix' || right.kind === 'unix') {
    return left.kind === 'unix' && right.kind === 'unix' && left.path === right.path
  }
  if (left.port !== right.port || left.port === 0) return false
  if (left.host === right.host || left.host === '::' || right.host === '::') return true
  const sameFamily = isIPv4(left.host) === isIPv4(right.host)
  return sameFamily && (left.host === '0.0.0.0' || right.host === '0.0.0.0')
}

function tcp(host: string, port: number): ParsedAddress {
  return { ok: true, address: { kind: 'tcp', host, port } }
}

function refused(problem: string): ParsedAddress {
  return { ok: false, problem }
}
