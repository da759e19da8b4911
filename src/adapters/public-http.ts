import { createServer, type ServerResponse } from 'node:http'

export type PublicOptions = {
  /** `host` is an IP address without brackets; port 0 is a free one. */
  readonly listen: { readonly host: string; readonly port: number }
  /** A JSON Web Key Set, and for how many seconds it may be kept. */
  readonly jwks: () => { readonly body: string; readonly maxAgeSeconds: number }
}

export type PublicServer = {
  /** `127.0.0.1:43121` or `[::]:9194`, with the port it got. */
  readonly address: string
  close(): Promise<void>
}

const JWKS_PATH = '/.well-known/jwks.json'
/** What fetching a key set needs no more than: anybody may connect here. */
const MAX_HEADER_BYTES = 8192
const REQUEST_TIMEOUT_MS = 5000
const MAX_CONNECTIONS = 256

/**
 * Serves GET /.well-known/jwks.json and nothing else: 404 for other paths, 405 for other methods. No request's body is
 * read. Rejects when it can't listen.
 */
export async function startPublicServer(options: PublicOptions): Promise<PublicServer> {
  const server = createServer(
    {
      maxHeaderSize: MAX_HEADER_BYTES,
      requestTimeout: REQUEST_TIMEOUT_MS,
      headersTimeout: REQUEST_TIMEOUT_MS,
      keepAliveTimeout: REQUEST_TIMEOUT_MS,
    },
    (request, response) => {
      if ((request.url ?? '').split('?', 1)[0] !== JWKS_PATH) return refuse(response, 404, 'not found\n')
      if (request.method !== 'GET') {
        response.setHeader('allow', 'GET')
        return refuse(response, 405, 'method not allowed\n')
      }
      const { body, maxAgeSeconds } = options.jwks()
      response.writeHead(200, {
        'content-type': 'application/json',
        'cache-control': `public, max-age=${maxAgeSeconds}`,
        'x-content-type-options': 'nosniff',
      })
      response.end(body)
    },
  )
  server.maxConnections = MAX_CONNECTIONS
  const { host, port } = options.listen
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

function refuse(response: ServerResponse, status: number, text: string): void {
  // What is left of the request is not waited for.
  response.writeHead(status, {
    'content-type': 'text/plain; charset=utf-8',
    'cache-control': 'no-store',
    connection: 'close',
  })
  response.end(text)
}
