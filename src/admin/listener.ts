import { constants } from 'node:crypto'
import { createServer, type RequestListener, type Server } from 'node:http'
import { createServer as createTlsServer, Server as TlsServer } from 'node:https'
import type { Socket } from 'node:net'
import { createSecureContext, type SecureContextOptions } from 'node:tls'
import type { AdminLimits } from './limits.js'
import { PROBLEM_MEDIA_TYPE, writeProblem } from './problem-details.js'

/** PEM texts. */
export type AdminTls = {
  /** Leaf first, then intermediates. */
  readonly certificate: string
  readonly key: string
  /** Roots that client certificates must lead to; undefined: none is asked for. */
  readonly clientCa: string | undefined
}

export type Listener = {
  readonly server: Server
  /** Whether the client certificate of a connection was checked against the roots in force. */
  readonly isCurrent: (socket: Socket) => boolean
  /** For connections to come. Throws what is wrong with the certificate; then nothing changes. */
  readonly replaceTls: (tls: AdminTls) => void
}

/** Throws what is wrong with the certificate. */
export function createListener(
  tls: AdminTls | undefined,
  limits: AdminLimits,
  listener: RequestListener,
): Listener {
  const bounds = {
    maxHeaderSize: limits.headerBytes,
    headersTimeout: limits.headersMs,
    requestTimeout: limits.requestMs,
    keepAliveTimeout: 5000,
    connectionsCheckingInterval: 1000,
  }
  let current = new WeakSet<Socket>()
  let roots = tls?.clientCa
  const server: Server = tls
    ? createTlsServer(
        {
          ...bounds,
          ...contextOf(tls),
          requestCert: tls.clientCa !== undefined,
          // Who comes with a token needs no certificate; one that is not authorized counts as none.
          rejectUnauthorized: false,
          handshakeTimeout: limits.headersMs,
        },
        listener,
      )
    : createServer(bounds, listener)
  server.maxConnections = limits.connections
  server.on('secureConnection', (socket: Socket) => current.add(socket))
  return {
    server,
    isCurrent: (socket) => current.has(socket),
    replaceTls: (next) => {
      if (!(server instanceof TlsServer)) throw new Error('the admin API is plaintext')
      const context = contextOf(next)
      createSecureContext(context)
      server.setSecureContext(context)
      if (next.clientCa !== roots) current = new WeakSet()
      roots = next.clientCa
    },
  }
}

/** The answer to what is no HTTP. */
export function refuseGarbage(error: Error & { readonly code?: string }, socket: Socket): void {
  if (!socket.writable || error.code === 'ECONNRESET') {
    socket.destroy()
    return
  }
  const status =
    error.code === 'HPE_HEADER_OVERFLOW' ? 431 : error.code === 'ERR_HTTP_REQUEST_TIMEOUT' ? 408 : 400
  const detail = { 431: 'the headers are too long', 408: 'the request took too long', 400: 'this is no HTTP' }
  const body = writeProblem({ status, detail: detail[status] })
  socket.end(
    `HTTP/1.1 ${status} Refused\r\ncontent-type: ${PROBLEM_MEDIA_TYPE}\r\ncontent-length: ${Buffer.byteLength(body)}\r\n` +
      `cache-control: no-store\r\nx-content-type-options: nosniff\r\nconnection: close\r\n\r\n${body}`,
  )
}

function contextOf({ certificate, key, clientCa }: AdminTls): SecureContextOptions {
  return {
    cert: certificate,
    key,
    ...(clientCa === undefined ? {} : { ca: clientCa }),
    minVersion: 'TLSv1.3',
    secureOptions: constants.SSL_OP_NO_TICKET,
  }
}
