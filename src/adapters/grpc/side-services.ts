import { fileURLToPath } from 'node:url'
import {
  type ClientHttp2Session,
  connect,
  constants,
  type IncomingHttpHeaders,
  type OutgoingHttpHeaders,
  type ServerHttp2Stream,
} from 'node:http2'
import { Server, ServerCredentials } from '@grpc/grpc-js'
import { loadSync } from '@grpc/proto-loader'
import { ReflectionService } from '@grpc/reflection'
import { HealthImplementation, protoPath as healthProto } from 'grpc-health-check'
import { duplexPair } from './duplex-pair.js'
import { GRPC_STATUS, refuseCall } from './unary-call.js'

export const AUTHORIZATION_SERVICE = 'envoy.service.auth.v3.Authorization'
const AUTHORIZATION_PROTO = fileURLToPath(
  new URL('../../../proto/envoy/service/auth/v3/external_auth.proto', import.meta.url),
)

/** Health and reflection, and the right answer to every method that nobody serves. */
export type SideServices = {
  /** Serves a call that is not Check. */
  serve(stream: ServerHttp2Stream, headers: IncomingHttpHeaders): void
  setServing(serving: boolean): void
  /** Ends what is still open, such as a health Watch, and with it the in-process connection. */
  stop(): void
}

/**
 * Runs health and reflection on grpc-js, reached over a connection within the process: those calls are rare, so
 * they take the longer way and Check the shorter.
 */
export function startSideServices(): SideServices {
  const server = new Server({ 'grpc.enable_channelz': 0 })
  const health = new HealthImplementation({ '': 'NOT_SERVING', [AUTHORIZATION_SERVICE]: 'NOT_SERVING' })
  health.addToServer(server)
  const packages = loadSync([AUTHORIZATION_PROTO, healthProto], { keepCase: true })
  new ReflectionService(packages).addToServer(server)
  const injector = server.createConnectionInjector(ServerCredentials.createInsecure())
  let session: ClientHttp2Session | undefined

  function connection(): ClientHttp2Session {
    if (session === undefined || session.closed || session.destroyed) {
      const [near, far] = duplexPair()
      injector.injectConnection(far)
      session = connect('http://localhost', { createConnection: () => near })
      session.on('error', () => undefined)
    }
    return session
  }

  return {
    serve: (stream, headers) => forward(stream, headers, connection()),
    setServing: (serving) => {
      const status = serving ? 'SERVING' : 'NOT_SERVING'
      health.setStatus('', status)
      health.setStatus(AUTHORIZATION_SERVICE, status)
    },
    stop: () => {
      server.forceShutdown()
      session?.destroy()
    },
  }
}

/** Passes one call through, message bytes, headers, trailers and cancellation alike. */
function forward(stream: ServerHttp2Stream, headers: IncomingHttpHeaders, session: ClientHttp2Session): void {
  const call = session.request(
    { ...headers, ':authority': 'localhost', ':scheme': 'http' },
    { endStream: false },
  )
  let trailers: OutgoingHttpHeaders = {
    'grpc-status': String(GRPC_STATUS.unavailable),
    'grpc-message': 'stopped',
  }
  call.on('response', (response, flags) => {
    if (stream.destroyed || stream.closed) return
    const trailersOnly = (flags & constants.NGHTTP2_FLAG_END_STREAM) !== 0
    stream.respond(response, trailersOnly ? { endStream: true } : { waitForTrailers: true })
    if (!trailersOnly) call.pipe(stream)
  })
  call.on('trailers', (received) => {
    trailers = received
  })
  stream.on('wantTrailers', () => stream.sendTrailers(trailers))
  stream.pipe(call)
  stream.on('close', () => call.close(constants.NGHTTP2_CANCEL))
  call.on('error', () => undefined)
  call.on('close', () => {
    if (!stream.headersSent) refuseCall(stream, GRPC_STATUS.internal, 'the service has stopped')
    else if (!stream.writableEnded) stream.close(constants.NGHTTP2_CANCEL)
  })
}
