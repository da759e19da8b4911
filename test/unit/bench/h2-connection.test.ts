import { createServer, type Http2Server, type ServerHttp2Session } from 'node:http2'
import { afterEach, expect, test } from '@jest/globals'
import { type Answer, H2Connection, openTcp } from '../../../bench/h2-connection.js'

const HEADERS = [
  [':method', 'POST'],
  [':scheme', 'http'],
  [':path', '/ask'],
  [':authority', 'bench'],
  ['x-long', 'v'.repeat(300)],
] as const

let server: Http2Server
const sessions = new Set<ServerHttp2Session>()
const connections: H2Connection[] = []

/** Answers with what it got, after `:status`; as the request's first byte says. */
async function echo(): Promise<H2Connection> {
  server = createServer()
  server.on('session', (session) => sessions.add(session))
  server.on('stream', (stream, headers) => {
    const parts: Buffer[] = []
    stream.on('error', () => undefined)
    stream.on('data', (part: Buffer) => parts.push(part))
    stream.on('end', () => {
      const body = Buffer.concat(parts)
      const order = body.toString('latin1', 0, 1)
      if (order === 'r') return stream.close(2)
      if (order === 'd') return stream.session?.destroy()
      stream.respond({ ':status': order === 'n' ? 403 : 200, 'x-got': headers['x-long'] })
      stream.end(body)
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('a TCP server has a port')
  const connection = new H2Connection(await openTcp(`127.0.0.1:${address.port}`), HEADERS)
  connections.push(connection)
  return connection
}

afterEach(async () => {
  for (const connection of connections.splice(0)) connection.close()
  for (const session of sessions) session.destroy()
  sessions.clear()
  await new Promise((resolve) => server.close(resolve))
})

function ask(connection: H2Connection, body: Buffer): Promise<Answer | undefined> {
  return new Promise((resolve) => connection.send(body, resolve))
}

test('more than a frame is not sent', async () => {
  const connection = await echo()
  expect(() => connection.send(Buffer.alloc(16_385), () => undefined)).toThrow('one frame')
})

test.each([
  ['a stream that was reset', 'r'],
  ['a connection that ended', 'd'],
])('%s is no answer', async (_name, order) => {
  expect(await ask(await echo(), Buffer.from(order))).toBeUndefined()
})

test('calls on a connection that is gone get no answer', async () => {
  const connection = await echo()
  connection.close()
  expect(await ask(connection, Buffer.from('x'))).toBeUndefined()
})

test('another status than 200 is told', async () => {
  expect(await ask(await echo(), Buffer.from('no'))).toEqual({ ok: false, data: Buffer.from('no') })
})

test('a call without a body is answered', async () => {
  expect(await ask(await echo(), Buffer.alloc(0))).toEqual({ ok: true, data: Buffer.alloc(0) })
})

test('more calls than the window holds are all answered, each its own', async () => {
  const connection = await echo()
  const bodies = Array.from({ length: 200 }, (_, at) => Buffer.from(`${at} `.padEnd(4000, 'x')))
  const answers = await Promise.all(bodies.map((body) => ask(connection, body)))
  expect(answers.map((answer) => answer?.ok)).toEqual(bodies.map(() => true))
  expect(answers.map((answer) => answer?.data.toString())).toEqual(bodies.map(String))
})
