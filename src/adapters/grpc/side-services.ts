import { fileURLToPath } from 'node:url'
import type { IncomingHttpHeaders, ServerHttp2Stream } from 'node:http2'
import { Server } from '@grpc/grpc-js'
import { loadSync } from '@grpc/proto-loader'
import { ReflectionService } from '@grpc/reflection'
import { HealthImplementation, protoPath as healthProto } from 'grpc-health-check'
import { type PassedOn, serveInProcess } from './in-process.js'
import { GRPC_STATUS, refuseCall } from './refusal.js'

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
  const within = serveInProcess(server)
  let calls = 0

  return {
    serve: (stream, headers) => {
      if (calls >= MAX_CALLS) return refuseCall(stream, GRPC_STATUS.resourceExhausted, 'too many calls')
      calls++
      stream.on('close', () => calls--)
      within.serve(stream, passedOn(headers))
    },
    setServing: (serving) => {
      const status = serving ? 'SERVING' : 'NOT_SERVING'
      health.setStatus('', status)
      health.setStatus(AUTHORIZATION_SERVICE, status)
    },
    stop: () => within.stop(),
  }
}

function passedOn(headers: IncomingHttpHeaders): PassedOn {
  const passed: Record<string, string> = { ':path': headers[':path'] ?? '/' }
  for (const name of PASSED_ON) {
    const value = headers[name]
    if (typeof value === 'string') passed[name] = value
  }
  return passed
}
