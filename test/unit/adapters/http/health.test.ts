import { request } from 'node:http'
import { afterEach, expect, test } from '@jest/globals'
import type { GetServer } from '../../../../src/adapters/http/get-server.js'
import { startHealthServer } from '../../../../src/adapters/http/health.js'

const servers: GetServer[] = []
let ready = false

async function start(
  metrics: (accept: string | undefined) => { contentType: string; body: string } = (accept = 'none') => ({
    contentType: 'text/plain',
    body: `portcullis_up 1 ${accept}\n`,
  }),
): Promise<GetServer> {
  const readiness = (): { ready: boolean; detail: Record<string, unknown> } => ({
    ready,
    detail: { policy: 'none' },
  })
  const server = await startHealthServer({ listen: { host: '127.0.0.1', port: 0 }, readiness, metrics })
  servers.push(server)
  return server
}

function ask(server: GetServer, path: string, method = 'GET'): Promise<{ status: number; body: string }> {
  return new Promise((resolve, reject) => {
    const sent = request(`http://${server.address}${path}`, { method }, (response) => {
      let body = ''
      response.on('data', (chunk: Buffer) => (body += chunk.toString()))
      response.on('end', () => resolve({ status: response.statusCode ?? 0, body }))
    })
    sent.on('error', reject)
    sent.end()
  })
}

afterEach(async () => {
  ready = false
  await Promise.all(servers.splice(0).map((server) => server.close()))
})

test.each([
  { path: '/', method: 'GET', status: 404 },
  { path: '/livez/', method: 'GET', status: 404 },
  { path: '/LIVEZ', method: 'GET', status: 404 },
  { path: '/readyz', method: 'POST', status: 405 },
  { path: '/metrics', method: 'DELETE', status: 405 },
])('$method $path gives $status', async ({ path, method, status }) => {
  expect((await ask(await start(), path, method)).status).toBe(status)
})

test('a port in use is a clear error', async () => {
  const port = Number((await start()).address.split(':')[1])
  await expect(
    startHealthServer({
      listen: { host: '127.0.0.1', port },
      readiness: () => ({ ready, detail: {} }),
      metrics: () => ({ contentType: 'text/plain', body: '' }),
    }),
  ).rejects.toThrow(`cannot listen on 127.0.0.1:${port}: `)
})

test('metrics that fail are a 500, not a crash', async () => {
  const server = await start(() => {
    throw new Error('bug')
  })
  expect((await ask(server, '/metrics')).status).toBe(500)
  expect((await ask(server, '/livez')).status).toBe(200)
})

test('livez always, readyz when ready and with the detail, metrics as given', async () => {
  const server = await start()
  expect(await ask(server, '/livez')).toEqual({ status: 200, body: 'ok\n' })
  expect(await ask(server, '/readyz')).toEqual({ status: 503, body: '{"ready":false,"policy":"none"}\n' })
  ready = true
  expect(await ask(server, '/readyz?verbose')).toEqual({
    status: 200,
    body: '{"ready":true,"policy":"none"}\n',
  })
  expect(await ask(server, '/metrics')).toEqual({ status: 200, body: 'portcullis_up 1 none\n' })
})
