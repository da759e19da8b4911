import { request } from 'node:http'
import { connect } from 'node:net'
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import { ROUTES } from '../../../src/admin/routes.js'
import type { AdminServer } from '../../../src/admin/server.js'
import { shapeFindings } from '../../../src/schema/shape.js'
import {
  ADMIN_TOKEN,
  call,
  decisionLine,
  ISSUER,
  type KnownState,
  knownState,
  NOW_MS,
  READER_TOKEN,
  REPORT,
  startApi,
  WORKLOAD,
} from './running-api.js'

let known: KnownState
let api: AdminServer

beforeEach(async () => {
  known = knownState()
  api = await startApi(known)
})
afterEach(() => api.close())

const GRANT = {
  subject: { subject: 'dana' },
  service: 'shop/records',
  operations: ['Read'],
  requester: 'ravi',
  ticket: 'T-1',
  reason: 'analysis',
  duration: '1h',
}

const WHOM = encodeURIComponent(WORKLOAD)

describe('questions, which a Reader may ask', () => {
  const rows: { route: string; path: string; body?: object; answer: object }[] = [
    {
      route: 'GET /v1/decisions',
      path: '/v1/decisions?limit=1',
      answer: { decisions: [{ decisionId: 'd3' }] },
    },
    {
      route: 'GET /v1/decisions',
      path: '/v1/decisions?user=dana&caller=shop/order&target=shop/payment&decision=deny&reason=call-not-allowed',
      answer: { decisions: [{ decisionId: 'd2' }, { decisionId: 'd1' }] },
    },
    {
      route: 'GET /v1/decisions',
      path: `/v1/decisions?caller=${WHOM}&user=nobody`,
      answer: { decisions: [] },
    },
    { route: 'GET /v1/decisions/:id', path: '/v1/decisions/d2', answer: { decisionId: 'd2' } },
    {
      route: 'POST /v1/explain',
      path: '/v1/explain',
      body: { target: 'shop/payment', claims: { department: ['sales'] } },
      answer: {
        reason: 'caller-unknown',
        asked: { target: 'shop/payment', claims: { department: ['sales'] } },
      },
    },
    { route: 'GET /v1/matrix', path: '/v1/matrix', answer: { services: [{}, {}, {}], edges: [{}, {}] } },
    {
      route: 'GET /v1/matrix',
      path: '/v1/matrix?service=shop/records',
      answer: {
        services: [{ id: 'shop/payment' }, { id: 'shop/records' }],
        edges: [{ caller: 'shop/payment', endpoints: ['read'] }],
      },
    },
    {
      route: 'GET /v1/matrix',
      path: '/v1/matrix?caller=shop/order',
      answer: { edges: [{ caller: 'shop/order', target: 'shop/payment' }] },
    },
    { route: 'GET /v1/policy', path: '/v1/policy', answer: { revision: 'r1', documents: 3 } },
    { route: 'GET /v1/grants', path: '/v1/grants?state=live&limit=1', answer: { grants: [{ id: 'id-1' }] } },
    { route: 'GET /v1/grants/:id', path: '/v1/grants/id-1', answer: { id: 'id-1', state: 'live' } },
    { route: 'GET /v1/grants/review', path: '/v1/grants/review', answer: { unusedForMs: 30 * 86_400_000 } },
    {
      route: 'GET /v1/sessions',
      path: '/v1/sessions?subject=dana',
      answer: { sessions: [{ issuer: ISSUER, subject: 'dana' }] },
    },
    { route: 'GET /v1/sessions', path: '/v1/sessions', answer: { sessions: [] } },
    { route: 'GET /v1/devices', path: '/v1/devices?limit=5', answer: { devices: [{ id: 'laptop/7' }] } },
    {
      route: 'GET /v1/devices/:id',
      path: '/v1/devices/laptop%2F7',
      answer: { id: 'laptop/7', issuer: ISSUER, managed: true },
    },
    {
      route: 'GET /v1/risk',
      path: '/v1/risk?subject=dana',
      answer: { subject: 'dana', issuer: ISSUER, score: 55 },
    },
    { route: 'GET /v1/risk', path: `/v1/risk?workload=${WHOM}`, answer: { workload: WORKLOAD } },
    { route: 'GET /v1/quarantine', path: '/v1/quarantine', answer: { quarantined: [] } },
    { route: 'GET /v1/log-level', path: '/v1/log-level', answer: { level: 'Info', configured: 'Info' } },
    { route: 'GET /openapi.json', path: '/openapi.json', answer: { openapi: '3.1.0' } },
  ]

  test.each(rows)('$route: $path', async ({ route, path, body, answer }) => {
    known.decisions.note(decisionLine('d1'))
    known.decisions.note(decisionLine('d2'))
    known.decisions.note(decisionLine('d3', { decision: 'allow' }))
    known.decisions.note('{"eventType":"administration"}')
    await call(api, 'POST', '/v1/devices', {
      body: { reason: 'x', devices: [{ id: 'laptop/7', ...REPORT }] },
    })
    const made = await call(api, 'POST', '/v1/grants', { body: GRANT })
    const actual = path.replace('id-1', /[^/]+$/.exec(made.headers.location ?? '')?.[0] ?? '')
    known.events.length = 0

    const [method = ''] = route.split(' ')
    const got = await call(api, method, actual, { token: READER_TOKEN, ...(body && { body }) })
    expect([got.status, got.headers['content-type']]).toEqual([200, 'application/json'])
    expect(got.json).toMatchObject(expectedOf(answer, made.headers.location ?? ''))
    expectShape(route, got.json)
    expect(known.events).toEqual([])
  })

  test.each([
    { format: 'csv', type: 'text/csv; charset=utf-8' },
    { format: 'table', type: 'text/plain; charset=utf-8' },
  ])('a review as $format', async ({ format, type }) => {
    const got = await call(api, 'GET', `/v1/grants/review?format=${format}&days=7`)
    expect(got).toMatchObject({ status: 200, text: `${format} ${7 * 86_400_000}` })
    expect(got.headers['content-type']).toBe(type)
  })
})

describe('changes, recorded with who, why and from where', () => {
  const rows: {
    route: string
    path: string
    body?: object
    status: number
    answer?: object
    event: object
  }[] = [
    {
      route: 'POST /v1/grants',
      path: '/v1/grants',
      body: GRANT,
      status: 201,
      answer: { subject: { issuer: ISSUER, subject: 'dana' }, approver: 'alice', service: 'shop/records' },
      event: {
        action: 'grant.create',
        resourceType: 'grant',
        reason: 'analysis',
        details: {
          issuer: ISSUER,
          subject: 'dana',
          service: 'shop/records',
          operations: ['Read'],
          requester: 'ravi',
          ticket: 'T-1',
          expiresAt: '2026-03-01T13:00:00.000Z',
          duration: '1h',
        },
      },
    },
    {
      route: 'POST /v1/grants/:id/revoke',
      path: '/v1/grants/known/revoke',
      body: { reason: 'done' },
      status: 200,
      answer: { state: 'revoked', revoked: { by: 'alice', reason: 'done' } },
      event: { action: 'grant.revoke', resourceId: 'known', reason: 'done' },
    },
    {
      route: 'POST /v1/sessions/terminate',
      path: '/v1/sessions/terminate',
      body: { subject: 'dana', sessionId: 's1', reason: 'lost' },
      status: 200,
      answer: { sessionId: 's1', state: 'ended' },
      event: {
        action: 'session.terminate',
        resourceId: `s1 of dana (${ISSUER})`,
        reason: 'lost',
        details: { issuer: ISSUER, subject: 'dana', sessionId: 's1' },
      },
    },
    {
      route: 'PUT /v1/devices/:id',
      path: '/v1/devices/d1?issuer=https%3A%2F%2Fother.example',
      body: { ...REPORT, lastSeen: '2026-03-01T11:00:00+01:00', reason: 'enrolled' },
      status: 200,
      answer: { id: 'd1', issuer: 'https://other.example', firewall: true },
      event: {
        action: 'device.report',
        resourceId: 'd1 (https://other.example)',
        reason: 'enrolled',
        details: { ...REPORT, lastSeen: '2026-03-01T11:00:00+01:00' },
      },
    },
    {
      route: 'POST /v1/devices',
      path: '/v1/devices',
      body: {
        reason: 'import',
        devices: [
          { id: 'a', ...REPORT },
          { id: 'b', ...REPORT },
          { id: 'c', ...REPORT },
        ],
      },
      status: 200,
      answer: { accepted: 3 },
      event: {
        action: 'device.report-many',
        resourceId: '3 devices',
        reason: 'import',
        details: { count: 3, ids: ['a', 'b', 'c'] },
      },
    },
    {
      route: 'DELETE /v1/devices/:id',
      path: '/v1/devices/known?reason=sold',
      status: 204,
      event: { action: 'device.remove', resourceId: `known (${ISSUER})`, reason: 'sold' },
    },
    {
      route: 'POST /v1/risk',
      path: '/v1/risk',
      body: { subject: 'dana', level: 'HIGH', reason: 'leak' },
      status: 200,
      answer: { externalLevel: { level: 'HIGH' } },
      event: {
        action: 'risk.set-level',
        resourceId: `dana (${ISSUER})`,
        reason: 'leak',
        details: { level: 'HIGH' },
      },
    },
    {
      route: 'POST /v1/quarantine',
      path: '/v1/quarantine',
      body: { workload: WORKLOAD, duration: '1h', reason: 'odd' },
      status: 201,
      answer: { workload: WORKLOAD, until: '2026-03-01T13:00:00.000Z', by: 'alice' },
      event: {
        action: 'quarantine.add',
        resourceId: WORKLOAD,
        reason: 'odd',
        details: { until: '2026-03-01T13:00:00.000Z' },
      },
    },
    {
      route: 'DELETE /v1/quarantine',
      path: `/v1/quarantine?workload=${WHOM}&reason=clean`,
      status: 204,
      event: { action: 'quarantine.lift', resourceId: WORKLOAD, reason: 'clean' },
    },
    {
      route: 'PUT /v1/log-level',
      path: '/v1/log-level',
      body: { level: 'Debug', duration: '10m', reason: 'odd' },
      status: 200,
      answer: { level: 'Debug', configured: 'Info', until: '2026-03-01T12:10:00.000Z' },
      event: {
        action: 'log-level.set',
        resourceId: 'Debug',
        reason: 'odd',
        details: { level: 'Debug', until: '2026-03-01T12:10:00.000Z' },
      },
    },
  ]

  test.each(rows)('$route', async ({ route, path, body, status, answer, event }) => {
    const grant = await call(api, 'POST', '/v1/grants', { body: GRANT })
    const first = known.grants.get(String(Reflect.get(Object(grant.json), 'id')))
    if (first) known.grants.set('known', { ...first, id: 'known' })
    await call(api, 'PUT', '/v1/devices/known', { body: { ...REPORT, reason: 'x' } })
    if (status === 204) {
      await call(api, 'POST', '/v1/quarantine', { body: { workload: WORKLOAD, duration: '1h', reason: 'x' } })
    }
    known.events.length = 0

    const [method = ''] = route.split(' ')
    const got = await call(api, method, path, body ? { body } : {})
    expect(got.status).toBe(status)
    if (answer) {
      expect(got.json).toMatchObject(answer)
      expectShape(route, got.json)
    } else expect(got.text).toBe('')
    expect(known.events).toMatchObject([
      {
        ...event,
        atMs: NOW_MS,
        actor: 'alice',
        role: 'Admin',
        remoteIp: '127.0.0.1',
        requestId: got.headers['x-request-id'],
        success: true,
      },
    ])
  })

  test('a grant is where its Location says', async () => {
    const made = await call(api, 'POST', '/v1/grants', { body: GRANT })
    const got = await call(api, 'GET', made.headers.location ?? '')
    expect(got.json).toEqual(made.json)
  })

  test('every change of the table was made here', () => {
    const tried = new Set(rows.map(({ route }) => route))
    const all = ROUTES.filter(({ action }) => action !== undefined)
    expect(all.map(({ method, path }) => `${method} ${path}`).filter((route) => !tried.has(route))).toEqual(
      [],
    )
  })

  test('ten thousand devices at once', async () => {
    const devices = Array.from({ length: 10_000 }, (_, index) => ({ id: `laptop-${index}`, ...REPORT }))
    const got = await call(api, 'POST', '/v1/devices', { body: { reason: 'import', devices } })
    expect(got.json).toEqual({ accepted: 10_000 })
    expect(known.devices.size).toBe(10_000)
  })
})

describe('following decisions', () => {
  /** Lines until `enough` say so. */
  const follow = (query: string, enough: (lines: readonly string[]) => boolean) =>
    new Promise<readonly string[]>((resolve, reject) => {
      const [host, port] = api.address.split(':')
      const asked = request(
        {
          host,
          port,
          path: `/v1/decisions?follow=1${query}`,
          headers: { authorization: `Bearer ${ADMIN_TOKEN}` },
          agent: false,
          timeout: 4000,
        },
        (response) => {
          let text = ''
          const settle = (): void => resolve(text.split('\n'))
          response.setEncoding('utf8')
          response.on('data', (chunk: string) => {
            text += chunk
            if (text === '\n') {
              known.decisions.note(decisionLine('d1'))
              known.decisions.note(decisionLine('d2', { decision: 'allow' }))
            }
            if (!enough(text.split('\n'))) return
            settle()
            asked.destroy()
          })
          response.on('end', settle)
          response.on('error', settle)
        },
      )
      asked.on('timeout', () => asked.destroy(new Error('nothing came')))
      asked.on('error', reject)
      asked.end()
    })

  test('those that are wanted, as they are made', async () => {
    const lines = await follow('&decision=allow', (got) => got.some((line) => line.includes('d2')))
    expect(lines.filter((line) => line !== '')).toEqual([decisionLine('d2', { decision: 'allow' })])
  })

  test('blank lines show that the connection lives', async () => {
    await api.close()
    api = await startApi(known, { limits: { heartbeatMs: 20 } })
    const lines = await follow('&user=nobody', (got) => got.length > 4)
    expect(lines.every((line) => line === '')).toBe(true)
  })

  test('ends with the tokens of its time, and with the server', async () => {
    const first = follow('', () => false)
    await new Promise((resolve) => setTimeout(resolve, 100))
    api.updateTokens([])
    expect((await first).some((line) => line.includes('d1'))).toBe(true)
  })

  test('ends after a while, so that nobody stays whose certificate does not', async () => {
    await api.close()
    api = await startApi(known, { limits: { followMs: 50 } })
    expect((await follow('', () => false)).filter((line) => line !== '')).toHaveLength(2)
  })

  test('cuts off who does not read', async () => {
    await api.close()
    api = await startApi(known, { limits: { followerBytes: 64 * 1024 } })
    const [host = '', port] = api.address.split(':')
    const socket = connect(Number(port), host)
    socket.write(
      `GET /v1/decisions?follow=1 HTTP/1.1\r\nhost: 127.0.0.1\r\nauthorization: Bearer ${ADMIN_TOKEN}\r\n\r\n`,
    )
    await new Promise((resolve) => socket.once('data', resolve))
    socket.pause()
    const cut = new Promise((resolve) => socket.once('close', resolve))
    // More than the kernel keeps for a connection.
    const line = decisionLine('long', { message: 'x'.repeat(60_000) })
    for (let count = 0; count < 400; count++) {
      known.decisions.note(line)
      if (count % 20 === 0) await new Promise((resolve) => setImmediate(resolve))
    }
    socket.resume()
    await cut
  })

  test('more than may be', async () => {
    await api.close()
    api = await startApi(known, { limits: { followers: 1 } })
    const first = follow('', () => false)
    await new Promise((resolve) => setTimeout(resolve, 100))
    const second = await call(api, 'GET', '/v1/decisions?follow=1')
    expect([second.status, second.headers['retry-after']]).toEqual([503, '30'])
    await api.close()
    await first
    api = await startApi(known)
  })
})

/** Where the grant that was made got another id than the table says. */
function expectedOf(answer: object, location: string): Record<string, unknown> {
  const id = /[^/]+$/.exec(location)?.[0] ?? ''
  const read: Record<string, unknown> = JSON.parse(JSON.stringify(answer).replaceAll('id-1', id))
  return read
}

/** The answer is what the OpenAPI document says. */
function expectShape(route: string, json: unknown): void {
  const found = ROUTES.find(({ method, path }) => `${method} ${path}` === route)
  if (!found) throw new Error(`no route is ${route}`)
  if (found.answer.schema) expect(shapeFindings(found.answer.schema, json)).toEqual([])
}
