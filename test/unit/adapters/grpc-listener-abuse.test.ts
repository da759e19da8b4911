import { once } from 'node:events'
import * as http2 from 'node:http2'
import { type AddressInfo, connect as tcpConnect, type Socket } from 'node:net'
import { connect as tlsConnect } from 'node:tls'
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals'
import { ByteBudget } from '../../../src/adapters/grpc/byte-budget.js'
import { Turns } from '../../../src/adapters/grpc/turns.js'
import {
  type GrpcListener,
  type GrpcListenerOptions,
  startGrpcListener,
} from '../../../src/adapters/grpc/listener.js'
import { serveCheck } from '../../../src/adapters/grpc/unary-call.js'
import type { CheckCall } from '../../../src/ext-authz/check.js'
import { eventually } from '../../support/eventually.js'
import { createAuthority, type Issued, type Authority } from '../../support/certificate-authority.js'
import { CHECK_SERVERS, type CheckServer } from '../../support/check-servers.js'

const CHECK = '/envoy.service.auth.v3.Authorization/Check'
const GRPC = { ':method': 'POST', ':path': CHECK, 'content-type': 'application/grpc' }
const MESSAGE = Buffer.from([0, 0, 0, 0, 1, 1])
const authority = createAuthority({ name: 'mesh', trustDomain: 'cluster.local' })
const SERVER = authority.issueSvid({ spiffeId: 'spiffe://cluster.local/ns/portcullis/sa/portcullis' })
/** What answers Check of the listeners that are started now. */
let checkServer: CheckServer = 'Http2'
const running: GrpcListener[] = []
const sessions: http2.ClientHttp2Session[] = []
const sockets: Socket[] = []

afterEach(async () => {
  for (const session of sessions.splice(0)) session.destroy()
  for (const socket of sockets.splice(0)) socket.destroy()
  await Promise.all(running.splice(0).map((listener) => listener.close()))
})

/** What answers Check in the tests of a suite. */
function answeredBy(server: CheckServer): void {
  beforeAll(() => {
    checkServer = server
  })
  afterAll(() => {
    checkServer = 'Http2'
  })
}

/** What becomes of a Check whose message does not come or is not kept, and whether it is decided, as an empty one. */
const WITHOUT_MESSAGE = {
  Http2: { late: { grpc: '0', reply: 'deny' }, tooMuch: { grpc: '0', reply: 'deny' }, decided: [0] },
  GrpcJs: { late: { grpc: '4', reply: '' }, tooMuch: { grpc: '8', reply: '' }, decided: [] },
} as const

async function listen(options: Partial<GrpcListenerOptions> = {}): Promise<GrpcListener> {
  const listener = await startGrpcListener({
    address: { kind: 'tcp', host: '127.0.0.1', port: 0 },
    check: (message) => Buffer.from(`seen ${message.length}`),
    checkServer,
    maxMessageBytes: 1024 * 1024,
    deadlineMs: 1000,
    ...options,
  })
  running.push(listener)
  return listener
}

const portOf = (listener: GrpcListener): number => Number(listener.address.split(':').at(-1))
const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

function tlsOf(clients = authority): NonNullable<GrpcListenerOptions['tls']> {
  const { chainPem: certificate, keyPem: key } = SERVER
  return { certificate, key, clientCa: clients.rootPem, allowedClients: undefined }
}

function connect(listener: GrpcListener, issued?: Issued): http2.ClientHttp2Session {
  const credentials = issued && { key: issued.keyPem, cert: issued.chainPem, ca: authority.rootPem }
  return kept(
    http2.connect(`${issued ? 'https' : 'http'}://${listener.address}`, {
      ...credentials,
      checkServerIdentity: () => undefined,
    }),
  )
}

function kept(session: http2.ClientHttp2Session): http2.ClientHttp2Session {
  session.on('error', () => undefined)
  sessions.push(session)
  return session
}

async function rawConnection(listener: GrpcListener): Promise<Socket> {
  const socket = tcpConnect(portOf(listener), '127.0.0.1')
  socket.on('error', () => undefined)
  socket.resume()
  sockets.push(socket)
  await once(socket, 'connect')
  return socket
}

/** Milliseconds until it is closed, by whomever. */
async function msUntilClosed(closing: Socket | http2.ClientHttp2Session): Promise<number> {
  const started = performance.now()
  if (!closing.destroyed) await new Promise<void>((resolve) => closing.once('close', () => resolve()))
  return performance.now() - started
}

/** A stream may be over for its client a moment before it is for the listener. */
async function nothingHeld(held: ByteBudget): Promise<void> {
  for (let attempt = 0; attempt < 50 && held.heldBytes > 0; attempt++) await pause(10)
  expect(held.heldBytes).toBe(0)
}

type Ended = { readonly http: number; readonly grpc: string; readonly reply: string; readonly reset: number }

/** What became of a stream, once it is closed. */
async function ended(stream: http2.ClientHttp2Stream): Promise<Ended> {
  let [http, grpc] = [0, '']
  const parts: Buffer[] = []
  const read = (headers: http2.IncomingHttpHeaders): void => {
    grpc = String(headers['grpc-status'] ?? '')
  }
  stream.on('response', (headers) => {
    http = Number(headers[':status'])
    read(headers)
  })
  stream.on('trailers', read)
  stream.on('data', (chunk: Buffer) => parts.push(chunk))
  stream.on('error', () => undefined)
  await new Promise<void>((resolve) => stream.once('close', () => resolve()))
  return { http, grpc, reply: Buffer.concat(parts).subarray(5).toString(), reset: stream.rstCode }
}

function call(session: http2.ClientHttp2Session, headers = {}, body = MESSAGE): Promise<Ended> {
  const stream = session.request({ ...GRPC, ...headers })
  stream.end(body)
  return ended(stream)
}

const ANSWERED = { http: 200, grpc: '0', reply: 'seen 1' }

describe.each(CHECK_SERVERS)('requests that are no gRPC call, before %s', (server) => {
  answeredBy(server)

  test.each<{ name: string; headers: http2.OutgoingHttpHeaders; http: number; grpc?: string }>([
    { name: 'CONNECT', headers: { ':method': 'CONNECT', ':authority': 'elsewhere:443' }, http: 405 },
    { name: 'OPTIONS *', headers: { ':method': 'OPTIONS', ':path': '*' }, http: 405 },
    { name: 'HEAD', headers: { ':method': 'HEAD', ':path': CHECK }, http: 405 },
    { name: 'GET', headers: { ':method': 'GET', ':path': CHECK }, http: 405 },
    { name: 'a method of its own', headers: { ':method': 'BREW', ':path': '/' }, http: 405 },
    { name: 'POST without a content type', headers: { ':method': 'POST', ':path': CHECK }, http: 415 },
    { name: 'POST of JSON', headers: { ...GRPC, 'content-type': 'application/json' }, http: 415 },
    { name: 'an empty path', headers: { ...GRPC, ':path': '' }, http: 0 },
    { name: 'a path without a slash', headers: { ...GRPC, ':path': 'x y' }, http: 0 },
    {
      name: 'a scheme of its own',
      headers: { ...GRPC, ':path': '/x', ':scheme': 'gopher' },
      http: 200,
      grpc: '12',
    },
  ])('$name is refused, and the connection goes on', async ({ headers, http, grpc }) => {
    const session = connect(await listen())
    const stream = session.request(headers)
    if (!stream.writableEnded) stream.end()
    expect(await ended(stream)).toMatchObject({ http, grpc: grpc ?? '' })
    expect(await call(session)).toMatchObject(ANSWERED)
  })

  test('a refused request that goes on sending is closed', async () => {
    const session = connect(await listen())
    const stream = session.request({ ':method': 'PUT', ':path': '/' })
    stream.write('never ended')
    expect(await ended(stream)).toMatchObject({ http: 405, reset: http2.constants.NGHTTP2_NO_ERROR })
  })

  test('a call that nobody serves any more, while the listener ends, is no exception', async () => {
    const listener = await listen()
    const session = connect(listener)
    expect(await call(session)).toMatchObject(ANSWERED)
    const calls = Array.from({ length: 20 }, () => call(session, { ':path': '/grpc.health.v1.Health/Check' }))
    await listener.drain({ delayMs: 0, timeoutMs: 500 })
    for (const { grpc } of await Promise.all(calls)) expect(['', '12', '13', '14']).toContain(grpc)
  })
})

describe.each(CHECK_SERVERS)('messages that do not come to %s', (server) => {
  answeredBy(server)
  const { late, tooMuch, decided } = WITHOUT_MESSAGE[server]
  type Told = { readonly length: number; readonly call: CheckCall; readonly atMs: number }
  async function listenAndTell(options: Partial<GrpcListenerOptions> = {}): Promise<[GrpcListener, Told[]]> {
    const told: Told[] = []
    const check = (message: Buffer, checkCall: CheckCall): Buffer => {
      told.push({ length: message.length, call: checkCall, atMs: Date.now() })
      return Buffer.from(message.length === 0 ? 'deny' : 'ok')
    }
    return [await listen({ check, ...options }), told]
  }

  test.each([
    { name: 'nothing', body: Buffer.alloc(0), headers: {}, withinMs: 300 },
    { name: 'half a prefix', body: Buffer.from([0, 0]), headers: {}, withinMs: 300 },
    { name: 'half a message', body: Buffer.from([0, 0, 0, 0, 9, 1, 1]), headers: {}, withinMs: 300 },
    { name: 'a whole message without its end', body: MESSAGE, headers: {}, withinMs: 300 },
    {
      name: 'half a message, with a deadline',
      body: Buffer.from([0, 0, 0]),
      headers: { 'grpc-timeout': '150m' },
      withinMs: 150,
    },
    {
      name: 'half a message, with no time left',
      body: Buffer.from([0, 0, 0]),
      headers: { 'grpc-timeout': '0n' },
      withinMs: 50,
    },
  ])(
    '$name: denied explicitly before the deadline by Http2, DEADLINE_EXCEEDED by GrpcJs',
    async ({ body, headers, withinMs }) => {
      const [listener, told] = await listenAndTell({ deadlineMs: 300 })
      const session = connect(listener)
      await once(session, 'remoteSettings')
      const started = performance.now()
      const stream = session.request({ ...GRPC, ...headers })
      if (body.length > 0) stream.write(body)
      const end = await ended(stream)
      expect(performance.now() - started).toBeLessThan(withinMs + 50)
      expect(end).toEqual({ http: 200, ...late, reset: http2.constants.NGHTTP2_NO_ERROR })
      expect(told.map(({ length }) => length)).toEqual(decided)
      expect(await call(session)).toMatchObject({ grpc: '0', reply: 'ok' })
    },
  )

  test.each([
    { name: 'announced', body: Buffer.from([0, 0xff, 0xff, 0xff, 0xff]) },
    { name: 'sent', body: Buffer.concat([Buffer.from([0, 0, 0x20, 0, 0]), Buffer.alloc(1024 * 1024 + 1)]) },
  ])(
    'a message over the limit, $name: denied at once by Http2, RESOURCE_EXHAUSTED by GrpcJs',
    async ({ body }) => {
      const [listener, told] = await listenAndTell({ deadlineMs: 60_000 })
      const stream = connect(listener).request(GRPC)
      stream.write(body)
      expect(await ended(stream)).toMatchObject(tooMuch)
      expect(told.map(({ length }) => length)).toEqual(decided)
    },
  )

  test('300 of them on one connection, sent on after their answer, leave it usable', async () => {
    const [listener] = await listenAndTell()
    const session = connect(listener)
    for (let count = 0; count < 300; count++) {
      const stream = session.request(GRPC)
      stream.write(Buffer.from([0, 0xff, 0, 0, 0]))
      stream.write(Buffer.alloc(40_000))
      expect(await ended(stream)).toMatchObject(tooMuch)
    }
    expect(await call(session)).toMatchObject({ grpc: '0', reply: 'ok' })
  })

  test('one that comes late has the rest of the time, not all of it', async () => {
    const [listener, told] = await listenAndTell()
    const session = connect(listener)
    await once(session, 'remoteSettings')
    const openedMs = Date.now()
    const stream = session.request({ ...GRPC, 'grpc-timeout': '800m' })
    stream.write(MESSAGE.subarray(0, 3))
    await pause(300)
    stream.end(MESSAGE.subarray(3))
    expect(await ended(stream)).toMatchObject({ grpc: '0', reply: 'ok' })
    expect(Math.abs((told[0]?.call.deadlineMs ?? 0) - openedMs - 800)).toBeLessThan(100)
  })

  test.each([
    { timeout: '99999999H', ms: 60_000 },
    { timeout: '99999999S', ms: 60_000 },
    { timeout: 'soon', ms: 1000 },
    { timeout: '2S', ms: 2000 },
  ])('a timeout of $timeout is $ms ms', async ({ timeout, ms }) => {
    const [listener, told] = await listenAndTell()
    expect(await call(connect(listener), { 'grpc-timeout': timeout })).toMatchObject({ reply: 'ok' })
    expect(Math.abs((told[0]?.call.deadlineMs ?? 0) - (told[0]?.atMs ?? 0) - ms)).toBeLessThan(100)
  })

  test('one byte in each frame arrives whole', async () => {
    const [listener, told] = await listenAndTell({ deadlineMs: 5000 })
    const session = connect(listener)
    const stream = session.request(GRPC)
    const body = Buffer.concat([Buffer.from([0, 0, 0, 0x10, 0]), Buffer.alloc(4096, 7)])
    for (const byte of body) stream.write(Buffer.of(byte))
    stream.end()
    expect(await ended(stream)).toMatchObject({ reply: 'ok' })
    expect(told.map(({ length }) => length)).toEqual([4096])
  })
})

test('an answer of Http2 that fails half-way ends the stream', async () => {
  const server = http2.createServer()
  server.on('stream', (stream, headers) => {
    stream.on('error', () => undefined)
    serveCheck(stream, headers, {
      asker: { spiffeId: undefined },
      check: () => {
        stream.respond({ ':status': 200 })
        return Buffer.from('x')
      },
      maxMessageBytes: 100,
      deadlineMs: 1000,
      turns: new Turns(),
      budget: new ByteBudget(100_000),
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', () => resolve()))
  const { port } = server.address() as AddressInfo
  const session = kept(http2.connect(`http://127.0.0.1:${port}`))
  const end = call(session)
  await once(session, 'remoteSettings')
  expect(await Promise.race([end, pause(500)])).toMatchObject({ grpc: '', reply: '' })
  session.destroy()
  server.close()
})

describe.each(CHECK_SERVERS)('what a peer may make the listener hold, before %s', (server) => {
  answeredBy(server)
  const { tooMuch } = WITHOUT_MESSAGE[server]
  /** What a call holds whose message came but not its end: Http2 makes room for more. */
  const CALL = { Http2: 4096 + 4096, GrpcJs: 10 * 1024 + MESSAGE.length }[server]
  const denied = server === 'Http2' ? { grpc: '0', reply: 'seen 0' } : undefined
  const open = (session: http2.ClientHttp2Session, body = MESSAGE): Promise<Ended> => {
    const stream = session.request(GRPC)
    stream.write(body)
    return ended(stream)
  }
  const REFUSED = { http: 0, reset: http2.constants.NGHTTP2_REFUSED_STREAM }

  test('calls beyond what one connection may hold are refused, other connections go on', async () => {
    const held = new ByteBudget(50 * CALL)
    const listener = await listen({ deadlineMs: 2000, limits: { connectionBytes: 2 * CALL, held } })
    const session = connect(listener)
    const waiting = [open(session), open(session)]
    await eventually(() => expect(held.heldBytes).toBe(2 * CALL), 1500)
    expect(await call(session)).toMatchObject(REFUSED)
    expect(await call(connect(listener))).toMatchObject(ANSWERED)
    for (const each of await Promise.all(waiting))
      expect(each).toMatchObject(denied ?? { grpc: '4', reply: '' })
    await nothingHeld(held)
    expect(await call(session)).toMatchObject(ANSWERED)
  })

  test('calls beyond what all together may hold are refused, until there is room again', async () => {
    const held = new ByteBudget(CALL)
    const listener = await listen({ deadlineMs: 5000, limits: { held } })
    const session = connect(listener)
    const other = connect(listener)
    void open(session)
    await eventually(() => expect(held.heldBytes).toBe(CALL))
    expect(await call(other)).toMatchObject(REFUSED)
    session.destroy()
    await pause(50)
    expect(held.heldBytes).toBe(0)
    expect(await call(other)).toMatchObject(ANSWERED)
  })

  test('a message that grows beyond it is refused at once, and holds nothing any more', async () => {
    const held = new ByteBudget(1024 * 1024)
    const listener = await listen({ deadlineMs: 60_000, limits: { connectionBytes: 100_000, held } })
    const session = connect(listener)
    const large = Buffer.concat([Buffer.from([0, 0, 8, 0, 0]), Buffer.alloc(200_000)])
    expect(await open(session, large)).toMatchObject(denied ?? tooMuch)
    await nothingHeld(held)
    expect(await call(session)).toMatchObject(ANSWERED)
  })

  test('what waits for its decision is held, what is decided is not', async () => {
    const held = new ByteBudget(1024 * 1024)
    let answer: ((reply: Buffer) => void) | undefined
    const check = (): Promise<Buffer> => new Promise((resolve) => (answer = resolve))
    const session = connect(await listen({ check, limits: { held } }))
    const pending = call(session)
    await eventually(() => expect(answer).toBeDefined())
    expect(held.heldBytes).toBeGreaterThanOrEqual(4096)
    answer?.(Buffer.from('ok'))
    expect((await pending).reply).toBe('ok')
    await nothingHeld(held)
  })

  test('connections beyond the number are closed', async () => {
    const listener = await listen({ limits: { connections: 2 } })
    const first = connect(listener)
    expect(await call(first)).toMatchObject(ANSWERED)
    await rawConnection(listener)
    expect(await msUntilClosed(await rawConnection(listener))).toBeLessThan(1000)
    expect(await call(first)).toMatchObject(ANSWERED)
  })
})

describe('floods', () => {
  const frame = (type: number, payload: Buffer, flags = 0): Buffer =>
    Buffer.concat([Buffer.from([0, 0, payload.length, type, flags, 0, 0, 0, 0]), payload])
  const PREFACE = Buffer.concat([Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'), frame(4, Buffer.alloc(0))])

  test.each(CHECK_SERVERS)(
    '10,000 streams that are reset at once leave %s answering and hold nothing',
    async (server) => {
      const held = new ByteBudget(64 * 1024 * 1024)
      // It comes again at once, whatever it did before.
      const limits = { held, newConnectionsPerAddress: 1_000_000 }
      const listener = await listen({ checkServer: server, limits })
      let session = connect(listener)
      for (let count = 0; count < 10_000; count++) {
        if (session.closed || session.destroyed) session = connect(listener)
        const stream = session.request(GRPC)
        stream.on('error', () => undefined)
        stream.write(Buffer.from([0, 0, 0]))
        stream.close(http2.constants.NGHTTP2_CANCEL)
        if (count % 200 === 199) await pause(0)
      }
      expect(await call(connect(listener))).toMatchObject(ANSWERED)
      session.destroy()
      await nothingHeld(held)
    },
    20_000,
  )

  test.each([
    { name: 'PING', flood: frame(6, Buffer.alloc(8)) },
    { name: 'SETTINGS', flood: frame(4, Buffer.alloc(0)) },
    { name: 'PRIORITY of no stream', flood: frame(2, Buffer.alloc(5)) },
  ])('a peer that sends 50,000 times $name and never reads is alone with it', async ({ flood }) => {
    const listener = await listen({
      limits: { silentMs: 500, pingAfterMs: 100, pingWaitMs: 200, lookEveryMs: 50 },
    })
    const socket = await rawConnection(listener)
    socket.pause()
    socket.write(PREFACE)
    socket.write(Buffer.concat(Array.from({ length: 50_000 }, () => flood)))
    expect(await call(connect(listener))).toMatchObject(ANSWERED)
    socket.resume()
    expect(await msUntilClosed(socket)).toBeLessThan(3000)
  })

  test('a peer that does not answer to PING is closed, one that does lives on', async () => {
    const listener = await listen({
      limits: { silentMs: 5000, pingAfterMs: 100, pingWaitMs: 200, lookEveryMs: 50 },
    })
    const alive = connect(listener)
    expect(await call(alive)).toMatchObject(ANSWERED)
    const dead = await rawConnection(listener)
    dead.write(PREFACE)
    expect(await msUntilClosed(dead)).toBeLessThan(3000)
    await pause(600)
    expect(await call(alive)).toMatchObject(ANSWERED)
  })
})

describe('connections that stay silent', () => {
  test.each([
    { transport: 'TLS', tls: tlsOf() },
    { transport: 'plaintext', tls: undefined },
  ])('$transport: closed after a while, but not one that greeted', async ({ tls }) => {
    const listener = await listen({ tls, limits: { silentMs: 300, lookEveryMs: 50 } })
    const greeted = connect(listener, tls && authority.issueSvid({ spiffeId: 'spiffe://cluster.local/x' }))
    const silent = await rawConnection(listener)
    const ms = await msUntilClosed(silent)
    expect(ms).toBeGreaterThan(200)
    expect(ms).toBeLessThan(3000)
    await pause(300)
    expect(await call(greeted)).toMatchObject(ANSWERED)
  })

  test('drain does not wait for one whose handshake is done meanwhile', async () => {
    const check = (message: Buffer): Promise<Buffer> =>
      new Promise((resolve) => setTimeout(resolve, 600, message))
    const listener = await listen({ tls: tlsOf(), check })
    const issued = authority.issueSvid({ spiffeId: 'spiffe://cluster.local/x' })
    const busy = connect(listener, issued)
    await once(busy, 'remoteSettings')
    const pending = call(busy)
    const socket = await rawConnection(listener)
    await pause(50)
    const started = performance.now()
    const drained = listener.drain({ delayMs: 0, timeoutMs: 30_000 })
    await pause(250)
    const { keyPem: key, chainPem: cert } = issued
    const late = tlsConnect({
      socket,
      key,
      cert,
      ca: authority.rootPem,
      ALPNProtocols: ['h2'],
      checkServerIdentity: () => undefined,
    })
    late.on('error', () => undefined)
    late.resume()
    expect((await pending).grpc).toBe('0')
    await drained
    expect(performance.now() - started).toBeLessThan(2000)
  })

  test.each(['close', 'drain'] as const)('%s does not wait for one', async (how) => {
    const listener = await listen({ tls: tlsOf() })
    const silent = await rawConnection(listener)
    const started = performance.now()
    if (how === 'close') await listener.close()
    else await listener.drain({ delayMs: 0, timeoutMs: 30_000 })
    expect(performance.now() - started).toBeLessThan(1000)
    expect(await msUntilClosed(silent)).toBeLessThan(1000)
  })
})

describe.each(CHECK_SERVERS)('admission to %s ends', (server) => {
  answeredBy(server)
  const ENVOY = 'spiffe://cluster.local/ns/shop/sa/payment-service'
  const slowly = (message: Buffer): Promise<Buffer> =>
    new Promise((resolve) => setTimeout(resolve, 600, Buffer.from(`seen ${message.length}`)))

  test('with the client certificate: nothing is answered after it, the connection ends', async () => {
    const notAfter = new Date(Math.ceil(Date.now() / 1000) * 1000 + 1000)
    const listener = await listen({ tls: tlsOf(), limits: { lookEveryMs: 600 } })
    const session = connect(listener, authority.issueSvid({ spiffeId: ENVOY, notAfter }))
    expect(await call(session)).toMatchObject(ANSWERED)
    await pause(notAfter.getTime() - Date.now() + 20)
    if (!session.closed) expect(await call(session)).toMatchObject({ grpc: '16', reply: '' })
    expect(await msUntilClosed(session)).toBeLessThan(3000)
  })

  test('but a call under way then has its answer', async () => {
    const notAfter = new Date(Math.ceil(Date.now() / 1000) * 1000 + 1000)
    const listener = await listen({ tls: tlsOf(), check: slowly, limits: { lookEveryMs: 50 } })
    const session = connect(listener, authority.issueSvid({ spiffeId: ENVOY, notAfter }))
    await once(session, 'remoteSettings')
    await pause(notAfter.getTime() - Date.now() - 100)
    expect(await call(session)).toMatchObject(ANSWERED)
    expect(await msUntilClosed(session)).toBeLessThan(3000)
  })

  describe('with the roots of the clients', () => {
    const next: Authority = createAuthority({ name: 'next', trustDomain: 'cluster.local' })
    const old = authority.issueSvid({ spiffeId: ENVOY })

    test('old connections are told to go, their calls are answered, the old root opens no new ones', async () => {
      const listener = await listen({ tls: tlsOf(), check: slowly })
      const session = connect(listener, old)
      await once(session, 'remoteSettings')
      const pending = call(session)
      await pause(50)
      listener.updateTls(tlsOf(next))
      expect(await pending).toMatchObject(ANSWERED)
      expect(await msUntilClosed(session)).toBeLessThan(1000)
      expect(await call(connect(listener, next.issueSvid({ spiffeId: ENVOY })))).toMatchObject(ANSWERED)
      const refused = connect(listener, old)
      expect(await msUntilClosed(refused)).toBeLessThan(1000)
    })

    test('one that never ends its calls is ended', async () => {
      const check = (): Promise<Buffer> => new Promise(() => undefined)
      const listener = await listen({ tls: tlsOf(), check, limits: { farewellMs: 300, lookEveryMs: 50 } })
      const session = connect(listener, old)
      await once(session, 'remoteSettings')
      void call(session)
      await pause(50)
      listener.updateTls(tlsOf(next))
      expect(await msUntilClosed(session)).toBeLessThan(1000)
    })

    test('a handshake that began before does not outlive them', async () => {
      const listener = await listen({ tls: tlsOf(), limits: { silentMs: 300, lookEveryMs: 50 } })
      const socket = await rawConnection(listener)
      await pause(50)
      listener.updateTls(tlsOf(next))
      const session = kept(
        http2.connect(`https://${listener.address}`, {
          createConnection: () =>
            tlsConnect({
              socket,
              key: old.keyPem,
              cert: old.chainPem,
              ca: authority.rootPem,
              ALPNProtocols: ['h2'],
              checkServerIdentity: () => undefined,
            }),
        }),
      )
      expect(await call(session)).toMatchObject(ANSWERED)
      expect(await msUntilClosed(session)).toBeLessThan(3000)
    })

    test('a new certificate with the same roots ends nothing', async () => {
      const listener = await listen({ tls: tlsOf(), limits: { silentMs: 100, lookEveryMs: 50 } })
      const session = connect(listener, old)
      expect(await call(session)).toMatchObject(ANSWERED)
      listener.updateTls(tlsOf())
      await pause(400)
      expect(await call(session)).toMatchObject(ANSWERED)
    })
  })
})
