import { Agent as PlainAgent, type IncomingMessage, request as plainRequest } from 'node:http'
import { Agent as SecureAgent, request as secureRequest } from 'node:https'
import { ProtobufReader } from '../../../ext-authz/protobuf-reader.js'

/** What came of one request. `problem` names no secret, for the log. */
export type Posted =
  /** `rejected`: how many of its items the collector did not want, for good. */
  | { readonly outcome: 'taken'; readonly rejected: number }
  /** Worth another try, after `afterMs` at least. */
  | { readonly outcome: 'failed'; readonly problem: string; readonly afterMs: number | undefined }
  /** The collector will never take it. */
  | { readonly outcome: 'refused'; readonly problem: string }

/** Never rejects. Gives up when the signal says so. */
export type Post = (body: Buffer, signal: AbortSignal) => Promise<Posted>

export type PostOptions = {
  readonly url: string
  /** Asked each time, since they may change. */
  readonly headers: () => Readonly<Record<string, string>>
  /** PEM; undefined: the roots that Node.js has. */
  readonly ca: string | undefined
  /** For the whole exchange. */
  readonly timeoutMs: number
}

/** Statuses after which the same request may be sent again. Source: OTLP 1.5, OTLP/HTTP response. */
const LATER = new Set([429, 502, 503, 504])
const MAX_ANSWER_BYTES = 64 * 1024

/** Posts of OTLP as protobuf over one connection that is kept. Redirects are refusals: the headers go nowhere else. */
export function otlpPost({ url, headers, ca, timeoutMs }: PostOptions): { post: Post; close(): void } {
  const secure = new URL(url).protocol === 'https:'
  const options = { keepAlive: true, maxSockets: 1 }
  const agent = secure ? new SecureAgent(options) : new PlainAgent(options)
  const send = secure ? secureRequest : plainRequest

  const post: Post = (body, signal) =>
    new Promise((resolve) => {
      const limit = AbortSignal.timeout(timeoutMs)
      const fail = (error: unknown): void => {
        const problem = limit.aborted ? 'no answer in time' : `not reachable: ${codeOf(error)}`
        resolve({ outcome: 'failed', problem, afterMs: undefined })
      }
      const request = send(
        url,
        {
          method: 'POST',
          agent,
          signal: AbortSignal.any([limit, signal]),
          headers: {
            ...headers(),
            'content-type': 'application/x-protobuf',
            'content-length': body.length,
            'user-agent': 'portcullis',
          },
          ...(ca === undefined ? {} : { ca }),
        },
        (response) => {
          read(response).then((posted) => {
            // An answer that was not read to its end would hold the connection.
            if (!response.complete) request.destroy()
            resolve(posted)
          }, fail)
        },
      )
      request.on('error', fail)
      request.end(body)
    })
  return { post, close: () => agent.destroy() }
}

async function read(response: IncomingMessage): Promise<Posted> {
  const status = response.statusCode ?? 0
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of response as AsyncIterable<Buffer>) {
    size += chunk.length
    if (size > MAX_ANSWER_BYTES) break
    chunks.push(chunk)
  }
  if (status === 200) return { outcome: 'taken', rejected: rejectedOf(Buffer.concat(chunks)) }
  const problem = `status ${status}`
  if (status > 200 && status < 300) return { outcome: 'taken', rejected: 0 }
  if (!LATER.has(status)) return { outcome: 'refused', problem }
  const after = response.headers['retry-after'] ?? ''
  return { outcome: 'failed', problem, afterMs: /^\d{1,6}$/.test(after) ? Number(after) * 1000 : undefined }
}

/** `partial_success.rejected_…`, both of field number 1; what can't be read rejects nothing. */
function rejectedOf(answer: Buffer): number {
  const reader = new ProtobufReader(answer)
  let rejected = 0
  while (reader.pos < reader.end) {
    if (reader.tag() !== 0x0a) return rejected
    const outer = reader.enter()
    while (reader.pos < reader.end) {
      const tag = reader.tag()
      if (tag === 0x08) rejected = reader.uint32()
      else reader.skip(tag & 7)
    }
    reader.leave(outer)
  }
  return reader.problem === undefined ? rejected : 0
}

/** The code alone: a message may quote a header. */
function codeOf(error: unknown): string {
  const code: unknown = typeof error === 'object' && error !== null ? Reflect.get(error, 'code') : undefined
  return typeof code === 'string' ? code : 'the connection broke'
}
