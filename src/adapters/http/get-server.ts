import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { readBody } from './read-body.js'

/** Writes the answer to a GET of one path. */
export type Answer = (response: ServerResponse) => void | Promise<void>

/** What somebody posted. */
export type Posted = {
  readonly contentType: string | undefined
  readonly authorization: string | undefined
  /** At most 64 KiB of UTF-8; what is none of it is U+FFFD. */
  readonly text: string
}

/** Takes what is posted to one path. */
export type Take = (posted: Posted) => Promise<PostAnswer>

export type PostAnswer = {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

export type GetServer = {
  /** `127.0.0.1:43121` or `[::]:8282`, with the port it got. */
  readonly address: string
  close(): Promise<void>
}

/** What a probe or a fetch of keys needs no more than: longer headers or slower requests are cut off. */
const MAX_HEADER_BYTES = 8192
const REQUEST_TIMEOUT_MS = 5000
/** How often requests are looked at for being too slow. */
const CHECK_EVERY_MS = 1000
const MAX_CONNECTIONS = 256
const MAX_BODY_BYTES = 64 * 1024

/**
 * Serves GET of the paths in `answers`, POST of those in `takes` and nothing else: 404 for other paths, 405 for other
 * methods. Of other requests no body is read, and none beyond 64 KiB or 6 s. `host` is an IP address without brackets; port 0 is a free one. Rejects when it can't listen.
 */
export async function startGetServer(
  { host, port }: { readonly host: string; readonly port: number },
  answers: ReadonlyMap<string, Answer>,
  takes: ReadonlyMap<string, Take> = new Map(),
): Promise<GetServer> {
  const server = createServer(
    {
      maxHeaderSize: MAX_HEADER_BYTES,
      requestTimeout: REQUEST_TIMEOUT_MS,
      headersTimeout: REQUEST_TIMEOUT_MS,
      connectionsCheckingInterval: CHECK_EVERY_MS,
      keepAliveTimeout: REQUEST_TIMEOUT_MS,
    },
    (request, response) => {
      const path = (request.url ?? '').split('?', 1)[0] ?? ''
      const take = takes.get(path)
      if (take !== undefined) {
        post(take, request, response).catch(() => refuse(response, 500, 'failed\n'))
        return
      }
      const answer = answers.get(path)
      if (answer === undefined) return refuse(response, 404, 'not found\n')
      if (request.method !== 'GET') {
        response.setHeader('allow', 'GET')
        return refuse(response, 405, 'method not allowed\n')
      }
      // An answer may fail at once or later.
      const answered = async (): Promise<void> => answer(response)
      answered().catch(() => refuse(response, 500, 'failed\n'))
    },
  )
  server.maxConnections = MAX_CONNECTIONS
  const name = host.includes(':') ? `[${host}]` : host
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error) => {
      reject(new Error(`cannot listen on ${name}:${port}: ${error.message}`, { cause: error }))
    })
    server.listen({ host, port }, resolve)
  })
  const bound = server.address()
  if (bound === null || typeof bound === 'string') throw new Error('a TCP listener has no TCP address')
  return {
    address: `${name}:${bound.port}`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}

async function post(take: Take, request: IncomingMessage, response: ServerResponse): Promise<void> {
  if (request.method !== 'POST') {
    response.setHeader('allow', 'POST')
    return refuse(response, 405, 'method not allowed\n')
  }
  const text = (await readBody(request, MAX_BODY_BYTES))?.toString('utf8')
  if (text === undefined) return refuse(response, 413, 'too large\n')
  const { 'content-type': contentType, authorization } = request.headers
  const { status, headers, body } = await take({ contentType, authorization, text })
  send(response, status, { 'cache-control': 'no-store', ...headers }, body)
}

export function send(
  response: ServerResponse,
  status: number,
  headers: Readonly<Record<string, string>>,
  body: string,
): void {
  if (response.headersSent) return
  response.writeHead(status, headers)
  response.end(body)
}

/** What is left of the request is not waited for. */
function refuse(response: ServerResponse, status: number, text: string): void {
  const headers = {
    'content-type': 'text/plain; charset=utf-8',
    'cache-control': 'no-store',
    connection: 'close',
  }
  send(response, status, headers, text)
}
