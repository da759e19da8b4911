import { randomBytes } from 'node:crypto'
import { connect as connectHttp2, constants } from 'node:http2'
import { connect as connectTcp, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { connect as connectTls, type TLSSocket } from 'node:tls'
import { type Credentials, SERVER_NAME } from './clients.js'

type Place = { readonly host: string; readonly port: number }

export function placeOf(address: string): Place {
  const at = address.lastIndexOf(':')
  return { host: address.slice(0, at), port: Number(address.slice(at + 1)) }
}

/** Errors are what the server may answer with; they mean nothing here. */
const ignoring = <T extends { on(event: 'error', listener: () => void): unknown }>(one: T): T => {
  one.on('error', () => undefined)
  return one
}

/** A connection with a client certificate that speaks h2. */
export function tlsSocket(address: string, { ca, key, certificate }: Credentials): TLSSocket {
  const tls = { ca, key, cert: certificate, servername: SERVER_NAME, ALPNProtocols: ['h2'] }
  return ignoring(connectTls({ ...placeOf(address), ...tls }))
}

/** Streams that are opened and reset at once, as fast as the server lets them. */
export async function rstFlood(address: string, credentials: Credentials, forMs: number): Promise<void> {
  const endMs = performance.now() + forMs
  while (performance.now() < endMs) {
    const session = ignoring(
      connectHttp2(`https://${address}`, { createConnection: () => tlsSocket(address, credentials) }),
    )
    while (!session.destroyed && performance.now() < endMs) {
      for (let n = 0; n < 20 && !session.destroyed && !session.closed; n++) {
        const stream = ignoring(
          session.request({ ':method': 'POST', ':path': '/envoy.service.auth.v3.Authorization/Check' }),
        )
        stream.close(constants.NGHTTP2_CANCEL)
      }
      await sleep(5)
    }
    session.destroy()
  }
}

/** Connections that say nothing, or stop within the handshake. */
export async function halfOpen(address: string, count: number, forMs: number): Promise<void> {
  const sockets = Array.from({ length: count }, (_, index): Socket => {
    const socket = ignoring(connectTcp(placeOf(address)))
    // The head of a TLS record whose rest never comes.
    if (index % 2 === 0) socket.write(Buffer.from([0x16, 0x03, 0x01, 0x02, 0x00, 0x01]))
    return socket
  })
  await sleep(forMs)
  for (const socket of sockets) socket.destroy()
}

/** Bytes that are no TLS, and within TLS bytes that are no HTTP/2. */
export async function garbage(address: string, credentials: Credentials, count: number): Promise<void> {
  const sockets: Socket[] = []
  for (let n = 0; n < count; n++) {
    const socket = n % 2 === 0 ? ignoring(connectTcp(placeOf(address))) : tlsSocket(address, credentials)
    socket.write(randomBytes(64 + n * 50))
    sockets.push(socket)
    await sleep(20)
  }
  await sleep(200)
  for (const socket of sockets) socket.destroy()
}
