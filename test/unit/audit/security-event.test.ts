import { describe, expect, test } from '@jest/globals'
import { writeSecurityEvent, type SecurityEventInput } from '../../../src/audit/security-event.js'
import type { Decision } from '../../../src/decision/decision.js'
import type { UserPrincipal } from '../../../src/identity/principal.js'
import type { AccessRequest, HttpCall } from '../../../src/request/access-request.js'

const NOW_MS = Date.UTC(2026, 2, 1, 12, 0, 0, 42)
const TRACEPARENT = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'
const TOKEN = 'eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJhbGljZSJ9.c2lnbmF0dXJl'

const FIELDS = (
  'schemaVersion timestamp eventType decisionId userId userIssuer userRoles sessionId clientId workloadId ' +
  'callerService targetService endpoint deviceId devicePosture deviceTier deviceTrust sourceIp sourcePort clientIp destinationIp ' +
  'destinationPort protocol requestMethod requestPath requestHost grpcMethod resourceType resourceId operation ' +
  'dataPolicy auditLevel auditRetention userAcr userAmr userMfa userAuthTime queryParameters decision decisionReason message rule ruleSource riskScore riskFactors policyRevision mode wouldBeDecision ' +
  'wouldBeReason grantId obligations success errorCode traceId spanId requestId durationUs'
).split(' ')

function user(over: Partial<UserPrincipal> = {}): UserPrincipal {
  return {
    issuer: 'https://idp.example',
    subject: 'alice',
    email: 'alice@secret-mail.example',
    roles: ['payment-processor'],
    scopes: [],
    clientId: 'web',
    deviceId: 'laptop-1',
    deviceTrust: 'high',
    riskScore: 12,
    mfaVerified: true,
    sessionId: 's-1',
    acr: undefined,
    amr: [],
    authTimeMs: undefined,
    zone: undefined,
    claims: { pin: 'planted-claim' },
    ...over,
  }
}

function decision(over: Partial<Decision> = {}): Decision {
  return {
    outcome: 'allow',
    reason: 'allowed',
    message: '',
    mode: 'Enforce',
    caller: 'shop/checkout-service',
    target: 'shop/payment-service',
    endpoint: 'ProcessPayment',
    operation: 'Write',
    rule: 'checkout-processes',
    ruleSource: 'shop/payment.yaml:31:7',
    riskScore: 12,
    riskFactors: [{ factor: 'token-claim', points: 12 }],
    devicePosture: 55,
    deviceTier: 'managed-corporate',
    workload: {
      spiffeId: {
        text: 'spiffe://cluster.local/ns/shop/sa/checkout-service',
        trustDomain: 'cluster.local',
        path: '/ns/shop/sa/checkout-service',
      },
      verifiedBy: 'certificate',
    },
    user: user(),
    obligations: ['read-only'],
    revision: 'cafe01',
    ...over,
  }
}

function http(over: Partial<HttpCall> = {}, headers: Record<string, string> = {}): HttpCall {
  const values = new Map(Object.entries(headers))
  return {
    method: 'POST',
    path: '/api/payments',
    query: 'token=planted-query',
    host: 'pay.example',
    protocol: 'HTTP/2',
    upgrade: false,
    grpc: false,
    headers: {
      get: (name) => values.get(name),
      count: (name) => (values.has(name) ? 1 : 0),
      names: () => values.keys(),
    },
    ...over,
  }
}

function request(over: Partial<AccessRequest> = {}): AccessRequest {
  return {
    requestId: 'r-1',
    source: { ip: '10.0.0.1', port: 40000, principal: '', certificate: '-----BEGIN%20planted-certificate' },
    destination: { ip: '10.0.0.2', port: 8443, principal: '' },
    http: http(),
    contextExtensions: new Map([['portcullis.service', 'planted-extension']]),
    sni: '',
    ...over,
  }
}

function write(over: Partial<SecurityEventInput> = {}): string {
  return writeSecurityEvent({
    decision: decision(),
    decisionId: '0192f8e4-7c1a-7def-8a11-0123456789ab',
    request: request(),
    unreadable: undefined,
    traceparent: undefined,
    nowMs: NOW_MS,
    durationUs: 93.6,
    ...over,
  })
}

const TERMINAL_OR_LINE_CONTROL = /[\p{Cc}\u2028\u2029\u202a-\u202e]/u

/** The event, once it is sure that a line-wise reader sees exactly one printable line. */
function read(line: string): Record<string, unknown> {
  expect(line).not.toMatch(TERMINAL_OR_LINE_CONTROL)
  expect(Buffer.from(line, 'utf8').toString('utf8')).toBe(line)
  const event: unknown = JSON.parse(line)
  if (typeof event !== 'object' || event === null) throw new Error(`not an object: ${line}`)
  return { ...event }
}

describe('what must never be in an event', () => {
  const secrets = request({
    http: http(
      { path: `/reset/${TOKEN}`, host: `${TOKEN}.example` },
      {
        authorization: `Bearer ${TOKEN}`,
        cookie: 'sid=planted-cookie',
        'x-service-token': TOKEN,
        'x-api-key': 'planted-key',
        traceparent: TRACEPARENT,
      },
    ),
    requestId: TOKEN,
  })

  test.each([
    { name: 'token', planted: 'eyJ' },
    { name: 'cookie', planted: 'planted-cookie' },
    { name: 'header', planted: 'planted-key' },
    { name: 'query', planted: 'planted-query' },
    { name: 'certificate', planted: 'planted-certificate' },
    { name: 'claim', planted: 'planted-claim' },
    { name: 'context extension', planted: 'planted-extension' },
    { name: 'e-mail', planted: 'secret-mail' },
  ])('$name', ({ planted }) => {
    const line = write({ request: secrets, decision: decision({ message: `refused ${TOKEN}` }) })
    expect(line).not.toContain(planted)
    expect(read(line)).toMatchObject({ requestPath: '/reset/[redacted]', requestId: '[redacted]' })
  })

  test.each([
    { name: 'query', path: '/a?token=planted', recorded: '/a' },
    { name: 'encoded query', path: '/a%3Ftoken=planted', recorded: '/a' },
    { name: 'twice encoded query', path: '/a%25253ftoken=planted', recorded: '/a' },
    { name: 'fragment', path: '/a#planted', recorded: '/a' },
    { name: 'parameters', path: '/a;jsessionid=planted', recorded: '/a' },
    { name: 'user information', path: 'http://joe:planted@host/a', recorded: 'http://host/a' },
    { name: 'user information behind backslashes', path: '\\\\joe:planted@host/a', recorded: '\\\\host/a' },
    { name: 'token', path: `/../${TOKEN}`, recorded: '/../[redacted]' },
    { name: 'nothing secret', path: '/a/../b//c%2e', recorded: '/a/../b//c%2e' },
  ])('path without canonical form: $name', ({ path, recorded }) => {
    const line = write({
      request: undefined,
      unreadable: { path, host: 'joe:planted@host' },
      decision: decision({ user: undefined }),
    })
    expect(line).not.toContain('planted')
    expect(read(line)).toMatchObject({ requestPath: recorded, requestHost: 'host' })
  })
})

describe('what is no method, host or id', () => {
  const unread = { method: 'GET /x?t=hidden HTTP/1.1', host: 'u:hidden@vault.shop?access_token=hidden' }

  test.each([
    { host: 'vault.shop/p?token=hidden', recorded: 'vault.shop' },
    { host: 'vault.shop#hidden', recorded: 'vault.shop' },
    { host: 'vault.shop;k=hidden', recorded: 'vault.shop' },
    { host: 'vault.shop%3Fhidden', recorded: 'vault.shop' },
    { host: '[::1]:8443', recorded: '[::1]:8443' },
  ])('host $host', ({ host, recorded }) => {
    expect(read(write({ request: undefined, unreadable: { host } })).requestHost).toBe(recorded)
  })

  test('is recorded as far as it is one', () => {
    const line = write({ request: undefined, unreadable: unread })
    expect(line).not.toContain('hidden')
    expect(read(line)).toMatchObject({ requestMethod: 'GET', requestHost: 'vault.shop' })
  })

  test.each(['Bearer hidden', 'session=hidden', 'https://u:hidden@h/', '-----BEGIN PRIVATE KEY-----'])(
    'id %s',
    (requestId) => {
      expect(read(write({ request: request({ requestId }) })).requestId).toBe('[redacted]')
    },
  )

  test.each(['5bd4b7a0-8e0a-4d53-8a9a-1f0f6e8f0001', 'r-1', 'trace:01.AB+x'])('id %s stays', (requestId) => {
    expect(read(write({ request: request({ requestId }) })).requestId).toBe(requestId)
  })
})

describe('hostile values give one line of JSON', () => {
  const huge = 'a'.repeat(64 * 1024)
  test.each([
    { name: 'line feed', value: 'x\n{"decision":"allow"}' },
    { name: 'carriage return', value: 'x\r\ny' },
    { name: 'quote and backslash', value: 'x","decision":"allow","y":"\\' },
    { name: 'NUL', value: 'x\u0000y' },
    { name: 'ANSI escape', value: '\u001b[2J\u001b]0;owned\u0007' },
    { name: '8-bit CSI and NEL', value: '\u009b2J\u0085' },
    { name: 'line separators', value: 'x\u2028y\u2029z' },
    { name: 'right-to-left override', value: 'x\u202egpj.exe' },
    { name: 'zero width', value: 'al\u200bice\ufeff' },
    { name: 'emoji', value: 'x😀y' },
    { name: 'umlaut', value: 'Jürgen' },
  ])('$name', ({ value }) => {
    const event = read(
      write({
        decision: decision({
          message: value,
          endpoint: value,
          rule: value,
          user: user({ subject: value, roles: [value] }),
        }),
        request: request({ requestId: value, http: http({ host: value, path: value, method: value }) }),
      }),
    )
    expect(event).toMatchObject({
      userId: value,
      userRoles: [value],
      requestId: '[redacted]',
      requestHost: value,
      requestPath: value,
      requestMethod: value,
      message: value,
      rule: value,
      decision: 'allow',
    })
  })

  test.each([
    { name: 'lone high surrogate', value: 'x\ud800y', read: 'x\ufffdy' },
    { name: 'lone low surrogate', value: '\udc00', read: '\ufffd' },
    { name: 'surrogates the wrong way round', value: '\ude00\ud83d', read: '\ufffd\ufffd' },
    { name: 'high surrogate at the end', value: 'x\ud83d', read: 'x\ufffd' },
  ])('$name', ({ value, read: expected }) => {
    const line = write({ request: request({ http: http({ host: value }) }) })
    expect(read(line).requestHost).toBe(expected)
  })

  test('64 KiB values are cut and say so', () => {
    const line = write({
      decision: decision({
        message: huge,
        rule: huge,
        user: user({ subject: huge, roles: Array.from({ length: 1000 }, () => huge) }),
      }),
      request: request({
        requestId: huge,
        http: http({ path: `/${huge}`, host: huge, method: huge, grpc: true }),
      }),
    })
    const event = read(line)
    expect(event.requestPath).toBe(`/${'a'.repeat(2047)}...[cut, 65537 in all]`)
    expect(event.userRoles).toHaveLength(64)
    expect(line.length).toBeLessThan(32 * 1024)
  })

  test('a cut never splits a pair of surrogates', () => {
    const path = `/${'a'.repeat(2046)}😀${huge}`
    expect(read(write({ request: request({ http: http({ path }) }) })).requestPath).toMatch(
      /^\/a{2046}\.\.\.\[cut/,
    )
  })

  test('a path of token beginnings costs no quadratic time', () => {
    const startedMs = performance.now()
    read(write({ request: request({ http: http({ path: 'eyJ'.repeat(200_000) }) }) }))
    expect(performance.now() - startedMs).toBeLessThan(250)
  })
})

describe('numbers and traces that are none are absent', () => {
  test.each([
    {
      name: 'no address',
      over: { request: request({ source: { ip: '', port: 0, principal: '', certificate: '' } }) },
      absent: ['sourceIp', 'sourcePort'],
    },
    { name: 'risk NaN', over: { decision: decision({ riskScore: Number.NaN }) }, absent: ['riskScore'] },
    ...[
      '00-0af7-b7ad-01',
      `00-${'0'.repeat(32)}-b7ad6b7169203331-01`,
      `00-0af7651916cd43dd8448eb211c80319c-${'0'.repeat(16)}-01`,
      TRACEPARENT.replace(/^00/, 'ff'),
      TRACEPARENT.toUpperCase(),
      `${TRACEPARENT}-more`,
      `${TRACEPARENT}\n`,
      `x${TRACEPARENT}`,
    ].map((traceparent) => ({
      name: `trace ${traceparent}`,
      over: { traceparent },
      absent: ['traceId', 'spanId'],
    })),
  ])('$name', ({ over, absent }) => {
    const event = read(write(over))
    expect(Object.keys(event).filter((field) => absent.includes(field))).toEqual([])
  })

  const other = '00-11111111111111111111111111111111-2222222222222222-00'
  test.each([
    {
      name: "Envoy's span wins",
      grpc: TRACEPARENT,
      header: other,
      traceId: '0af7651916cd43dd8448eb211c80319c',
    },
    { name: "the request's serves without it", grpc: undefined, header: other, traceId: '1'.repeat(32) },
    { name: 'and when it is invalid', grpc: 'nonsense', header: other, traceId: '1'.repeat(32) },
    {
      name: 'a later version with more',
      grpc: `01${TRACEPARENT.slice(2)}-x`,
      header: other,
      traceId: '0af7651916cd43dd8448eb211c80319c',
    },
  ])('$name', ({ grpc, header, traceId }) => {
    const event = read(
      write({ traceparent: grpc, request: request({ http: http({}, { traceparent: header }) }) }),
    )
    expect(event.traceId).toBe(traceId)
  })
})

describe('what an event of classified data says', () => {
  const data = { name: 'restricted', level: 'Full', retention: '7y', alert: true } as const
  const asked = request({ http: http({ query: 'patient=4711&s3cr3t&=odd&page=2' }) })

  test('at level Full: how the user authenticated, and names of parameters that have a value', () => {
    const who = user({ acr: 'phr', amr: ['hwk'], authTimeMs: NOW_MS })
    const event = read(write({ decision: decision({ data, grantId: 'g1', user: who }), request: asked }))
    expect(event).toMatchObject({
      dataPolicy: 'restricted',
      auditLevel: 'Full',
      auditRetention: '7y',
      userAcr: 'phr',
      userAmr: ['hwk'],
      userMfa: true,
      userAuthTime: '2026-03-01T12:00:00.042Z',
      queryParameters: ['patient', 'page'],
      grantId: 'g1',
    })
    expect(JSON.stringify(event)).not.toMatch(/4711|s3cr3t/)
  })

  test('at level Metadata neither', () => {
    const light = { ...data, level: 'Metadata', retention: undefined } as const
    const event = read(write({ decision: decision({ data: light, user: user() }), request: asked }))
    expect(event).toMatchObject({ dataPolicy: 'restricted', auditLevel: 'Metadata' })
    expect(Object.keys(event)).not.toEqual(expect.arrayContaining(['userMfa']))
    expect(event.queryParameters).toBeUndefined()
  })

  test('an authentication at no possible time is left out', () => {
    const who = user({ authTimeMs: 9e15 })
    expect(read(write({ decision: decision({ data, user: who }) })).userAuthTime).toBeUndefined()
  })
})

describe('what an event says', () => {
  test('an allow, whole', () => {
    expect(read(write({ traceparent: TRACEPARENT }))).toEqual({
      schemaVersion: '1.0',
      timestamp: '2026-03-01T12:00:00.042Z',
      eventType: 'authorization',
      decisionId: '0192f8e4-7c1a-7def-8a11-0123456789ab',
      userId: 'alice',
      userIssuer: 'https://idp.example',
      userRoles: ['payment-processor'],
      sessionId: 's-1',
      clientId: 'web',
      workloadId: 'spiffe://cluster.local/ns/shop/sa/checkout-service',
      callerService: 'shop/checkout-service',
      targetService: 'shop/payment-service',
      endpoint: 'ProcessPayment',
      deviceId: 'laptop-1',
      devicePosture: 55,
      deviceTier: 'managed-corporate',
      deviceTrust: 'high',
      sourceIp: '10.0.0.1',
      sourcePort: 40000,
      destinationIp: '10.0.0.2',
      destinationPort: 8443,
      protocol: 'HTTP/2',
      requestMethod: 'POST',
      requestPath: '/api/payments',
      requestHost: 'pay.example',
      resourceType: 'endpoint',
      resourceId: 'shop/payment-service/ProcessPayment',
      operation: 'Write',
      decision: 'allow',
      decisionReason: 'allowed',
      rule: 'checkout-processes',
      ruleSource: 'shop/payment.yaml:31:7',
      riskScore: 12,
      riskFactors: [{ factor: 'token-claim', points: 12 }],
      policyRevision: 'cafe01',
      mode: 'Enforce',
      obligations: ['read-only'],
      success: true,
      traceId: '0af7651916cd43dd8448eb211c80319c',
      spanId: 'b7ad6b7169203331',
      requestId: 'r-1',
      durationUs: 94,
    })
  })

  test.each([
    { name: 'allow', line: write({ traceparent: TRACEPARENT }) },
    {
      name: 'shadowed gRPC deny',
      line: write({
        decision: decision({
          mode: 'Shadow',
          wouldBe: { outcome: 'deny', reason: 'rule-not-matched', message: 'no rule' },
        }),
        request: request({ http: http({ grpc: true, path: '/shop.v1.Payments/Refund' }) }),
      }),
    },
    {
      name: 'own failure',
      line: write({ decision: decision({ outcome: 'deny', reason: 'internal-error' }) }),
    },
    {
      name: 'unread',
      line: write({ request: undefined, unreadable: { method: 'GET', path: '/x', host: 'h' } }),
    },
  ])('fields keep their order: $name', ({ line }) => {
    const fields = Object.keys(read(line))
    expect(fields).toEqual(FIELDS.filter((field) => fields.includes(field)))
  })

  test.each([
    {
      name: 'a refusal of an unknown caller for an unknown target',
      over: {
        decision: {
          outcome: 'deny',
          reason: 'target-unknown',
          message: 'm',
          mode: 'Enforce',
          obligations: [],
          revision: '',
        },
        request: undefined,
      } satisfies Partial<SecurityEventInput>,
      event: {
        schemaVersion: '1.0',
        timestamp: '2026-03-01T12:00:00.042Z',
        eventType: 'authorization',
        decisionId: '0192f8e4-7c1a-7def-8a11-0123456789ab',
        decision: 'deny',
        decisionReason: 'target-unknown',
        message: 'm',
        mode: 'Enforce',
        success: false,
        durationUs: 94,
      },
    },
  ])('nothing more than is known: $name', ({ over, event }) => {
    expect(read(write(over))).toEqual(event)
  })

  test.each([
    {
      name: 'what Portcullis could not do has an error code',
      over: { decision: decision({ outcome: 'deny', reason: 'state-unavailable' }) },
      event: { decision: 'deny', success: false, errorCode: 'state-unavailable' },
    },
    {
      name: 'a challenge is no success',
      over: { decision: decision({ outcome: 'challenge', reason: 'step-up-required' }) },
      event: { decision: 'challenge', success: false },
    },
    {
      name: 'Shadow shows what would have been',
      over: {
        decision: decision({
          mode: 'Shadow',
          wouldBe: { outcome: 'challenge', reason: 'step-up-required', message: '' },
        }),
      },
      event: {
        decision: 'allow',
        success: true,
        wouldBeDecision: 'challenge',
        wouldBeReason: 'step-up-required',
      },
    },
    {
      name: 'gRPC',
      over: { request: request({ http: http({ grpc: true, path: '/shop.v1.Payments/Refund' }) }) },
      event: { grpcMethod: 'shop.v1.Payments/Refund', requestPath: '/shop.v1.Payments/Refund' },
    },
    { name: 'TCP', over: { request: request({ http: undefined }) }, event: { protocol: 'TCP' } },
    {
      name: 'a service without an endpoint',
      over: { decision: decision({ endpoint: undefined, operation: undefined }) },
      event: { resourceType: 'service', resourceId: 'shop/payment-service' },
    },
    {
      name: 'a request that could not be read',
      over: {
        request: undefined,
        unreadable: {
          requestId: 'r-9',
          source: { ip: '10.9.9.9', port: 9 },
          method: 'GET',
          path: '/%2e%2e/x',
        },
        decision: decision({ outcome: 'deny', reason: 'ambiguous-request' }),
      },
      event: {
        requestId: 'r-9',
        sourceIp: '10.9.9.9',
        sourcePort: 9,
        requestMethod: 'GET',
        requestPath: '/%2e%2e/x',
      },
    },
  ])('$name', ({ over, event }) => {
    expect(read(write(over))).toMatchObject(event)
  })

  test('times around a minute', () => {
    for (const nowMs of [
      NOW_MS,
      NOW_MS + 59_999,
      NOW_MS - 1,
      NOW_MS + 1.5,
      0,
      NOW_MS + 86_400_000,
      NOW_MS + 9_000,
    ]) {
      expect(read(write({ nowMs })).timestamp).toBe(new Date(nowMs).toISOString())
    }
  })
})
