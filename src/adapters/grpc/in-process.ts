import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  connect,
  constants,
  type Http2Session,
  type OutgoingHttpHeaders,
  type ServerHttp2Stream,
} from 'node:http2'
import { type Server, ServerCredentials } from '@grpc/grpc-js'
import { duplexPair } from './duplex-pair.js'
import { GRPC_STATUS, refuseCall, stopReading } from './refusal.js'

/** What a call that is handed on says of itself; nothing of it is the client's unless it was put here. */
export type PassedOn = Readonly<Record<string, string>>

/** A grpc-js server that is reached over connections within the process. */
export type InProcessServer = {
  /** Hands on one call; after stop() it is UNAVAILABLE. `adapt` may change what the server says at first. */
  serve(stream: ServerHttp2Stream, call: PassedOn, adapt?: (response: OutgoingHttpHeaders) => void): void
  /** Ends what is still open, and with it the connections. */
  stop(): void
}

/** Both ends are ours and the listener limits the peer's: less would only make calls wait for each other. */
const SESSION_MEMORY_MB = 64
const STOPPED = 'the service has stopped'

/**
 * Each connection of a listener has a connection of its own to the server, so what one peer does to it, such as
 * resets without end, no other peer feels.
 */
export function serveInProcess(server: Server): InProcessServer {
  const injector = server.createConnectionInjector(ServerCredentials.createInsecure())
  const inner = new Map<Http2Session, ClientHttp2Session>()
  let stopped = false

  function connectionFor(outer: Http2Session): ClientHttp2Session {
    const known = inner.get(outer)
    if (known && !known.closed && !known.destroyed) return known
    const [near, far] = duplexPair()
    injector.injectConnection(far)
    const session = connect('http://localhost', {
      createConnection: () => near,
      maxSessionMemory: SESSION_MEMORY_MB,
    })
    session.on('error', () => undefined)
    if (known === undefined) {
      outer.once('close', () => {
        inner.get(outer)?.destroy()
        inner.delete(outer)
      })
    }
    inner.set(outer, session)
    return session
  }

  return {
    serve: (stream, call, adapt) => {
      if (stopped) return refuseCall(stream, GRPC_STATUS.unavailable, STOPPED)
      const outer = stream.session
      if (outer === undefined || outer.destroyed) return stream.close(constants.NGHTTP2_REFUSED_STREAM)
      const request = { ':method': 'POST', ':authority': 'localhost', ':scheme': 'http', ...call }
      forward(stream, connectionFor(outer).request(request, { endStream: false }), adapt)
    },
    stop: () => {
      stopped = true
      server.forceShutdown()
      for (const session of inner.values()) session.destroy()
      inner.clear()
    },
  }
}

/** Passes one call through, message bytes, headers, trailers and cancellation alike. */
function forward(
  stream: ServerHttp2Stream,
  call: ClientHttp2Stream,
  adapt?: (response: OutgoingHttpHeaders) => void,
): void {
  let trailers: OutgoingHttpHeaders = {
    'grpc-status': String(GRPC_STATUS.unavailable),
    'grpc-message': 'stopped',
  }
  call.on('response', (response, flags) => {
    if (stream.destroyed || stream.closed || stream.headersSent) return
    adapt?.(response)
    const trailersOnly = (flags & constants.NGHTTP2_FLAG_END_STREAM) !== 0
    stream.respond(response, trailersOnly ? { endStream: true } : { waitForTrailers: true })
    if (trailersOnly) stopReading(stream)
    else call.pipe(stream)
  })
  call.on('trailers', (received) => {
    trailers = received
  })
  stream.on('wantTrailers', () => {
    stream.sendTrailers(trailers)
    stopReading(stream)
  })
  stream.pipe(call)
  stream.on('close', () => call.close(constants.NGHTTP2_CANCEL))
  call.on('error', () => undefined)
  call.on('close', () => {
    if (!stream.headersSent) refuseCall(stream, GRPC_STATUS.internal, STOPPED)
    else if (!stream.writableEnded) stream.close(constants.NGHTTP2_CANCEL)
  })
}
