import { once } from 'node:events'
import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs'
import * as http2 from 'node:http2'
import { connect as tcpConnect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connect as tlsConnect } from 'node:tls'
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals'
import * as grpc from '@grpc/grpc-js'
import {
  type GrpcListener,
  type GrpcListenerOptions,
  startGrpcListener,
} from '../../../src/adapters/grpc/listener.js'
import type { CheckCall } from '../../../src/ext-authz/check.js'
import { createAuthority, type Issued } from '../../support/certificate-authority.js'
import { CHECK_SERVERS, type CheckServer } from '../../support/check-servers.js'

const CHECK = '/envoy.service.auth.v3.Authorization/Check'
const LOOPBACK = { kind: 'tcp', host: '127.0.0.1', port: 0 } as const
const bytes = (value: Buffer): Buffer => value
const directory = mkdtempSync(join(tmpdir(), 'portcullis-grpc-'))
const authority = createAuthority({ name: 'mesh', trustDomain: 'cluster.local' })
const SERVER = svid('spiffe://cluster.local/ns/portcullis/sa/portcullis')
const ENVOY = svid('spiffe://cluster.local/ns/shop/sa/payment-service')
const STRANGER = svid('spiffe://cluster.local/ns/sandbox/sa/stranger')
/** What answers Check of the listeners that are started now. */
let checkServer: CheckServer = 'Http2'
const running: GrpcListener[] = []
const clients: grpc.Client[] = []

function svid(spiffeId: string): Issued {
  return authority.issueSvid({ spiffeId, dnsNames: ['localhost'] })
}

function tlsOf(
  issued: Issued,
  allowed?: (spiffeId: string) => boolean,
): NonNullable<GrpcListenerOptions['tls']> {
  const { chainPem: certificate, keyPem: key } = issued
  return { certificate, key, clientCa: authority.rootPem, allowedClients: allowed }
}

async function listen(options: Partial<GrpcListenerOptions> = {}): Promise<GrpcListener> {
  const check = (message: Buffer): Buffer => Buffer.concat([Buffer.from('seen:'), message])
  const listener = await startGrpcListener({
    address: LOOPBACK,
    check,
    checkServer,
    maxMessageBytes: 1024 * 1024,
    deadlineMs: 1000,
    ...options,
  })
  running.push(listener)
  return listener
}

function clientOf(listener: GrpcListener, credentials = grpc.credentials.createInsecure()): grpc.Client {
  const client = new grpc.Client(listener.address, credentials, {
    'grpc.ssl_target_name_override': 'localhost',
    'grpc.max_send_message_length': -1,
    'grpc.initial_reconnect_backoff_ms': 100,
  })
  clients.push(client)
  return client
}

function credentialsOf(issued?: Issued): grpc.ChannelCredentials {
  const root = Buffer.from(authority.rootPem)
  if (issued === undefined) return grpc.credentials.createSsl(root)
  return grpc.credentials.createSsl(root, Buffer.from(issued.keyPem), Buffer.from(issued.chainPem))
}

/** A body and the status that each server gives it. */
type Framing = { readonly name: string; readonly body: Buffer; readonly headers?: object } & Readonly<
  Record<CheckServer, string>
>

type Answer = { readonly code: number; readonly details: string; readonly reply: Buffer | undefined }

function call(
  client: grpc.Client,
  message: Buffer,
  options: grpc.CallOptions = {},
  path = CHECK,
): Promise<Answer> {
  return new Promise((resolve) => {
    client.makeUnaryRequest(
      path,
      bytes,
      bytes,
      message,
      new grpc.Metadata(),
      { deadline: Date.now() + 5000, ...options },
      (error, reply) => {
        resolve({ code: error?.code ?? 0, details: error?.details ?? '', reply })
      },
    )
  })
}

/** One Check on a session of node's own: its grpc-status, or what became of it. */
function statusOf(session: http2.ClientHttp2Session): Promise<string> {
  return new Promise((resolve) => {
    const stream = session.request({ ':method': 'POST', ':path': CHECK, 'content-type': 'application/grpc' })
    stream.on('trailers', (trailers) => resolve(String(trailers['grpc-status'])))
    stream.on('error', (error) => resolve(error.message))
    stream.on('close', () => resolve('closed without a status'))
    stream.resume()
    stream.end(Buffer.from([0, 0, 0, 0, 1, 1]))
  })
}

const portOf = (listener: GrpcListener): number => Number(listener.address.split(':').at(-1))

/** What answers Check in the tests of a suite. */
function answeredBy(server: CheckServer): void {
  beforeAll(() => {
    checkServer = server
  })
  afterAll(() => {
    checkServer = 'Http2'
  })
}

afterEach(async () => {
  for (const client of clients.splice(0)) client.close()
  await Promise.all(running.splice(0).map((listener) => listener.close()))
})
afterAll(() => rmSync(directory, { recursive: true, force: true }))

describe.each(CHECK_SERVERS)('what is never an answer of %s', (server) => {
  answeredBy(server)

  test.each([
    {
      name: 'a Check that throws',
      check: () => {
        throw new Error('bug')
      },
    },
    { name: 'a Check that rejects', check: () => Promise.reject(new Error('bug')) },
    { name: 'no bytes, which Envoy would take for allow', check: () => Buffer.alloc(0) },
    { name: 'no bytes, later', check: () => Promise.resolve(Buffer.alloc(0)) },
  ])('$name is an INTERNAL error', async ({ check }) => {
    const answer = await call(clientOf(await listen({ check })), Buffer.from('x'))
    expect(answer).toMatchObject({ code: grpc.status.INTERNAL, reply: undefined })
  })

  // The library takes the flag for one bit, ignores what ends half-way, and never had a request without a message.
  test.each<Framing>([
    { name: 'no message at all', body: Buffer.alloc(0), Http2: '13', GrpcJs: '12' },
    { name: 'half a prefix', body: Buffer.from([0, 0, 0]), Http2: '13', GrpcJs: '12' },
    {
      name: 'a length that the message has not',
      body: Buffer.from([0, 0, 0, 0, 9, 1]),
      Http2: '13',
      GrpcJs: '12',
    },
    {
      name: 'two messages',
      body: Buffer.from([0, 0, 0, 0, 1, 1, 0, 0, 0, 0, 1, 1]),
      Http2: '13',
      GrpcJs: '12',
    },
    { name: 'one message and a half', body: Buffer.from([0, 0, 0, 0, 1, 1, 0]), Http2: '13', GrpcJs: '0' },
    { name: 'a flag that there is not', body: Buffer.from([2, 0, 0, 0, 1, 1]), Http2: '13', GrpcJs: '0' },
    {
      name: 'compressed without a word how',
      body: Buffer.from([1, 0, 0, 0, 1, 1]),
      Http2: '13',
      GrpcJs: '12',
    },
    // UNIMPLEMENTED whatever the name, and told what there is.
    ...['gzip', 'deflate', 'snappy', 'any', 'gzip, gzip'].map((encoding) => ({
      name: `compressed with ${encoding}`,
      body: Buffer.from([1, 0, 0, 0, 1, 1]),
      headers: { 'grpc-encoding': encoding },
      Http2: '12',
      GrpcJs: '12',
    })),
    {
      name: 'not compressed where it might be',
      body: Buffer.from([0, 0, 0, 0, 1, 1]),
      headers: { 'grpc-encoding': 'gzip' },
      Http2: '0',
      GrpcJs: '0',
    },
  ])('$name', async ({ body, headers = {}, ...status }) => {
    const session = http2.connect(`http://${(await listen()).address}`)
    const stream = session.request({
      ':method': 'POST',
      ':path': CHECK,
      'content-type': 'application/grpc',
      ...headers,
    })
    stream.end(body)
    const response = await new Promise<http2.IncomingHttpHeaders>((resolve) =>
      stream.once('response', resolve),
    )
    expect(response['grpc-status'] ?? '0').toBe(status[server])
    if ('grpc-encoding' in headers && response['grpc-status'] === '12')
      expect(response['grpc-accept-encoding']).toBe('identity')
    session.destroy()
  })

  test('a message over the limit: Http2 decides on an empty one, GrpcJs is RESOURCE_EXHAUSTED', async () => {
    const lengths: number[] = []
    const listener = await listen({
      check: (message) => {
        lengths.push(message.length)
        return Buffer.from('deny')
      },
    })
    const client = clientOf(listener)
    const answer = await call(client, Buffer.alloc(5 * 1024 * 1024, 1))
    if (server === 'Http2') expect([answer.reply?.toString(), lengths.splice(0)]).toEqual(['deny', [0]])
    else expect([answer.code, answer.reply, lengths]).toEqual([grpc.status.RESOURCE_EXHAUSTED, undefined, []])
    expect((await call(client, Buffer.alloc(1024 * 1024))).reply?.toString()).toBe('deny')
    expect(lengths).toEqual([1024 * 1024])
  })

  test('a method that nobody serves is UNIMPLEMENTED', async () => {
    const answer = await call(
      clientOf(await listen()),
      Buffer.alloc(0),
      {},
      '/envoy.service.auth.v3.Authorization/Chek',
    )
    expect(answer.code).toBe(grpc.status.UNIMPLEMENTED)
  })

  test('bytes that are no HTTP/2 and streams that are reset hurt nobody else', async () => {
    const listener = await listen()
    const port = portOf(listener)
    const noise = tcpConnect(port, '127.0.0.1')
    noise.on('error', () => undefined)
    noise.write('GET / HTTP/1.1\r\nhost: x\r\n\r\n')
    const session = http2.connect(`http://${listener.address}`)
    session.on('error', () => undefined)
    for (let count = 0; count < 50; count++) {
      const stream = session.request({ ':method': 'POST', ':path': CHECK })
      stream.on('error', () => undefined)
      stream.write(Buffer.from([0, 0, 0]))
      stream.close(http2.constants.NGHTTP2_CANCEL)
    }
    expect((await call(clientOf(listener), Buffer.from('x'))).reply?.toString()).toBe('seen:x')
    session.destroy()
    noise.destroy()
  })
})

describe('where it listens', () => {
  test('a port in use is a clear error', async () => {
    const port = portOf(await listen())
    await expect(listen({ address: { ...LOOPBACK, port } })).rejects.toThrow(
      `cannot listen on 127.0.0.1:${port}: another program listens there`,
    )
  })

  test('an address of another host is a clear error', async () => {
    await expect(listen({ address: { kind: 'tcp', host: '192.0.2.1', port: 0 } })).rejects.toThrow(
      'cannot listen on 192.0.2.1:0: this host has no such address',
    )
  })

  test('a file that is no socket is left alone', async () => {
    const path = join(directory, 'file')
    writeFileSync(path, 'precious')
    await expect(listen({ address: { kind: 'unix', path } })).rejects.toThrow('a file that is no socket')
    expect(statSync(path).size).toBe(8)
  })

  test('a Unix socket in use is refused, a stale one replaced, and its mode is 0660', async () => {
    const path = join(directory, 'a.sock')
    const address = { kind: 'unix', path } as const
    const first = await listen({ address })
    await expect(listen({ address })).rejects.toThrow('another program listens there')
    expect(statSync(path).mode & 0o777).toBe(0o660)
    expect((await call(clientOf(first), Buffer.from('x'))).reply?.toString()).toBe('seen:x')
    await first.close()
    await leaveStaleSocket(path)
    expect(statSync(path).isSocket()).toBe(true)
    const second = await listen({ address })
    expect((await call(clientOf(second), Buffer.from('y'))).reply?.toString()).toBe('seen:y')
  })

  test('[::] takes IPv4 too', async () => {
    const listener = await listen({ address: { kind: 'tcp', host: '::', port: 0 } })
    const port = listener.address.slice(listener.address.lastIndexOf(':') + 1)
    const answer = await call(clientOf({ ...listener, address: `127.0.0.1:${port}` }), Buffer.from('x'))
    expect(answer.reply?.toString()).toBe('seen:x')
  })
})

/** What a killed process leaves behind. */
async function leaveStaleSocket(path: string): Promise<void> {
  const { spawn } = await import('node:child_process')
  const script = `require('net').createServer().listen(${JSON.stringify(path)}, () => process.kill(process.pid, 'SIGKILL'))`
  await once(spawn(process.execPath, ['-e', script]), 'exit')
}

describe.each(CHECK_SERVERS)('TLS before %s', (server) => {
  answeredBy(server)
  const onlyShop = (id: string): boolean => id.startsWith('spiffe://cluster.local/ns/shop/')

  test('a client without a certificate gets nothing', async () => {
    const listener = await listen({ tls: tlsOf(SERVER) })
    expect((await call(clientOf(listener, credentialsOf()), Buffer.from('x'))).code).toBe(
      grpc.status.UNAVAILABLE,
    )
  })

  test('a client of a foreign root gets nothing', async () => {
    const listener = await listen({ tls: tlsOf(SERVER) })
    const foreign = createAuthority({ name: 'foreign', trustDomain: 'cluster.local' }).issueSvid({
      spiffeId: 'spiffe://cluster.local/ns/shop/sa/payment-service',
    })
    expect((await call(clientOf(listener, credentialsOf(foreign)), Buffer.from('x'))).code).toBe(
      grpc.status.UNAVAILABLE,
    )
  })

  test('TLS 1.2 is refused', async () => {
    const listener = await listen({ tls: tlsOf(SERVER) })
    const socket = tlsConnect({
      host: '127.0.0.1',
      port: portOf(listener),
      maxVersion: 'TLSv1.2',
      ca: authority.rootPem,
      servername: 'localhost',
      cert: ENVOY.chainPem,
      key: ENVOY.keyPem,
    })
    const error = await new Promise<Error>((resolve) => socket.once('error', resolve))
    expect(error).toMatchObject({ code: 'ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION' })
  })

  test.each([
    { name: 'a workload that is not on the list', issued: STRANGER, code: grpc.status.PERMISSION_DENIED },
    {
      name: 'a certificate without a SPIFFE ID',
      issued: authority.issueSvid({ spiffeId: 'https://cluster.local/ns/shop' }),
      code: grpc.status.UNAUTHENTICATED,
    },
    { name: 'a workload on the list', issued: ENVOY, code: grpc.status.OK },
  ])('$name', async ({ issued, code }) => {
    const calls: CheckCall[] = []
    const check = (_message: Buffer, checkCall: CheckCall): Buffer => {
      calls.push(checkCall)
      return Buffer.from('ok')
    }
    const listener = await listen({ tls: tlsOf(SERVER, onlyShop), check })
    listener.setServing(true)
    const client = clientOf(listener, credentialsOf(issued))
    expect((await call(client, Buffer.from('x'))).code).toBe(code)
    expect((await call(client, Buffer.alloc(0), {}, '/grpc.health.v1.Health/Check')).code).toBe(code)
    expect(calls.map(({ asker }) => asker.spiffeId)).toEqual(
      code === grpc.status.OK ? ['spiffe://cluster.local/ns/shop/sa/payment-service'] : [],
    )
  })

  test('an asker that is revoked while its connection lives is refused on its next call', async () => {
    const revoked = new Set<string>()
    const isRevoked: GrpcListenerOptions['isRevoked'] = ({ path }) =>
      path.some((each) => revoked.has(each.sha256Hex))
    const listener = await listen({ tls: tlsOf(SERVER), isRevoked })
    const client = clientOf(listener, credentialsOf(ENVOY))
    expect((await call(client, Buffer.from('a'))).code).toBe(grpc.status.OK)
    revoked.add(ENVOY.sha256Hex)
    expect((await call(client, Buffer.from('b'))).code).toBe(grpc.status.PERMISSION_DENIED)
  })

  test('without an allow-list whoever the root vouches for may ask', async () => {
    const listener = await listen({ tls: tlsOf(SERVER) })
    expect((await call(clientOf(listener, credentialsOf(STRANGER)), Buffer.from('x'))).code).toBe(
      grpc.status.OK,
    )
  })

  test("a key that is not the certificate's stops the start, and changes nothing later", async () => {
    const wrong = { ...tlsOf(SERVER), key: ENVOY.keyPem }
    await expect(listen({ tls: wrong })).rejects.toThrow(/^the listener's certificate cannot be used: /)
    const listener = await listen({ tls: tlsOf(SERVER) })
    expect(() => listener.updateTls(wrong)).toThrow(/key/)
    expect(await serialOf(listener)).toBe(SERVER.serialHex)
  })

  test('an old connection lives on while new ones see the new certificate', async () => {
    const listener = await listen({ tls: tlsOf(SERVER) })
    const old = clientOf(listener, credentialsOf(ENVOY))
    expect((await call(old, Buffer.from('1'))).code).toBe(0)
    const renewed = svid('spiffe://cluster.local/ns/portcullis/sa/portcullis')
    const channel = old.getChannel()
    listener.updateTls(tlsOf(renewed))
    expect(await serialOf(listener)).toBe(renewed.serialHex)
    expect((await call(old, Buffer.from('2'))).reply?.toString()).toBe('seen:2')
    expect(channel.getConnectivityState(false)).toBe(grpc.connectivityState.READY)
  })

  async function serialOf(listener: GrpcListener): Promise<string> {
    const socket = tlsConnect({
      host: '127.0.0.1',
      port: portOf(listener),
      ca: authority.rootPem,
      servername: 'localhost',
      cert: ENVOY.chainPem,
      key: ENVOY.keyPem,
      ALPNProtocols: ['h2'],
    })
    socket.on('error', () => undefined)
    await once(socket, 'secureConnect')
    const serial =
      socket
        .getPeerX509Certificate()
        ?.serialNumber.toLowerCase()
        .replace(/^(00)+(?=.)/, '') ?? ''
    socket.destroy()
    return serial
  }
})

describe.each(CHECK_SERVERS)('health, reflection and the end beside %s', (server) => {
  answeredBy(server)
  const SERVING = Buffer.from([8, 1])
  const NOT_SERVING = Buffer.from([8, 2])
  test('health follows readiness, and an unknown service is NOT_FOUND', async () => {
    const listener = await listen()
    const client = clientOf(listener)
    const health = (message: Buffer): Promise<Answer> =>
      call(client, message, {}, '/grpc.health.v1.Health/Check')
    expect((await health(Buffer.from([10, 1, 120]))).code).toBe(grpc.status.NOT_FOUND)
    const named = Buffer.from('\n#envoy.service.auth.v3.Authorization')
    for (const name of [Buffer.alloc(0), named]) expect((await health(name)).reply).toEqual(NOT_SERVING)
    listener.setServing(true)
    for (const name of [Buffer.alloc(0), named]) expect((await health(name)).reply).toEqual(SERVING)
  })

  test.each(['v1', 'v1alpha'])('reflection %s names the services', async (version) => {
    const client = clientOf(await listen())
    const stream = client.makeBidiStreamRequest(
      `/grpc.reflection.${version}.ServerReflection/ServerReflectionInfo`,
      bytes,
      bytes,
    )
    stream.write(Buffer.from([0x3a, 1, 0x2a]))
    const reply = await new Promise<Buffer>((resolve) => stream.once('data', resolve))
    expect(reply.toString('latin1')).toContain('envoy.service.auth.v3.Authorization')
    expect(reply.toString('latin1')).toContain('grpc.health.v1.Health')
    stream.end()
    await once(stream, 'end')
  })

  test('a Watch hears NOT_SERVING, then ends with the listener', async () => {
    const listener = await listen()
    listener.setServing(true)
    const heard: string[] = []
    const watch = clientOf(listener).makeServerStreamRequest(
      '/grpc.health.v1.Health/Watch',
      bytes,
      bytes,
      Buffer.alloc(0),
    )
    watch.on('data', (status: Buffer) => heard.push(status.toString('hex')))
    watch.on('error', () => undefined)
    await once(watch, 'data')
    const ended = new Promise<grpc.StatusObject>((resolve) => watch.once('status', resolve))
    await listener.drain({ delayMs: 50, timeoutMs: 2000 })
    expect((await ended).code).toBe(grpc.status.UNAVAILABLE)
    expect(heard).toEqual(['0801', '0802'])
  })

  test('drain answers every call that was sent before the peer was told', async () => {
    const check = (message: Buffer): Promise<Buffer> =>
      new Promise((resolve) => setTimeout(resolve, 20, message))
    const listener = await listen({ check })
    const session = http2.connect(`http://${listener.address}`)
    const statuses: string[] = []
    const load = Array.from({ length: 20 }, async () => {
      // Node's client closes a session that says goodbye; until then calls go on.
      while (!session.closed) statuses.push(await statusOf(session))
    })
    while (statuses.length < 20) await new Promise((resolve) => setTimeout(resolve, 5))
    const started = Date.now()
    await listener.drain({ delayMs: 0, timeoutMs: 3000 })
    await Promise.all(load)
    expect(Date.now() - started).toBeLessThan(2000)
    expect(statuses.length).toBeGreaterThanOrEqual(40)
    expect(statuses.filter((status) => status !== '0')).toEqual([])
    await expect(listen({ address: { ...LOOPBACK, port: portOf(listener) } })).resolves.toBeDefined()
  })

  test('drain ends by force what never ends', async () => {
    const listener = await listen({ check: () => new Promise<Buffer>(() => undefined) })
    const pending = call(clientOf(listener), Buffer.from('x'))
    await new Promise((resolve) => setTimeout(resolve, 50))
    const started = Date.now()
    await listener.drain({ delayMs: 0, timeoutMs: 300 })
    expect(Date.now() - started).toBeLessThan(3000)
    expect((await pending).code).not.toBe(0)
  })
})

describe.each(CHECK_SERVERS)('what Check is told by %s', (server) => {
  answeredBy(server)

  test("the deadline, Envoy's span and nobody without TLS", async () => {
    let told: CheckCall | undefined
    const listener = await listen({
      check: (_message, checkCall) => {
        told = checkCall
        return Buffer.from('ok')
      },
    })
    const client = clientOf(listener)
    const metadata = new grpc.Metadata()
    const traceparent = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01'
    metadata.set('traceparent', traceparent)
    const deadline = Date.now() + 2000
    await new Promise((resolve) =>
      client.makeUnaryRequest(CHECK, bytes, bytes, Buffer.from('x'), metadata, { deadline }, resolve),
    )
    expect(told).toMatchObject({ traceparent, asker: { spiffeId: undefined } })
    expect(Math.abs((told?.deadlineMs ?? 0) - deadline)).toBeLessThan(200)
  })

  test('nothing that a client says takes the place of what the listener knows', async () => {
    const told: CheckCall[] = []
    const check = (message: Buffer, checkCall: CheckCall): Promise<Buffer> => {
      told.push(checkCall)
      return new Promise((resolve) => setTimeout(resolve, 50, message))
    }
    const listener = await listen({ tls: tlsOf(SERVER), check })
    const names = Array.from({ length: 4 }, (_, index) => String(index))
    const forged = names.map((name) => {
      const metadata = new grpc.Metadata()
      metadata.set('portcullis-call', name)
      metadata.set('traceparent', `of ${name}`)
      return metadata
    })
    const askers = [ENVOY, STRANGER].map((issued) => clientOf(listener, credentialsOf(issued)))
    const replies = forged.map(
      (metadata, index) =>
        new Promise((resolve) =>
          askers[index % 2]?.makeUnaryRequest(CHECK, bytes, bytes, Buffer.from('x'), metadata, resolve),
        ),
    )
    await Promise.all(replies)
    const said = told.map(({ asker, traceparent }) => `${asker.spiffeId?.slice(26)} ${traceparent}`)
    expect(said.toSorted()).toEqual([
      'sandbox/sa/stranger of 1',
      'sandbox/sa/stranger of 3',
      'shop/sa/payment-service of 0',
      'shop/sa/payment-service of 2',
    ])
  })

  test('a call that was cancelled before its message was whole is not decided, the next one is', async () => {
    const lengths: number[] = []
    const check = (message: Buffer): Buffer => {
      lengths.push(message.length)
      return message
    }
    const session = http2.connect(`http://${(await listen({ check })).address}`)
    const stream = session.request({ ':method': 'POST', ':path': CHECK, 'content-type': 'application/grpc' })
    stream.on('error', () => undefined)
    stream.write(Buffer.from([0, 0, 0, 0, 9, 1]))
    await new Promise((resolve) => setTimeout(resolve, 20))
    stream.close(http2.constants.NGHTTP2_CANCEL)
    await once(stream, 'close')
    expect(await statusOf(session)).toBe('0')
    expect(lengths).toEqual([1])
    session.destroy()
  })

  test('messages of several frames arrive whole', async () => {
    const message = Buffer.alloc(300_000, 'abc')
    const { reply } = await call(clientOf(await listen()), message)
    expect(reply?.subarray(5).equals(message)).toBe(true)
  })

  test('hundreds under way at once', async () => {
    const check = (message: Buffer): Promise<Buffer> =>
      new Promise((resolve) => setImmediate(resolve, message))
    const client = clientOf(await listen({ check }))
    const message = Buffer.alloc(3800, 'x')
    const answers = await Promise.all(Array.from({ length: 500 }, () => call(client, message)))
    expect(answers.every(({ reply }) => reply?.length === 3800)).toBe(true)
  })
})
