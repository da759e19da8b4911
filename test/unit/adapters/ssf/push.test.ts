import { request } from 'node:http'
import { afterEach, describe, expect, test } from '@jest/globals'
import type { GetServer } from '../../../../src/adapters/http/get-server.js'
import { startPublicServer } from '../../../../src/adapters/http/public.js'
import { type Pusher, pushReceiver } from '../../../../src/adapters/ssf/push.js'
import type { Received } from '../../../../src/signals/receive.js'

const ACCEPTED: Received = {
  status: 'accepted',
  first: true,
  issuer: 'https://idp.example',
  jti: 'j',
  atMs: 0,
  type: 'x',
  subject: '',
  effective: true,
  stream: undefined,
}
const RECEIVED: Readonly<Record<string, Received>> = {
  good: ACCEPTED,
  bad: { status: 'refused', err: 'access_denied', description: 'not yours' },
  later: { status: 'unavailable', problem: 'the store is away' },
}

const servers: GetServer[] = []
let taken: string[] = []
afterEach(async () => {
  await Promise.all(servers.splice(0).map((server) => server.close()))
  taken = []
})

async function start(pusher: Partial<Pusher> = {}, push = true): Promise<GetServer> {
  const receive = async (text: string): Promise<Received> => {
    taken.push(text)
    const received = RECEIVED[text]
    if (!received) throw new Error('a bug')
    return received
  }
  const events = pushReceiver((text) =>
    text === 'nobody' ? undefined : { token: undefined, receive, ...pusher },
  )
  const server = await startPublicServer({
    listen: { host: '127.0.0.1', port: 0 },
    jwks: () => ({ body: '{"keys":[]}', maxAgeSeconds: 5 }),
    events: push ? events : undefined,
  })
  servers.push(server)
  return server
}

type Answer = {
  readonly status: number
  readonly headers: NodeJS.Dict<string | string[]>
  readonly body: string
}
const SET = { 'content-type': 'application/secevent+jwt' }

function post(
  server: GetServer,
  body: string,
  headers: Record<string, string> = SET,
  { path = '/ssf/events', method = 'POST' } = {},
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const sent = request(`http://${server.address}${path}`, { method, headers }, (response) => {
      let text = ''
      response.on('data', (chunk: Buffer) => (text += chunk.toString()))
      response.on('end', () =>
        resolve({ status: response.statusCode ?? 0, headers: response.headers, body: text }),
      )
    })
    sent.on('error', reject)
    sent.end(body)
  })
}

describe('refused before anything is received', () => {
  test.each<{ name: string; body?: string; headers?: Record<string, string>; status: number; says?: string }>(
    [
      {
        name: 'a form',
        headers: { 'content-type': 'application/x-www-form-urlencoded' },
        status: 400,
        says: 'invalid_request',
      },
      { name: 'no content type', headers: {}, status: 400, says: 'invalid_request' },
      {
        name: 'a content type that begins so',
        headers: { 'content-type': 'application/secevent+jwts' },
        status: 400,
        says: 'invalid_request',
      },
      {
        name: 'of nobody',
        body: 'nobody',
        headers: { ...SET, authorization: 'Bearer right' },
        status: 400,
        says: 'invalid_issuer',
      },
      { name: 'without token', status: 401 },
      { name: 'with a wrong token', headers: { ...SET, authorization: 'Bearer wrong' }, status: 401 },
      { name: 'with a longer token', headers: { ...SET, authorization: 'Bearer rightright' }, status: 401 },
      { name: 'with another scheme', headers: { ...SET, authorization: 'Basic right' }, status: 401 },
    ],
  )('$name: $status', async ({ body = 'good', headers = SET, status, says }) => {
    const server = await start({ token: () => 'right' })
    const answer = await post(server, body, headers)
    expect(answer.status).toBe(status)
    if (says === undefined) expect(answer.headers['www-authenticate']).toBe('Bearer')
    else expect(JSON.parse(answer.body)).toMatchObject({ err: says })
    expect(taken).toEqual([])
  })

  test('a body that comes too slowly is not waited for', async () => {
    const server = await start()
    const startedMs = performance.now()
    const sent = request(`http://${server.address}/ssf/events`, { method: 'POST', headers: SET })
    const ended = new Promise<void>((resolve) => {
      sent.on('error', () => resolve())
      sent.on('response', (response) => {
        response.resume()
        resolve()
      })
    })
    sent.write('x')
    await ended
    expect(performance.now() - startedMs).toBeLessThan(7500)
    sent.destroy()
    expect(taken).toEqual([])
  }, 10_000)

  test('what can not be read, with the reason', async () => {
    const push = pushReceiver(() => ({ problem: 'not strict JSON' }))
    const sent = { contentType: 'application/secevent+jwt', authorization: undefined, text: 'x' }
    expect(await push(sent)).toMatchObject({
      status: 400,
      body: '{"err":"invalid_request","description":"not strict JSON"}\n',
    })
  })

  test('a body that is too large, whether it says so or not', async () => {
    const server = await start()
    const large = 'x'.repeat(64 * 1024 + 1)
    const chunked = { ...SET, 'transfer-encoding': 'chunked' }
    for (const headers of [SET, chunked]) {
      // The connection may be gone before everything was sent.
      const answer = await post(server, large, headers).catch(() => undefined)
      expect(answer === undefined || answer.status === 413).toBe(true)
    }
    expect(taken).toEqual([])
    expect((await post(server, 'good')).status).toBe(202)
  })

  test.each([
    { path: '/ssf/events', method: 'GET', status: 405 },
    { path: '/ssf/events/', method: 'POST', status: 404 },
    { path: '/.well-known/jwks.json', method: 'POST', status: 405 },
  ])('$method $path: $status', async ({ path, method, status }) => {
    expect((await post(await start(), 'good', SET, { path, method })).status).toBe(status)
  })

  test('where nobody pushes there is no such path', async () => {
    expect((await post(await start({}, false), 'good')).status).toBe(404)
  })
})

describe('answers', () => {
  test('202 without a body', async () => {
    const server = await start({ token: () => 'right' })
    const headers = {
      'content-type': 'Application/SecEvent+JWT; charset=utf-8',
      authorization: 'bearer right',
    }
    expect(await post(server, 'good', headers)).toMatchObject({ status: 202, body: '' })
    expect(taken).toEqual(['good'])
  })
  test('400 with the code, in a language', async () => {
    const answer = await post(await start(), 'bad')
    expect(answer).toMatchObject({ status: 400, body: '{"err":"access_denied","description":"not yours"}\n' })
    expect(answer.headers).toMatchObject({ 'content-type': 'application/json', 'content-language': 'en-US' })
  })
  test('503 where it has to come again', async () => {
    const answer = await post(await start(), 'later')
    expect(answer).toMatchObject({ status: 503, headers: { 'retry-after': '5' } })
  })
  test('500 for a bug, and the next one is taken', async () => {
    const server = await start()
    expect((await post(server, 'unheard of')).status).toBe(500)
    expect((await post(server, 'good')).status).toBe(202)
  })
  test('503 to more than 64 at once', async () => {
    let release = (): void => undefined
    const held = new Promise<Received>((resolve) => (release = () => resolve(ACCEPTED)))
    const push = pushReceiver(() => ({ token: undefined, receive: () => held }))
    const sent = { contentType: 'application/secevent+jwt', authorization: undefined, text: 'x' }
    const all = Array.from({ length: 65 }, () => push(sent))
    expect((await all[64])?.status).toBe(503)
    release()
    expect(
      (await Promise.all(all)).map(({ status }) => status).filter((status) => status === 202),
    ).toHaveLength(64)
    expect((await push(sent)).status).toBe(202)
  })
})
