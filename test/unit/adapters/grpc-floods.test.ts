import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import * as http2 from 'node:http2'
import { connect as tcpConnect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connect as tlsConnect } from 'node:tls'
import { afterEach, describe, expect, test } from '@jest/globals'
import type { Closed } from '../../../src/adapters/grpc/closing.js'
import { LIMITS } from '../../../src/adapters/grpc/limits.js'
import {
  type GrpcListener,
  type GrpcListenerOptions,
  startGrpcListener,
} from '../../../src/adapters/grpc/listener.js'
import { Turns } from '../../../src/adapters/grpc/turns.js'
import { createAuthority } from '../../support/certificate-authority.js'
import {
  CHECK_HEADERS,
  CHECK_PATH,
  checkCall,
  continuation,
  data,
  endsStream,
  errorOf,
  FRAME,
  frame,
  FramePeer,
  headerBlock,
  headers,
  type Pair,
  ping,
  preface,
  priority,
  rstStream,
  SETTING,
  settings,
  windowUpdate,
} from '../../support/http2-frames.js'

const authority = createAuthority({ name: 'mesh', trustDomain: 'cluster.local' })
const SERVER = authority.issueSvid({ spiffeId: 'spiffe://cluster.local/ns/portcullis/sa/portcullis' })
const API = 'spiffe://cluster.local/ns/shop/sa/api'
const CLIENT = authority.issueSvid({ spiffeId: API })
const TLS = {
  certificate: SERVER.chainPem,
  key: SERVER.keyPem,
  clientCa: authority.rootPem,
  allowedClients: undefined,
}
const CLIENT_TLS = {
  key: CLIENT.keyPem,
  cert: CLIENT.chainPem,
  ca: authority.rootPem,
  ALPNProtocols: ['h2'],
  checkServerIdentity: () => undefined,
}
const BLOCK = headerBlock(CHECK_HEADERS)

const running: GrpcListener[] = []
const peers: { destroy(): void }[] = []
afterEach(async () => {
  for (const peer of peers.splice(0)) peer.destroy()
  await Promise.all(running.splice(0).map((listener) => listener.close()))
})

type Watched = { readonly port: number; readonly listener: GrpcListener; readonly closed: Closed[] }

async function listen(options: Partial<GrpcListenerOptions> = {}): Promise<Watched> {
  const closed: Closed[] = []
  const listener = await startGrpcListener({
    address: { kind: 'tcp', host: '127.0.0.1', port: 0 },
    check: (message) => Buffer.from(`seen ${message.length}`),
    maxMessageBytes: 1024 * 1024,
    deadlineMs: 1000,
    onClosed: (each) => closed.push(each),
    ...options,
    limits: { lookEveryMs: 20, ...options.limits },
  })
  running.push(listener)
  return { port: Number(listener.address.split(':').at(-1)), listener, closed }
}

async function greeted(port: number, ...pairs: readonly Pair[]): Promise<FramePeer> {
  const peer = await FramePeer.greeted(port, ...pairs)
  peers.push(peer)
  return peer
}

async function silent(port: number): Promise<FramePeer> {
  const peer = await FramePeer.connect(port)
  peers.push(peer)
  return peer
}

function session(port: number, secure = false): http2.ClientHttp2Session {
  const opened = http2.connect(`http${secure ? 's' : ''}://127.0.0.1:${port}`, secure ? CLIENT_TLS : {})
  opened.on('error', () => undefined)
  peers.push(opened)
  return opened
}

async function goneOf(client: http2.ClientHttp2Session): Promise<void> {
  if (!client.destroyed) await new Promise<void>((resolve) => client.once('close', () => resolve()))
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))
const repeat = (count: number, make: (index: number) => Buffer): Buffer =>
  Buffer.concat(Array.from({ length: count }, (_, index) => make(index)))
const isGoaway = ({ type }: { type: number }): boolean => type === FRAME.goaway

/** Whether a Check of this client is answered; the code of its reset where not. */
function answered(
  client: http2.ClientHttp2Session,
  more: http2.OutgoingHttpHeaders = {},
): Promise<true | number> {
  return new Promise((resolve) => {
    const stream = client.request({
      ':method': 'POST',
      ':path': CHECK_PATH,
      'content-type': 'application/grpc',
      ...more,
    })
    let bytes = 0
    stream.on('data', (chunk: Buffer) => (bytes += chunk.length))
    stream.on('error', () => undefined)
    stream.on('close', () => resolve(bytes > 0 ? true : stream.rstCode))
    stream.end(Buffer.from([0, 0, 0, 0, 1, 1]))
  })
}

/** Sends until it is closed, at most a few seconds. */
async function sendUntilClosed(peer: FramePeer, next: () => Buffer): Promise<void> {
  const endMs = performance.now() + 4000
  while (!peer.socket.destroyed && performance.now() < endMs) {
    if (peer.socket.writableLength < 1024 * 1024) peer.send(next())
    peer.received.splice(0, Math.max(0, peer.received.length - 100))
    await pause(5)
  }
}

/** Stream ids of a client. */
function ids(): () => number {
  let last = -1
  return () => (last += 2)
}

describe('what costs nothing to send ends the connection, and others are answered', () => {
  const next = ids()
  test.each<{ name: string; reason: string; first?: () => Buffer; flood: () => Buffer }>([
    {
      name: 'streams opened and reset at once',
      reason: 'rapid-resets',
      flood: () =>
        repeat(20, () => {
          const stream = next()
          return Buffer.concat([headers(stream, BLOCK), rstStream(stream)])
        }),
    },
    {
      name: 'whole calls, reset at once without an error',
      reason: 'rapid-resets',
      flood: () =>
        repeat(20, () => {
          const stream = next()
          return Buffer.concat([checkCall(stream), rstStream(stream, 0)])
        }),
    },
    { name: 'SETTINGS', reason: 'settings', flood: () => repeat(50, () => settings()) },
    { name: 'PING', reason: 'idle-bytes', flood: () => repeat(400, () => ping()) },
    { name: 'PRIORITY', reason: 'idle-bytes', flood: () => repeat(4000, (index) => priority(index * 2 + 1)) },
    { name: 'WINDOW_UPDATE', reason: 'idle-bytes', flood: () => repeat(4000, () => windowUpdate(0, 1)) },
    {
      name: 'unknown frames',
      reason: 'idle-bytes',
      flood: () => repeat(4000, () => frame(0x77, Buffer.of(1))),
    },
    {
      name: 'messages of one byte a frame',
      reason: 'data-frames',
      first: () => Buffer.concat([headers(1, BLOCK), data(1, Buffer.from([0, 0, 0xf, 0xff, 0xff]))]),
      flood: () => repeat(1000, () => data(1, Buffer.of(0))),
    },
  ])('$name', async ({ reason, first, flood }) => {
    const { port, closed } = await listen({ deadlineMs: 20_000 })
    const known = session(port)
    expect(await answered(known)).toBe(true)
    const peer = await greeted(port)
    if (first) peer.send(first())
    await sendUntilClosed(peer, flood)
    expect(peer.socket.destroyed).toBe(true)
    // nghttp2 of newer Node.js counts some of them itself.
    expect(closed).toEqual([
      { reason: expect.stringMatching(`^(${reason}|protocol-error)$`), peer: '127.0.0.1' },
    ])
    expect(peer.received.filter(isGoaway).map(errorOf).at(-1)).toMatch(/^(ENHANCE_YOUR_CALM|INTERNAL_ERROR)$/)
    expect(await answered(known)).toBe(true)
  })

  test('answers that are not taken', async () => {
    const { port, closed } = await listen({ limits: { stallMs: 200 } })
    const peer = await greeted(port, [SETTING.initialWindowSize, 0])
    peer.send(checkCall(1))
    await peer.closed
    expect(closed).toEqual([{ reason: 'unread-answers', peer: '127.0.0.1' }])
    expect(peer.received.filter(isGoaway).map(errorOf)).toContain('ENHANCE_YOUR_CALM')
  })

  test('one that reads nothing is cut off all the same', async () => {
    const { port, closed, listener } = await listen()
    const peer = await greeted(port)
    peer.socket.pause()
    await sendUntilClosed(peer, () => repeat(4000, () => windowUpdate(0, 1)))
    expect(closed).toEqual([{ reason: 'idle-bytes', peer: '127.0.0.1' }])
    expect(listener.connections()).toBe(0)
  })

  test.each<{ name: string; greeting?: Buffer; bytes: Buffer; error: string | RegExp }>([
    {
      name: 'CONTINUATION without end',
      bytes: Buffer.concat([
        headers(1, BLOCK, { endHeaders: false }),
        repeat(20, () => continuation(1, Buffer.alloc(0), { endHeaders: false })),
      ]),
      error: 'INTERNAL_ERROR',
    },
    {
      name: 'empty DATA',
      bytes: Buffer.concat([headers(1, BLOCK), repeat(200, () => data(1, Buffer.alloc(0)))]),
      error: 'INTERNAL_ERROR',
    },
    {
      name: 'resets that the listener is made to send',
      bytes: repeat(200, (index) =>
        Buffer.concat([headers(index * 2 + 1, BLOCK), windowUpdate(index * 2 + 1, 0)]),
      ),
      error: /^(INTERNAL|PROTOCOL)_ERROR$/,
    },
    {
      name: 'a frame too long',
      bytes: frame(0, Buffer.alloc(9), { stream: 1, length: 0xffffff }),
      error: 'FRAME_SIZE_ERROR',
    },
    { name: 'DATA on no stream', bytes: data(0, Buffer.of(1)), error: 'PROTOCOL_ERROR' },
    {
      name: 'no HTTP/2',
      greeting: Buffer.alloc(0),
      bytes: Buffer.from('GET / HTTP/1.1\r\n\r\n'),
      error: 'INTERNAL_ERROR',
    },
  ])(
    '$name: the protocol is broken, and one who stays is cut off',
    async ({ bytes, greeting = preface(), error }) => {
      const { port, closed, listener } = await listen({
        limits: { pingAfterMs: 300, pingWaitMs: 200, silentMs: 300 },
      })
      const known = session(port)
      expect(await answered(known)).toBe(true)
      const peer = await silent(port)
      peer.send(greeting, bytes)
      await peer.until(isGoaway)
      expect(peer.received.filter(isGoaway).map(errorOf).at(-1)).toMatch(error)
      // What it goes on sending is read by nobody.
      while (!peer.socket.destroyed) {
        peer.send(Buffer.alloc(300))
        await pause(20)
      }
      expect(closed).toHaveLength(1)
      expect(['protocol-error', 'lost', 'silent']).toContain(closed[0]?.reason)
      expect(await answered(known)).toBe(true)
      expect(listener.connections()).toBe(1)
    },
  )

  test('a header table used to multiply headers: the call is reset, nothing is held', async () => {
    const { port } = await listen()
    const peer = await greeted(port)
    const entry = Buffer.concat([
      Buffer.of(0x40, 1, 0x78),
      Buffer.of(127, 0x81, 0x1e),
      Buffer.alloc(3968, 97),
    ])
    peer.send(headers(1, Buffer.concat([BLOCK, entry]), { endStream: true }))
    expect((await peer.answerOf(1)).length).toBeGreaterThan(0)
    peer.send(headers(3, Buffer.concat([BLOCK, Buffer.alloc(14_000, 0xbe)]), { endStream: true }))
    expect((await peer.answerOf(3)).map(errorOf)).toEqual(['ENHANCE_YOUR_CALM'])
  })
})

describe('what an honest client does is no flood', () => {
  test('an Envoy whose callers all go away is told to go, and no call fails', async () => {
    const { port, closed } = await listen({
      check: () => new Promise((resolve) => setTimeout(resolve, 500, Buffer.from('late'))),
    })
    const peer = await greeted(port)
    const next = ids()
    for (let round = 0; round < 12; round++) {
      const streams = Array.from({ length: 50 }, next)
      peer.send(...streams.map((stream) => checkCall(stream)))
      await pause(60)
      peer.send(...streams.map((stream) => rstStream(stream)))
      if (peer.received.some(isGoaway)) break
    }
    peer.send(checkCall(next()))
    await peer.until(isGoaway)
    expect(peer.received.filter(isGoaway).map(errorOf)).toEqual(['NO_ERROR'])
    expect(closed).toEqual([{ reason: 'resets', peer: '127.0.0.1' }])
  })

  test('one whose calls were read so late that its time was up is not taken for a flood', async () => {
    // A loop that never sleeps: what is read may have waited since the turn before.
    const { port, closed } = await listen({ turns: new Turns(() => 0) })
    const peer = await greeted(port)
    peer.send(checkCall(1))
    await peer.answerOf(1)
    await pause(100)
    const next = ids()
    next()
    for (let count = 0; count < 4; count++) {
      peer.send(
        repeat(75, () => {
          const stream = next()
          return Buffer.concat([checkCall(stream), rstStream(stream)])
        }),
      )
      await pause(100)
    }
    peer.send(checkCall(next()))
    expect(closed).toEqual([])
    expect(peer.socket.destroyed).toBe(false)
  })

  test('each answered call makes good for one that was reset at once', async () => {
    const { port, closed } = await listen()
    const peer = await greeted(port)
    const next = ids()
    for (let round = 0; round < 12; round++) {
      const whole = Array.from({ length: 30 }, next)
      const reset = Array.from({ length: 30 }, next)
      peer.send(...whole.map((stream) => checkCall(stream)))
      for (const stream of whole) await peer.answerOf(stream)
      peer.received.splice(0)
      peer.send(...reset.flatMap((stream) => [headers(stream, BLOCK), rstStream(stream)]))
      await pause(5)
    }
    expect(closed).toEqual([])
  })

  test('a PING and SETTINGS now and then, and a hundred of each with a hundred calls', async () => {
    const { port, closed } = await listen()
    const peer = await greeted(port)
    const next = ids()
    for (let count = 0; count < 90; count++) {
      const stream = next()
      peer.send(ping(), settings(), windowUpdate(0, 1000), checkCall(stream))
      const frames = await peer.answerOf(stream)
      expect(frames.some(endsStream)).toBe(true)
    }
    expect(closed).toEqual([])
  })
})

describe('limits', () => {
  test('connections of one address at once', async () => {
    const { port, closed } = await listen({ limits: { connectionsPerAddress: 3 } })
    const known = session(port)
    expect(await answered(known)).toBe(true)
    const others = [await silent(port), await silent(port)]
    const fourth = await silent(port)
    await fourth.closed
    expect(closed).toEqual([{ reason: 'connections-of-address', peer: '127.0.0.1' }])
    for (const other of others) other.destroy()
    await pause(50)
    expect(await answered(known)).toBe(true)
  })

  test('connections of one address at once, once one has gone another may come', async () => {
    const { port } = await listen({ limits: { connectionsPerAddress: 1, newConnectionsPerAddress: 1000 } })
    const first = await silent(port)
    first.destroy()
    await pause(50)
    expect(await answered(session(port))).toBe(true)
  })

  test.each([false, true])('new connections of one address a second, TLS %s', async (secure) => {
    const { port, closed } = await listen({
      tls: secure ? TLS : undefined,
      limits: { connectionsPerAddress: 5, newConnectionsPerAddress: 1 },
    })
    for (let count = 0; count < 5; count++) {
      const one = session(port, secure)
      expect(await answered(one)).toBe(true)
      one.destroy()
      await goneOf(one)
      await pause(20)
    }
    const sixth = session(port, secure)
    await goneOf(sixth)
    expect(closed).toEqual([{ reason: 'new-connections-of-address', peer: '127.0.0.1' }])
    await pause(1100)
    expect(await answered(session(port, secure))).toBe(true)
  })

  test('a flood counts as many new connections, and more than are left have to be waited for', async () => {
    const floods = { ...LIMITS.floods, price: 60 }
    const limits = { connectionsPerAddress: 100, newConnectionsPerAddress: 50, floods }
    const { port, closed } = await listen({ limits })
    const settingsFlood = async (): Promise<void> =>
      sendUntilClosed(await greeted(port), () => repeat(200, () => settings()))
    await settingsFlood()
    await settingsFlood()
    const again = await silent(port)
    await again.closed
    expect(closed.map(({ reason }) => reason)).toEqual(['settings', 'settings', 'new-connections-of-address'])
    await pause(700)
    expect(await answered(session(port))).toBe(true)
  })

  test('connections at once', async () => {
    const { port, closed } = await listen({ limits: { connections: 2 } })
    const known = session(port)
    expect(await answered(known)).toBe(true)
    await silent(port)
    const third = await silent(port)
    await third.closed
    expect(closed).toEqual([{ reason: 'connections', peer: '127.0.0.1' }])
    expect(await answered(known)).toBe(true)
  })

  test('a Unix socket has no address, but floods on it end too, each on its own connection', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'portcullis-floods-'))
    try {
      const path = join(folder, 'socket')
      const { closed, listener } = await listen({
        address: { kind: 'unix', path },
        limits: { connectionsPerAddress: 1, newConnectionsPerAddress: 1 },
      })
      const unixPeer = async (): Promise<FramePeer> => {
        const socket = tcpConnect(path)
        await once(socket, 'connect')
        const peer = new FramePeer(socket)
        peers.push(peer)
        peer.send(preface())
        await peer.until(({ type }) => type === FRAME.settings)
        return peer
      }
      const [evil, known] = [await unixPeer(), await unixPeer()]
      await sendUntilClosed(evil, () => repeat(4000, () => windowUpdate(0, 1)))
      expect(closed).toEqual([{ reason: 'idle-bytes', peer: undefined }])
      known.send(checkCall(1))
      expect((await known.answerOf(1)).some(({ type }) => type === FRAME.data)).toBe(true)
      expect(listener.connections()).toBe(1)
    } finally {
      await rm(folder, { recursive: true, force: true })
    }
  })

  test('calls at once on one connection: announced, and a client that ignores it is closed', async () => {
    const { port, closed } = await listen({ limits: { streams: 10 }, deadlineMs: 5000 })
    const peer = await greeted(port)
    const announced = peer.received.find(({ type }) => type === FRAME.settings)?.payload ?? Buffer.alloc(0)
    const pairs = Array.from({ length: announced.length / 6 }, (_, index) => [
      announced.readUInt16BE(index * 6),
      announced.readUInt32BE(index * 6 + 2),
    ])
    expect(pairs).toContainEqual([SETTING.maxConcurrentStreams, 10])
    const open = (from: number, to: number): Buffer =>
      repeat(to - from, (index) => headers((from + index) * 2 + 1, BLOCK))
    peer.send(open(0, 11))
    await peer.closed
    expect(closed).toEqual([{ reason: 'protocol-error', peer: '127.0.0.1' }])
    // One that has not acknowledged it yet may not know.
    const early = await silent(port)
    early.send(preface(), open(0, 60))
    expect((await early.answerOf(119)).map(errorOf)).toEqual(['REFUSED_STREAM'])
    expect(early.socket.destroyed).toBe(false)
    early.send(open(60, 120))
    await early.closed
  })

  test('size of headers', async () => {
    const { port, closed } = await listen({ limits: { headerBytes: 8192 } })
    const known = session(port)
    await once(known, 'remoteSettings')
    expect(known.remoteSettings.maxHeaderListSize).toBe(8192)
    expect(await answered(known, { 'x-a': 'a'.repeat(7000) })).toBe(true)
    const peer = await greeted(port)
    peer.send(checkCall(1, Buffer.of(1), [['x-a', 'a'.repeat(8200)]]))
    expect((await peer.answerOf(1)).map(errorOf)).toEqual(['ENHANCE_YOUR_CALM'])
    peer.send(checkCall(3))
    expect((await peer.answerOf(3)).some(({ type }) => type === FRAME.data)).toBe(true)
    expect(closed).toEqual([])
  })

  test('number of headers', async () => {
    const { port } = await listen({ limits: { headers: 16 } })
    const peer = await greeted(port)
    const more = (count: number): [string, string][] =>
      Array.from({ length: count }, (_, index) => [`x-${index}`, 'a'])
    peer.send(checkCall(1, Buffer.of(1), more(11)))
    expect((await peer.answerOf(1)).map(errorOf)).toEqual(['ENHANCE_YOUR_CALM'])
    peer.send(checkCall(3, Buffer.of(1), more(10)))
    expect((await peer.answerOf(3)).some(({ type }) => type === FRAME.data)).toBe(true)
  })

  test('age of connections: told to go, the call under way is answered, then it ends', async () => {
    const { port, closed } = await listen({
      check: () => new Promise((resolve) => setTimeout(resolve, 400, Buffer.from('late'))),
      limits: { connectionAgeMs: 300 },
    })
    const aged = session(port)
    const goaway = once(aged, 'goaway')
    await pause(200)
    expect(await answered(aged)).toBe(true)
    await goaway
    await goneOf(aged)
    expect(closed).toEqual([{ reason: 'age', peer: '127.0.0.1' }])
  })

  test('age of connections: one that does not end its calls in the grace is ended', async () => {
    const { port } = await listen({
      check: () => new Promise(() => undefined),
      limits: { connectionAgeMs: 100, farewellMs: 200 },
    })
    const started = performance.now()
    const aged = session(port)
    const pending = answered(aged)
    await goneOf(aged)
    expect(performance.now() - started).toBeLessThan(2000)
    expect(await pending).not.toBe(true)
  })

  test('age of connections: they do not all end at once', async () => {
    const { port, closed } = await listen({ limits: { connectionAgeMs: 1000 } })
    const started = performance.now()
    const ends = Array.from({ length: 20 }, async () => {
      const one = session(port)
      await goneOf(one)
      return performance.now() - started
    })
    const after = await Promise.all(ends)
    expect(Math.max(...after) - Math.min(...after)).toBeGreaterThan(50)
    expect(Math.min(...after)).toBeGreaterThan(890)
    expect(closed).toHaveLength(20)
  })
})

describe('TLS', () => {
  test('1.2 is refused', async () => {
    const { port } = await listen({ tls: TLS })
    const socket = tlsConnect({ ...CLIENT_TLS, port, host: '127.0.0.1', maxVersion: 'TLSv1.2' })
    peers.push(socket)
    const [error] = (await once(socket, 'error')) as [Error & { code?: string }]
    expect(error.code).toBe('ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION')
  })

  test('who floods is named by certificate', async () => {
    const { port, closed } = await listen({ tls: TLS })
    const socket = tlsConnect({ ...CLIENT_TLS, port, host: '127.0.0.1' })
    await once(socket, 'secureConnect')
    const peer = new FramePeer(socket)
    peers.push(peer)
    peer.send(
      preface(),
      repeat(200, () => settings()),
    )
    await peer.closed
    expect(closed).toEqual([{ reason: 'settings', peer: API }])
  })

  test('many handshakes at once are all done', async () => {
    const { port, listener } = await listen({ tls: TLS })
    const clients = Array.from({ length: 60 }, () => session(port, true))
    for (const client of clients) expect(await answered(client)).toBe(true)
    expect(listener.connections()).toBe(60)
  })

  test('a handshake that is begun and left does not hold up others', async () => {
    const { port } = await listen({ tls: TLS, limits: { silentMs: 300 } })
    const left = await Promise.all(Array.from({ length: 50 }, () => silent(port)))
    for (const peer of left) peer.send(Buffer.from([22, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3]))
    expect(await answered(session(port, true))).toBe(true)
    await Promise.all(left.map(({ closed }) => closed))
  })
})
