import { createServer, type ServerResponse } from 'node:http'

/** Writes the answer to a GET of one path. */
export type Answer = (response: ServerResponse) => void | Promise<void>

export type GetServer = {
  /** `127.0.0.1:43121` or `[::]:8282`, with the port it got. */
  readonly address: string
  close(): Promise<void>
}

/** What a probe or a fetch of keys needs no more than: longer headers or slower requests are cut off. */
const MAX_HEADER_BYTES = 8192
const REQUEST_TIMEOUT_MS = 5000
const MAX_CONNECTIONS = 256

/**
 * Serves GET of the paths in `answers` and nothing else: 404 for other paths, 405 for other methods. No request's body
 * is read. `host` is an IP address without brackets; port 0 is a free one. Rejects when it can't listen.
 */
export async function startGetServer(
  { host, port }: { readonly host: string; readonly port: number },
  answers: ReadonlyMap<string, Answer>,
): Promise<GetServer> {
  const server = createServer(
    {
      maxHeaderSize: MAX_HEADER_BYTES,
      requestTimeout: REQUEST_TIMEOUT_MS,
      headersTimeout: REQUEST_TIMEOUT_MS,
      keepAliveTimeout: REQUEST_TIMEOUT_MS,
    },
    (request, response) => {
      const answer = answers.get((request.url ?? '').split('?', 1)[0] ?? '')
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
