import { once } from 'node:events'
import * as http2 from 'node:http2'
import { afterEach, describe, expect, test } from '@jest/globals'
import * as grpc from '@grpc/grpc-js'
import { ByteBudget } from '../../../src/adapters/grpc/byte-budget.js'
import {
  type GrpcListener,
  type GrpcListenerOptions,
  startGrpcListener,
} from '../../../src/adapters/grpc/listener.js'
import type { AccessLogEntry } from '../../../src/ext-authz/access-log-reader.js'
import { encodeHttpLogs, encodeTcpLogs, STREAM_ACCESS_LOGS } from '../../support/access-logs.js'
import { createAuthority, type Issued } from '../../support/certificate-authority.js'
import { eventually } from '../../support/eventually.js'

const PATH = '/envoy.service.accesslog.v3.AccessLogService/StreamAccessLogs'
const GRPC = { ':method': 'POST', ':path': PATH, 'content-type': 'application/grpc' }
const bytes = (value: Buffer): Buffer => value
const authority = createAuthority({ name: 'mesh', trustDomain: 'cluster.local' })
const SERVER = svid('spiffe://cluster.local/ns/portcullis/sa/portcullis')
const ENVOY = svid('spiffe://cluster.local/ns/shop/sa/payment-service')
const running: GrpcListener[] = []
const clients: grpc.Client[] = []
const sessions: http2.ClientHttp2Session[] = []

afterEach(async () => {
  for (const client of clients.splice(0)) client.close()
  for (const session of sessions.splice(0)) session.destroy()
  await Promise.all(running.splice(0).map((listener) => listener.close()))
})

function svid(spiffeId: string): Issued {
  return authority.issueSvid({ spiffeId, dnsNames: ['localhost'] })
}

type Heard = { readonly id: string; readonly from: string | undefined }

type Listening = { readonly listener: GrpcListener; readonly heard: Heard[] }

async function listen(options: Partial<GrpcListenerOptions> = {}): Promise<Listening> {
  const heard: Heard[] = []
  const listener = await startGrpcListener({
    address: { kind: 'tcp', host: '127.0.0.1', port: 0 },
    check: () => Buffer.from('ok'),
    accessLogs: ({ decisionId }, { spiffeId }) => heard.push({ id: decisionId, from: spiffeId }),
    maxMessageBytes: 64 * 1024,
    deadlineMs: 1000,
    ...options,
  })
  running.push(listener)
  return { listener, heard }
}

function tls(clientCa: string | undefined = authority.rootPem): NonNullable<GrpcListenerOptions['tls']> {
  const { chainPem: certificate, keyPem: key } = SERVER
  return { certificate, key, clientCa, allowedClients: undefined }
}

function clientOf(listener: GrpcListener, issued?: Issued | 'no certificate'): grpc.Client {
  const root = Buffer.from(authority.rootPem)
  const credentials =
    issued === undefined
      ? grpc.credentials.createInsecure()
      : issued === 'no certificate'
        ? grpc.credentials.createSsl(root)
        : grpc.credentials.createSsl(root, Buffer.from(issued.keyPem), Buffer.from(issued.chainPem))
  const client = new grpc.Client(listener.address, credentials, {
    'grpc.ssl_target_name_override': 'localhost',
    'grpc.max_send_message_length': -1,
  })
  clients.push(client)
  return client
}

type LogStream = {
  readonly send: (message: Buffer) => void
  readonly end: () => void
  readonly ended: Promise<{ readonly code: number; readonly details: string; readonly reply?: Buffer }>
}

function open(client: grpc.Client): LogStream {
  let settle: (answer: Awaited<LogStream['ended']>) => void
  const ended = new Promise<Awaited<LogStream['ended']>>((resolve) => (settle = resolve))
  const call = client.makeClientStreamRequest(PATH, bytes, bytes, (error, reply) =>
    settle({ code: error?.code ?? 0, details: error?.details ?? '', ...(reply ? { reply } : {}) }),
  )
  return { send: (message) => call.write(message), end: () => call.end(), ended }
}

/** A stream on a session of node's own, for what no client of a library sends. */
function rawStream(listener: GrpcListener): {
  readonly stream: http2.ClientHttp2Stream
  readonly status: Promise<string>
} {
  const session = http2.connect(`http://${listener.address}`)
  session.on('error', () => undefined)
  sessions.push(session)
  const stream = session.request(GRPC, { endStream: false })
  stream.on('error', () => undefined)
  const status = new Promise<string>((resolve) => {
    stream.on('response', (headers) => {
      if (headers['grpc-status'] !== undefined) resolve(String(headers['grpc-status']))
    })
    stream.on('trailers', (trailers) => resolve(String(trailers['grpc-status'])))
  })
  stream.resume()
  return { stream, status }
}

function framed(message: Buffer, flag = 0): Buffer {
  const prefix = Buffer.alloc(5)
  prefix[0] = flag
  prefix.writeUInt32BE(message.length, 1)
  return Buffer.concat([prefix, message])
}

const entry = (decisionId: string): Buffer => encodeHttpLogs({ decisionId, code: 200 })

describe('who is not heard', () => {
  test('anybody where access logs are not taken', async () => {
    const { listener } = await listen({ accessLogs: undefined })
    const logs = open(clientOf(listener))
    logs.send(entry('d1'))
    expect(await logs.ended).toMatchObject({ code: grpc.status.UNIMPLEMENTED })
  })

  test.each([
    { name: 'a client of TLS without client certificates', clientCa: false, issued: 'no certificate' },
    {
      name: 'a certificate without a SPIFFE ID',
      clientCa: true,
      issued: authority.issueSvid({ spiffeId: 'https://cluster.local/ns/shop' }),
    },
  ] as const)('$name', async ({ clientCa, issued }) => {
    const options = { ...tls(), clientCa: clientCa ? authority.rootPem : undefined }
    const { listener, heard } = await listen({ tls: options })
    const logs = open(clientOf(listener, issued))
    logs.send(entry('d1'))
    expect(await logs.ended).toMatchObject({ code: grpc.status.UNAUTHENTICATED })
    expect(heard).toEqual([])
  })

  test('a workload that is not on the list, as for Check', async () => {
    const { listener, heard } = await listen({ tls: { ...tls(), allowedClients: () => false } })
    const logs = open(clientOf(listener, ENVOY))
    logs.send(entry('d1'))
    expect(await logs.ended).toMatchObject({ code: grpc.status.PERMISSION_DENIED })
    expect(heard).toEqual([])
  })

  test('an asker that is revoked while its stream lives', async () => {
    let revoked = false
    const { listener, heard } = await listen({ tls: tls(), isRevoked: () => revoked })
    const logs = open(clientOf(listener, ENVOY))
    logs.send(entry('d1'))
    await eventually(() => expect(heard).toHaveLength(1))
    revoked = true
    logs.send(entry('d2'))
    expect(await logs.ended).toMatchObject({ code: grpc.status.PERMISSION_DENIED })
    expect(heard.map(({ id }) => id)).toEqual(['d1'])
  })
})

describe('what ends a stream with an error', () => {
  test.each([
    { name: 'bytes that are no access log', sent: framed(Buffer.from([0x12, 9, 1])), status: 3 },
    { name: 'a compressed message', sent: framed(entry('d1'), 1), status: 12 },
    { name: 'a message over the limit, before it comes', sent: Buffer.from([0, 0, 1, 0, 1]), status: 8 },
    { name: 'half a message at the end', sent: framed(entry('d1')).subarray(0, 20), status: 3 },
    { name: 'half a prefix at the end', sent: Buffer.from([0, 0]), status: 3 },
  ])('$name', async ({ sent, status }) => {
    const { listener, heard } = await listen()
    const { stream, status: ended } = rawStream(listener)
    stream.end(sent)
    expect(await ended).toBe(String(status))
    expect(heard).toEqual([])
  })

  test('a message that stalls; a silent stream does not', async () => {
    const { listener, heard } = await listen({ limits: { stallMs: 100 } })
    const { stream, status } = rawStream(listener)
    stream.write(framed(entry('d1')))
    await new Promise((resolve) => setTimeout(resolve, 300))
    stream.write(framed(entry('d2')).subarray(0, 20))
    expect(await status).toBe('4')
    expect(heard.map(({ id }) => id)).toEqual(['d1'])
  })

  test('a taker that throws hurts nobody but the stream', async () => {
    const { listener } = await listen({
      accessLogs: () => {
        throw new Error('bug')
      },
    })
    const logs = open(clientOf(listener))
    logs.send(entry('d1'))
    expect(await logs.ended).toMatchObject({ code: grpc.status.INTERNAL })
  })
})

describe('what a peer can make this process hold', () => {
  test('nothing after a message, nor after the stream; beyond the budget streams are refused', async () => {
    const held = new ByteBudget(256 * 1024)
    const { listener, heard } = await listen({ limits: { held, connectionBytes: 128 * 1024 } })
    const { stream } = rawStream(listener)
    stream.write(framed(entry('d1')))
    await eventually(() => expect(heard).toHaveLength(1))
    const openBytes = held.heldBytes
    stream.write(Buffer.from([0, 0, 0, 0xff, 0]))
    stream.write(Buffer.alloc(1000))
    await eventually(() => expect(held.heldBytes).toBeGreaterThan(openBytes))
    stream.write(Buffer.alloc(0xff00 - 1000))
    await eventually(() => expect(held.heldBytes).toBe(0))
    const streams = Array.from({ length: 40 }, () => rawStreamOf(sessions[0], GRPC))
    await eventually(() => expect(streams.some(({ destroyed }) => destroyed)).toBe(true))
    expect(held.heldBytes).toBeLessThanOrEqual(128 * 1024)
    sessions[0]?.destroy()
    await eventually(() => expect(held.heldBytes).toBe(0))
  })
})

function rawStreamOf(
  session: http2.ClientHttp2Session | undefined,
  headers: http2.OutgoingHttpHeaders,
): http2.ClientHttp2Stream {
  if (!session) throw new Error('no session')
  const stream = session.request(headers, { endStream: false })
  stream.on('error', () => undefined)
  stream.resume()
  return stream
}

describe('what is heard', () => {
  test('every entry, with who sent it, until the client ends and gets the empty response', async () => {
    const { listener, heard } = await listen({ tls: tls() })
    const logs = open(clientOf(listener, ENVOY))
    logs.send(encodeHttpLogs({ decisionId: 'd1' }, { code: 404 }, { decisionId: 'd2' }))
    logs.send(encodeTcpLogs({ decisionId: 'd3' }))
    logs.end()
    expect(await logs.ended).toEqual({ code: 0, details: '', reply: Buffer.alloc(0) })
    const from = 'spiffe://cluster.local/ns/shop/sa/payment-service'
    expect(heard).toEqual(['d1', 'd2', 'd3'].map((id) => ({ id, from })))
  })

  test('on a plaintext listener everybody, as Check is', async () => {
    const { listener, heard } = await listen()
    const logs = open(clientOf(listener))
    logs.send(entry('d1'))
    logs.end()
    expect(await logs.ended).toMatchObject({ code: 0 })
    expect(heard).toEqual([{ id: 'd1', from: undefined }])
  })

  test.each([1, 3, 7, 1000])('messages in chunks of %i bytes', async (size) => {
    const taken: AccessLogEntry[] = []
    const { listener } = await listen({ accessLogs: (each) => taken.push(each) })
    const { stream, status } = rawStream(listener)
    const messages = Buffer.concat([
      framed(entry('d1')),
      framed(Buffer.alloc(0)),
      framed(encodeHttpLogs(...Array.from({ length: 50 }, (_, at) => ({ decisionId: `e${at}`, code: 200 })))),
      framed(entry('d2')),
    ])
    const until = size === 1 ? 400 : messages.length
    for (let at = 0; at < until; at += size) stream.write(messages.subarray(at, Math.min(at + size, until)))
    stream.end(messages.subarray(until))
    expect(await status).toBe('0')
    expect(taken.map(({ decisionId }) => decisionId)).toEqual([
      'd1',
      ...Array.from({ length: 50 }, (_, at) => `e${at}`),
      'd2',
    ])
  })

  test('reflection names the service where it is served', async () => {
    const names = async (options: Partial<GrpcListenerOptions>): Promise<string> => {
      const client = clientOf((await listen(options)).listener)
      const call = client.makeBidiStreamRequest(
        '/grpc.reflection.v1.ServerReflection/ServerReflectionInfo',
        bytes,
        bytes,
      )
      call.write(Buffer.from([0x3a, 1, 0x2a]))
      const reply = await new Promise<Buffer>((resolve) => call.once('data', resolve))
      call.end()
      await once(call, 'end')
      return reply.toString('latin1')
    }
    expect(await names({})).toContain('envoy.service.accesslog.v3.AccessLogService')
    expect(await names({ accessLogs: undefined })).not.toContain('accesslog')
    expect(STREAM_ACCESS_LOGS.path).toBe(PATH)
  })
})

describe('the end', () => {
  test('a drain ends streams with OK once their Envoys know, and does not wait for them', async () => {
    const { listener, heard } = await listen({ tls: tls() })
    const streams = Array.from({ length: 3 }, () => open(clientOf(listener, ENVOY)))
    for (const logs of streams) logs.send(entry('d1'))
    await eventually(() => expect(heard).toHaveLength(3))
    const started = performance.now()
    await listener.drain({ delayMs: 0, timeoutMs: 20_000 })
    expect(performance.now() - started).toBeLessThan(3000)
    for (const logs of streams) expect(await logs.ended).toMatchObject({ code: 0 })
  })

  test('a client that does not go after the answer holds up the drain for a moment only', async () => {
    const { listener, heard } = await listen()
    const { stream, status } = rawStream(listener)
    stream.write(framed(entry('d1')))
    await eventually(() => expect(heard).toHaveLength(1))
    const started = performance.now()
    const drained = listener.drain({ delayMs: 0, timeoutMs: 20_000 })
    expect(await status).toBe('0')
    stream.write(framed(entry('d2')))
    await eventually(() => expect(heard.map(({ id }) => id)).toEqual(['d1', 'd2']))
    await drained
    expect(performance.now() - started).toBeLessThan(5000)
  })

  test('new roots of the clients end the streams of old connections, whose Envoys come again', async () => {
    const { listener, heard } = await listen({ tls: tls() })
    const client = clientOf(listener, ENVOY)
    const logs = open(client)
    logs.send(entry('d1'))
    await eventually(() => expect(heard).toHaveLength(1))
    const other = createAuthority({ name: 'next', trustDomain: 'cluster.local' })
    listener.updateTls({ ...tls(), clientCa: authority.rootPem + other.rootPem })
    expect(await logs.ended).toMatchObject({ code: 0 })
    const again = open(client)
    again.send(entry('d2'))
    again.end()
    expect(await again.ended).toMatchObject({ code: 0 })
    expect(heard.map(({ id }) => id)).toEqual(['d1', 'd2'])
  })
})
