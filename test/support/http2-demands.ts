import {
  CHECK_HEADERS,
  checkCall,
  continuation,
  data,
  FLAG,
  FRAME,
  frame,
  type FramePeer,
  goaway,
  grpcMessage,
  headerBlock,
  type HeaderList,
  headers,
  ping,
  preface,
  PREFACE_MAGIC,
  priority,
  rstStream,
  SETTING,
  settings,
  uint32,
  windowUpdate,
} from './http2-frames.js'

/** What HTTP/2 demands of a server when its peer does something, and what a listener does. */
export type Demand = {
  /** Of RFC 9113. */
  readonly section: string
  readonly peer: string
  readonly wants: string
  readonly gets: string
  /** What it sends after its preface and SETTINGS, or `bare`: from the first byte on. The stream looked at is 1. */
  readonly play: (peer: FramePeer) => void
  readonly bare?: true
}

/** Calls at once on a connection to the listener of the test. */
export const STREAMS = 20

type Case = readonly [peer: string, wants: string, gets: string, ...sends: readonly Buffer[]]

const BLOCK = headerBlock(CHECK_HEADERS)
const MESSAGE = grpcMessage(Buffer.of(1))
const OPEN = headers(1, BLOCK)
const END = data(1, MESSAGE, { endStream: true })

/** A Check with this header list. */
const listed = (list: HeaderList): Buffer => Buffer.concat([headers(1, headerBlock(list)), END])
const without = (name: string): Buffer => listed(CHECK_HEADERS.filter(([each]) => each !== name))
const withOne = (name: string, value: string): Buffer => listed([...CHECK_HEADERS, [name, value]])
const instead = (name: string, value: string): Buffer =>
  listed(CHECK_HEADERS.map(([each, old]) => [each, each === name ? value : old]))
const twice = (name: string): Buffer =>
  listed(CHECK_HEADERS.flatMap((each) => (each[0] === name ? [each, each] : [each])))

/** With whatever code: Node.js 20 says INTERNAL_ERROR for most. */
const CONNECTION = 'connection error'
const PROTOCOL = 'connection error PROTOCOL_ERROR'
const SIZE = 'connection error FRAME_SIZE_ERROR'
const FLOW = 'connection error FLOW_CONTROL_ERROR'
const COMPRESSION = 'connection error COMPRESSION_ERROR'
const CLOSED = 'connection error STREAM_CLOSED'
const STREAM_PROTOCOL = 'stream error PROTOCOL_ERROR'
const STREAM_FLOW = 'stream error FLOW_CONTROL_ERROR'
const STREAM_SIZE = 'stream error FRAME_SIZE_ERROR'
const STREAM_CLOSED = 'stream error STREAM_CLOSED'
const ANSWERED = 'answered'
const IGNORED = 'ignored'

/** In the order of the RFC. */
const CASES: Readonly<Record<string, readonly Case[]>> = {
  '4.1': [
    ['a frame of an unknown type', IGNORED, IGNORED, frame(0xfa, Buffer.alloc(8))],
    ['the same within a call', ANSWERED, ANSWERED, OPEN, frame(0xfa, Buffer.alloc(8), { stream: 1 }), END],
    ['flags that mean nothing', IGNORED, IGNORED, frame(FRAME.ping, Buffer.alloc(8), { flags: 0xfe })],
    [
      'the reserved bit of a stream id',
      ANSWERED,
      ANSWERED,
      frame(FRAME.headers, BLOCK, { flags: FLAG.endHeaders, stream: 0x80000001 }),
      END,
    ],
  ],
  '4.2': [
    ['DATA over the frame size', STREAM_SIZE, CONNECTION, OPEN, data(1, Buffer.alloc(16_385))],
    ['HEADERS over the frame size', SIZE, CONNECTION, headers(1, Buffer.alloc(16_385))],
    ['SETTINGS over the frame size', SIZE, CONNECTION, frame(FRAME.settings, Buffer.alloc(16_386))],
  ],
  '4.3': [
    ['HPACK with an index that is not', COMPRESSION, CONNECTION, headers(1, Buffer.of(0xff, 0x80, 0x01))],
    ['HPACK that ends half-way', COMPRESSION, CONNECTION, headers(1, BLOCK.subarray(0, -3))],
    ['HPACK with a larger table', COMPRESSION, CONNECTION, headers(1, Buffer.of(0x3f, 0xe1, 0xff, 0x03))],
    [
      'HPACK with broken Huffman',
      COMPRESSION,
      CONNECTION,
      headers(1, Buffer.of(0x00, 0x84, 0xff, 0xff, 0xff, 0xff, 0x01, 0x61)),
    ],
    ['PING between HEADERS and CONTINUATION', PROTOCOL, CONNECTION, openBlock(1), ping()],
    ['HEADERS of another stream there', PROTOCOL, CONNECTION, openBlock(1), headers(3, BLOCK)],
    ['CONTINUATION of another stream there', PROTOCOL, CONNECTION, openBlock(1), continuation(3, BLOCK)],
    ['a frame of an unknown type there', PROTOCOL, CONNECTION, openBlock(1), frame(0xfa, Buffer.alloc(1))],
    [
      'a header block in three frames',
      ANSWERED,
      ANSWERED,
      headers(1, BLOCK.subarray(0, 5), { endHeaders: false }),
      continuation(1, BLOCK.subarray(5, 30), { endHeaders: false }),
      continuation(1, BLOCK.subarray(30)),
      END,
    ],
  ],
  '5.1': [
    ['DATA on an idle stream', PROTOCOL, CONNECTION, END],
    ['RST_STREAM on an idle stream', PROTOCOL, CONNECTION, rstStream(1)],
    ['WINDOW_UPDATE on an idle stream', PROTOCOL, CONNECTION, windowUpdate(1, 1)],
    ['CONTINUATION on an idle stream', PROTOCOL, CONNECTION, continuation(1, BLOCK)],
    ['PRIORITY on an idle stream', IGNORED, IGNORED, priority(1)],
    ['DATA after the end of its call', STREAM_CLOSED, CONNECTION, checkCall(1), data(1, MESSAGE)],
    ['HEADERS after the end of its call', CLOSED, CONNECTION, checkCall(1), headers(1, BLOCK)],
    ['DATA after its own RST_STREAM', `${STREAM_CLOSED} or ignored`, IGNORED, OPEN, rstStream(1), END],
    ['HEADERS after its own RST_STREAM', CLOSED, IGNORED, OPEN, rstStream(1), headers(1, BLOCK)],
    [
      'CONTINUATION after its own RST_STREAM',
      PROTOCOL,
      CONNECTION,
      OPEN,
      rstStream(1),
      continuation(1, BLOCK),
    ],
    ['WINDOW_UPDATE after the end of its call', ANSWERED, ANSWERED, checkCall(1), windowUpdate(1, 9)],
    ['PRIORITY after the end of its call', ANSWERED, ANSWERED, checkCall(1), priority(1)],
  ],
  '5.1.1': [
    ['a stream with an even number', PROTOCOL, CONNECTION, checkCall(2)],
    [
      'a stream with a lower number than one before',
      PROTOCOL,
      IGNORED,
      headers(5, BLOCK),
      checkCall(3),
      rstStream(5),
    ],
  ],
  '5.1.2': [['one stream more than announced', 'stream error REFUSED_STREAM', CONNECTION, ...tooMany()]],
  '5.3': [
    [
      'PRIORITY that depends on itself',
      'nothing any more',
      `${CONNECTION} or ${IGNORED}`,
      OPEN,
      priority(1, 1),
    ],
    [
      'HEADERS that depend on themselves',
      'nothing any more',
      CONNECTION,
      headers(1, BLOCK, { dependsOn: 1 }),
    ],
  ],
  '6.1': [
    ['DATA on stream 0', PROTOCOL, CONNECTION, data(0, MESSAGE)],
    [
      'DATA with more padding than frame',
      PROTOCOL,
      CONNECTION,
      OPEN,
      frame(FRAME.data, Buffer.of(6, 0, 0, 0, 0, 0), { flags: FLAG.padded, stream: 1 }),
    ],
    ['DATA with padding', ANSWERED, ANSWERED, OPEN, data(1, MESSAGE, { endStream: true, padding: 200 })],
  ],
  '6.2': [
    ['HEADERS on stream 0', PROTOCOL, CONNECTION, headers(0, BLOCK)],
    [
      'HEADERS with more padding than frame',
      PROTOCOL,
      CONNECTION,
      frame(FRAME.headers, Buffer.concat([Buffer.of(255), BLOCK.subarray(0, 20)]), {
        flags: FLAG.padded | FLAG.endHeaders,
        stream: 1,
      }),
    ],
    [
      'HEADERS with padding and a priority',
      ANSWERED,
      ANSWERED,
      headers(1, BLOCK, { padding: 9, dependsOn: 0 }),
      END,
    ],
  ],
  '6.3': [
    ['PRIORITY on stream 0', PROTOCOL, `${CONNECTION} or ${IGNORED}`, priority(0)],
    [
      'PRIORITY of 4 bytes',
      STREAM_SIZE,
      CONNECTION,
      OPEN,
      frame(FRAME.priority, Buffer.alloc(4), { stream: 1 }),
    ],
  ],
  '6.4': [
    ['RST_STREAM on stream 0', PROTOCOL, CONNECTION, rstStream(0)],
    ['RST_STREAM of 3 bytes', SIZE, CONNECTION, OPEN, frame(FRAME.rstStream, Buffer.alloc(3), { stream: 1 })],
  ],
  '6.5': [
    [
      'SETTINGS on a stream',
      PROTOCOL,
      CONNECTION,
      OPEN,
      frame(FRAME.settings, Buffer.alloc(0), { stream: 1 }),
    ],
    ['SETTINGS of 5 bytes', SIZE, CONNECTION, frame(FRAME.settings, Buffer.alloc(5))],
    [
      'SETTINGS that acknowledge and have content',
      SIZE,
      CONNECTION,
      frame(FRAME.settings, Buffer.alloc(6), { flags: FLAG.ack }),
    ],
    ['SETTINGS_ENABLE_PUSH of 2', PROTOCOL, CONNECTION, settings([SETTING.enablePush, 2])],
    [
      'SETTINGS_INITIAL_WINDOW_SIZE of 2^31',
      FLOW,
      CONNECTION,
      settings([SETTING.initialWindowSize, 2 ** 31]),
    ],
    ['SETTINGS_MAX_FRAME_SIZE of 16,383', PROTOCOL, CONNECTION, settings([SETTING.maxFrameSize, 16_383])],
    ['SETTINGS_MAX_FRAME_SIZE of 2^24', PROTOCOL, CONNECTION, settings([SETTING.maxFrameSize, 2 ** 24])],
    ['a setting that nobody knows', IGNORED, IGNORED, settings([0xfafa, 1])],
    [
      'the same setting twice',
      IGNORED,
      IGNORED,
      settings([SETTING.headerTableSize, 0], [SETTING.headerTableSize, 99]),
    ],
  ],
  '6.6': [
    [
      'PUSH_PROMISE',
      PROTOCOL,
      CONNECTION,
      OPEN,
      frame(FRAME.pushPromise, Buffer.concat([uint32(2), BLOCK]), { flags: FLAG.endHeaders, stream: 1 }),
    ],
  ],
  '6.7': [
    ['PING on a stream', PROTOCOL, CONNECTION, OPEN, frame(FRAME.ping, Buffer.alloc(8), { stream: 1 })],
    ['PING of 7 bytes', SIZE, CONNECTION, frame(FRAME.ping, Buffer.alloc(7))],
    ['PING that acknowledges what nobody sent', IGNORED, CONNECTION, ping(Buffer.alloc(8, 7), { ack: true })],
  ],
  '6.8': [
    ['GOAWAY on a stream', PROTOCOL, CONNECTION, OPEN, frame(FRAME.goaway, Buffer.alloc(8), { stream: 1 })],
    ['GOAWAY of 7 bytes', SIZE, CONNECTION, frame(FRAME.goaway, Buffer.alloc(7))],
    ['GOAWAY with an error, then a call', 'nothing more to do', 'closed', goaway(0, 2), checkCall(3)],
    ['GOAWAY within a call', ANSWERED, 'answered, then closed', OPEN, goaway(), END],
  ],
  '6.9': [
    ['WINDOW_UPDATE of 0', PROTOCOL, CONNECTION, windowUpdate(0, 0)],
    ['WINDOW_UPDATE of 0 on a stream', STREAM_PROTOCOL, CONNECTION, OPEN, windowUpdate(1, 0)],
    ['WINDOW_UPDATE of 3 bytes', SIZE, CONNECTION, frame(FRAME.windowUpdate, Buffer.alloc(3))],
    ['a window over 2^31-1', FLOW, CONNECTION, windowUpdate(0, 2 ** 31 - 1)],
    ['a window over 2^31-1 on a stream', STREAM_FLOW, CONNECTION, OPEN, windowUpdate(1, 2 ** 31 - 1)],
    [
      'a window over 2^31-1 by SETTINGS',
      FLOW,
      `${STREAM_FLOW} or ${CONNECTION}`,
      OPEN,
      windowUpdate(1, 2 ** 30),
      settings([SETTING.initialWindowSize, 2 ** 31 - 1]),
    ],
    [
      'no window for the answer, then one',
      ANSWERED,
      ANSWERED,
      settings([SETTING.initialWindowSize, 0]),
      checkCall(1),
      windowUpdate(1, 1),
      settings([SETTING.initialWindowSize, 65_535]),
    ],
  ],
  '6.10': [
    ['CONTINUATION on stream 0', PROTOCOL, CONNECTION, openBlock(1), continuation(0, BLOCK)],
    ['CONTINUATION after the end of headers', PROTOCOL, CONNECTION, OPEN, continuation(1, BLOCK)],
    ['CONTINUATION after DATA', PROTOCOL, CONNECTION, OPEN, data(1, MESSAGE), continuation(1, BLOCK)],
  ],
  '8.1': [
    ['trailers', ANSWERED, ANSWERED, OPEN, data(1, MESSAGE), trailers([['x-last', '1']])],
    [
      'trailers that are not the end',
      STREAM_PROTOCOL,
      STREAM_PROTOCOL,
      OPEN,
      data(1, MESSAGE),
      headers(1, headerBlock([['x-last', '1']])),
    ],
    [
      'trailers with a pseudo-header',
      STREAM_PROTOCOL,
      STREAM_PROTOCOL,
      OPEN,
      data(1, MESSAGE),
      trailers([[':path', '/']]),
    ],
  ],
  '8.1.1': [
    [
      'content-length of less than comes',
      STREAM_PROTOCOL,
      `${STREAM_PROTOCOL} or ${CONNECTION}`,
      withOne('content-length', '5'),
    ],
    ['content-length of more than comes', STREAM_PROTOCOL, STREAM_PROTOCOL, withOne('content-length', '7')],
    ['content-length that is no number', STREAM_PROTOCOL, STREAM_PROTOCOL, withOne('content-length', '6x')],
    ['content-length with a sign', STREAM_PROTOCOL, STREAM_PROTOCOL, withOne('content-length', '+6')],
    [
      'content-length twice',
      STREAM_PROTOCOL,
      STREAM_PROTOCOL,
      listed([...CHECK_HEADERS, ['content-length', '6'], ['content-length', '6']]),
    ],
    ['content-length of what comes', ANSWERED, ANSWERED, withOne('content-length', '6')],
  ],
  '8.2.1': [
    ['a name in upper case', STREAM_PROTOCOL, STREAM_PROTOCOL, withOne('X-Upper', '1')],
    ['an empty name', STREAM_PROTOCOL, ANSWERED, withOne('', '1')],
    ['a name with a space', STREAM_PROTOCOL, ANSWERED, withOne('x y', '1')],
    ['a name with a colon within', STREAM_PROTOCOL, ANSWERED, withOne('x:y', '1')],
    ['a name with a line feed', STREAM_PROTOCOL, ANSWERED, withOne('x\ny', '1')],
    ['a name beyond ASCII', STREAM_PROTOCOL, ANSWERED, withOne('x\xff', '1')],
    ['a value with NUL', STREAM_PROTOCOL, ANSWERED, withOne('traceparent', 'a\0b')],
    ['a value with a line feed', STREAM_PROTOCOL, ANSWERED, withOne('traceparent', 'a\nb')],
    ['a value with a carriage return', STREAM_PROTOCOL, ANSWERED, withOne('traceparent', 'a\rb')],
    ['a value that begins with a space', STREAM_PROTOCOL, ANSWERED, withOne('traceparent', ' a')],
    ['a value that ends with a tab', STREAM_PROTOCOL, ANSWERED, withOne('traceparent', 'a\t')],
  ],
  '8.2.2': [
    ...['connection', 'keep-alive', 'proxy-connection', 'transfer-encoding', 'upgrade'].map((name): Case => [
      `\`${name}\``,
      STREAM_PROTOCOL,
      STREAM_PROTOCOL,
      withOne(name, 'close'),
    ]),
    ['`te` of anything but `trailers`', STREAM_PROTOCOL, STREAM_PROTOCOL, instead('te', 'gzip')],
  ],
  '8.3': [
    [
      'an unknown pseudo-header',
      STREAM_PROTOCOL,
      STREAM_PROTOCOL,
      listed([[':forged', '1'], ...CHECK_HEADERS]),
    ],
    [
      "a response's pseudo-header",
      STREAM_PROTOCOL,
      STREAM_PROTOCOL,
      listed([[':status', '200'], ...CHECK_HEADERS]),
    ],
    [
      'a pseudo-header after others',
      STREAM_PROTOCOL,
      STREAM_PROTOCOL,
      listed([...CHECK_HEADERS.slice(1), [':method', 'POST']]),
    ],
    ...[':method', ':scheme', ':path', ':authority'].map((name): Case => [
      `\`${name}\` twice`,
      STREAM_PROTOCOL,
      STREAM_PROTOCOL,
      twice(name),
    ]),
  ],
  '8.3.1': [
    ...[':method', ':scheme', ':path'].map((name): Case => [
      `no \`${name}\``,
      STREAM_PROTOCOL,
      STREAM_PROTOCOL,
      without(name),
    ]),
    ['no `:authority`', ANSWERED, STREAM_PROTOCOL, without(':authority')],
    ['an empty `:path`', STREAM_PROTOCOL, STREAM_PROTOCOL, instead(':path', '')],
    ['a `:path` without a slash', STREAM_PROTOCOL, STREAM_PROTOCOL, instead(':path', 'Check')],
    ['an empty `:authority`', STREAM_PROTOCOL, STREAM_PROTOCOL, instead(':authority', '')],
    [
      'an `:authority` with user information',
      STREAM_PROTOCOL,
      `${ANSWERED} or ${STREAM_PROTOCOL}`,
      instead(':authority', 'a@b'),
    ],
    ['a `host` that is not the `:authority`', STREAM_PROTOCOL, ANSWERED, withOne('host', 'elsewhere')],
  ],
  '8.5': [
    ['CONNECT with `:path` and `:scheme`', STREAM_PROTOCOL, STREAM_PROTOCOL, instead(':method', 'CONNECT')],
  ],
  '10.5.1': [
    [
      'a header list of 70,000 bytes',
      'any error',
      CONNECTION,
      inFrames([...CHECK_HEADERS, ['x-long', 'a'.repeat(70_000)]]),
    ],
    [
      '200 headers',
      'any error',
      'stream error ENHANCE_YOUR_CALM',
      inFrames([...CHECK_HEADERS, ...many(200)]),
    ],
  ],
}

/** A header block in frames as large as they may be. */
function inFrames(list: HeaderList): Buffer {
  const block = headerBlock(list)
  const parts: Buffer[] = []
  for (let at = 0; at < block.length; at += 16_384) parts.push(block.subarray(at, at + 16_384))
  const last = parts.length - 1
  return Buffer.concat([
    ...parts.map((part, index) =>
      index === 0
        ? headers(1, part, { endHeaders: index === last })
        : continuation(1, part, { endHeaders: index === last }),
    ),
    END,
  ])
}

function many(count: number): HeaderList {
  return Array.from({ length: count }, (_, index) => [`x-${index}`, '1'])
}

/** Opens as many calls as the listener of the test allows and one more, then resets all but the last. */
function tooMany(): Buffer[] {
  const streams = Array.from({ length: STREAMS + 1 }, (_, index) => 2 * index + 1)
  const opened = streams.map((stream) => headers(stream, BLOCK))
  return [...opened, ...streams.slice(0, -1).map((stream) => rstStream(stream))]
}

function openBlock(stream: number): Buffer {
  return headers(stream, BLOCK, { endHeaders: false })
}

function trailers(list: HeaderList): Buffer {
  return headers(1, headerBlock(list), { endStream: true })
}

const BARE: readonly Demand[] = (
  [
    [
      'HTTP/1.1 instead of a preface',
      'connection error PROTOCOL_ERROR or close',
      CONNECTION,
      Buffer.from('GET / HTTP/1.1\r\nhost: a\r\n\r\n'),
    ],
    [
      'a preface with one byte wrong',
      'connection error PROTOCOL_ERROR or close',
      CONNECTION,
      Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\r'),
    ],
    ['PING instead of the first SETTINGS', PROTOCOL, CONNECTION, PREFACE_MAGIC, ping()],
    ['a call instead of the first SETTINGS', PROTOCOL, CONNECTION, PREFACE_MAGIC, checkCall(1)],
    ['the preface twice', SIZE, CONNECTION, preface(), preface()],
    ['a call without waiting for SETTINGS', ANSWERED, ANSWERED, preface(), checkCall(1)],
  ] satisfies readonly Case[]
).map(([peer, wants, gets, ...sends]) => ({
  section: '3.4',
  peer,
  wants,
  gets,
  bare: true,
  play: (end) => end.send(...sends),
}))

export const DEMANDS: readonly Demand[] = [
  ...BARE,
  ...Object.entries(CASES).flatMap(([section, cases]) =>
    cases.map(([peer, wants, gets, ...sends]): Demand => ({
      section,
      peer,
      wants,
      gets,
      play: (end) => end.send(...sends),
    })),
  ),
]

/** The table of docs/http2.md. */
export function demandTable(): string {
  const rows = DEMANDS.map(({ section, peer, wants, gets }) => {
    const same = wants.split(' or ').includes(gets) || wants.startsWith(`${gets} `)
    return `| ${section} | ${peer} | ${wants} | ${same ? 'the same' : gets} |`
  })
  return ['| RFC 9113 | A peer sends | It wants | The listener |', '|---|---|---|---|', ...rows].join('\n')
}
