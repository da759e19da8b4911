import { once } from 'node:events'
import { createServer as createHttpServer, type IncomingHttpHeaders } from 'node:http'
import { createServer as createHttp2Server, type ServerHttp2Stream } from 'node:http2'
import { createServer, type Server, type Socket } from 'node:net'

/** What an upstream answers with: what reached it. */
export type Echo = {
  readonly service: string
  readonly method: string
  readonly path: string
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
}

export type Upstream = { close(): Promise<void> }

const HTTP2_PREFACE = 'PRI'
const GRPC_FRAME_HEADER_BYTES = 5
const HOLD_INTERVAL_MS = 100

/**
 * A service without any protection of its own: answers every HTTP/1.1, HTTP/2 and gRPC call on one port with
 * what it received. A gRPC answer is one message whose bytes are the same JSON; with `x-echo-hold` in the call, it
 * comes again and again until the caller has enough. A call that asks for an upgrade gets it, and every byte back.
 */
export async function startHttpUpstream(service: string, host: string, port: number): Promise<Upstream> {
  const http1 = createHttpServer((request, response) => {
    request.resume()
    response.statusCode = statusOf(request.headers)
    response.setHeader('content-type', 'application/json')
    response.end(echo(service, request.method ?? '', request.url ?? '', request.headers))
  })
  http1.on('upgrade', (request, socket, first) => {
    socket.on('error', () => undefined)
    socket.write(
      `HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: ${request.headers.upgrade}\r\n\r\n`,
    )
    socket.write(first)
    socket.pipe(socket)
  })
  const http2 = createHttp2Server()
  http2.on('stream', (stream, headers) => {
    stream.on('error', () => undefined)
    stream.resume()
    const body = echo(service, headers[':method'] ?? '', headers[':path'] ?? '', headers)
    if (headers['content-type']?.startsWith('application/grpc'))
      answerGrpc(stream, body, 'x-echo-hold' in headers)
    else {
      stream.respond({ ':status': statusOf(headers), 'content-type': 'application/json' })
      stream.end(body)
    }
  })
  return listen(host, port, (socket) => {
    socket.once('data', (first) => {
      socket.pause()
      socket.unshift(first)
      const server = first.toString('latin1').startsWith(HTTP2_PREFACE) ? http2 : http1
      server.emit('connection', socket)
      process.nextTick(() => socket.resume())
    })
  })
}

/** What the caller asks to be answered with, in `x-echo-status`. */
function statusOf(headers: IncomingHttpHeaders): number {
  const asked = Number(headers['x-echo-status'])
  return asked >= 200 && asked <= 599 ? asked : 200
}

/** Sends every byte back. */
export function startTcpUpstream(host: string, port: number): Promise<Upstream> {
  return listen(host, port, (socket) => void socket.pipe(socket))
}

function echo(service: string, method: string, path: string, headers: IncomingHttpHeaders): string {
  return JSON.stringify({ service, method, path, headers } satisfies Echo)
}

function answerGrpc(stream: ServerHttp2Stream, body: string, hold: boolean): void {
  const message = Buffer.from(body)
  const frame = Buffer.alloc(GRPC_FRAME_HEADER_BYTES)
  frame.writeUInt32BE(message.length, 1)
  stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true })
  stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }))
  const reply = Buffer.concat([frame, message])
  if (!hold) {
    stream.end(reply)
    return
  }
  stream.write(reply)
  const again = setInterval(() => stream.write(reply), HOLD_INTERVAL_MS)
  stream.once('close', () => clearInterval(again))
}

async function listen(host: string, port: number, accept: (socket: Socket) => void): Promise<Upstream> {
  const open = new Set<Socket>()
  const server: Server = createServer((socket) => {
    open.add(socket)
    socket.on('close', () => open.delete(socket))
    socket.on('error', () => undefined)
    accept(socket)
  })
  server.listen(port, host)
  await once(server, 'listening')
  return {
    async close() {
      const closed = once(server, 'close')
      server.close()
      for (const socket of open) socket.destroy()
      await closed
    },
  }
}
