import { connect as connectTcp, type Socket } from 'node:net'
import type { Duplex } from 'node:stream'

/**
 * One HTTP/2 connection of a load generator: the same request headers on every stream, whole messages, short
 * answers. It knows no more of RFC 9113 than that takes, so that what is measured is the server and not the client.
 * Header blocks that come are not decoded; `ok` is told by `:status: 200` as the first field, index 8 of the static
 * table, which every server here sends so.
 */
export type Answer = {
  readonly ok: boolean
  /** Of the first DATA frame; empty when there was none. */
  readonly data: Buffer
}

type Waiting = { answer: { ok: boolean; data: Buffer } | undefined; readonly done: (answer?: Answer) => void }

const FRAME = { data: 0, headers: 1, reset: 3, settings: 4, ping: 6, goaway: 7, window: 8 } as const
const FLAG = { ack: 1, endStream: 1, endHeaders: 4, padded: 8, priority: 32 } as const
const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'latin1')
const INITIAL_WINDOW = 65_535
/** What we allow the peer to send at once, on the connection; renewed when half of it came. */
const OUR_WINDOW = 2 ** 30
const MAX_FRAME_BYTES = 16_384
const STATIC_STATUS_200 = 0x88
const EMPTY = Buffer.alloc(0)
const INITIAL_WINDOW_SETTING = 4
/** Entries of HPACK's static table; the dynamic ones come after them. */
const STATIC_ENTRIES = 61

export class H2Connection {
  readonly #socket: Duplex
  readonly #firstBlock: Buffer
  readonly #block: Buffer
  readonly #waiting = new Map<number, Waiting>()
  readonly #unsent: (() => void)[] = []
  #nextStream = 1
  #window = INITIAL_WINDOW
  #streamWindow = INITIAL_WINDOW
  #received = 0
  #rest: Buffer = EMPTY
  #writing: Buffer[] = []
  #ended = false

  /** `headers` in the order they are sent, pseudo-headers first. The socket must be open. */
  constructor(socket: Duplex, headers: readonly (readonly [string, string])[]) {
    this.#socket = socket
    this.#firstBlock = Buffer.concat(headers.map(([name, value]) => literalToIndex(name, value)))
    // The newest entry has the lowest index.
    this.#block = Buffer.from(headers.map((_, at) => 0x80 | (STATIC_ENTRIES + headers.length - at)))
    socket.on('data', (chunk: Buffer) => this.#take(chunk))
    socket.on('error', () => this.#end())
    socket.on('close', () => this.#end())
    const window = Buffer.alloc(4)
    window.writeUInt32BE(OUR_WINDOW)
    this.#write(PREFACE, frame(FRAME.settings, 0, 0, EMPTY), frame(FRAME.window, 0, 0, window))
  }

  /** Calls `done` once: with what came, or with nothing when the stream or the connection broke. */
  send(body: Buffer, done: (answer?: Answer) => void): void {
    if (this.#ended) return queueMicrotask(() => done())
    if (body.length > Math.min(MAX_FRAME_BYTES, this.#streamWindow)) {
      throw new Error('more than one frame can hold')
    }
    if (body.length > this.#window || this.#unsent.length > 0) {
      this.#unsent.push(() => this.#start(body, done))
    } else this.#start(body, done)
  }

  get broken(): boolean {
    return this.#ended
  }

  close(): void {
    this.#socket.destroy()
    this.#end()
  }

  #start(body: Buffer, done: Waiting['done']): void {
    const stream = this.#nextStream
    this.#nextStream += 2
    const block = stream === 1 ? this.#firstBlock : this.#block
    const alone = body.length === 0 ? FLAG.endStream : 0
    this.#waiting.set(stream, { answer: undefined, done })
    this.#write(frame(FRAME.headers, FLAG.endHeaders | alone, stream, block))
    if (alone === 0) this.#write(frameHead(FRAME.data, FLAG.endStream, stream, body.length), body)
    this.#window -= body.length
  }

  /** What is written within one turn of the event loop goes out together. */
  #write(...parts: readonly Buffer[]): void {
    if (this.#writing.length === 0) setImmediate(() => this.#flush())
    this.#writing.push(...parts)
  }

  #flush(): void {
    const parts = this.#writing
    this.#writing = []
    if (!this.#ended) this.#socket.write(Buffer.concat(parts))
  }

  #take(chunk: Buffer): void {
    const bytes = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk])
    let at = 0
    while (bytes.length - at >= 9) {
      const end = at + 9 + bytes.readUIntBE(at, 3)
      if (end > bytes.length) break
      const type = bytes[at + 3] ?? 0
      const stream = bytes.readUInt32BE(at + 5) & 0x7fff_ffff
      this.#frame(type, bytes[at + 4] ?? 0, stream, bytes.subarray(at + 9, end))
      at = end
    }
    this.#rest = bytes.subarray(at)
    this.#flushIfAny()
  }

  #flushIfAny(): void {
    while (this.#unsent.length > 0 && this.#window >= MAX_FRAME_BYTES) this.#unsent.shift()?.()
  }

  #frame(type: number, flags: number, stream: number, payload: Buffer): void {
    switch (type) {
      case FRAME.headers:
      case FRAME.data:
        return this.#answer(type, flags, stream, payload)
      case FRAME.reset:
        return this.#finish(stream, undefined)
      case FRAME.window:
        if (stream === 0) this.#window += payload.readUInt32BE(0)
        return
      case FRAME.ping:
        if (!(flags & FLAG.ack)) this.#write(frame(FRAME.ping, FLAG.ack, 0, payload))
        return
      case FRAME.settings:
        if (flags & FLAG.ack) return
        for (let at = 0; at + 6 <= payload.length; at += 6) {
          if (payload.readUInt16BE(at) === INITIAL_WINDOW_SETTING)
            this.#streamWindow = payload.readUInt32BE(at + 2)
        }
        return this.#write(frame(FRAME.settings, FLAG.ack, 0, EMPTY))
      default:
    }
  }

  #answer(type: number, flags: number, stream: number, payload: Buffer): void {
    const waiting = this.#waiting.get(stream)
    if (!waiting) return
    const padding = flags & FLAG.padded ? (payload[0] ?? 0) : 0
    const from = (flags & FLAG.padded ? 1 : 0) + (type === FRAME.headers && flags & FLAG.priority ? 5 : 0)
    const content = payload.subarray(from, payload.length - padding)
    if (type === FRAME.data) {
      this.#count(payload.length)
      if (waiting.answer?.data.length === 0) waiting.answer.data = Buffer.from(content)
    } else waiting.answer ??= { ok: firstField(content) === STATIC_STATUS_200, data: EMPTY }
    if (flags & FLAG.endStream) this.#finish(stream, waiting.answer)
  }

  #count(bytes: number): void {
    this.#received += bytes
    if (this.#received < OUR_WINDOW / 2) return
    const more = Buffer.alloc(4)
    more.writeUInt32BE(this.#received)
    this.#received = 0
    this.#write(frame(FRAME.window, 0, 0, more))
  }

  #finish(stream: number, answer: Answer | undefined): void {
    const waiting = this.#waiting.get(stream)
    this.#waiting.delete(stream)
    waiting?.done(answer)
  }

  #end(): void {
    if (this.#ended) return
    this.#ended = true
    const waiting = [...this.#waiting.keys()]
    for (const stream of waiting) this.#finish(stream, undefined)
    // Those that never began end as those that did.
    for (const begin of this.#unsent.splice(0)) begin()
    for (const stream of this.#waiting.keys()) this.#finish(stream, undefined)
  }
}

/** Opens a plaintext connection to `host:port`. */
export function openTcp(address: string): Promise<Socket> {
  const at = address.lastIndexOf(':')
  const socket = connectTcp({
    host: address.slice(0, at),
    port: Number(address.slice(at + 1)),
    noDelay: true,
  })
  return new Promise((resolve, reject) => {
    socket.once('connect', () => resolve(socket))
    socket.once('error', reject)
  })
}

function frameHead(type: number, flags: number, stream: number, length: number): Buffer {
  const head = Buffer.allocUnsafe(9)
  head.writeUIntBE(length, 0, 3)
  head[3] = type
  head[4] = flags
  head.writeUInt32BE(stream, 5)
  return head
}

function frame(type: number, flags: number, stream: number, payload: Buffer): Buffer {
  return Buffer.concat([frameHead(type, flags, stream, payload.length), payload])
}

/** Literal header field with incremental indexing and a new name, without Huffman codes (RFC 7541 6.2.1). */
function literalToIndex(name: string, value: string): Buffer {
  return Buffer.concat([Buffer.of(0x40), hpackString(name), hpackString(value)])
}

function hpackString(text: string): Buffer {
  const bytes = Buffer.from(text, 'latin1')
  return Buffer.concat([hpackLength(bytes.length), bytes])
}

/** An integer with a prefix of 7 bits (RFC 7541 5.1). */
function hpackLength(length: number): Buffer {
  if (length < 127) return Buffer.of(length)
  const bytes = [127]
  let rest = length - 127
  for (; rest >= 128; rest = Math.floor(rest / 128)) bytes.push((rest % 128) + 128)
  bytes.push(rest)
  return Buffer.from(bytes)
}

/** The first byte that is no change of the dynamic table's size (RFC 7541 6.3). */
function firstField(block: Buffer): number {
  let at = 0
  while (((block[at] ?? 0) & 0xe0) === 0x20) {
    const long = ((block[at] ?? 0) & 0x1f) === 0x1f
    at++
    if (long) while ((block[at++] ?? 0) & 0x80);
  }
  return block[at] ?? 0
}
