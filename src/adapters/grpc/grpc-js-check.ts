import type { IncomingHttpHeaders, OutgoingHttpHeaders, ServerHttp2Stream } from 'node:http2'
import { type sendUnaryData, Server, type ServerUnaryCall } from '@grpc/grpc-js'
import type { Check, CheckCall } from '../../ext-authz/check.js'
import { timeoutOf, waitThatCounts } from './call-timeout.js'
import { serveInProcess } from './in-process.js'
import { ENCODINGS, GRPC_STATUS, refuseCall } from './refusal.js'
import type { Turns } from './turns.js'
import type { CallTerms } from './unary-call.js'

/** Check on @grpc/grpc-js. */
export type GrpcJsCheck = {
  serve(stream: ServerHttp2Stream, headers: IncomingHttpHeaders, terms: CallTerms): void
  /** Ends what is still open. */
  stop(): void
}

/** Names a call to the server within. A client's header of this name goes no further than any other. */
const CALL_HEADER = 'portcullis-call'
/** No encoding that grpc-js knows, so a message that says that it is compressed is UNIMPLEMENTED whatever it names. */
const NO_ENCODING = 'any'
/** What an open call costs beside its message: streams, headers and the library's call, measured at 10 KB. */
const CALL_BYTES = 10 * 1024

const bytes = (message: Buffer): Buffer => message

/**
 * Serves Check as `serveCheck` does, with framing, deadline, cancellation and status left to the library. Where a
 * message is too long, beyond the budget or not there in time, its answer is the library's error and not a denial.
 * Who asks and until when is told beside the call, so nothing of it is taken from what a client sends.
 */
export function startGrpcJsCheck(
  path: string,
  check: Check,
  maxMessageBytes: number,
  turns: Turns,
): GrpcJsCheck {
  const server = new Server({
    'grpc.enable_channelz': 0,
    'grpc.max_receive_message_length': maxMessageBytes,
  })
  const calls = new Map<string, CheckCall & { readonly ownTimeoutMs: number | undefined }>()
  let count = 0

  server.addService(
    {
      Check: {
        path,
        requestStream: false,
        responseStream: false,
        requestSerialize: bytes,
        requestDeserialize: bytes,
        responseSerialize: bytes,
        responseDeserialize: bytes,
      },
    },
    {
      Check: (
        { request, metadata }: ServerUnaryCall<Buffer, Buffer>,
        respond: sendUnaryData<Buffer>,
      ): void => {
        const call = calls.get(String(metadata.get(CALL_HEADER)[0]))
        const answer = (reply: Buffer): void =>
          // No bytes would be a CheckResponse without a status, which Envoy takes for allow.
          reply.length === 0 ? fail() : respond(null, reply)
        const fail = (): void => respond({ code: GRPC_STATUS.internal, details: 'the check failed' })
        try {
          if (call === undefined) return fail()
          // Behind it is another way through the event loop, which may have waited again.
          const again = waitThatCounts(turns.waitedMs(performance.now()), call.ownTimeoutMs)
          const reply = check(request, { ...call, waitedMs: Math.max(call.waitedMs, again) })
          if (reply instanceof Promise) reply.then(answer).catch(fail)
          else answer(reply)
        } catch {
          fail()
        }
      },
    },
  )
  const within = serveInProcess(server)

  return {
    serve: (stream, headers, { asker, deadlineMs, budget }) => {
      const ownTimeoutMs = timeoutOf(headers['grpc-timeout'])
      const waitedMs = waitThatCounts(turns.waitedMs(performance.now()), ownTimeoutMs)
      let heldBytes = 0
      const hold = (size: number): void => {
        if (budget.tryTake(size)) heldBytes += size
        else refuseCall(stream, GRPC_STATUS.resourceExhausted, 'too many bytes under way')
      }
      const timeoutMs = ownTimeoutMs ?? deadlineMs
      const traceparent = headers['traceparent']
      const name = String(count++)
      calls.set(name, {
        deadlineMs: Date.now() + timeoutMs - waitedMs,
        waitedMs,
        ownTimeoutMs,
        asker,
        traceparent: typeof traceparent === 'string' ? traceparent : undefined,
      })
      stream.on('close', () => {
        calls.delete(name)
        budget.giveBack(heldBytes)
        heldBytes = 0
      })
      hold(CALL_BYTES)
      if (stream.headersSent) return
      stream.on('data', (chunk: Buffer) => hold(chunk.length))
      within.serve(
        stream,
        {
          ':path': path,
          te: 'trailers',
          'content-type': 'application/grpc',
          'grpc-timeout': `${Math.ceil(timeoutMs)}m`,
          'grpc-encoding': NO_ENCODING,
          [CALL_HEADER]: name,
        },
        tellEncodings,
      )
    },
    stop: () => within.stop(),
  }
}

/** The library names more than it is let have. */
function tellEncodings(response: OutgoingHttpHeaders): void {
  Object.assign(response, ENCODINGS)
}
