import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, describe, expect, test } from '@jest/globals'
import { createWebhook, type WebhookOptions } from '../../../../src/adapters/alerts/webhook.js'
import type { AlertSink } from '../../../../src/risk/alert-sink.js'
import { eventually } from '../../../support/eventually.js'

const TOKEN = 'a-token-that-nobody-logs'
const NOW_MS = Date.UTC(2026, 10, 25)
const servers: Server[] = []
const sinks: AlertSink[] = []

type Posted = { readonly body: string; readonly headers: IncomingMessage['headers']; readonly atMs: number }
type Answer = (response: ServerResponse, request: IncomingMessage) => void
type Receiver = { readonly url: string; readonly posted: Posted[] }

afterEach(async () => {
  await Promise.all(sinks.splice(0).map((sink) => sink.drain(0)))
  for (const server of servers) server.closeAllConnections()
  await Promise.all(servers.splice(0).map((server) => new Promise((resolve) => server.close(resolve))))
})

/** Answers each request with the next of `answers`, the last one again and again. */
async function receive(...answers: readonly Answer[]): Promise<Receiver> {
  const posted: Posted[] = []
  const server = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      const answer = answers[Math.min(posted.length, answers.length - 1)]
      const body = Buffer.concat(chunks).toString()
      posted.push({ body, headers: request.headers, atMs: performance.now() })
      answer?.(response, request)
    })
    response.on('error', () => undefined)
  })
  servers.push(server)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  return { url: `http://127.0.0.1:${port}/hook/secret-path?key=secret-query`, posted }
}

const status =
  (code: number, headers: Readonly<Record<string, string>> = {}, body = ''): Answer =>
  (response) =>
    response.writeHead(code, headers).end(body)
const hang: Answer = () => undefined
const closeMidway: Answer = (response) => {
  response.writeHead(200, { 'content-length': '100' }).write('half')
  setTimeout(() => response.destroy(), 20)
}
const breakOff: Answer = (_response, request) => request.socket.destroy()

function webhook(
  { url }: { readonly url: string },
  options: Partial<WebhookOptions> = {},
): { readonly sink: AlertSink; readonly warnings: string[] } {
  const warnings: string[] = []
  const sink = createWebhook({
    url,
    token: () => TOKEN,
    timeoutMs: 200,
    retries: 3,
    buffer: 10,
    backoffMs: 20,
    nowMs: () => NOW_MS,
    random: () => 0,
    warn: (message) => warnings.push(message),
    ...options,
  })
  sinks.push(sink)
  return { sink, warnings }
}

const line = (at: number): string => JSON.stringify({ eventType: 'risk-alert', at })

describe('what is given up at once', () => {
  test.each([
    { name: 'a request that the receiver refuses', answer: status(400) },
    { name: 'a token that it refuses', answer: status(401) },
    { name: 'an address that is gone', answer: status(410) },
    {
      name: 'a redirect, which would carry the token elsewhere',
      answer: status(307, { location: 'http://127.0.0.1:1/' }),
    },
  ])('$name', async ({ answer }) => {
    const receiver = await receive(answer, status(200))
    const { sink, warnings } = webhook(receiver)
    sink.send(line(1))
    sink.send(line(2))
    await eventually(() => expect(sink.figures()).toEqual({ pending: 0, delivered: 1, dropped: 1 }))
    expect(receiver.posted.map(({ body }) => body)).toEqual([line(1), line(2)])
    expect(warnings).toHaveLength(1)
  })
})

describe('what is tried again', () => {
  test.each([
    { name: 'errors of the receiver', answers: [status(500), status(502), status(503)] },
    { name: 'too many requests', answers: [status(429), status(408)] },
    { name: 'a receiver that hangs', answers: [hang] },
    { name: 'a connection that breaks off', answers: [breakOff, breakOff] },
  ])('$name', async ({ answers }) => {
    const receiver = await receive(...answers, status(204))
    const { sink, warnings } = webhook(receiver)
    sink.send(line(1))
    sink.send(line(2))
    await eventually(() => expect(sink.figures()).toEqual({ pending: 0, delivered: 2, dropped: 0 }))
    expect(receiver.posted.map(({ body }) => body)).toEqual([...answers.map(() => line(1)), line(1), line(2)])
    expect(warnings).toHaveLength(2)
    expect(warnings.at(-1)).toContain('delivered again')
  })

  test('nobody listens: all attempts, then the next alert', async () => {
    const { url } = await receive(status(200))
    const [server] = servers.splice(0)
    await new Promise((resolve) => server?.close(resolve))
    const { sink, warnings } = webhook({ url })
    sink.send(line(1))
    await eventually(() => expect(sink.figures()).toEqual({ pending: 0, delivered: 0, dropped: 1 }))
    expect(warnings.join(' ')).toContain('ECONNREFUSED')
  })

  test('waits double, and Retry-After makes them longer', async () => {
    const receiver = await receive(
      status(503),
      status(503),
      status(503, { 'retry-after': new Date(NOW_MS + 1000).toUTCString() }),
      status(200),
    )
    const { sink } = webhook(receiver, { backoffMs: 100 })
    sink.send(line(1))
    await eventually(() => expect(sink.figures().delivered).toBe(1))
    const times = receiver.posted.map(({ atMs }) => atMs)
    const waits = times.slice(1).map((atMs, at) => atMs - (times[at] ?? 0))
    // The jitter's lower end is half.
    for (const [at, leastMs] of [50, 100, 1000].entries()) expect(waits[at]).toBeGreaterThan(leastMs - 5)
    expect(waits[1]).toBeLessThan(900)
  })

  test('after all attempts it is given up, once', async () => {
    const receiver = await receive(status(500))
    const { sink } = webhook(receiver, { retries: 2, backoffMs: 1 })
    sink.send(line(1))
    await eventually(() => expect(sink.figures()).toEqual({ pending: 0, delivered: 0, dropped: 1 }))
    expect(receiver.posted).toHaveLength(3)
  })
})

test.each([
  { name: 'a body of 10 MB', answer: status(200, {}, 'x'.repeat(10_000_000)) },
  { name: 'a body that never ends', answer: ((response) => response.writeHead(200).write('x')) as Answer },
  { name: 'a body that breaks off', answer: closeMidway },
])('the answer counts, its body does not: $name', async ({ answer }) => {
  const receiver = await receive(answer)
  const { sink } = webhook(receiver)
  sink.send(line(1))
  sink.send(line(2))
  await eventually(() => expect(sink.figures()).toEqual({ pending: 0, delivered: 2, dropped: 0 }))
  expect(receiver.posted).toHaveLength(2)
})

test('a POST of JSON with the token of now', async () => {
  const receiver = await receive(status(200))
  const tokens = ['first', 'second', undefined]
  const { sink } = webhook(receiver, { token: () => tokens.shift() })
  for (const at of [1, 2, 3]) sink.send(line(at))
  await eventually(() => expect(sink.figures().delivered).toBe(3))
  const headers = receiver.posted.map((posted) => posted.headers)
  expect(headers.map(({ authorization }) => authorization)).toEqual([
    'Bearer first',
    'Bearer second',
    undefined,
  ])
  expect(headers[0]).toMatchObject({ 'content-type': 'application/json', 'user-agent': 'portcullis' })
})

test.each([
  { name: 'a token that is no header', token: `${TOKEN}\n` },
  { name: 'a token that is one', token: TOKEN },
])('no secret in the log: $name', async ({ token }) => {
  const receiver = await receive(status(500))
  const { sink, warnings } = webhook(receiver, { token: () => token, retries: 1, backoffMs: 1 })
  sink.send(line(1))
  await eventually(() => expect(sink.figures().dropped).toBe(1))
  expect(warnings).toHaveLength(2)
  expect(warnings.join('\n')).not.toMatch(/secret|token/)
  expect(warnings.join('\n')).toContain(new URL(receiver.url).origin)
})

describe('bounds', () => {
  test('beyond the buffer the oldest goes and is counted; order stays', async () => {
    const answers: (() => void)[] = []
    const receiver = await receive((response) => answers.push(() => response.writeHead(200).end()))
    const { sink, warnings } = webhook(receiver, { buffer: 3, timeoutMs: 5000 })
    for (let at = 0; at < 100; at++) sink.send(line(at))
    expect(sink.figures()).toEqual({ pending: 4, delivered: 0, dropped: 96 })
    await eventually(() => {
      answers.shift()?.()
      expect(sink.figures().delivered).toBe(4)
    })
    expect(receiver.posted.map(({ body }) => body)).toEqual([0, 97, 98, 99].map(line))
    expect(warnings).toHaveLength(7)
  })

  test('a drain delivers what waits, without waiting for its pauses', async () => {
    const receiver = await receive(status(503, { 'retry-after': '60' }), status(200))
    const { sink } = webhook(receiver)
    sink.send(line(1))
    sink.send(line(2))
    await eventually(() => expect(receiver.posted).toHaveLength(1))
    const startedMs = performance.now()
    await new Promise((resolve) => setTimeout(resolve, 50))
    await sink.drain(5000)
    expect(performance.now() - startedMs).toBeLessThan(2000)
    expect(sink.figures()).toEqual({ pending: 0, delivered: 2, dropped: 0 })
  })

  test('a drain gives up in time what nobody takes; afterwards nothing is taken', async () => {
    const receiver = await receive(hang)
    const { sink } = webhook(receiver, { timeoutMs: 60_000 })
    for (const at of [1, 2, 3]) sink.send(line(at))
    await eventually(() => expect(receiver.posted).toHaveLength(1))
    const startedMs = performance.now()
    await sink.drain(100)
    expect(performance.now() - startedMs).toBeLessThan(1000)
    expect(sink.figures()).toEqual({ pending: 0, delivered: 0, dropped: 3 })
    sink.send(line(4))
    expect(sink.figures().dropped).toBe(4)
  })

  test('a drain without alerts is at once', async () => {
    const { sink } = webhook(await receive(status(200)))
    await sink.drain(60_000)
    expect(sink.figures()).toEqual({ pending: 0, delivered: 0, dropped: 0 })
  })
})
