import { createServer } from 'node:net'
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import { otlpPost } from '../../../../src/adapters/telemetry/otlp/post.js'
import { createSpanQueue, type SpanQueue } from '../../../../src/adapters/telemetry/otlp/span-queue.js'
import { encodeSpan } from '../../../../src/adapters/telemetry/otlp/span.js'
import { exportRequest, speakerOf } from '../../../../src/adapters/telemetry/otlp/wire.js'
import { eventually } from '../../../support/eventually.js'
import { type Collector, partialSuccess, startCollector } from '../../../support/otlp.js'

const SPEAKER = speakerOf({ 'service.name': 'portcullis' }, 'portcullis', '1')
const SPAN = encodeSpan({
  traceId: '0af7651916cd43dd8448eb211c80319c',
  spanId: 'b7ad6b7169203331',
  parentSpanId: undefined,
  name: 'a',
  startMs: 1_790_000_000_000,
  durationUs: 10,
  attributes: {},
  failure: undefined,
})

let collector: Collector
let told: string[]
const closing: (() => void)[] = []

beforeEach(async () => {
  collector = await startCollector()
  told = []
})
afterEach(async () => {
  for (const close of closing.splice(0)) close()
  await collector.close()
})

function queue(
  options: {
    url?: string
    buffer?: number
    timeoutMs?: number
    headers?: () => Record<string, string>
  } = {},
): SpanQueue {
  const { url = `${collector.url}/v1/traces`, buffer = 100, timeoutMs = 2000, headers = () => ({}) } = options
  const sender = otlpPost({ url, headers, ca: undefined, timeoutMs })
  closing.push(() => sender.close())
  return createSpanQueue({
    post: sender.post,
    request: (spans) => exportRequest(SPEAKER, spans),
    buffer,
    intervalMs: 10,
    backoffMs: 10,
    random: () => 0.5,
    tell: (level, message, { problem }) => told.push(`${level}: ${message} ${problem ?? ''}`),
  })
}

function add(to: SpanQueue, count: number): void {
  for (let at = 0; at < count; at++) to.add(() => SPAN)
}

describe('what is lost is counted', () => {
  test.each([
    { name: 'refused', status: 400, requests: 1 },
    { name: 'led elsewhere', status: 307, requests: 1 },
    { name: 'put off until it is given up', status: 503, requests: 4 },
  ])('$name', async ({ status, requests }) => {
    collector.answer = { status, headers: { location: `${collector.url}/other` } }
    const spans = queue()
    add(spans, 3)
    await eventually(() => expect(spans.figures()).toEqual({ exported: 0, dropped: 3, waiting: 0 }))
    expect(collector.requests.map(({ path }) => path)).toEqual(Array(requests).fill('/v1/traces'))
    expect(told).toEqual([`warn: spans can not be delivered status ${status}`])
  })

  test('more than may wait', async () => {
    collector.answer = undefined
    const spans = queue({ buffer: 10 })
    add(spans, 25)
    expect(spans.figures()).toEqual({ exported: 0, dropped: 15, waiting: 10 })
    await spans.drain(50)
    expect(spans.figures()).toEqual({ exported: 0, dropped: 25, waiting: 0 })
  })

  test('what the collector does not want of a request', async () => {
    collector.answer = { status: 200, body: partialSuccess(2) }
    const spans = queue()
    add(spans, 5)
    await eventually(() => expect(spans.figures()).toEqual({ exported: 3, dropped: 2, waiting: 0 }))
  })

  test('what comes after the end', async () => {
    const spans = queue()
    await spans.drain(1000)
    add(spans, 1)
    expect(spans.figures()).toEqual({ exported: 0, dropped: 1, waiting: 0 })
  })
})

describe('the end waits no longer than it may', () => {
  test.each([
    { name: 'for a collector that does not answer', status: undefined },
    { name: 'for one that puts off', status: 503 },
  ])('$name', async ({ status }) => {
    collector.answer = status === undefined ? undefined : { status, headers: { 'retry-after': '3600' } }
    const spans = queue({ buffer: 5000, timeoutMs: 60_000 })
    add(spans, 2000)
    await eventually(() => expect(collector.requests.length).toBeGreaterThan(0))
    const startMs = performance.now()
    await spans.drain(100)
    expect(performance.now() - startMs).toBeLessThan(1000)
    expect(spans.figures()).toEqual({ exported: 0, dropped: 2000, waiting: 0 })
  })

  test('nobody there', async () => {
    const gone = createServer().listen(0, '127.0.0.1')
    await new Promise((resolve) => gone.once('listening', resolve))
    const address = gone.address()
    const port = typeof address === 'object' && address ? address.port : 0
    await new Promise((resolve) => gone.close(resolve))
    const spans = queue({ url: `http://127.0.0.1:${port}/v1/traces` })
    add(spans, 1)
    await spans.drain(1000)
    expect(spans.figures()).toEqual({ exported: 0, dropped: 1, waiting: 0 })
    expect(told).toEqual(['warn: spans can not be delivered not reachable: ECONNREFUSED'])
  })
})

test('spans go in batches, with the headers of the moment, and the rest at the end', async () => {
  let token = 'one'
  const spans = queue({ buffer: 2000, headers: () => ({ authorization: `Bearer ${token}` }) })
  add(spans, 1)
  await eventually(() => expect(spans.figures().exported).toBe(1))
  token = 'two'
  add(spans, 1100)
  await spans.drain(2000)
  expect(spans.figures()).toEqual({ exported: 1101, dropped: 0, waiting: 0 })
  expect(collector.spans()).toHaveLength(1101)
  const heads = collector.requests.map(({ headers }) => [headers['content-type'], headers.authorization])
  expect(heads[0]).toEqual(['application/x-protobuf', 'Bearer one'])
  expect(heads.at(-1)).toEqual(['application/x-protobuf', 'Bearer two'])
})

test('a collector that comes back gets what waited', async () => {
  collector.answer = { status: 503 }
  const spans = queue()
  add(spans, 2)
  await eventually(() => expect(told).toHaveLength(1))
  collector.answer = { status: 200 }
  await eventually(() => expect(spans.figures()).toEqual({ exported: 2, dropped: 0, waiting: 0 }))
  expect(told).toEqual(['warn: spans can not be delivered status 503', 'info: spans are delivered again '])
})
