import { createServer, type ServerResponse } from 'node:http'

export type HealthOptions = {
  /** `host` is an IP address without brackets; port 0 is a free one. */
  readonly listen: { readonly host: string; readonly port: number }
  /** Asked on every probe; `detail` is for an operator to read. */
  readonly readiness: () => { readonly ready: boolean; readonly detail: Readonly<Record<string, unknown>> }
  /** Prometheus text. */
  readonly metrics: () => string | Promise<string>
}

export type HealthServer = {
  /** `127.0.0.1:43121` or `[::]:8282`, with the port it got. */
  readonly address: string
  close(): Promise<void>
}

/** What no probe needs: longer headers or slower requests than these are cut off. */
const MAX_HEADER_BYTES = 8192
const REQUEST_TIMEOUT_MS = 5000

/**
 * Serves /livez, /readyz and /metrics for GET, and nothing else: 404 for other paths, 405 for other methods.
 * /livez says that the process answers, /readyz whether it decides. Rejects when it can't listen.
 */
export async function startHealthServer(options: HealthOptions): Promise<HealthServer> {
  const server = createServer(
    {
      maxHeaderSize: MAX_HEADER_BYTES,
      requestTimeout: REQUEST_TIMEOUT_MS,
      headersTimeout: REQUEST_TIMEOUT_MS,
    },
    (request, response) => {
      const path = (request.url ?? '').split('?', 1)[0]
      const answer = ANSWERS.get(path ?? '')
      if (answer === undefined) return send(response, 404, TEXT, 'not found\n')
      if (request.method !== 'GET') {
        response.setHeader('allow', 'GET')
        return send(response, 405, TEXT, 'method not allowed\n')
      }
      answer(options, response).catch(() => send(response, 500, TEXT, 'failed\n'))
    },
  )
  const { host, port } = options.listen
  const name = host.includes(':') ? `[${host}]` : host
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error) => {
      reject(new Error(`cannot listen for health on ${name}:${port}: ${error.message}`, { cause: error }))
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

const TEXT = 'text/plain; charset=utf-8'
const METRICS = 'text/plain; version=0.0.4; charset=utf-8'

const ANSWERS = new Map<string, (options: HealthOptions, response: ServerResponse) => Promise<void>>([
  ['/livez', async (_options, response) => send(response, 200, TEXT, 'ok\n')],
  [
    '/readyz',
    async ({ readiness }, response) => {
      const { ready, detail } = readiness()
      send(response, ready ? 200 : 503, 'application/json', `${JSON.stringify({ ready, ...detail })}\n`)
    },
  ],
  ['/metrics', async ({ metrics }, response) => send(response, 200, METRICS, await metrics())],
])

function send(response: ServerResponse, status: number, type: string, body: string): void {
  if (response.headersSent) return
  response.writeHead(status, { 'content-type': type, 'cache-control': 'no-store' })
  response.end(body)
}
