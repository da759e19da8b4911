import {
  constants,
  createServer,
  type IncomingHttpHeaders,
  type ServerHttp2Session,
  type ServerHttp2Stream,
  type ServerOptions,
} from 'node:http2'
import { createServer as createTcpServer } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { TLSSocket } from 'node:tls'
import type { Check } from '../../ext-authz/check.js'
import {
  ACCESS_LOG_SERVICE,
  serveAccessLogs,
  type TakeAccessLogEntry,
} from './access-log/serve-access-logs.js'
import { type Admission, admit, ANYBODY, type AskerCertificate } from './asker.js'
import type { ListenAddress } from './bind.js'
import type { Closed } from './closing.js'
import { type Connection, Connections } from './connections.js'
import { type Arrivals, type Door, openDoor } from './door.js'
import { Entrance } from './entrance.js'
import { endAfterRead } from './end-of-session.js'
import { startGrpcJsCheck } from './grpc-js-check.js'
import { type GrpcLimits, LIMITS } from './limits.js'
import { GRPC_STATUS, refuseCall, refuseRequest, statusOfNoCall } from './refusal.js'
import { AUTHORIZATION_SERVICE, startSideServices } from './side-services.js'
import { createTlsServer, type ListenerCertificate, replaceCertificate } from './tls-server.js'
import { Turns } from './turns.js'
import { serveCheck } from './unary-call.js'

export type GrpcListenerOptions = {
  readonly address: ListenAddress | Arrivals
  /** Undefined: plaintext. */
  readonly tls?:
    | (ListenerCertificate & {
        /** Who may ask, by SPIFFE ID of the client certificate; undefined: every client that TLS lets in. */
        readonly allowedClients: ((spiffeId: string) => boolean) | undefined
      })
    | undefined
  /** Asked on every call of a client with an SVID, since revocation comes while connections live. */
  readonly isRevoked?: ((asker: AskerCertificate) => boolean) | undefined
  readonly check: Check
  /** What answers Check: node:http2 straight, or grpc-js as it answers everything else. */
  readonly checkServer?: 'Http2' | 'GrpcJs' | undefined
  /**
   * Takes what Envoys tell by gRPC access log; undefined: the method is UNIMPLEMENTED. Only from clients with an SVID;
   * on a plaintext listener from everybody, as there everybody may ask.
   */
  readonly accessLogs?: TakeAccessLogEntry | undefined
  readonly maxMessageBytes: number
  /** For a Check that brings no deadline, milliseconds from its arrival. */
  readonly deadlineMs: number
  /** Of this process; undefined: this listener looks by itself. */
  readonly turns?: Turns
  /** Other limits than those for a mesh. */
  readonly limits?: Partial<GrpcLimits>
  /** Told of every connection that the listener ends, but at its own end. */
  readonly onClosed?: ((closed: Closed) => void) | undefined
}

export type GrpcListener = {
  /** As in the configuration, with the port it got: `127.0.0.1:43121`, `[::]:9191`, `unix:/path`. */
  readonly address: string
  /** Connections that are open now. */
  connections(): number
  /** What health answers for the server and for Authorization. False until told. */
  setServing(serving: boolean): void
  /**
   * New connections get this certificate, old ones live on, unless the roots of the clients changed: then old ones
   * are told to go. Throws what is wrong with it; then nothing changes.
   */
  updateTls(certificate: ListenerCertificate): void
  /** Says NOT_SERVING, waits, takes no more connections, ends the old ones as their calls end; at the latest by force. */
  drain(limits: { readonly delayMs: number; readonly timeoutMs: number }): Promise<void>
  /** Ends everything now, silent connections too. */
  close(): Promise<void>
}

const CHECK_PATH = `/${AUTHORIZATION_SERVICE}/Check`
const ACCESS_LOG_PATH = `/${ACCESS_LOG_SERVICE}/StreamAccessLogs`
/** Node's default of 64 KiB holds about 17 requests; an Envoy with hundreds under way would wait for window updates. */
const CONNECTION_WINDOW_BYTES = 4 * 1024 * 1024
const http2Options = ({ streams, headerBytes, headers }: GrpcLimits): ServerOptions => ({
  settings: { maxConcurrentStreams: streams, maxHeaderListSize: headerBytes, enablePush: false },
  maxHeaderListPairs: headers,
  /** What nghttp2 and headers take for a connection, in megabytes; messages are no part of it, see GrpcLimits. */
  maxSessionMemory: 64,
  /** Frames that break the protocol, and streams beyond those allowed at once, until the connection is closed. */
  maxSessionInvalidFrames: 100,
  maxSessionRejectedStreams: 100,
})

/**
 * Serves envoy.service.auth.v3.Authorization, grpc.health.v1 and reflection at one address. Check is answered
 * straight on node:http2 unless the options say otherwise, everything else by grpc-js. TLS is 1.3 only, without
 * session resumption, so every
 * connection shows its certificate. Nothing that a peer sends is an exception of this process. Rejects when it
 * can't listen; bad certificates reject too.
 */
export async function startGrpcListener(options: GrpcListenerOptions): Promise<GrpcListener> {
  const limits = { ...LIMITS, ...options.limits }
  const { tls, check, accessLogs, maxMessageBytes, deadlineMs, turns = new Turns() } = options
  const http2 = http2Options(limits)
  const server = tls ? createTlsServer(http2, tls, limits.silentMs) : createServer(http2)
  const told = options.onClosed ?? ignore
  const entrance = new Entrance({
    limits,
    tls: tls !== undefined,
    enter: ({ socket }) => void server.emit('connection', socket),
    refused: (reason, peer) => told({ reason, peer }),
  })
  // Read only once it is let in, so that no byte is lost that it waits with.
  const front = createTcpServer({ pauseOnConnect: tls !== undefined }, (socket) => entrance.arrive(socket))
  const side = startSideServices({ accessLogs: accessLogs !== undefined })
  const library =
    options.checkServer === 'GrpcJs' ? startGrpcJsCheck(CHECK_PATH, check, maxMessageBytes, turns) : undefined
  const connections = new Connections(limits, turns, entrance, told)

  server.on('session', (session: ServerHttp2Session) => {
    endAfterRead(session)
    try {
      connections.add(session, entrance.arrivalOf(session.socket), admissionOf(session, tls))
      session.setLocalWindowSize(CONNECTION_WINDOW_BYTES)
    } catch {
      session.destroy()
    }
  })
  server.on('stream', (stream, headers) => {
    // A peer that resets its stream is no event for anybody.
    stream.on('error', ignore)
    try {
      serve(stream, headers)
    } catch {
      stream.close(constants.NGHTTP2_INTERNAL_ERROR)
    }
  })
  server.on('sessionError', ignore)
  server.on('tlsClientError', (_error: Error, socket: TLSSocket) =>
    told({ reason: 'handshake', peer: socket.remoteAddress }),
  )

  function serve(stream: ServerHttp2Stream, headers: IncomingHttpHeaders): void {
    const connection = connections.of(stream.session)
    if (connection === undefined || connection.over || connection.budget.spent) {
      return stream.close(constants.NGHTTP2_REFUSED_STREAM)
    }
    const { admission, budget } = connection
    connection.watch.follow(stream)
    if (!admission.ok) return refuseCall(stream, admission.status, admission.message)
    if (admission.untilMs < Date.now()) {
      return refuseCall(stream, GRPC_STATUS.unauthenticated, 'the client certificate has expired')
    }
    if (admission.certificate && options.isRevoked?.(admission.certificate)) {
      return refuseCall(stream, GRPC_STATUS.permissionDenied, 'the client certificate is revoked')
    }
    const status = statusOfNoCall(headers)
    if (status !== undefined) return refuseRequest(stream, status)
    const path = headers[':path']
    if (path === ACCESS_LOG_PATH && accessLogs) return serveLogs(stream, connection, accessLogs)
    if (path !== CHECK_PATH) return side.serve(stream, headers)
    const terms = { asker: admission.asker, check, maxMessageBytes, deadlineMs, turns, budget }
    if (library) library.serve(stream, headers, terms)
    else serveCheck(stream, headers, terms)
  }

  function serveLogs(stream: ServerHttp2Stream, connection: Connection, take: TakeAccessLogEntry): void {
    const { admission, budget, farewells, leaving } = connection
    // The entries of a stream that begins now would be lost at its end.
    if (leaving || !admission.ok) return stream.close(constants.NGHTTP2_REFUSED_STREAM)
    if (tls && admission.asker.spiffeId === undefined) {
      return refuseCall(
        stream,
        GRPC_STATUS.unauthenticated,
        'access logs are taken from SPIFFE workloads only',
      )
    }
    const { asker, certificate, untilMs } = admission
    const admitted = (): boolean =>
      untilMs >= Date.now() && !(certificate && options.isRevoked?.(certificate) === true)
    serveAccessLogs(stream, {
      asker,
      take,
      maxMessageBytes,
      stallMs: limits.stallMs,
      budget,
      admitted,
      farewells,
    })
  }

  let door: Door
  try {
    door = await openDoor(front, options.address)
  } catch (error) {
    side.stop()
    library?.stop()
    connections.destroy()
    entrance.destroy()
    throw error
  }
  server.on('error', ignore)
  front.on('error', ignore)

  async function close(): Promise<void> {
    side.stop()
    library?.stop()
    const shut = door.shut()
    connections.destroy()
    entrance.destroy()
    await Promise.all([shut, door.closed])
  }

  return {
    address: door.address,
    connections: () => connections.count,
    setServing: (serving) => side.setServing(serving),
    updateTls: (certificate) => {
      if (replaceCertificate(server, certificate).rootsChanged) connections.renew()
    },
    drain: async ({ delayMs, timeoutMs }) => {
      side.setServing(false)
      await sleep(delayMs)
      await door.shut()
      await connections.announceEnd(timeoutMs)
      side.stop()
      await connections.end(timeoutMs)
      await close()
    },
    close,
  }
}

function admissionOf(session: ServerHttp2Session, tls: GrpcListenerOptions['tls']): Admission {
  if (tls?.clientCa === undefined) return ANYBODY
  const { socket } = session
  return admit(socket instanceof TLSSocket ? socket : undefined, tls.allowedClients)
}

function ignore(): void {
  // Nothing to do: the connection or stream is gone, and its peer knows.
}
