import type { IncomingHttpHeaders, ServerHttp2Stream } from 'node:http2'
import type { Asker } from '../../request/listener.js'
import type { Check } from '../../ext-authz/check.js'

export const GRPC_STATUS = {
  permissionDenied: 7,
  unimplemented: 12,
  internal: 13,
  unavailable: 14,
  unauthenticated: 16,
} as const

/** Flag and length in front of every gRPC message. */
const PREFIX_BYTES = 5
const CONTENT_TYPE = 'application/grpc+proto'
const REPLY_HEADERS = { ':status': 200, 'content-type': CONTENT_TYPE } as const
const WAIT_FOR_TRAILERS = { waitForTrailers: true } as const
const OK_TRAILERS = { 'grpc-status': '0' } as const
/** Stands for a message that was too long to keep: it is refused and recorded as every unreadable request is. */
const NO_MESSAGE = Buffer.alloc(0)

/** Ends a call without a message, with trailers only. `message` is plain ASCII. */
export function refuseCall(stream: ServerHttp2Stream, status: number, message: string): void {
  if (stream.destroyed || stream.closed || stream.headersSent) return
  stream.respond(
    {
      ':status': 200,
      'content-type': CONTENT_TYPE,
      'grpc-status': String(status),
      'grpc-message': encodeURIComponent(message),
    },
    { endStream: true },
  )
}

/**
 * Serves one Check as a gRPC unary call on an HTTP/2 stream. A message longer than `maxMessageBytes` is not kept
 * but decided as an empty one, so that it is an explicit deny even where Envoy's failure mode would allow.
 * Broken framing and a Check that fails end in a gRPC error, never in a message. Source: gRPC over HTTP/2.
 */
export function serveCheck(
  stream: ServerHttp2Stream,
  headers: IncomingHttpHeaders,
  asker: Asker,
  check: Check,
  maxMessageBytes: number,
): void {
  let first: Buffer | undefined
  let rest: Buffer[] | undefined
  let size = 0
  stream.on('data', (chunk: Buffer) => {
    size += chunk.length
    if (size > maxMessageBytes + PREFIX_BYTES) {
      rest = undefined
      first = NO_MESSAGE
    } else if (first === undefined) first = chunk
    else (rest ??= []).push(chunk)
  })
  stream.on('end', () => {
    if (size > maxMessageBytes + PREFIX_BYTES) return decide(NO_MESSAGE)
    const body = rest === undefined ? first : Buffer.concat([first ?? NO_MESSAGE, ...rest], size)
    if (body === undefined || size < PREFIX_BYTES || body.readUInt32BE(1) !== size - PREFIX_BYTES) {
      return refuseCall(stream, GRPC_STATUS.internal, 'the request is not one gRPC message')
    }
    if (body[0] !== 0) return refuseCall(stream, GRPC_STATUS.unimplemented, 'compression is not supported')
    decide(body.subarray(PREFIX_BYTES))
  })

  function decide(message: Buffer): void {
    try {
      const reply = check(message, {
        deadlineMs: deadlineOf(headers['grpc-timeout']),
        asker,
        traceparent: single(headers['traceparent']),
      })
      if (!(reply instanceof Promise)) return answer(reply)
      reply.then(answer).catch(fail)
    } catch {
      fail()
    }
  }

  function answer(reply: Buffer): void {
    // No bytes would be a CheckResponse without a status, which Envoy takes for allow.
    if (reply.length === 0) return fail()
    if (stream.destroyed || stream.closed) return
    const framed = Buffer.allocUnsafe(PREFIX_BYTES + reply.length)
    framed[0] = 0
    framed.writeUInt32BE(reply.length, 1)
    reply.copy(framed, PREFIX_BYTES)
    stream.on('wantTrailers', sendOk)
    stream.respond(REPLY_HEADERS, WAIT_FOR_TRAILERS)
    stream.end(framed)
  }

  function fail(): void {
    refuseCall(stream, GRPC_STATUS.internal, 'the check failed')
  }
}

function sendOk(this: ServerHttp2Stream): void {
  this.sendTrailers(OK_TRAILERS)
}

const UNIT_MS: Readonly<Record<string, number>> = { H: 3_600_000, M: 60_000, S: 1000, m: 1, u: 1e-3, n: 1e-6 }

/** `grpc-timeout` as an absolute time in milliseconds since the epoch; undefined when absent or not one. */
function deadlineOf(timeout: string | string[] | undefined): number | undefined {
  if (typeof timeout !== 'string') return undefined
  const match = /^([0-9]{1,8})([HMSmun])$/.exec(timeout)
  const unitMs = UNIT_MS[match?.[2] ?? '']
  return unitMs === undefined ? undefined : Date.now() + Number(match?.[1]) * unitMs
}

function single(value: string | string[] | undefined): string | undefined {
  return typeof value === 'string' ? value : undefined
}
