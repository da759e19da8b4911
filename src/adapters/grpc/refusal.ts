import { constants, type IncomingHttpHeaders, type ServerHttp2Stream } from 'node:http2'

export const GRPC_STATUS = {
  invalidArgument: 3,
  deadlineExceeded: 4,
  permissionDenied: 7,
  resourceExhausted: 8,
  unimplemented: 12,
  internal: 13,
  unavailable: 14,
  unauthenticated: 16,
} as const

export const CONTENT_TYPE = 'application/grpc+proto'

/** What a message of a call may be encoded with, told to who tried another. Source: gRPC Compression. */
export const ENCODINGS = { 'grpc-accept-encoding': 'identity' } as const

/**
 * The HTTP status for what is no gRPC call at all, undefined for a call. gRPC is POST only; other content types
 * get 415. Source: gRPC over HTTP/2, "Requests".
 */
export function statusOfNoCall(headers: IncomingHttpHeaders): number | undefined {
  if (headers[':method'] !== 'POST') return constants.HTTP_STATUS_METHOD_NOT_ALLOWED
  if (headers['content-type']?.startsWith('application/grpc') === true) return undefined
  return constants.HTTP_STATUS_UNSUPPORTED_MEDIA_TYPE
}

export function refuseRequest(stream: ServerHttp2Stream, status: number): void {
  if (isOver(stream)) return
  stream.respond({ ':status': status }, { endStream: true })
  stopReading(stream)
}

/** Ends a call without a message, with trailers only. `message` is plain ASCII; `more` are further headers. */
export function refuseCall(
  stream: ServerHttp2Stream,
  status: number,
  message: string,
  more?: Readonly<Record<string, string>>,
): void {
  if (isOver(stream)) return
  stream.respond(
    {
      ':status': 200,
      'content-type': CONTENT_TYPE,
      'grpc-status': String(status),
      'grpc-message': encodeURIComponent(message),
      ...more,
    },
    { endStream: true },
  )
  stopReading(stream)
}

/** The rest of a request that has its answer is not waited for. Source: RFC 9113 8.1. */
export function stopReading(stream: ServerHttp2Stream): void {
  // Later, since a reset at once would overtake the answer.
  if (!stream.readableEnded) setImmediate(close, stream)
}

function close(stream: ServerHttp2Stream): void {
  stream.close(constants.NGHTTP2_NO_ERROR)
}

function isOver(stream: ServerHttp2Stream): boolean {
  return stream.destroyed || stream.closed || stream.headersSent
}
