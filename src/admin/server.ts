import type { Socket } from 'node:net'
import { fastify, type FastifyReply, type FastifyRequest } from 'fastify'
import { canonicalIp } from '../request/ip-text.js'
import { createDoorkeeper } from './authenticate.js'
import type { Client, ShownCertificate } from './client-certificate.js'
import { Followers } from './follow.js'
import { ADMIN_LIMITS, type AdminLimits } from './limits.js'
import { type AdminTls, createListener, type Listener, refuseGarbage } from './listener.js'
import type { AdminPorts } from './ports.js'
import { refuse } from './replies.js'
import { ROUTES } from './routes.js'
import { type Arrived, serving } from './serve-route.js'
import type { TokenHashes } from './tokens.js'
import { answerTheRest, readJsonOnly } from './unserved.js'

export type AdminServerOptions = {
  /** `host` is an IP address without brackets; port 0 is a free one. */
  readonly listen: { readonly host: string; readonly port: number }
  /** Undefined: plaintext. */
  readonly tls: AdminTls | undefined
  readonly actors: { readonly tokens: TokenHashes; readonly clients: readonly Client[] }
  readonly ports: AdminPorts
  readonly limits?: Partial<AdminLimits>
  /** Asked on every request that a client certificate stands for. */
  readonly isRevoked: (certificate: ShownCertificate) => boolean
  readonly nowMs: () => number
  /** A name that nothing has yet, of A-Z a-z 0-9 _ -, at most 64 characters. */
  readonly newId: () => string
  /** What broke and should not have, for the log. */
  readonly warn: (message: string) => void
}

export type AdminServer = {
  /** `127.0.0.1:43121` or `[::1]:9192`, with the port it got. */
  readonly address: string
  /** From now on only these tokens are taken; who follows decisions has to come again. */
  updateTokens(tokens: TokenHashes): void
  /** For connections to come; certificates shown on others count no more where the roots changed. Throws what is wrong with the certificate; then nothing changes. */
  updateTls(tls: AdminTls): void
  close(): Promise<void>
}

const SECURITY_HEADERS = {
  'cache-control': 'no-store',
  'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
  'cross-origin-resource-policy': 'same-origin',
  'referrer-policy': 'no-referrer',
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
}

/** Serves the admin API. Rejects when it can't listen, or can't use the certificate. Source: FORMATS 6. */
export async function startAdminServer(options: AdminServerOptions): Promise<AdminServer> {
  const limits = { ...ADMIN_LIMITS, ...options.limits }
  const { host, port } = options.listen
  let listener: Listener | undefined
  const app = fastify({
    serverFactory: (handle) => {
      listener = createListener(options.tls, limits, handle)
      return listener.server
    },
    bodyLimit: limits.bodyBytes,
    exposeHeadRoutes: false,
    return503OnClosing: false,
    routerOptions: { maxParamLength: 1024 },
    genReqId: options.newId,
    clientErrorHandler: refuseGarbage,
    frameworkErrors: (_error, request, reply) => {
      protect(request.id, reply)
      void refuse(reply, { status: 400, detail: 'the path is not well formed' })
    },
  })
  if (!listener) throw new Error('fastify made no server')
  const { server, isCurrent, replaceTls } = listener
  const followers = new Followers(limits)
  const doorkeeper = createDoorkeeper({
    ...options.actors,
    onLoopback: host === '::1' || host.startsWith('127.'),
    isCurrent,
    isRevoked: options.isRevoked,
    warn: options.warn,
  })
  const arrivals = new WeakMap<FastifyRequest, Arrived>()

  app.addHook('onRequest', async (request, reply) => {
    protect(request.id, reply)
    const arrival = {
      headers: request.headers,
      authorizations: request.raw.headersDistinct['authorization']?.length ?? 0,
      remoteIp: remoteIpOf(request.raw.socket),
      socket: request.raw.socket,
    }
    const known = doorkeeper.authenticate(arrival, options.nowMs())
    if (known.ok) arrivals.set(request, { actor: known.actor, remoteIp: arrival.remoteIp })
    else await refuse(reply, known.refusal)
  })
  readJsonOnly(app)
  answerTheRest(app, options.warn)
  const serve = serving(options, limits, followers, arrivals)
  for (const route of ROUTES) {
    app.route({
      method: route.method,
      url: route.path,
      ...(route.bodyBytes !== undefined && { bodyLimit: route.bodyBytes }),
      onRequest: (request, reply) => serve.checkRole(route, request, reply),
      handler: (request, reply) => serve.handle(route, request, reply),
    })
  }
  await app.listen({ host, port })
  const bound = server.address()
  if (bound === null || typeof bound === 'string') throw new Error('a TCP listener has no TCP address')
  return {
    address: `${host.includes(':') ? `[${host}]` : host}:${bound.port}`,
    updateTokens: (tokens) => {
      doorkeeper.replaceTokens(tokens)
      followers.endAll()
    },
    updateTls: (tls) => {
      replaceTls(tls)
      followers.endAll()
    },
    close: async () => {
      followers.endAll()
      const late = setTimeout(() => server.closeAllConnections(), limits.closeMs)
      await app.close()
      clearTimeout(late)
    },
  }
}

/** As events write addresses; empty once the caller is gone. */
function remoteIpOf({ remoteAddress = '' }: Socket): string {
  return canonicalIp(remoteAddress) ?? remoteAddress
}

/** The headers of every answer. */
function protect(requestId: string, reply: FastifyReply): void {
  reply.headers({ ...SECURITY_HEADERS, 'x-request-id': requestId })
}
