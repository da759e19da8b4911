import type { IncomingHttpHeaders } from 'node:http'
import type { Socket } from 'node:net'
import { actorOfCertificate, type Client, type ShownCertificate } from './client-certificate.js'
import { FailedAttempts } from './failed-attempts.js'
import { foreignSite } from './own-site.js'
import type { Actor } from './ports.js'
import type { Refusal } from './problem-details.js'
import { actorOfToken, bearerToken, type TokenHashes } from './tokens.js'

/** What is known of a request before its body is read. */
export type Arrival = {
  readonly headers: IncomingHttpHeaders
  /** How many Authorization headers there are; `headers` keeps one. */
  readonly authorizations: number
  readonly remoteIp: string
  readonly socket: Socket
}

export type Authentication =
  { readonly ok: true; readonly actor: Actor } | { readonly ok: false; readonly refusal: Refusal }

type Doorkeeper = {
  readonly authenticate: (arrival: Arrival, nowMs: number) => Authentication
  /** From now on only these tokens are taken. */
  readonly replaceTokens: (tokens: TokenHashes) => void
}

/** Lets named people and clients in. A token that is presented must be right, whatever the certificate. */
export function createDoorkeeper(options: {
  readonly tokens: TokenHashes
  readonly clients: readonly Client[]
  readonly onLoopback: boolean
  /** Whether the connection's certificate was checked against the roots in force. */
  readonly isCurrent: (socket: Socket) => boolean
  readonly isRevoked: (certificate: ShownCertificate) => boolean
  readonly warn: (message: string) => void
}): Doorkeeper {
  const failed = new FailedAttempts()
  let { tokens } = options
  const identify = ({ headers, socket }: Arrival, nowMs: number): Actor | undefined => {
    if (headers.authorization === undefined) {
      return options.isCurrent(socket)
        ? actorOfCertificate(socket, options.clients, options.isRevoked, nowMs)
        : undefined
    }
    const token = bearerToken(headers.authorization)
    return token === undefined ? undefined : actorOfToken(token, tokens)
  }
  return {
    replaceTokens: (next) => {
      tokens = next
    },
    authenticate: (arrival, nowMs) => {
      const foreign = foreignSite(arrival.headers, options.onLoopback)
      if (foreign !== undefined) return { ok: false, refusal: { status: 403, detail: foreign } }
      const waitSeconds = failed.waitSeconds(arrival.remoteIp, nowMs)
      if (waitSeconds > 0) {
        const detail = `too many failed authentications from this address; try again in ${waitSeconds} s`
        const headers = { 'retry-after': String(waitSeconds) }
        return { ok: false, refusal: { status: 429, detail, headers } }
      }
      if (arrival.authorizations > 1) {
        return { ok: false, refusal: { status: 400, detail: 'there is more than one Authorization header' } }
      }
      const actor = identify(arrival, nowMs)
      if (actor) return { ok: true, actor }
      if (failed.note(arrival.remoteIp, nowMs)) {
        options.warn(
          `too many failed authentications from ${arrival.remoteIp}: nobody is heard from there for a minute`,
        )
      }
      return { ok: false, refusal: unauthorized(arrival.headers.authorization !== undefined) }
    },
  }
}

/** Source: RFC 6750 3. */
function unauthorized(presented: boolean): Refusal {
  return {
    status: 401,
    detail: presented
      ? 'nobody has this token'
      : 'give a bearer token, or a client certificate that is configured',
    headers: { 'www-authenticate': presented ? 'Bearer error="invalid_token"' : 'Bearer' },
  }
}
