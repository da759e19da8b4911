import { createServer, type IncomingMessage, type Server } from 'node:http'
import { createServer as createSecureServer, type ServerOptions } from 'node:https'

export type Asked = {
  readonly method: string
  readonly path: string
  readonly query: Readonly<Record<string, string>>
  readonly authorization: string | undefined
  readonly body: unknown
}

/** `type` is the content type, by default JSON; an answer with `hang` never comes. */
export type Recorded = {
  readonly status?: number
  readonly type?: string
  readonly body?: unknown
  readonly text?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly hang?: boolean
  readonly delayMs?: number
}

export type RecordedApi = {
  readonly url: string
  readonly port: number
  readonly asked: readonly Asked[]
  /** What the next requests get, in order; the last one stays. */
  readonly answers: (...answers: readonly Recorded[]) => void
  readonly close: () => Promise<void>
}

/** A real HTTP server on 127.0.0.1 that answers what it was told and keeps what it was asked. */
export async function startRecordedApi(tls?: ServerOptions): Promise<RecordedApi> {
  let left: Recorded[] = [{}]
  const asked: Asked[] = []
  const server: Server = tls ? createSecureServer(tls) : createServer()
  server.on('request', (request, response) => {
    void record(request).then((one) => {
      asked.push(one)
      const answer = (left.length > 1 ? left.shift() : left[0]) ?? {}
      if (answer.hang) return
      const { status = 200, type = 'application/json', body, text, headers = {}, delayMs = 0 } = answer
      setTimeout(() => {
        response.writeHead(status, { 'content-type': type, ...headers })
        response.end(text ?? (status === 204 ? undefined : JSON.stringify(body ?? {})))
      }, delayMs)
    })
  })
  await new Promise<void>((done) => {
    server.listen(0, '127.0.0.1', done)
  })
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('the server does not listen')
  return {
    url: `${tls ? 'https' : 'http'}://127.0.0.1:${address.port}`,
    port: address.port,
    asked,
    answers: (...answers) => {
      left = [...answers]
      asked.length = 0
    },
    close: () =>
      new Promise((done) => {
        server.closeAllConnections()
        server.close(() => done())
      }),
  }
}

async function record(request: IncomingMessage): Promise<Asked> {
  let text = ''
  for await (const chunk of request) text += String(chunk)
  const [path = '', query = ''] = (request.url ?? '').split('?')
  return {
    method: request.method ?? '',
    path,
    query: Object.fromEntries(new URLSearchParams(query)),
    authorization: request.headers.authorization,
    body: text === '' ? undefined : JSON.parse(text),
  }
}

/** A refusal as the API words it. */
export function refusal(
  status: number,
  detail: string,
  errors?: readonly { readonly pointer: string; readonly code: string; readonly message: string }[],
): Recorded {
  return {
    status,
    type: 'application/problem+json',
    body: { type: 'about:blank', title: 'Refused', status, detail, ...(errors ? { errors } : {}) },
  }
}
