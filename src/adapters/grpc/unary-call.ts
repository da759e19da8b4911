import { constants, type IncomingHttpHeaders, type ServerHttp2Stream } from 'node:http2'
import type { Asker } from '../../request/listener.js'
import type { Check } from '../../ext-authz/check.js'
import type { ByteBudget } from './byte-budget.js'
import type { Turns } from './turns.js'
import { timeoutOf, waitThatCounts } from './call-timeout.js'
import { CONTENT_TYPE, ENCODINGS, GRPC_STATUS, refuseCall, stopReading } from './refusal.js'

/** Flag and length in front of every gRPC message. */
const PREFIX_BYTES = 5
const REPLY_HEADERS = { ':status': 200, 'content-type': CONTENT_TYPE } as const
const WAIT_FOR_TRAILERS = { waitForTrailers: true } as const
const OK_TRAILERS = { 'grpc-status': '0' } as const
/** Stands for a message that did not come or was not kept: refused and recorded as every unreadable request is. */
const NO_MESSAGE: Buffer = Buffer.alloc(0)
/** What an open call costs beside its message: streams, headers and closures, measured at 3 to 4 KB. */
const CALL_BYTES = 4096
const LEAST_ROOM_BYTES = 4096
/** Kept back from the deadline for the denial of a message that does not come; half of it where it is short. */
const DENIAL_MS = 50

export type CallTerms = {
  readonly asker: Asker
  readonly check: Check
  readonly maxMessageBytes: number
  /** For a call that brings no deadline, milliseconds. */
  readonly deadlineMs: number
  readonly turns: Turns
  /** Pays for what is held between two reads of the connection. */
  readonly budget: ByteBudget
}

/**
 * Serves one Check as a gRPC unary call on an HTTP/2 stream. A message that is longer than `maxMessageBytes`,
 * beyond the budget or not there in time is decided as an empty one, so that it is an explicit deny even where
 * Envoy's failure mode would allow. Broken framing and a Check that fails end in a gRPC error, never in a
 * message. What comes after the answer is not read. Source: gRPC over HTTP/2.
 */
export function serveCheck(stream: ServerHttp2Stream, headers: IncomingHttpHeaders, terms: CallTerms): void {
  const { budget, maxMessageBytes } = terms
  const openedMs = performance.now()
  const ownTimeoutMs = timeoutOf(headers['grpc-timeout'])
  const waitedMs = waitThatCounts(terms.turns.waitedMs(openedMs), ownTimeoutMs)
  const timeoutMs = ownTimeoutMs ?? terms.deadlineMs
  let state: 'receiving' | 'deciding' | 'over' = 'receiving'
  /** A part of what was read from the connection until a second part comes, then a buffer of its own with room. */
  let body = NO_MESSAGE
  let ownBody = false
  let size = 0
  let heldBytes = 0
  let timer: NodeJS.Timeout | undefined

  stream.on('data', (chunk: Buffer) => {
    if (state !== 'receiving') return
    if (size === 0) body = chunk
    else if (!append(chunk)) return decide(NO_MESSAGE)
    size += chunk.length
    if (size < PREFIX_BYTES) return
    const declared = body.readUInt32BE(1)
    if (declared > maxMessageBytes) return decide(NO_MESSAGE)
    if (size > declared + PREFIX_BYTES) refuse(GRPC_STATUS.internal, 'the request is not one gRPC message')
  })
  stream.on('end', () => {
    if (state !== 'receiving') return
    if (size < PREFIX_BYTES || body.readUInt32BE(1) !== size - PREFIX_BYTES) {
      return refuse(GRPC_STATUS.internal, 'the request is not one gRPC message')
    }
    if (body[0] !== 0) return refuseEncoded(body[0] === 1 && isEncoded(headers['grpc-encoding']))
    decide(body.subarray(PREFIX_BYTES, size))
  })
  afterThisRead(waitForTheRest)

  /** Most requests are whole by now. For the others: a deadline, memory that is counted, and an eye on the peer. */
  function waitForTheRest(): void {
    if (state !== 'receiving') return
    if (stream.destroyed) return letGo()
    stream.on('close', () => {
      if (state === 'receiving') letGo()
    })
    if (!hold(CALL_BYTES) || !append(NO_MESSAGE)) return decide(NO_MESSAGE)
    const waitMs = timeoutMs - Math.min(DENIAL_MS, timeoutMs / 2) - (performance.now() - openedMs)
    timer = setTimeout(decide, Math.max(0, waitMs), NO_MESSAGE)
  }

  /** False where the budget is spent. Room doubles, so many small parts cost no more than one large. */
  function append(chunk: Buffer): boolean {
    const needed = size + chunk.length
    if (!ownBody || needed > body.length) {
      const room = Math.max(needed, Math.min(needed * 2, maxMessageBytes + PREFIX_BYTES), LEAST_ROOM_BYTES)
      if (!hold(ownBody ? room - body.length : room)) return false
      const roomy = Buffer.allocUnsafeSlow(room)
      body.copy(roomy, 0, 0, size)
      body = roomy
      ownBody = true
    }
    chunk.copy(body, size)
    return true
  }

  function hold(bytes: number): boolean {
    if (!budget.tryTake(bytes)) return false
    heldBytes += bytes
    return true
  }

  function letGo(): void {
    state = 'over'
    clearTimeout(timer)
    if (heldBytes > 0) budget.giveBack(heldBytes)
    heldBytes = 0
    body = NO_MESSAGE
  }

  function refuse(status: number, message: string): void {
    letGo()
    refuseCall(stream, status, message)
  }

  /** Source: gRPC Compression, "Test cases". */
  function refuseEncoded(named: boolean): void {
    if (!named) return refuse(GRPC_STATUS.internal, 'the flag of the message is wrong')
    letGo()
    refuseCall(stream, GRPC_STATUS.unimplemented, 'compression is not supported', ENCODINGS)
  }

  function decide(message: Buffer): void {
    state = 'deciding'
    clearTimeout(timer)
    const decidedMs = performance.now()
    try {
      const reply = terms.check(message, {
        deadlineMs: Date.now() + timeoutMs - waitedMs - (decidedMs - openedMs),
        // Calls that opened before it in this turn may have been decided first.
        waitedMs: waitThatCounts(terms.turns.waitedMs(decidedMs), ownTimeoutMs),
        asker: terms.asker,
        traceparent: single(headers['traceparent']),
      })
      if (!(reply instanceof Promise)) return answer(reply)
      if (heldBytes === 0) {
        heldBytes = CALL_BYTES + size
        budget.take(heldBytes)
      }
      reply.then(answer).catch(fail)
    } catch {
      fail()
    }
  }

  function answer(reply: Buffer): void {
    letGo()
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
    letGo()
    if (stream.headersSent) stream.close(constants.NGHTTP2_INTERNAL_ERROR)
    else refuseCall(stream, GRPC_STATUS.internal, 'the check failed')
  }
}

function sendOk(this: ServerHttp2Stream): void {
  this.sendTrailers(OK_TRAILERS)
  stopReading(this)
}

const isEncoded = (encoding: string | string[] | undefined): boolean =>
  encoding !== undefined && encoding !== 'identity'

let opened: (() => void)[] = []

/** Calls `look` once everything is handled that this turn of the event loop reads from connections. */
function afterThisRead(look: () => void): void {
  if (opened.push(look) > 1) return
  setImmediate(() => {
    const looks = opened
    opened = []
    for (const each of looks) each()
  })
}

function single(value: string | string[] | undefined): string | undefined {
  return typeof value === 'string' ? value : undefined
}
