import { connect } from 'node:net'
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import type { AdminServer } from '../../../src/admin/server.js'
import {
  ADMIN_TOKEN,
  type Asked,
  call,
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
let clock: { nowMs: number }
let warnings: string[]

beforeEach(async () => {
  known = knownState()
  clock = { nowMs: NOW_MS }
  warnings = []
  api = await startApi(known, { clock, warn: (message) => warnings.push(message) })
})
afterEach(async () => {
  await api.close()
  expect(warnings).toEqual([])
})

const GRANT = {
  subject: { subject: 'dana' },
  service: 'shop/records',
  operations: ['Read'],
  requester: 'ravi',
  ticket: 'T-1',
  reason: 'analysis',
  duration: '1h',
}

const unchanged = (): void => {
  expect(known.grants.size + known.devices.size + known.quarantined.size + known.ended.length).toBe(0)
}

/** Of a problem document, in the form that everybody gets. */
const problemOf = (answer: { status: number; headers: Record<string, unknown>; json: unknown }) => {
  expect(answer.headers['content-type']).toBe('application/problem+json')
  expect(answer.json).toMatchObject({ type: 'about:blank', status: answer.status })
  return answer.json
}

describe('who is nobody', () => {
  test.each<{ name: string; asked: Asked; challenge: string }>([
    { name: 'without a token', asked: { token: undefined }, challenge: 'Bearer' },
    { name: 'a wrong token', asked: { token: `${ADMIN_TOKEN}x` }, challenge: 'Bearer error="invalid_token"' },
    { name: 'the start of a token', asked: { token: ADMIN_TOKEN.slice(0, -1) }, challenge: 'Bearer error' },
    { name: 'a token in other case', asked: { token: ADMIN_TOKEN.toUpperCase() }, challenge: 'Bearer error' },
    { name: 'two tokens', asked: { token: `${ADMIN_TOKEN} ${ADMIN_TOKEN}` }, challenge: 'Bearer error' },
    {
      name: 'Basic',
      asked: { token: undefined, headers: { authorization: `Basic ${ADMIN_TOKEN}` } },
      challenge: 'Bearer error',
    },
  ])('401: $name', async ({ asked, challenge }) => {
    for (const path of ['/v1/policy', '/openapi.json', '/nothing']) {
      const answer = await call(api, 'GET', path, asked)
      expect(answer.status).toBe(401)
      expect(answer.headers['www-authenticate']).toContain(challenge)
      problemOf(answer)
    }
    const written = await call(api, 'POST', '/v1/grants', { ...asked, body: GRANT })
    expect(written.status).toBe(401)
    expect(known.events).toEqual([])
    unchanged()
  })

  test('the eleventh failure closes the door to that address for the rest of the minute', async () => {
    for (let failure = 1; failure <= 10; failure++) {
      expect((await call(api, 'GET', '/v1/policy', { token: 'x'.repeat(40) })).status).toBe(401)
      clock.nowMs += 1000
    }
    const refused = await call(api, 'GET', '/v1/policy')
    expect(refused.status).toBe(429)
    expect(refused.headers['retry-after']).toBe('50')
    problemOf(refused)
    expect(warnings.splice(0)).toEqual([expect.stringContaining('from 127.0.0.1')])
    clock.nowMs = NOW_MS + 60_000
    expect((await call(api, 'GET', '/v1/policy')).status).toBe(200)
  })

  test('two Authorization headers', async () => {
    const [host = '', port] = api.address.split(':')
    const socket = connect(Number(port), host)
    const header = `authorization: Bearer ${ADMIN_TOKEN}\r\n`
    socket.end(`GET /v1/policy HTTP/1.1\r\nhost: 127.0.0.1\r\n${header}${header}connection: close\r\n\r\n`)
    let answer = ''
    for await (const chunk of socket) answer += String(chunk)
    expect(answer).toMatch(/^HTTP\/1\.1 400 /)
    expect(answer).toContain('there is more than one Authorization header')
  })

  test('a token that is no more', async () => {
    api.updateTokens([])
    expect((await call(api, 'GET', '/v1/policy')).status).toBe(401)
  })
})

describe('pages of other sites', () => {
  test.each<{ name: string; headers: Record<string, string> }>([
    { name: 'a name that was made to point here', headers: { host: 'evil.example:9192' } },
    { name: 'a name that begins like ours', headers: { host: 'localhost.evil.example' } },
    { name: 'another origin', headers: { origin: 'https://evil.example' } },
    { name: 'another port', headers: { origin: 'http://127.0.0.1:1' } },
    { name: 'no origin', headers: { origin: 'null' } },
    { name: 'what the browser calls foreign', headers: { 'sec-fetch-site': 'cross-site' } },
  ])('403: $name', async ({ headers }) => {
    const answer = await call(api, 'GET', '/v1/policy', { headers })
    expect(answer.status).toBe(403)
    problemOf(answer)
    expect(answer.headers['access-control-allow-origin']).toBeUndefined()
  })

  test('a preflight gets no leave', async () => {
    const answer = await call(api, 'OPTIONS', '/v1/grants', { token: undefined })
    expect(answer.status).toBe(401)
    const named = await call(api, 'OPTIONS', '/v1/grants', { headers: { origin: `http://${api.address}` } })
    expect(named.status).toBe(405)
    expect(Object.keys(named.headers).filter((name) => name.startsWith('access-control'))).toEqual([])
  })

  test.each(['localhost', '[::1]', '127.0.0.1'])('%s is this one', async (name) => {
    const host = `${name}:${api.address.split(':')[1] ?? ''}`
    const answer = await call(api, 'GET', '/v1/policy', { headers: { host, origin: `http://${host}` } })
    expect(answer.status).toBe(200)
  })
})

describe('a Reader changes nothing', () => {
  test.each([
    { method: 'POST', path: '/v1/grants', action: 'grant.create', resourceId: '' },
    { method: 'POST', path: '/v1/grants/g1/revoke', action: 'grant.revoke', resourceId: 'g1' },
    { method: 'POST', path: '/v1/sessions/terminate', action: 'session.terminate', resourceId: '' },
    { method: 'POST', path: '/v1/devices', action: 'device.report-many', resourceId: '' },
    { method: 'PUT', path: '/v1/devices/d1', action: 'device.report', resourceId: 'd1' },
    { method: 'DELETE', path: '/v1/devices/d1?reason=x', action: 'device.remove', resourceId: 'd1' },
    { method: 'POST', path: '/v1/risk', action: 'risk.set-level', resourceId: '' },
    { method: 'POST', path: '/v1/quarantine', action: 'quarantine.add', resourceId: '' },
    { method: 'DELETE', path: '/v1/quarantine?workload=x', action: 'quarantine.lift', resourceId: '' },
    { method: 'PUT', path: '/v1/log-level', action: 'log-level.set', resourceId: '' },
  ])('$method $path', async ({ method, path, action, resourceId }) => {
    // Even a body that is no JSON isn't looked at.
    const body = method === 'DELETE' ? {} : { body: '{' }
    const answer = await call(api, method, path, { token: READER_TOKEN, ...body })
    expect(answer.status).toBe(403)
    problemOf(answer)
    expect(known.events).toMatchObject([
      { actor: 'rhea', role: 'Reader', action, resourceId, success: false, errorCode: 'role-missing' },
    ])
    unchanged()
  })
})

describe('names that nobody configured', () => {
  const WRONG = `${ISSUER}/`
  const issuer = encodeURIComponent(WRONG)
  const ELSEWHERE = 'spiffe://cluster.lokal/ns/shop/sa/api'
  const report = { ...REPORT, reason: 'x' }
  const asked = { subject: 'dana', reason: 'x' }
  test.each<{ method: string; path: string; body?: object; pointer: string; near?: string }>([
    { method: 'GET', path: `/v1/sessions?subject=dana&issuer=${issuer}`, pointer: '/issuer' },
    {
      method: 'POST',
      path: '/v1/sessions/terminate',
      body: { ...asked, issuer: WRONG },
      pointer: '/issuer',
    },
    { method: 'GET', path: `/v1/risk?subject=dana&issuer=${issuer}`, pointer: '/issuer' },
    {
      method: 'POST',
      path: '/v1/risk',
      body: { ...asked, issuer: WRONG, level: 'HIGH' },
      pointer: '/issuer',
    },
    { method: 'GET', path: `/v1/devices/a?issuer=${issuer}`, pointer: '/issuer' },
    { method: 'PUT', path: `/v1/devices/a?issuer=${issuer}`, body: report, pointer: '/issuer' },
    {
      method: 'POST',
      path: '/v1/devices',
      body: { reason: 'x', devices: [{ id: 'a', issuer: WRONG, ...REPORT }] },
      pointer: '/devices/0/issuer',
    },
    { method: 'GET', path: `/v1/grants?issuer=${issuer}`, pointer: '/issuer' },
    {
      method: 'POST',
      path: '/v1/grants',
      body: { ...GRANT, subject: { subject: 'dana', issuer: WRONG } },
      pointer: '/subject/issuer',
    },
    {
      method: 'GET',
      path: `/v1/risk?workload=${encodeURIComponent(ELSEWHERE)}`,
      pointer: '/workload',
      near: 'cluster.local',
    },
    {
      method: 'POST',
      path: '/v1/risk',
      body: { workload: ELSEWHERE, level: 'HIGH', reason: 'x' },
      pointer: '/workload',
      near: 'cluster.local',
    },
    {
      method: 'POST',
      path: '/v1/quarantine',
      body: { workload: ELSEWHERE, duration: '1h', reason: 'x' },
      pointer: '/workload',
      near: 'cluster.local',
    },
  ])('$method $path', async ({ method, path, body, pointer, near = ISSUER }) => {
    const answer = await call(api, method, path, body ? { body } : {})
    expect(answer.status).toBe(400)
    const code = pointer === '/workload' ? 'unknown-trust-domain' : 'unknown-issuer'
    const message = expect.stringContaining(`did you mean \`${near}\`?`)
    expect(problemOf(answer)).toMatchObject({ errors: [{ pointer, code, message }] })
    expect(known.events).toEqual([])
    unchanged()
  })
})

describe('bad input', () => {
  type Row = {
    readonly name: string
    readonly method?: string
    readonly path: string
    readonly body?: Asked['body']
    readonly type?: string
    readonly status?: number
    readonly errors?: readonly object[]
  }
  const devices = (...elements: object[]) => ({ reason: 'import', devices: elements })
  const rows: readonly Row[] = [
    {
      name: 'no JSON',
      path: '/v1/grants',
      body: '{"a":}',
      errors: [{ in: 'body', pointer: '', code: 'invalid-json' }],
    },
    { name: 'a member twice', path: '/v1/grants', body: '{"a":1,"a":2}', errors: [{ code: 'invalid-json' }] },
    {
      name: 'no UTF-8',
      path: '/v1/grants',
      body: Buffer.from([0x22, 0xff, 0x22]),
      errors: [{ code: 'invalid-json' }],
    },
    { name: 'a list', path: '/v1/grants', body: '[]', errors: [{ code: 'wrong-type' }] },
    { name: 'nothing', path: '/v1/grants', errors: [{ code: 'body-missing' }] },
    { name: 'an empty body', path: '/v1/grants', body: '', errors: [{ code: 'body-missing' }] },
    {
      name: 'an unknown field',
      path: '/v1/grants',
      body: { ...GRANT, expires: 'x' },
      errors: [{ in: 'body', pointer: '/expires', code: 'unknown-field' }],
    },
    {
      name: 'an unknown field within, with a name of JavaScript',
      path: '/v1/grants',
      body: JSON.stringify(GRANT).replace('"dana"', '"dana","__proto__":1'),
      errors: [{ pointer: '/subject/__proto__', code: 'unknown-field' }],
    },
    {
      name: 'a session that no token can name',
      path: '/v1/sessions/terminate',
      body: { subject: 'dana', sessionId: 'a\nb', reason: 'x' },
      errors: [{ in: 'body', pointer: '/sessionId', code: 'wrong-value' }],
    },
    {
      name: 'a missing field',
      path: '/v1/grants/g1/revoke',
      body: {},
      errors: [
        {
          in: 'body',
          pointer: '/reason',
          code: 'missing-field',
          message: 'missing field `reason` in the document',
        },
      ],
    },
    {
      name: 'no reason',
      path: '/v1/grants/g1/revoke',
      body: { reason: '' },
      errors: [{ pointer: '/reason', code: 'wrong-value' }],
    },
    {
      name: 'a reason that repaints the terminal',
      path: '/v1/grants/g1/revoke',
      body: { reason: '\u001b[2J' },
      errors: [{ pointer: '/reason', code: 'wrong-value' }],
    },
    {
      name: 'a wrong type, not made fit',
      path: '/v1/grants',
      body: { ...GRANT, maxUses: '3' },
      errors: [{ pointer: '/maxUses', code: 'wrong-type' }],
    },
    {
      name: 'a text for a switch',
      method: 'PUT',
      path: '/v1/devices/d1',
      body: { ...REPORT, firewall: 'true', reason: 'x' },
      errors: [{ pointer: '/firewall', code: 'wrong-type' }],
    },
    {
      name: 'a device report from 2030',
      method: 'PUT',
      path: '/v1/devices/d1',
      body: { ...REPORT, lastSeen: '2030-01-01T00:00:00Z', reason: 'x' },
      errors: [{ pointer: '/lastSeen', code: 'wrong-time' }],
    },
    {
      name: 'a day that is none',
      method: 'PUT',
      path: '/v1/devices/d1',
      body: { ...REPORT, lastSeen: '2026-02-30T00:00:00Z', reason: 'x' },
      errors: [{ pointer: '/lastSeen', code: 'wrong-time' }],
    },
    {
      name: 'every bad one of many devices',
      path: '/v1/devices',
      body: devices({ id: 'a', ...REPORT }, { id: 'b', ...REPORT, managed: 1 }, { id: 'c' }),
      errors: [
        { pointer: '/devices/1/managed', code: 'wrong-type' },
        ...Object.keys(REPORT).map((field) => ({ pointer: `/devices/2/${field}`, code: 'missing-field' })),
      ],
    },
    {
      name: 'one from 2030 among many',
      path: '/v1/devices',
      body: devices({ id: 'a', ...REPORT }, { id: 'b', ...REPORT, lastSeen: '2030-01-01T00:00:00Z' }),
      errors: [{ pointer: '/devices/1/lastSeen', code: 'wrong-time' }],
    },
    {
      name: 'a device twice',
      path: '/v1/devices',
      body: devices({ id: 'a', ...REPORT }, { id: 'a', issuer: ISSUER, ...REPORT }),
      errors: [{ pointer: '/devices/1/id', code: 'device-twice' }],
    },
    {
      name: 'no devices',
      path: '/v1/devices',
      body: devices(),
      errors: [{ pointer: '/devices', code: 'wrong-value' }],
    },
    {
      name: 'more devices than may be',
      path: '/v1/devices',
      body: `{"reason":"x","devices":[${'{},'.repeat(10_000)}{}]}`,
      errors: [{ pointer: '/devices', code: 'wrong-value' }],
    },
    {
      name: 'more members than anything has',
      path: '/v1/devices',
      body: devices(Object.fromEntries(Array.from({ length: 200 }, (_, index) => [`f${index}`, 1]))),
      errors: [{ pointer: '/devices/0', code: 'too-many-members' }],
    },
    {
      name: 'a user and a workload',
      path: '/v1/risk',
      body: { subject: 'dana', workload: WORKLOAD, level: 'HIGH', reason: 'x' },
      errors: [{ pointer: '/workload', code: 'two-subjects' }],
    },
    {
      name: 'nobody',
      path: '/v1/risk',
      body: { level: 'HIGH', reason: 'x' },
      errors: [{ pointer: '/subject', code: 'subject-missing' }],
    },
    {
      name: 'an unknown level',
      path: '/v1/risk',
      body: { subject: 'dana', level: 'high', reason: 'x' },
      errors: [{ pointer: '/level', code: 'wrong-word' }],
    },
    {
      name: 'no workload',
      path: '/v1/quarantine',
      body: { workload: 'shop/api', duration: '1h', reason: 'x' },
      errors: [{ pointer: '/workload', code: 'wrong-value' }],
    },
    {
      name: 'a quarantine without end',
      path: '/v1/quarantine',
      body: { workload: WORKLOAD, reason: 'x' },
      errors: [{ pointer: '/duration', code: 'duration-or-until' }],
    },
    {
      name: 'a quarantine with two ends',
      path: '/v1/quarantine',
      body: { workload: WORKLOAD, duration: '1h', until: '2026-03-01T13:00:00Z', reason: 'x' },
      errors: [{ code: 'duration-or-until' }],
    },
    {
      name: 'a quarantine that is over',
      path: '/v1/quarantine',
      body: { workload: WORKLOAD, until: '2026-03-01T12:00:00Z', reason: 'x' },
      errors: [{ pointer: '/until', code: 'in-the-past' }],
    },
    {
      name: 'a quarantine of no time',
      path: '/v1/quarantine',
      body: { workload: WORKLOAD, duration: '0s', reason: 'x' },
      errors: [{ pointer: '/duration', code: 'in-the-past' }],
    },
    {
      name: 'a quarantine for ever',
      path: '/v1/quarantine',
      body: { workload: WORKLOAD, duration: '100y', reason: 'x' },
      errors: [{ pointer: '/duration', code: 'too-long' }],
    },
    {
      name: 'a level of the log that is none',
      method: 'PUT',
      path: '/v1/log-level',
      body: { level: 'Trace', reason: 'x' },
      errors: [{ pointer: '/level', code: 'wrong-word' }],
    },
    {
      name: 'a level for longer than a week',
      method: 'PUT',
      path: '/v1/log-level',
      body: { level: 'Debug', duration: '8d', reason: 'x' },
      errors: [{ pointer: '/duration', code: 'too-long' }],
    },
    {
      name: 'a level without a reason',
      method: 'PUT',
      path: '/v1/log-level',
      body: { level: 'Debug' },
      errors: [{ pointer: '/reason', code: 'missing-field' }],
    },
    {
      name: 'an unknown parameter',
      method: 'GET',
      path: '/v1/grants?statee=live',
      errors: [{ in: 'query', pointer: '/statee', code: 'unknown-field' }],
    },
    {
      name: 'a parameter twice',
      method: 'GET',
      path: '/v1/grants?limit=1&limit=2',
      errors: [{ in: 'query', pointer: '/limit', code: 'wrong-type' }],
    },
    {
      name: 'a limit beyond all',
      method: 'GET',
      path: '/v1/grants?limit=1001',
      errors: [{ in: 'query', pointer: '/limit', code: 'wrong-value' }],
    },
    {
      name: 'a limit that is no number',
      method: 'GET',
      path: '/v1/grants?limit=1e2',
      errors: [{ in: 'query', pointer: '/limit', code: 'wrong-type' }],
    },
    {
      name: 'an unknown state',
      method: 'GET',
      path: '/v1/grants?state=alive',
      errors: [{ pointer: '/state', code: 'wrong-word' }],
    },
    {
      name: 'an issuer of nobody',
      method: 'GET',
      path: '/v1/sessions?issuer=x',
      errors: [{ pointer: '/subject', code: 'subject-missing' }],
    },
    {
      name: 'a removal without reason',
      method: 'DELETE',
      path: '/v1/devices/d1',
      errors: [{ in: 'query', pointer: '/reason', code: 'missing-field' }],
    },
    {
      name: 'a body where none is taken',
      method: 'DELETE',
      path: '/v1/devices/d1?reason=x',
      body: { reason: 'x' },
      errors: [{ in: 'body', code: 'body-unexpected' }],
    },
    { name: 'another media type', path: '/v1/grants', body: 'a=1', type: 'text/plain', status: 415 },
    {
      name: 'a form',
      path: '/v1/grants',
      body: 'a=1',
      type: 'application/x-www-form-urlencoded',
      status: 415,
    },
    {
      name: 'a body that is too large',
      path: '/v1/grants',
      body: `"${'x'.repeat(256 * 1024)}"`,
      status: 413,
    },
    {
      name: 'many devices that are too large',
      path: '/v1/devices',
      body: `"${'x'.repeat(8 * 1024 * 1024)}"`,
      status: 413,
    },
    { name: 'an unknown path', method: 'GET', path: '/v1/secrets', status: 404 },
    { name: 'the root', method: 'GET', path: '/', status: 404 },
    { name: 'an id that none has', method: 'GET', path: '/v1/grants/a.b', status: 404 },
    { name: 'a way out', method: 'GET', path: '/v1/grants/..%2fpolicy', status: 404 },
    { name: 'a path that is not well formed', method: 'GET', path: '/v1/grants/%ff', status: 400 },
    { name: 'another method', method: 'PATCH', path: '/v1/grants/g1', status: 405 },
    { name: 'HEAD', method: 'HEAD', path: '/v1/policy', status: 405 },
    { name: 'an unknown grant', method: 'GET', path: '/v1/grants/g1', status: 404 },
    { name: 'an unknown device', method: 'GET', path: '/v1/devices/d1', status: 404 },
    { name: 'an unknown decision', method: 'GET', path: '/v1/decisions/d1', status: 404 },
  ]
  test.each(rows)('$name', async ({ method = 'POST', path, status = 400, errors, body, type }) => {
    const asked = { ...(body !== undefined && { body }), ...(type !== undefined && { type }) }
    const answer = await call(api, method, path, asked).catch((error: unknown) => ({ error }))
    if ('error' in answer) throw new Error('no answer', { cause: answer.error })
    expect(answer.status).toBe(status)
    if (method !== 'HEAD') {
      const problem = problemOf(answer)
      if (errors) expect(problem).toMatchObject({ errors })
      expect(answer.text).not.toMatch(/at .*\.js:|node_modules|0123456789abcdef/)
    }
    if (status === 405) expect(answer.headers['allow']).toMatch(/^GET/)
    expect(answer.headers['x-content-type-options']).toBe('nosniff')
    expect(known.events).toEqual([])
    unchanged()
  })

  test('headers that are too long', async () => {
    const answer = await call(api, 'GET', '/v1/policy', { headers: { 'x-long': 'x'.repeat(20_000) } })
    expect(answer.status).toBe(431)
    problemOf(answer)
  })

  test('headers that never end', async () => {
    const slow = await startApi(known, { limits: { headersMs: 200, requestMs: 200 } })
    const [host = '', port] = slow.address.split(':')
    const text = await new Promise<string>((resolve, reject) => {
      const socket = connect(Number(port), host, () => socket.write('GET / HTTP/1.1\r\nhost: 127.0.0.1\r\n'))
      const chunks: Buffer[] = []
      socket.on('data', (chunk) => chunks.push(chunk)).on('error', reject)
      socket.on('close', () => resolve(Buffer.concat(chunks).toString()))
    })
    await slow.close()
    expect(text).toMatch(/^HTTP\/1\.1 408 /)
  })

  test('many bad devices: as many problems as anybody reads', async () => {
    const bad = Array.from({ length: 1000 }, (_, index) => ({ id: `d${index}` }))
    const answer = await call(api, 'POST', '/v1/devices', { body: { reason: 'x', devices: bad } })
    expect(answer.status).toBe(400)
    const errors: unknown = Reflect.get(Object(answer.json), 'errors')
    expect(errors).toHaveLength(200)
    unchanged()
  })

  test('what is no HTTP', async () => {
    const [host, port] = api.address.split(':')
    const text = await new Promise<string>((resolve, reject) => {
      const socket = connect(Number(port), host, () => socket.end('HELLO\r\n\r\n'))
      const chunks: Buffer[] = []
      socket.on('data', (chunk) => chunks.push(chunk)).on('error', reject)
      socket.on('close', () => resolve(Buffer.concat(chunks).toString()))
    })
    expect(text).toMatch(/^HTTP\/1\.1 400 /)
    expect(text).toContain('application/problem+json')
  })
})

describe('an issuer that has to be named', () => {
  const rows: { method: string; path: string; body?: object; pointer: string }[] = [
    { method: 'POST', path: '/v1/grants', body: GRANT, pointer: '/subject/issuer' },
    { method: 'GET', path: '/v1/sessions?subject=dana', pointer: '/issuer' },
    {
      method: 'POST',
      path: '/v1/sessions/terminate',
      body: { subject: 'd', reason: 'x' },
      pointer: '/issuer',
    },
    { method: 'GET', path: '/v1/risk?subject=dana', pointer: '/issuer' },
    { method: 'GET', path: '/v1/devices/d1', pointer: '/issuer' },
    { method: 'PUT', path: '/v1/devices/d1', body: { ...REPORT, reason: 'x' }, pointer: '/issuer' },
    {
      method: 'POST',
      path: '/v1/devices',
      body: { reason: 'x', devices: [{ id: 'a', ...REPORT }] },
      pointer: '/devices/0/issuer',
    },
  ]
  test.each(rows)('$method $path', async ({ method, path, body, pointer }) => {
    const several = knownState({ defaultIssuer: undefined })
    const other = await startApi(several)
    const answer = await call(other, method, path, body ? { body } : {})
    await other.close()
    expect(answer.status).toBe(400)
    expect(answer.json).toMatchObject({ errors: [{ pointer, code: 'issuer-missing' }] })
    expect(several.events).toEqual([])
  })
})

describe('changes that fail', () => {
  test('one that can’t be recorded is not made', async () => {
    known.state.audit = 'refused'
    const answer = await call(api, 'POST', '/v1/grants', { body: GRANT })
    expect(answer.status).toBe(503)
    expect(answer.json).toMatchObject({ errors: [{ code: 'audit-unavailable' }] })
    unchanged()
  })

  test('one that is refused is recorded again, with why', async () => {
    known.state.grantProblem = {
      status: 409,
      problem: { pointer: ['service'], code: 'overlapping-grant', message: 'g0 is live' },
    }
    const answer = await call(api, 'POST', '/v1/grants', { body: GRANT })
    expect(answer.status).toBe(409)
    expect(problemOf(answer)).toMatchObject({
      title: 'Conflict',
      errors: [{ in: 'body', pointer: '/service', code: 'overlapping-grant' }],
    })
    expect(known.events).toMatchObject([
      { action: 'grant.create', success: true },
      { action: 'grant.create', success: false, errorCode: 'overlapping-grant' },
    ])
    expect(known.events[0]?.requestId).toBe(known.events[1]?.requestId)
  })

  test('one that breaks says nothing of it but to the log', async () => {
    known.state.breaks = true
    const answer = await call(api, 'POST', '/v1/grants', { body: GRANT })
    expect(answer.status).toBe(500)
    expect(answer.text).not.toContain('secrets')
    problemOf(answer)
    expect(warnings.splice(0)).toEqual(['POST /v1/grants: the disk is full of secrets'])
    expect(known.events).toMatchObject([{ success: true }, { success: false, errorCode: 'internal-error' }])
  })
})
