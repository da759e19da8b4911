import { expect, test } from '@jest/globals'
import { renderDecisionLog } from '../../../src/audit/decision-log.js'
import { DECISION_ID, EVENTS, lineOf, UNPRINTABLE } from './recorded-events.js'

const LABELS = { region: 'eu', id: 'replica-1' }

function recordOf(line: string): Record<string, unknown> {
  const record: unknown = JSON.parse(renderDecisionLog(line, LABELS))
  if (typeof record !== 'object' || record === null) throw new Error('no object')
  return { ...record }
}

test.each(['', 'no json', '[]', 'null', '"text"'])('%j is no event', (line) => {
  expect(() => renderDecisionLog(line, {})).toThrow()
})

test.each(EVENTS)('$name has what every record has, on one printable line', ({ line }) => {
  expect(renderDecisionLog(line, LABELS)).not.toMatch(UNPRINTABLE)
  const record = recordOf(line)
  const { eventType } = JSON.parse(line) as { eventType: string }
  expect(record).toMatchObject({
    labels: LABELS,
    path: `portcullis/${eventType}`,
    timestamp: '2026-03-01T12:00:00.042Z',
    decision_id: expect.stringMatching(/^[0-9a-z-]{36,40}$/),
  })
  for (const pointer of (record.erased ?? []) as string[]) {
    expect(record.input).not.toHaveProperty(pointer.replace('/input/', ''))
  }
})

test.each(EVENTS)('$name: nothing of the event is left out', ({ line }) => {
  const said = renderDecisionLog(line, {})
  for (const [field, value] of Object.entries(JSON.parse(line) as Record<string, unknown>)) {
    if (field === 'eventType' || field === 'durationUs') continue
    expect(JSON.stringify(JSON.parse(said))).toContain(JSON.stringify(value))
  }
})

test('ids tell events apart, so that one that came twice can be told', () => {
  const ids = EVENTS.filter(({ line }) => !line.includes('"eventType":"authorization"')).map(
    ({ line }) => recordOf(line).decision_id,
  )
  expect(new Set([...ids, recordOf(lineOf('allow')).decision_id]).size).toBe(ids.length + 1)
  expect(recordOf(lineOf('withdrawal')).input).toMatchObject({ decisionId: DECISION_ID })
})

test('a decision, whole', () => {
  expect(recordOf(lineOf('allow'))).toEqual({
    labels: LABELS,
    decision_id: DECISION_ID,
    bundles: { policy: { revision: 'cafe01' } },
    path: 'portcullis/authorization',
    input: {
      schemaVersion: '1.0',
      decisionId: DECISION_ID,
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
      sourcePort: 40_000,
      clientIp: '203.0.113.7',
      destinationIp: '10.0.0.2',
      destinationPort: 8443,
      protocol: 'HTTP/2',
      requestMethod: 'POST',
      requestPath: '/api/payments',
      requestHost: 'pay.example',
      resourceType: 'endpoint',
      resourceId: 'shop/payment-service/ProcessPayment',
      operation: 'Write',
      dataPolicy: 'restricted',
      auditLevel: 'Full',
      auditRetention: '7y',
      userAcr: 'mfa',
      userAmr: ['otp'],
      userMfa: true,
      userAuthTime: '2026-03-01T12:00:00.042Z',
      queryParameters: ['token'],
      requestId: 'r-1',
    },
    result: {
      allowed: true,
      decision: 'allow',
      decisionReason: 'allowed',
      rule: 'checkout-processes',
      ruleSource: 'shop/payment.yaml:31:7',
      riskScore: 42,
      riskFactors: [
        { factor: 'new-device', points: 30 },
        { factor: 'unusual-time', points: 12 },
      ],
      mode: 'Enforce',
      obligations: ['read-only'],
      success: true,
    },
    requested_by: '10.0.0.1:40000',
    timestamp: '2026-03-01T12:00:00.042Z',
    metrics: { timer_server_handler_ns: 1_094_000 },
    trace_id: '0af7651916cd43dd8448eb211c80319c',
    span_id: 'b7ad6b7169203331',
    erased: ['/input/requestHeaders', '/input/requestQuery', '/input/requestBody'],
  })
})

test.each([
  { name: 'GET', requested_by: '[2001:db8::1]:40000' },
  { name: 'grant.create', requested_by: '127.0.0.1' },
  { name: 'signal', requested_by: undefined },
])('$name is requested by $requested_by', ({ name, requested_by }) => {
  expect(recordOf(lineOf(name)).requested_by).toBe(requested_by)
})

test.each([
  { name: 'challenge', allowed: false },
  { name: 'deny rule-not-matched', allowed: false },
  { name: 'withdrawal', allowed: false },
  { name: 'Shadow, would be denied', allowed: true },
  { name: 'grant.create', allowed: undefined },
])('$name: allowed is $allowed', ({ name, allowed }) => {
  expect(recordOf(lineOf(name)).result).toEqual(
    allowed === undefined
      ? expect.not.objectContaining({ allowed: expect.anything() })
      : expect.objectContaining({ allowed }),
  )
})
