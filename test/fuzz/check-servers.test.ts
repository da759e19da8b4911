import * as http2 from 'node:http2'
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { type GrpcListener, startGrpcListener } from '../../src/adapters/grpc/listener.js'
import { CHECK_SERVERS } from '../support/check-servers.js'
import { CHECK_PATH, grpcMessage } from '../support/http2-frames.js'
import { randomRequest } from './check-requests.js'
import { Random } from './random.js'

const SEED = Number(process.env['FUZZ_SEED'] ?? 20261125)
const ITERATIONS = Math.ceil(Number(process.env['FUZZ_ITERATIONS'] ?? 20_000) / 40)
const MAX_MESSAGE_BYTES = 16 * 1024
const DEADLINE_MS = 10_000
/** Of a call that doesn't end, and without any time for another. */
const [SHORT, NONE] = ['200m', '0n']

/** One call, right or wrong: its headers, its body in parts, and how it ends. */
type Call = {
  readonly headers: http2.OutgoingHttpHeaders
  readonly parts: readonly Buffer[]
  /** Whether the client ends its stream; one that doesn't waits for the answer. */
  readonly ends: boolean
}

type Outcome = { readonly status: string; readonly reply: string }

/** What the library may say where the straight server refuses: docs/http2.md. */
const ERRORS = new Set(['4', '8', '12', '13'])

const listeners: GrpcListener[] = []
const sessions: http2.ClientHttp2Session[] = []

beforeAll(async () => {
  for (const checkServer of CHECK_SERVERS) {
    const listener = await startGrpcListener({
      address: { kind: 'tcp', host: '127.0.0.1', port: 0 },
      // The answer tells what was seen; nothing that is no whole message may look like one.
      check: (message, { traceparent, asker }) =>
        Buffer.from(
          message.length === 0 ? 'deny' : `${message.toString('base64')} ${traceparent} ${asker.spiffeId}`,
        ),
      checkServer,
      maxMessageBytes: MAX_MESSAGE_BYTES,
      deadlineMs: DEADLINE_MS,
    })
    listeners.push(listener)
    const session = http2.connect(`http://${listener.address}`)
    session.on('error', () => undefined)
    sessions.push(session)
  }
})
afterAll(async () => {
  for (const session of sessions) session.destroy()
  await Promise.all(listeners.map((listener) => listener.close()))
})

function randomCall(random: Random): Call {
  const message = random.chance(10) ? random.bytes(random.below(20_000)) : randomRequest(random)
  let body = grpcMessage(message, random.chance(10) ? random.below(4) : 0)
  if (random.chance(10)) body = body.subarray(0, random.below(body.length))
  if (random.chance(5)) body = Buffer.concat([body, random.bytes(1 + random.below(12))])
  if (random.chance(5)) body = Buffer.concat([body, body])
  const parts: Buffer[] = []
  for (let at = 0; at < body.length;) {
    const end = at + 1 + random.below(random.chance(50) ? body.length : 100)
    parts.push(body.subarray(at, end))
    at = end
  }
  const ends = !random.chance(3)
  return {
    headers: {
      ...(random.chance(30) && { traceparent: random.pick(['', '00-a-b-01', 'x, y', 'é']) }),
      ...(random.chance(20) && {
        'grpc-timeout': random.pick(['5S', NONE, 'soon', '99999999H', '-1S']),
      }),
      ...(!ends && { 'grpc-timeout': SHORT }),
      ...(random.chance(10) && { 'grpc-encoding': random.pick(['gzip', 'identity', 'any']) }),
      ...(random.chance(20) && { 'portcullis-call': random.pick(['0', '1', '17']) }),
    },
    parts,
    ends,
  }
}

async function outcomeOf(
  session: http2.ClientHttp2Session,
  { headers, parts, ends }: Call,
): Promise<Outcome> {
  const stream = session.request({
    ':method': 'POST',
    ':path': CHECK_PATH,
    te: 'trailers',
    'content-type': 'application/grpc',
    ...headers,
  })
  let status = 'none'
  const read = (received: http2.IncomingHttpHeaders): void => {
    status = String(received['grpc-status'] ?? status)
  }
  const received: Buffer[] = []
  stream.on('response', read)
  stream.on('trailers', read)
  stream.on('data', (chunk: Buffer) => received.push(chunk))
  stream.on('error', () => undefined)
  const closed = new Promise((resolve) => stream.once('close', resolve))
  for (const part of parts) stream.write(part)
  if (ends) stream.end()
  await closed
  return { status, reply: Buffer.concat(received).subarray(5).toString() }
}

test(`of ${ITERATIONS} calls, right and wrong, both servers come to the same or to an error or a denial`, async () => {
  const random = new Random(SEED)
  const counts = new Map<string, number>()
  for (let first = 0; first < ITERATIONS; first += 20) {
    const calls = Array.from({ length: 20 }, () => randomCall(random))
    const outcomes = await Promise.all(
      calls.map((call) => Promise.all(sessions.map((session) => outcomeOf(session, call)))),
    )
    for (const [index, [straight, library]] of outcomes.entries()) {
      const about = { seed: SEED, call: first + index, straight, library }
      const kind = straight?.status === '0' && straight.reply !== 'deny' ? 'decided' : 'refused'
      counts.set(kind, (counts.get(kind) ?? 0) + 1)
      const late = calls[index]?.headers['grpc-timeout'] === NONE && library?.status === '4'
      if (kind === 'decided' && !late) expect({ ...about, library: straight }).toEqual(about)
      // What the library takes for a whole message it decides, but never on none.
      else if (library?.status === '0')
        expect({ about, empty: library.reply === '' }).toEqual({ about, empty: false })
      else expect({ about, known: ERRORS.has(library?.status ?? '') }).toEqual({ about, known: true })
    }
  }
  expect(counts.get('decided')).toBeGreaterThan(ITERATIONS / 3)
  expect(counts.get('refused')).toBeGreaterThan(ITERATIONS / 20)
}, 60_000)
