import { constants as cryptoConstants } from 'node:crypto'
import {
  constants,
  createSecureServer,
  createServer,
  type Http2SecureServer,
  type Http2Server,
  type Http2Session,
  type ServerHttp2Session,
  type ServerOptions,
} from 'node:http2'
import { setTimeout as sleep } from 'node:timers/promises'
import { createSecureContext, type SecureContextOptions, Server as TlsServer, TLSSocket } from 'node:tls'
import type { Check } from '../../ext-authz/check.js'
import { type Admission, admit, ANYBODY } from './asker.js'
import { bind, type ListenAddress } from './bind.js'
import { AUTHORIZATION_SERVICE, startSideServices } from './side-services.js'
import { refuseCall, serveCheck } from './unary-call.js'

/** PEM texts. */
export type ListenerCertificate = {
  /** Leaf first, then intermediates. */
  readonly certificate: string
  readonly key: string
  /** Roots that client certificates must lead to; undefined: none is asked for. */
  readonly clientCa: string | undefined
}

export type GrpcListenerOptions = {
  readonly address: ListenAddress
  /** Undefined: plaintext. */
  readonly tls?:
    | (ListenerCertificate & {
        /** Who may ask, by SPIFFE ID of the client certificate; undefined: every client that TLS lets in. */
        readonly allowedClients: ((spiffeId: string) => boolean) | undefined
      })
    | undefined
  readonly check: Check
  readonly maxMessageBytes: number
}

export type GrpcListener = {
  /** As in the configuration, with the port it got: `127.0.0.1:43121`, `[::]:9191`, `unix:/path`. */
  readonly address: string
  /** What health answers for the server and for Authorization. False until told. */
  setServing(serving: boolean): void
  /** New connections get this certificate, old ones live on. Throws what is wrong with it; then nothing changes. */
  updateTls(certificate: ListenerCertificate): void
  /** Says NOT_SERVING, waits, takes no more connections, ends the old ones as their calls end; at the latest by force. */
  drain(limits: { readonly delayMs: number; readonly timeoutMs: number }): Promise<void>
  /** Ends everything now. */
  close(): Promise<void>
}

const CHECK_PATH = `/${AUTHORIZATION_SERVICE}/Check`
/** Node's default of 64 KiB holds about 17 requests; an Envoy with hundreds under way would wait for window updates. */
const CONNECTION_WINDOW_BYTES = 4 * 1024 * 1024
const MAX_CONCURRENT_STREAMS = 1024
/** Above what all streams of a connection may buffer; Node answers badly once it is reached. In megabytes. */
const SESSION_MEMORY_MB = 64
/** The highest stream id: a GOAWAY that only announces the end, so calls already on their way are still served. */
const LAST_STREAM_ID = 2 ** 31 - 1
/** Time for that announcement to reach the peer, which is on this host or in this cluster. */
const NOTICE_MS = 100

const HTTP2: ServerOptions = {
  maxSessionMemory: SESSION_MEMORY_MB,
  settings: { maxConcurrentStreams: MAX_CONCURRENT_STREAMS, enablePush: false },
}

/**
 * Serves envoy.service.auth.v3.Authorization, grpc.health.v1 and reflection at one address. Check is answered
 * straight on node:http2, everything else by grpc-js. TLS is 1.3 only, without session resumption, so every
 * connection shows its certificate. Rejects when it can't listen; bad certificates reject too.
 */
export async function startGrpcListener(options: GrpcListenerOptions): Promise<GrpcListener> {
  const side = startSideServices()
  const sessions = new Map<Http2Session, Admission>()
  let server: Http2Server | Http2SecureServer
  try {
    server = options.tls ? secureServer(options.tls) : createServer(HTTP2)
  } catch (error) {
    side.stop()
    throw new Error(
      `the listener's certificate cannot be used: ${error instanceof Error ? error.message : String(error)}`,
      { cause: error },
    )
  }

  server.on('session', (session: ServerHttp2Session) => {
    sessions.set(session, admissionOf(session, options.tls))
    session.on('close', () => sessions.delete(session))
    session.setLocalWindowSize(CONNECTION_WINDOW_BYTES)
  })
  server.on('stream', (stream, headers) => {
    // A peer that resets its stream is no event for anybody.
    stream.on('error', ignore)
    const admission = stream.session && sessions.get(stream.session)
    if (admission === undefined) return stream.close(constants.NGHTTP2_REFUSED_STREAM)
    if (!admission.ok) return refuseCall(stream, admission.status, admission.message)
    if (headers[':path'] !== CHECK_PATH || headers[':method'] !== 'POST') return side.serve(stream, headers)
    serveCheck(stream, headers, admission.asker, options.check, options.maxMessageBytes)
  })
  server.on('sessionError', ignore)

  let address: string
  try {
    address = await bind(server, options.address)
  } catch (error) {
    side.stop()
    throw error
  }
  server.on('error', ignore)
  const closed = new Promise<void>((resolve) => server.once('close', resolve))

  async function close(): Promise<void> {
    side.stop()
    if (server.listening) server.close()
    for (const session of sessions.keys()) session.destroy()
    await closed
  }

  return {
    address,
    setServing: (serving) => side.setServing(serving),
    updateTls: (certificate) => {
      if (!(server instanceof TlsServer)) throw new Error('this listener is plaintext')
      const context = contextOptions(certificate)
      // Throws for a key that is not the certificate's, which setSecureContext would find out half-way.
      createSecureContext(context)
      server.setSecureContext(context)
    },
    drain: async ({ delayMs, timeoutMs }) => {
      side.setServing(false)
      await sleep(delayMs)
      server.close()
      for (const session of sessions.keys()) {
        if (!session.destroyed) session.goaway(constants.NGHTTP2_NO_ERROR, LAST_STREAM_ID)
      }
      await sleep(Math.min(NOTICE_MS, timeoutMs))
      side.stop()
      for (const session of sessions.keys()) session.close()
      const late = new AbortController()
      await Promise.race([closed, sleep(timeoutMs, undefined, { signal: late.signal }).catch(ignore)])
      late.abort()
      await close()
    },
    close,
  }
}

function admissionOf(session: Http2Session, tls: GrpcListenerOptions['tls']): Admission {
  if (tls?.clientCa === undefined) return ANYBODY
  const { socket } = session
  return admit(socket instanceof TLSSocket ? socket : undefined, tls.allowedClients)
}

function ignore(): void {
  // Nothing to do: the connection or stream is gone, and its peer knows.
}

function secureServer(tls: ListenerCertificate): Http2SecureServer {
  return createSecureServer({
    ...HTTP2,
    ...contextOptions(tls),
    requestCert: tls.clientCa !== undefined,
    rejectUnauthorized: tls.clientCa !== undefined,
    allowHTTP1: false,
  })
}

function contextOptions({ certificate, key, clientCa }: ListenerCertificate): SecureContextOptions {
  return {
    cert: certificate,
    key,
    ...(clientCa === undefined ? {} : { ca: clientCa }),
    minVersion: 'TLSv1.3',
    secureOptions: cryptoConstants.SSL_OP_NO_TICKET,
  }
}
