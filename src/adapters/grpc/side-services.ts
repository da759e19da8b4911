import { fileURLToPath } from 'node:url'
import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
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
import { GRPC_STATUS, refuseCall, stopReading } from './refusal.js'

export const AUTHORIZATION_SERVICE = 'envoy.service.auth.v3.Authorization'
const PROTO_ROOT = fileURLToPath(new URL('../../../proto', import.meta.url))
const AUTHORIZATION_PROTO = 'envoy/service/auth/v3/external_auth.proto'
const ACCESS_LOG_PROTO = 'envoy/service/accesslog/v3/als.proto'

/** Names and lists of names; nothing that they answer needs a longer question. */
const MAX_MESSAGE_BYTES = 64 * 1024
/** Calls at once over all connections, such as a health Watch of every Envoy. */
const MAX_CALLS = 4096
/** Headers that those services read. What else a peer sends goes no further. */
const PASSED_ON = ['content-type', 'te', 'grpc-timeout', 'grpc-encoding', 'grpc-accept-encoding'] as const

/** Health and reflection, and the right answer to every method that nobody serves. */
export type SideServices = {
  /** Serves a gRPC call that is not Check; after stop() it is UNAVAILABLE. */
  serve(stream: ServerHttp2Stream, headers: IncomingHttpHeaders): void
  setServing(serving: boolean): void
  /** Ends what is still open, such as a health Watch, and with it the in-process connection. */
  stop(): void
}

/**
 * Runs health and reflection on grpc-js, reached over a connection within the process: those calls are rare, so
 * they take the longer way and Check the shorter.
 */
export function startSideServices({ accessLogs }: { readonly accessLogs: boolean }): SideServices {
  const server = new Server({
    'grpc.enable_channelz': 0,
    'grpc.max_receive_message_length': MAX_MESSAGE_BYTES,
  })
  const health = new HealthImplementation({ '': 'NOT_SERVING', [AUTHORIZATION_SERVICE]: 'NOT_SERVING' })
  health.addToServer(server)
  const protos = [AUTHORIZATION_PROTO, healthProto, ...(accessLogs ? [ACCESS_LOG_PROTO] : [])]
  const packages = loadSync(protos, { keepCase: true, includeDirs: [PROTO_ROOT] })
  new ReflectionService(packages).addToServer(server)
  const injector = server.createConnectionInjector(ServerCredentials.createInsecure())
  let session: ClientHttp2Session | undefined
  let stopped = false
  let calls = 0

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
    serve: (stream, headers) => {
      if (stopped) return refuseCall(stream, GRPC_STATUS.unavailable, STOPPED)
      if (calls >= MAX_CALLS) return refuseCall(stream, GRPC_STATUS.resourceExhausted, 'too many calls')
      calls++
      stream.on('close', () => calls--)
      forward(stream, connection().request(passedOn(headers), { endStream: false }))
    },
    setServing: (serving) => {
      const status = serving ? 'SERVING' : 'NOT_SERVING'
      health.setStatus('', status)
      health.setStatus(AUTHORIZATION_SERVICE, status)
    },
    stop: () => {
      stopped = true
      server.forceShutdown()
      session?.destroy()
    },
  }
}

const STOPPED = 'the service has stopped'

function passedOn(headers: IncomingHttpHeaders): OutgoingHttpHeaders {
  const passed: Record<string, string> = {
    ':method': 'POST',
    ':path': headers[':path'] ?? '/',
    ':authority': 'localhost',
    ':scheme': 'http',
  }
  for (const name of PASSED_ON) {
    const value = headers[name]
    if (typeof value === 'string') passed[name] = value
  }
  return passed
}

/** Passes one call through, message bytes, headers, trailers and cancellation alike. */
function forward(stream: ServerHttp2Stream, call: ClientHttp2Stream): void {
  let trailers: OutgoingHttpHeaders = {
    'grpc-status': String(GRPC_STATUS.unavailable),
    'grpc-message': 'stopped',
  }
  call.on('response', (response, flags) => {
    if (stream.destroyed || stream.closed) return
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
