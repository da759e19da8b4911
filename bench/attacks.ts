import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connect as tcpConnect, type Socket } from 'node:net'
import { connect as tlsConnect } from 'node:tls'
import {
  CHECK_HEADERS,
  checkCall,
  continuation,
  data,
  errorOf,
  frame,
  FramePeer,
  headerBlock,
  headers,
  ping,
  preface,
  priority,
  rstStream,
  SETTING,
  settings,
  windowUpdate,
} from '../test/support/http2-frames.js'

/** Where the listener is, and what a client of it has. PEM texts. */
export type Target = {
  readonly port: number
  /** Undefined: plaintext. */
  readonly tls: { readonly key: string; readonly cert: string; readonly ca: string } | undefined
}

/** What one attack met. */
export type Suffered = {
  connections: number
  /** How many of them the listener ended. */
  closed: number
  /** The errors of its GOAWAY frames, by name. */
  readonly goaways: Record<string, number>
}

export type Attack = {
  readonly name: string
  readonly transport: 'plaintext' | 'TLS'
  readonly run: (target: Target, seconds: number) => Promise<Suffered>
}

const TICK_MS = 10
/** An attacker that is closed comes again after this long. */
const AGAIN_MS = 50
const MAX_QUEUED_BYTES = 1024 * 1024
const repeat = (count: number, make: (index: number) => Buffer): Buffer =>
  Buffer.concat(Array.from({ length: count }, (_, index) => make(index)))

/** Client streams have odd numbers, each greater than the one before. */
class Streams {
  #last = -1
  next(): number {
    this.#last += 2
    return this.#last
  }
}

type Flood = {
  /** What is sent at once after the preface. */
  readonly first?: (streams: Streams) => Buffer
  /** What is sent a hundred times a second. */
  readonly tick: (streams: Streams) => Buffer
  readonly greeting?: Buffer
  /** Whether the attacker reads what it is sent. */
  readonly reads?: boolean
  readonly connections?: number
}

/** One kind of flood over connections that are opened anew as the listener ends them. */
function flood(
  name: string,
  { first, tick, greeting = preface(), reads = true, connections = 1 }: Flood,
): Attack {
  const one = async (target: Target, endMs: number, suffered: Suffered): Promise<void> => {
    while (performance.now() < endMs) {
      const peer = new FramePeer(await open(target))
      suffered.connections++
      const streams = new Streams()
      if (!reads) peer.socket.pause()
      peer.send(greeting)
      if (first) peer.send(first(streams))
      const timer = setInterval(() => {
        if (!peer.socket.destroyed && peer.socket.writableLength < MAX_QUEUED_BYTES) peer.send(tick(streams))
        // Only what tells why it was closed is kept.
        peer.received.splice(0, Math.max(0, peer.received.length - 50))
      }, TICK_MS)
      await Promise.race([peer.closed, sleep(endMs - performance.now())])
      clearInterval(timer)
      if (peer.socket.destroyed) suffered.closed++
      for (const received of peer.received) {
        const error = received.type === 7 ? errorOf(received) : undefined
        if (error !== undefined) suffered.goaways[error] = (suffered.goaways[error] ?? 0) + 1
      }
      peer.destroy()
      await sleep(AGAIN_MS)
    }
  }
  return {
    name,
    transport: 'plaintext',
    run: async (target, seconds) => {
      const suffered: Suffered = { connections: 0, closed: 0, goaways: {} }
      const endMs = performance.now() + seconds * 1000
      await Promise.all(Array.from({ length: connections }, () => one(target, endMs, suffered)))
      return suffered
    },
  }
}

/** New connections at a rate; each is used, then left or dropped. */
function churn(
  name: string,
  transport: Attack['transport'],
  perSecond: number,
  use: (target: Target) => Promise<Socket>,
): Attack {
  return {
    name,
    transport,
    run: async (target, seconds) => {
      const suffered: Suffered = { connections: 0, closed: 0, goaways: {} }
      const sockets = new Set<Socket>()
      const startedMs = performance.now()
      let ending = false
      while (performance.now() - startedMs < seconds * 1000) {
        const due = Math.floor(((performance.now() - startedMs) * perSecond) / 1000)
        while (suffered.connections < due) {
          suffered.connections++
          void use(target).then((socket) => {
            sockets.add(socket)
            socket.once('close', () => {
              sockets.delete(socket)
              if (!ending && !dropped.has(socket)) suffered.closed++
            })
          })
        }
        await sleep(TICK_MS)
      }
      ending = true
      for (const socket of sockets) socket.destroy()
      return suffered
    },
  }
}

const CHECK_BLOCK = headerBlock(CHECK_HEADERS)
/** A header into the table once, then named again and again by one byte each. */
const TABLE_ENTRY = Buffer.concat([
  Buffer.of(0x40, 1),
  Buffer.from('x'),
  Buffer.of(127, 0x81, 0x1e),
  Buffer.alloc(3968, 97),
])

export const ATTACKS: readonly Attack[] = [
  flood('streams opened and reset at once', {
    tick: (streams) =>
      repeat(100, () => {
        const stream = streams.next()
        return Buffer.concat([headers(stream, CHECK_BLOCK), rstStream(stream)])
      }),
  }),
  flood('whole calls, each reset at once', {
    tick: (streams) =>
      repeat(40, () => {
        const stream = streams.next()
        return Buffer.concat([checkCall(stream), rstStream(stream)])
      }),
  }),
  flood('calls that make the listener reset', {
    tick: (streams) =>
      repeat(40, () => {
        const stream = streams.next()
        return Buffer.concat([headers(stream, CHECK_BLOCK), windowUpdate(stream, 0)])
      }),
  }),
  flood('SETTINGS', { tick: () => repeat(1000, () => settings()) }),
  flood('SETTINGS, answers not read', { tick: () => repeat(1000, () => settings()), reads: false }),
  flood('SETTINGS that change the window under 1,000 calls', {
    first: (streams) => repeat(1000, () => headers(streams.next(), CHECK_BLOCK)),
    tick: () => repeat(100, (index) => settings([SETTING.initialWindowSize, 65_535 + (index % 2)])),
  }),
  flood('PING', { tick: () => repeat(1000, () => ping()) }),
  flood('PING, answers not read', { tick: () => repeat(1000, () => ping()), reads: false }),
  flood('empty DATA', {
    first: (streams) => headers(streams.next(), CHECK_BLOCK),
    tick: () => repeat(1000, () => data(1, Buffer.alloc(0))),
  }),
  flood('DATA of padding alone', {
    first: (streams) => headers(streams.next(), CHECK_BLOCK),
    tick: () => repeat(100, () => data(1, Buffer.alloc(0), { padding: 0 })),
  }),
  flood('CONTINUATION without end', {
    first: (streams) => headers(streams.next(), CHECK_BLOCK, { endHeaders: false }),
    tick: () => repeat(1000, () => continuation(1, Buffer.alloc(0), { endHeaders: false })),
  }),
  flood('PRIORITY', { tick: () => repeat(1000, (index) => priority(index * 2 + 1, index * 2 + 3)) }),
  flood('WINDOW_UPDATE', { tick: () => repeat(1000, () => windowUpdate(0, 1)) }),
  flood('frames of no known type', { tick: () => repeat(1000, () => frame(0x77, Buffer.alloc(0))) }),
  flood('headers by reference into a full table', {
    first: (streams) =>
      headers(streams.next(), Buffer.concat([CHECK_BLOCK, TABLE_ENTRY]), { endStream: true }),
    tick: (streams) =>
      repeat(10, () =>
        headers(streams.next(), Buffer.concat([CHECK_BLOCK, Buffer.alloc(14_000, 0xbe)]), {
          endStream: true,
        }),
      ),
  }),
  flood('calls with a window of 0', {
    greeting: preface([SETTING.initialWindowSize, 0]),
    tick: (streams) => repeat(20, () => checkCall(streams.next())),
  }),
  flood('calls, answers not read', {
    tick: (streams) => repeat(20, () => checkCall(streams.next())),
    reads: false,
  }),
  flood('messages of one byte a frame', {
    first: (streams) =>
      repeat(500, () => {
        const stream = streams.next()
        return Buffer.concat([headers(stream, CHECK_BLOCK), data(stream, Buffer.from([0, 0, 0, 0xff, 0]))])
      }),
    tick: () => repeat(250, (index) => data(index * 2 + 1, Buffer.of(1))),
  }),
  flood('frames too long', { tick: () => frame(0, Buffer.alloc(100), { stream: 1, length: 0xffffff }) }),
  flood('a frame that stays half', {
    tick: () => Buffer.of(0),
    greeting: Buffer.concat([preface(), Buffer.of(0, 0x3f)]),
  }),
  flood('no HTTP/2', { greeting: Buffer.alloc(0), tick: () => Buffer.alloc(1000, 'GET / HTTP/1.1\r\n') }),
  churn('TCP connections that say nothing', 'plaintext', 200, tcp),
  churn('TLS handshakes begun and left', 'TLS', 200, async (target) => {
    const socket = await tcp(target)
    socket.write(CLIENT_HELLO)
    return socket
  }),
  churn('TLS connections opened and dropped', 'TLS', 100, async (target) => {
    const socket = await open(target)
    setTimeout(() => {
      dropped.add(socket)
      socket.destroy()
    }, 20)
    return socket
  }),
  { name: 'KeyUpdate, by openssl s_client', transport: 'TLS', run: keyUpdates },
]

/** A thousand a second at most. Needs the program `openssl`. */
async function keyUpdates({ port, tls }: Target, seconds: number): Promise<Suffered> {
  const suffered: Suffered = { connections: 0, closed: 0, goaways: {} }
  const folder = await mkdtemp(join(tmpdir(), 'portcullis-key-update-'))
  const endMs = performance.now() + seconds * 1000
  try {
    await writeFile(join(folder, 'client.pem'), `${tls?.cert ?? ''}\n${tls?.key ?? ''}`, { mode: 0o600 })
    const pem = join(folder, 'client.pem')
    const args = ['s_client', '-connect', `127.0.0.1:${port}`, '-cert', pem, '-key', pem, '-alpn', 'h2']
    while (performance.now() < endMs) {
      const client = spawn('openssl', args, { stdio: ['pipe', 'ignore', 'ignore'] })
      const gone = once(client, 'close')
      client.stdin.on('error', () => undefined)
      suffered.connections++
      client.stdin.write(preface())
      await sleep(100)
      while (performance.now() < endMs && client.exitCode === null) {
        // One letter in each read is a command of s_client.
        client.stdin.write('K\n')
        await sleep(1)
      }
      if (client.exitCode !== null) suffered.closed++
      client.kill()
      await gone
    }
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
  return suffered
}

/** Ended by the attacker itself. */
const dropped = new WeakSet<Socket>()

/** Begins as a ClientHello of TLS 1.3 does, and has 200 of its 512 bytes. */
const CLIENT_HELLO = Buffer.concat([Buffer.from([22, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3]), Buffer.alloc(194, 7)])

/** Resolves when it is connected, or closed. */
async function tcp({ port }: Target): Promise<Socket> {
  const socket = tcpConnect(port, '127.0.0.1')
  socket.on('error', () => undefined)
  socket.resume()
  await new Promise<void>((resolve) => {
    socket.once('connect', () => resolve())
    socket.once('close', () => resolve())
  })
  return socket
}

async function open(target: Target): Promise<Socket> {
  if (!target.tls) return tcp(target)
  const socket = tlsConnect({
    ...target.tls,
    port: target.port,
    host: '127.0.0.1',
    ALPNProtocols: ['h2'],
    checkServerIdentity: () => undefined,
  })
  socket.on('error', () => undefined)
  socket.resume()
  await new Promise<void>((resolve) => {
    socket.once('secureConnect', () => resolve())
    socket.once('close', () => resolve())
  })
  return socket
}

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, Math.max(0, ms)))
