import { constants, type ServerHttp2Stream } from 'node:http2'
import { type AccessLogEntry, readAccessLogs } from '../../../ext-authz/access-log-reader.js'
import type { Asker } from '../../../request/listener.js'
import type { ByteBudget } from '../byte-budget.js'
import { CONTENT_TYPE, GRPC_STATUS, refuseCall, stopReading } from '../refusal.js'
import { FramedMessages, type FramingFailure } from './framed-messages.js'

export const ACCESS_LOG_SERVICE = 'envoy.service.accesslog.v3.AccessLogService'

/** Takes one entry of an Envoy's access log. The asker is who sent it. */
export type TakeAccessLogEntry = (entry: AccessLogEntry, asker: Asker) => void

export type LogStreamTerms = {
  readonly asker: Asker
  readonly take: TakeAccessLogEntry
  readonly maxMessageBytes: number
  /** For the rest of a message that has begun, milliseconds. */
  readonly stallMs: number
  /** Pays for the open stream and for a message that isn't whole yet. */
  readonly budget: ByteBudget
  /** Whether the asker may still be heard: asked before each message, since streams last for days. */
  readonly admitted: () => boolean
  /** What to do when the connection is told to go. */
  readonly farewells: Set<() => void>
}

/** What an open stream costs beside its message. */
const STREAM_BYTES = 4096
/** After the answer what is already on its way is still read, for at most this long. */
const LINGER_MS = 250
const REPLY_HEADERS = { ':status': 200, 'content-type': CONTENT_TYPE } as const
const WAIT_FOR_TRAILERS = { waitForTrailers: true } as const
const OK_TRAILERS = { 'grpc-status': '0' } as const
/** An empty StreamAccessLogsResponse, framed. */
const EMPTY_RESPONSE = Buffer.alloc(5)

const FRAMING: Readonly<Record<FramingFailure, readonly [status: number, message: string]>> = {
  'too-long': [GRPC_STATUS.resourceExhausted, 'the message is too long'],
  'no-room': [GRPC_STATUS.resourceExhausted, 'too much is held for this connection'],
  compressed: [GRPC_STATUS.unimplemented, 'compression is not supported'],
}

/**
 * Serves one StreamAccessLogs call: every message is read at once and forgotten. Ends when the client ends it, with
 * a gRPC error on what is no access log, on a message that stalls, and when the asker isn't admitted any more; and
 * with OK when the connection is told to go, since Envoy's streams have no end of their own.
 */
export function serveAccessLogs(stream: ServerHttp2Stream, terms: LogStreamTerms): void {
  const { asker, take, budget, farewells, stallMs } = terms
  if (!budget.tryTake(STREAM_BYTES)) {
    return refuseCall(stream, GRPC_STATUS.resourceExhausted, 'too much is held for this connection')
  }
  const messages = new FramedMessages(terms.maxMessageBytes, budget)
  let over = false
  let stall: NodeJS.Timeout | undefined
  let linger: NodeJS.Timeout | undefined

  stream.on('data', (chunk: Buffer) => {
    if (over) return
    const failure = messages.push(chunk, read)
    if (over) return
    if (failure) return refuse(...FRAMING[failure])
    clearTimeout(stall)
    stall = messages.waiting ? setTimeout(refuse, stallMs, GRPC_STATUS.deadlineExceeded, STALLED) : undefined
  })
  stream.on('end', () => {
    if (messages.waiting) refuse(GRPC_STATUS.invalidArgument, 'the last message is not whole')
    else answer()
  })
  stream.on('close', () => {
    clearTimeout(linger)
    letGo()
  })
  farewells.add(answer)

  /** False: the stream is over. */
  function read(message: Buffer): boolean {
    if (!terms.admitted()) {
      refuse(GRPC_STATUS.permissionDenied, 'this client may not ask here any more')
      return false
    }
    const logs = readAccessLogs(message)
    if (!logs.ok) {
      refuse(GRPC_STATUS.invalidArgument, logs.problem)
      return false
    }
    try {
      for (const entry of logs.entries) take(entry, asker)
    } catch {
      refuse(GRPC_STATUS.internal, 'the entries could not be taken')
      return false
    }
    return true
  }

  function answer(): void {
    farewells.delete(answer)
    if (over || stream.headersSent || stream.destroyed || stream.closed) return
    stream.on('wantTrailers', () => {
      stream.sendTrailers(OK_TRAILERS)
      linger = setTimeout(stopReading, LINGER_MS, stream)
    })
    stream.respond(REPLY_HEADERS, WAIT_FOR_TRAILERS)
    stream.end(EMPTY_RESPONSE)
  }

  function refuse(status: number, message: string): void {
    if (over) return
    letGo()
    if (stream.headersSent) stream.close(constants.NGHTTP2_NO_ERROR)
    else refuseCall(stream, status, message)
  }

  function letGo(): void {
    if (over) return
    over = true
    farewells.delete(answer)
    clearTimeout(stall)
    messages.release()
    budget.giveBack(STREAM_BYTES)
  }
}

const STALLED = 'the message did not come'
