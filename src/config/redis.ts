import { isIPv6 } from 'node:net'

/** A server by name or IP address, without brackets. */
export type ServerAddress = { readonly host: string; readonly port: number }

export type ParsedServer =
  { readonly ok: true; readonly server: ServerAddress } | { readonly ok: false; readonly problem: string }

/** `url` once parsed. */
export type RedisUrl = ServerAddress & { readonly database: number; readonly tls: boolean }

export type ParsedRedisUrl =
  | { readonly ok: true; readonly server: RedisUrl }
  | { readonly ok: false; readonly code: 'wrong-url' | 'secret-in-url'; readonly problem: string }

const DEFAULT_PORT = 6379
const HOST_PORT = /^(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9._-]{1,253})):([0-9]{1,5})$/
const URL_PARTS =
  /^rediss?:\/\/(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]{1,253})(?::([0-9]{1,5}))?(?:\/([0-9]{0,4}))?$/

/** Parses `redis-0.shop:6379` or `[::1]:6379`. */
export function parseServer(text: string): ParsedServer {
  const [, bracketed, name, digits] = HOST_PORT.exec(text) ?? []
  const port = Number(digits)
  const host = bracketed ?? name
  if (host === undefined || (bracketed !== undefined && !isIPv6(bracketed)))
    return { ok: false, problem: 'must be a host and a port such as redis-0.shop:6379 or [::1]:6379' }
  if (port < 1 || port > 65_535) return { ok: false, problem: 'has no port from 1 to 65535' }
  return { ok: true, server: { host, port } }
}

/**
 * Parses `redis://host:port/database`. What is said of a wrong one never repeats it, because it may hold a password.
 * Source: the provisional registration of the redis and rediss URI schemes, without its user information and query.
 */
export function parseRedisUrl(text: string): ParsedRedisUrl {
  if (text.includes('@'))
    return {
      ok: false,
      code: 'secret-in-url',
      problem: 'a URL here must not hold a user name or password; use `username` and `passwordFile`',
    }
  const [, host, digits, database] = URL_PARTS.exec(text) ?? []
  const port = digits === undefined ? DEFAULT_PORT : Number(digits)
  const parsed = host === undefined ? undefined : parseServer(`${host}:${port}`)
  if (!parsed?.ok) {
    const problem = 'must be redis://host:port/database, or rediss:// for TLS, without anything else'
    return { ok: false, code: 'wrong-url', problem }
  }
  const tls = text.startsWith('rediss:')
  return { ok: true, server: { ...parsed.server, database: Number(database ?? 0), tls } }
}
