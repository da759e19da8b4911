import { once } from 'node:events'
import { connect as tcpConnect, type Socket } from 'node:net'

/** Frame types. Source: RFC 9113 6. */
export const FRAME = {
  data: 0,
  headers: 1,
  priority: 2,
  rstStream: 3,
  settings: 4,
  pushPromise: 5,
  ping: 6,
  goaway: 7,
  windowUpdate: 8,
  continuation: 9,
} as const

export const FLAG = { endStream: 0x1, ack: 0x1, endHeaders: 0x4, padded: 0x8, priority: 0x20 } as const

export const SETTING = {
  headerTableSize: 1,
  enablePush: 2,
  maxConcurrentStreams: 3,
  initialWindowSize: 4,
  maxFrameSize: 5,
  maxHeaderListSize: 6,
} as const

/** By code. Source: RFC 9113 7. */
export const ERROR_NAMES = [
  'NO_ERROR',
  'PROTOCOL_ERROR',
  'INTERNAL_ERROR',
  'FLOW_CONTROL_ERROR',
  'SETTINGS_TIMEOUT',
  'STREAM_CLOSED',
  'FRAME_SIZE_ERROR',
  'REFUSED_STREAM',
  'CANCEL',
  'COMPRESSION_ERROR',
  'CONNECT_ERROR',
  'ENHANCE_YOUR_CALM',
  'INADEQUATE_SECURITY',
  'HTTP_1_1_REQUIRED',
] as const

export const PREFACE_MAGIC = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n')

/** Any frame, right or wrong: `length` stands in the prefix whatever the payload has. */
export function frame(
  type: number,
  payload: Buffer,
  {
    flags = 0,
    stream = 0,
    length = payload.length,
  }: { flags?: number; stream?: number; length?: number } = {},
): Buffer {
  const prefix = Buffer.alloc(9)
  prefix.writeUIntBE(length, 0, 3)
  prefix[3] = type
  prefix[4] = flags
  prefix.writeUInt32BE(stream, 5)
  return Buffer.concat([prefix, payload])
}

export function uint32(...values: number[]): Buffer {
  const bytes = Buffer.alloc(values.length * 4)
  values.forEach((value, index) => bytes.writeUInt32BE(value, index * 4))
  return bytes
}

export type Pair = readonly [id: number, value: number]

export function settings(...pairs: readonly Pair[]): Buffer {
  const payload = Buffer.alloc(pairs.length * 6)
  pairs.forEach(([id, value], index) => {
    payload.writeUInt16BE(id, index * 6)
    payload.writeUInt32BE(value, index * 6 + 2)
  })
  return frame(FRAME.settings, payload)
}

export const settingsAck = (): Buffer => frame(FRAME.settings, Buffer.alloc(0), { flags: FLAG.ack })

/** The 24 bytes that begin a connection and the client's SETTINGS. */
export const preface = (...pairs: readonly Pair[]): Buffer =>
  Buffer.concat([PREFACE_MAGIC, settings(...pairs)])

export const ping = (payload: Buffer = Buffer.alloc(8), { ack = false } = {}): Buffer =>
  frame(FRAME.ping, payload, { flags: ack ? FLAG.ack : 0 })

export const goaway = (lastStream = 0, code = 0, debug = ''): Buffer =>
  frame(FRAME.goaway, Buffer.concat([uint32(lastStream, code), Buffer.from(debug)]))

export const windowUpdate = (stream: number, increment: number): Buffer =>
  frame(FRAME.windowUpdate, uint32(increment), { stream })

export const rstStream = (stream: number, code = 8): Buffer =>
  frame(FRAME.rstStream, uint32(code), { stream })

export const priority = (stream: number, dependsOn = 0, weight = 15): Buffer =>
  frame(FRAME.priority, Buffer.concat([uint32(dependsOn), Buffer.of(weight)]), { stream })

/** What stands in a HEADERS or DATA frame beside its content. */
export type FrameParts = {
  readonly endStream?: boolean
  /** Of HEADERS and CONTINUATION; true unless told. */
  readonly endHeaders?: boolean
  /** Bytes of padding; undefined: the frame is not padded. */
  readonly padding?: number | undefined
  /** The stream that HEADERS depend on; undefined: no priority. */
  readonly dependsOn?: number | undefined
}

export function headers(stream: number, block: Buffer, parts: FrameParts = {}): Buffer {
  const { endStream = false, endHeaders = true, padding, dependsOn } = parts
  const flags =
    (endStream ? FLAG.endStream : 0) |
    (endHeaders ? FLAG.endHeaders : 0) |
    (padding === undefined ? 0 : FLAG.padded) |
    (dependsOn === undefined ? 0 : FLAG.priority)
  const before = [
    ...(padding === undefined ? [] : [Buffer.of(padding)]),
    ...(dependsOn === undefined ? [] : [uint32(dependsOn), Buffer.of(15)]),
  ]
  return frame(FRAME.headers, Buffer.concat([...before, block, Buffer.alloc(padding ?? 0)]), {
    flags,
    stream,
  })
}

export const continuation = (stream: number, block: Buffer, { endHeaders = true } = {}): Buffer =>
  frame(FRAME.continuation, block, { flags: endHeaders ? FLAG.endHeaders : 0, stream })

export function data(stream: number, body: Buffer, { endStream = false, padding }: FrameParts = {}): Buffer {
  const flags = (endStream ? FLAG.endStream : 0) | (padding === undefined ? 0 : FLAG.padded)
  const before = padding === undefined ? [] : [Buffer.of(padding)]
  return frame(FRAME.data, Buffer.concat([...before, body, Buffer.alloc(padding ?? 0)]), { flags, stream })
}

export type HeaderList = readonly (readonly [name: string, value: string])[]

/** HPACK, each as a literal that is not indexed and not compressed, exactly as spelt, so no table has a state. */
export function headerBlock(list: HeaderList): Buffer {
  return Buffer.concat(
    list.flatMap(([name, value]) => [
      Buffer.of(0x00),
      literal(Buffer.from(name, 'latin1')),
      literal(Buffer.from(value, 'latin1')),
    ]),
  )
}

function literal(text: Buffer): Buffer {
  return Buffer.concat([prefixed(text.length), text])
}

/** An integer with a prefix of 7 bits. Source: RFC 7541 5.1. */
function prefixed(value: number): Buffer {
  if (value < 127) return Buffer.of(value)
  const bytes = [127]
  let rest = value - 127
  for (; rest >= 128; rest = Math.floor(rest / 128)) bytes.push((rest % 128) + 128)
  return Buffer.from([...bytes, rest])
}

export const CHECK_PATH = '/envoy.service.auth.v3.Authorization/Check'

/** The header list of a Check as Envoy's gRPC client sends it. */
export const CHECK_HEADERS: HeaderList = [
  [':method', 'POST'],
  [':scheme', 'http'],
  [':path', CHECK_PATH],
  [':authority', 'portcullis'],
  ['te', 'trailers'],
  ['content-type', 'application/grpc'],
]

/** A gRPC message: flag, length, bytes. */
export const grpcMessage = (message: Buffer, flag = 0): Buffer =>
  Buffer.concat([Buffer.of(flag), uint32(message.length), message])

/** One whole Check: HEADERS and DATA that ends the stream. */
export const checkCall = (stream: number, message: Buffer = Buffer.of(1), more: HeaderList = []): Buffer =>
  Buffer.concat([
    headers(stream, headerBlock([...CHECK_HEADERS, ...more])),
    data(stream, grpcMessage(message), { endStream: true }),
  ])

export type ReceivedFrame = {
  readonly type: number
  readonly flags: number
  readonly stream: number
  readonly payload: Buffer
}

/** Whether it is the last of its stream. */
export const endsStream = ({ type, flags }: ReceivedFrame): boolean =>
  type === FRAME.rstStream ||
  ((type === FRAME.headers || type === FRAME.data) && (flags & FLAG.endStream) !== 0)

/** The error code of RST_STREAM or GOAWAY by name, undefined for other frames. */
export function errorOf({ type, payload }: ReceivedFrame): string | undefined {
  if (type !== FRAME.rstStream && type !== FRAME.goaway) return undefined
  const code = payload.readUInt32BE(type === FRAME.goaway ? 4 : 0)
  return ERROR_NAMES[code] ?? String(code)
}

/** One end of a connection that sends exactly what it is told, and keeps what it reads. */
export class FramePeer {
  readonly socket: Socket
  readonly received: ReceivedFrame[] = []
  /** When it was closed, by whomever. */
  readonly closed: Promise<void>
  #unread = Buffer.alloc(0)
  #heard: (() => void)[] = []

  /** Over a socket that is connected; over a TLSSocket too. Reads at once; `socket.pause()` stops that. */
  constructor(socket: Socket) {
    this.socket = socket
    socket.on('error', () => undefined)
    socket.on('data', (chunk: Buffer) => this.#read(chunk))
    this.closed = new Promise((resolve) => socket.once('close', () => resolve()))
    void this.closed.then(() => this.#wake())
  }

  /** Connected to 127.0.0.1, without a word said. */
  static async connect(port: number): Promise<FramePeer> {
    const socket = tcpConnect(port, '127.0.0.1')
    await once(socket, 'connect')
    return new FramePeer(socket)
  }

  /** Connected, preface sent, the server's SETTINGS read and acknowledged. */
  static async greeted(port: number, ...pairs: readonly Pair[]): Promise<FramePeer> {
    const peer = await FramePeer.connect(port)
    peer.send(preface(...pairs))
    await peer.until(({ type, flags }) => type === FRAME.settings && (flags & FLAG.ack) === 0)
    peer.send(settingsAck())
    return peer
  }

  /** Whether the kernel takes more at once. */
  send(...frames: readonly Buffer[]): boolean {
    return this.socket.destroyed ? false : this.socket.write(Buffer.concat(frames))
  }

  /** The first received frame that is meant; undefined when the connection closes before, or after `timeoutMs`. */
  async until(
    meant: (received: ReceivedFrame) => boolean,
    timeoutMs = 2000,
  ): Promise<ReceivedFrame | undefined> {
    const endMs = performance.now() + timeoutMs
    for (;;) {
      const found = this.received.find(meant)
      const leftMs = endMs - performance.now()
      if (found !== undefined || this.socket.destroyed || leftMs <= 0) return found
      await this.#news(leftMs)
    }
  }

  /** Waits for the end of a stream: its frames, in order. */
  async answerOf(stream: number, timeoutMs = 2000): Promise<readonly ReceivedFrame[]> {
    await this.until((each) => each.stream === stream && endsStream(each), timeoutMs)
    return this.received.filter((each) => each.stream === stream)
  }

  destroy(): void {
    this.socket.destroy()
  }

  #read(chunk: Buffer): void {
    this.#unread = Buffer.concat([this.#unread, chunk])
    while (this.#unread.length >= 9) {
      const end = 9 + this.#unread.readUIntBE(0, 3)
      if (this.#unread.length < end) break
      const [type, flags] = [this.#unread.readUInt8(3), this.#unread.readUInt8(4)]
      const stream = this.#unread.readUInt32BE(5) & 0x7fffffff
      this.received.push({ type, flags, stream, payload: Buffer.from(this.#unread.subarray(9, end)) })
      this.#unread = this.#unread.subarray(end)
    }
    this.#wake()
  }

  #news(timeoutMs: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, timeoutMs)
      this.#heard.push(() => {
        clearTimeout(timer)
        resolve()
      })
    })
  }

  #wake(): void {
    for (const heard of this.#heard.splice(0)) heard()
  }
}
