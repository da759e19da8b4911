import { createServer, type Server } from 'node:https'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { createSecureContext } from 'node:tls'
import { type GetServer, send } from './get-server.js'
import { readBody } from './read-body.js'
import { answerOf, readReview, type Reviewed, type ReviewRequest } from './admission-review.js'

/** PEM texts. */
export type WebhookTls = { readonly certificate: string; readonly key: string }

/** `late` and `busy`: nobody looked at it, and the API server does as its failurePolicy says. */
export type Outcome = Reviewed | 'late' | 'busy'

export type WebhookOptions = {
  readonly listen: { readonly host: string; readonly port: number }
  readonly tls: WebhookTls
  readonly review: (request: ReviewRequest) => Promise<Outcome>
  /** What broke and should not have, for the log. */
  readonly warn: (message: string) => void
}

export type WebhookServer = GetServer & {
  /** For connections to come. Throws what is wrong with the certificate; then nothing changes. */
  updateTls(tls: WebhookTls): void
}

/** As large as a request of the API server gets. */
const MAX_BODY_BYTES = 3 * 1024 * 1024
const REQUEST_TIMEOUT_MS = 5000
const CHECK_EVERY_MS = 1000
const MAX_CONNECTIONS = 64
const MAX_HEADER_BYTES = 16 * 1024

/**
 * Serves `POST /validate` of AdmissionReview v1 over TLS and nothing else. Rejects when it can't listen, or can't use
 * the certificate. Source: the Kubernetes API, admission.k8s.io/v1.
 */
export async function startWebhookServer(options: WebhookOptions): Promise<WebhookServer> {
  const { host, port } = options.listen
  const server = createServer(
    {
      ...contextOf(options.tls),
      maxHeaderSize: MAX_HEADER_BYTES,
      requestTimeout: REQUEST_TIMEOUT_MS,
      headersTimeout: REQUEST_TIMEOUT_MS,
      handshakeTimeout: REQUEST_TIMEOUT_MS,
      connectionsCheckingInterval: CHECK_EVERY_MS,
      keepAliveTimeout: REQUEST_TIMEOUT_MS,
    },
    (request, response) => {
      serve(options, request, response).catch((error: unknown) => {
        options.warn(error instanceof Error ? error.message : String(error))
        refuse(response, 500, 'failed\n')
      })
    },
  )
  server.maxConnections = MAX_CONNECTIONS
  const name = host.includes(':') ? `[${host}]` : host
  await listening(server, host, port, name)
  const bound = server.address()
  if (bound === null || typeof bound === 'string') throw new Error('a TCP listener has no TCP address')
  return {
    address: `${name}:${bound.port}`,
    updateTls: (tls) => {
      createSecureContext(contextOf(tls))
      server.setSecureContext(contextOf(tls))
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}

function listening(server: Server, host: string, port: number, name: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (error) => {
      reject(new Error(`cannot listen on ${name}:${port}: ${error.message}`, { cause: error }))
    })
    server.listen({ host, port }, resolve)
  })
}

function contextOf({ certificate, key }: WebhookTls): { cert: string; key: string; minVersion: 'TLSv1.2' } {
  return { cert: certificate, key, minVersion: 'TLSv1.2' }
}

async function serve(
  { review }: WebhookOptions,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  if ((request.url ?? '').split('?', 1)[0] !== '/validate') return refuse(response, 404, 'not found\n')
  if (request.method !== 'POST') {
    response.setHeader('allow', 'POST')
    return refuse(response, 405, 'method not allowed\n')
  }
  let bytes: Buffer | undefined
  try {
    bytes = await readBody(request, MAX_BODY_BYTES)
  } catch {
    // The client is gone, or its time is over: nobody reads an answer.
    return refuse(response, 400, 'the request broke off\n')
  }
  if (!bytes) return refuse(response, 413, 'too large\n')
  const read = readReview(bytes)
  if (!read.ok) return refuse(response, 400, `${read.problem}\n`)
  const outcome = await review(read.request)
  if (outcome === 'busy') return refuse(response, 503, 'too many reviews at once\n')
  if (outcome === 'late') return refuse(response, 503, 'the review took too long\n')
  const headers = { 'content-type': 'application/json', 'cache-control': 'no-store' }
  send(response, 200, headers, answerOf(read.request.uid, outcome))
}

function refuse(response: ServerResponse, status: number, text: string): void {
  const headers = {
    'content-type': 'text/plain; charset=utf-8',
    'cache-control': 'no-store',
    connection: 'close',
  }
  send(response, status, headers, text)
}
