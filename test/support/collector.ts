import {
  createServer,
  type IncomingHttpHeaders,
  type RequestListener,
  type Server,
  type ServerResponse,
} from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { gunzipSync } from 'node:zlib'

/** One POST as it came. `records` is empty where the body is no gzipped array. */
export type Posted = {
  readonly method: string | undefined
  readonly url: string | undefined
  readonly headers: IncomingHttpHeaders
  readonly records: readonly unknown[]
  readonly atMs: number
}
export type Answer = (response: ServerResponse, posted: Posted) => void

/** A real HTTP server that answers as it is told now. */
export class Collector {
  readonly posted: Posted[] = []
  answer: Answer
  readonly #server: Server
  readonly #scheme: string
  #port = 0

  constructor(answer: Answer = status(200), tls?: { readonly cert: string; readonly key: string }) {
    this.answer = answer
    const listener: RequestListener = (request, response) => {
      const chunks: Buffer[] = []
      request.on('error', () => undefined)
      request.on('data', (chunk: Buffer) => chunks.push(chunk))
      request.on('end', () => {
        const { method, url, headers } = request
        const records = recordsOf(Buffer.concat(chunks))
        const posted = { method, url, headers, records, atMs: performance.now() }
        this.posted.push(posted)
        this.answer(response, posted)
      })
      response.on('error', () => undefined)
    }
    this.#scheme = tls ? 'https' : 'http'
    this.#server = tls ? createTlsServer(tls, listener) : createServer(listener)
  }

  /** On the same port again where it was open before. */
  async open(): Promise<void> {
    await new Promise<void>((resolve) => this.#server.listen(this.#port, '127.0.0.1', resolve))
    this.#port = (this.#server.address() as AddressInfo).port
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections()
    await new Promise((resolve) => this.#server.close(resolve))
  }

  get url(): string {
    return `${this.#scheme}://127.0.0.1:${this.#port}/logs/secret-path?key=secret-query`
  }
}

export function status(code: number, headers: Readonly<Record<string, string>> = {}): Answer {
  return (response) => {
    response.writeHead(code, headers).end('whatever')
  }
}

function recordsOf(body: Buffer): readonly unknown[] {
  try {
    const parsed: unknown = JSON.parse(gunzipSync(body).toString('utf8'))
    return Array.isArray(parsed) ? parsed : []
  } catch {
    return []
  }
}
