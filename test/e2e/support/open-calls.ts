import type { IncomingMessage } from 'node:http'
import { connect as connectHttp2 } from 'node:http2'
import { request as httpsRequest } from 'node:https'
import type { Duplex } from 'node:stream'
import { connect as connectTls } from 'node:tls'
import { tlsOptions, type Way } from '../../../demo/calls.js'

/** A call that stays open for as long as it may. */
export type Opened = {
  /** `open`, or how it was refused. */
  readonly status: string
  /** When bytes last came, milliseconds after it was open. They come all the time. */
  heardMs(): number
  readonly ended: Promise<{ readonly how: string; readonly afterMs: number }>
  close(): void
}

type Headers = Readonly<Record<string, string>>

const DEADLINE_MS = 5000
const TICK_MS = 50

/** Asks for a WebSocket and sends bytes instead of frames: Envoy looks at neither. */
export function openWebSocket(way: Way, path: string, host: string, headers: Headers): Promise<Opened> {
  return new Promise((resolve) => {
    const request = httpsRequest({
      ...tlsOptions(way),
      path,
      agent: false,
      timeout: DEADLINE_MS,
      headers: {
        ...headers,
        host,
        connection: 'Upgrade',
        upgrade: 'websocket',
        'sec-websocket-version': '13',
        'sec-websocket-key': 'c29tZXRoaW5nIG9mIDE2IQ==',
      },
    })
    request.on('timeout', () => request.destroy(new Error('no answer in time')))
    request.on('error', (error) => resolve(refused(error.message)))
    request.on('response', (response: IncomingMessage) => {
      response.resume()
      resolve(refused(`${response.statusCode} ${String(response.headers['x-portcullis-reason'])}`))
    })
    request.on('upgrade', (_response, socket) => {
      socket.setTimeout(0)
      resolve(echoing(socket))
    })
    request.end()
  })
}

/** Opens a TLS connection and returns once the first bytes came back, or it ended. */
export function openTcp(way: Way): Promise<Opened> {
  const socket = connectTls(tlsOptions(way))
  return new Promise((resolve) => {
    const late = setTimeout(() => socket.destroy(), DEADLINE_MS)
    socket.on('error', () => undefined)
    socket.once('close', () => {
      clearTimeout(late)
      resolve(refused('closed'))
    })
    socket.once('data', () => {
      clearTimeout(late)
      resolve(echoing(socket))
    })
    socket.write('SELECT 1')
  })
}

/** Opens a gRPC stream and listens. */
export function openGrpc(way: Way, method: string, host: string, headers: Headers): Promise<Opened> {
  const session = connectHttp2(`https://${way.host}:${way.port}`, {
    ...tlsOptions(way),
    ALPNProtocols: ['h2'],
  })
  session.on('error', () => undefined)
  const stream = session.request({
    ...headers,
    ':method': 'POST',
    ':path': `/${method}`,
    ':authority': host,
    'content-type': 'application/grpc',
    te: 'trailers',
  })
  stream.end()
  return new Promise((resolve) => {
    let how = ''
    const late = setTimeout(() => session.destroy(), DEADLINE_MS)
    stream.on('error', (error) => (how ||= error.message))
    stream.on('trailers', (trailers) => (how ||= `grpc ${String(trailers['grpc-status'])}`))
    stream.once('response', (answer) => {
      if (answer['grpc-status'] !== undefined) {
        how = `grpc ${String(answer['grpc-status'])} ${String(answer['x-portcullis-reason'])}`
      }
    })
    stream.once('data', () => {
      clearTimeout(late)
      resolve(watched(stream, () => how))
    })
    stream.once('close', () => {
      clearTimeout(late)
      session.destroy()
      resolve(refused(how))
    })
    stream.resume()
  })
}

function refused(status: string): Opened {
  return {
    status,
    heardMs: () => 0,
    ended: Promise.resolve({ how: status, afterMs: 0 }),
    close: () => undefined,
  }
}

/** Writes all the time, and what is written comes back. */
function echoing(socket: Duplex): Opened {
  let error = ''
  socket.on('error', (failed: NodeJS.ErrnoException) => (error = failed.code ?? failed.message))
  const ticking = setInterval(() => socket.write('still there?'), TICK_MS)
  socket.once('close', () => clearInterval(ticking))
  return watched(socket, () => error || 'closed')
}

function watched(stream: Duplex, how: () => string): Opened {
  const openedAtMs = performance.now()
  let heardMs = 0
  stream.on('data', () => (heardMs = performance.now() - openedAtMs))
  return {
    status: 'open',
    heardMs: () => heardMs,
    ended: new Promise((resolve) => {
      stream.once('close', () => resolve({ how: how(), afterMs: performance.now() - openedAtMs }))
    }),
    close: () => stream.destroy(),
  }
}
