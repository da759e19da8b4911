import { Ajv2020 } from 'ajv/dist/2020.js'
import { describe, expect, test } from '@jest/globals'
import { renderOcsf } from '../../../src/audit/ocsf.js'
import { OCSF_SCHEMA } from './ocsf-schema.js'
import { DECISION_ID, EVENTS, lineOf, NOW_MS, UNPRINTABLE } from './recorded-events.js'

const validate = new Ajv2020({ allErrors: true, strict: false }).compile(OCSF_SCHEMA)

function recordOf(line: string): Record<string, unknown> {
  const record: unknown = JSON.parse(renderOcsf(line))
  if (typeof record !== 'object' || record === null) throw new Error('no object')
  return { ...record }
}

const of = (name: string): Record<string, unknown> => recordOf(lineOf(name))

describe('the schema of these tests', () => {
  test.each([
    { name: 'nobody', change: { actor: {} } },
    { name: 'no operation', change: { api: {} } },
    { name: 'no source', change: { src_endpoint: {} } },
    { name: 'no class', change: { class_uid: 3003 } },
    { name: 'no time', change: { time: null } },
    { name: 'no action', change: { action_id: undefined } },
    { name: 'something unknown', change: { decision: 'allow' } },
  ])('refuses a record with $name', ({ change }) => {
    expect(validate(JSON.parse(JSON.stringify({ ...of('allow'), ...change })))).toBe(false)
  })
})

test.each(EVENTS)('$name is a valid record on one printable line', ({ line }) => {
  const rendered = renderOcsf(line)
  expect(rendered).not.toMatch(UNPRINTABLE)
  const record: unknown = JSON.parse(rendered)
  validate(record)
  expect(validate.errors).toBeNull()
})

test.each(EVENTS)('$name: nothing of the event is left out', ({ line }) => {
  const said = JSON.stringify(recordOf(line))
  for (const [field, value] of Object.entries(JSON.parse(line) as Record<string, unknown>)) {
    if (['timestamp', 'success', 'durationUs', 'riskFactors', 'protocol', 'mode'].includes(field)) continue
    expect(said).toContain(JSON.stringify(value))
  }
})

describe('what was done about the call', () => {
  test.each([
    { name: 'deny rule-not-matched', action_id: 2, disposition_id: 2, status_id: 2 },
    { name: 'deny certificate-expired', action_id: 2, disposition_id: 26, status_id: 2 },
    { name: 'deny internal-error', action_id: 2, disposition_id: 27, status_id: 2 },
    { name: 'deny overloaded', action_id: 2, disposition_id: 27, status_id: 2 },
    { name: 'withdrawal', action_id: 2, disposition_id: 27, status_id: 2 },
    { name: 'challenge', action_id: 2, disposition_id: 23, status_id: 2 },
    { name: 'Observe, would be denied', action_id: 3, disposition_id: 17, status_id: 1 },
    { name: 'Shadow, would be denied', action_id: 3, disposition_id: 17, status_id: 1 },
    { name: 'Observe, allowed anyway', action_id: 3, disposition_id: 17, status_id: 1 },
    { name: 'Shadow, refused in every mode', action_id: 2, disposition_id: 2, status_id: 2 },
    { name: 'allow', action_id: 1, disposition_id: 1, status_id: 1 },
  ])('$name', ({ name, ...expected }) => {
    expect(of(name)).toMatchObject(expected)
  })
})

test.each([
  { name: 'GET', activity_id: 2 },
  { name: 'HEAD', activity_id: 2 },
  { name: 'OPTIONS', activity_id: 2 },
  { name: 'POST', activity_id: 1 },
  { name: 'PUT', activity_id: 3 },
  { name: 'PATCH', activity_id: 3 },
  { name: 'DELETE', activity_id: 4 },
  { name: 'PURGE', activity_id: 99 },
  { name: 'TCP', activity_id: 99 },
  { name: 'nothing could be read', activity_id: 0 },
  { name: 'grant.create', activity_id: 1 },
  { name: 'grant.revoke', activity_id: 4 },
  { name: 'risk.set-level', activity_id: 3 },
  { name: 'signal', activity_id: 99 },
])('$name is activity $activity_id', ({ name, activity_id }) => {
  expect(of(name)).toMatchObject({ activity_id, type_uid: 600_300 + activity_id })
})

test.each([
  { name: 'allow', severity_id: 1 },
  { name: 'Shadow, would be denied', severity_id: 2 },
  { name: 'deny rule-not-matched', severity_id: 2 },
  { name: 'deny internal-error', severity_id: 4 },
  { name: 'withdrawal', severity_id: 4 },
  { name: 'anomaly Low', severity_id: 2 },
  { name: 'anomaly Critical', severity_id: 5 },
])('$name is of severity $severity_id', ({ name, severity_id }) => {
  expect(of(name)).toMatchObject({ severity_id })
})

test('a decision, whole', () => {
  expect(of('allow')).toEqual({
    time: NOW_MS,
    class_uid: 6003,
    category_uid: 6,
    activity_id: 1,
    type_uid: 600_301,
    severity_id: 1,
    metadata: {
      version: '1.8.0',
      product: { name: 'Portcullis', vendor_name: 'Portcullis' },
      profiles: ['security_control', 'trace'],
      uid: DECISION_ID,
      correlation_uid: 'r-1',
      event_code: 'authorization',
    },
    actor: {
      user: { uid: 'alice' },
      idp: { uid: 'https://idp.example' },
      session: { uid: 's-1', issuer: 'https://idp.example' },
      app_uid: 'spiffe://cluster.local/ns/shop/sa/checkout-service',
      app_name: 'shop/checkout-service',
    },
    api: {
      operation: 'ProcessPayment',
      service: { name: 'shop/payment-service' },
      request: { uid: 'r-1' },
    },
    src_endpoint: { ip: '203.0.113.7', svc_name: 'shop/checkout-service', intermediate_ips: ['10.0.0.1'] },
    dst_endpoint: { ip: '10.0.0.2', port: 8443, svc_name: 'shop/payment-service' },
    http_request: {
      http_method: 'POST',
      url: { path: '/api/payments', hostname: 'pay.example' },
      version: '2',
      uid: 'r-1',
    },
    resources: [{ uid: 'shop/payment-service/ProcessPayment', type: 'endpoint' }],
    status_id: 1,
    status_code: 'allowed',
    message: 'allow: allowed',
    action_id: 1,
    disposition_id: 1,
    policy: { name: 'checkout-processes', uid: 'shop/payment.yaml:31:7', version: 'cafe01' },
    authorizations: [
      {
        decision: 'allow',
        policy: { name: 'checkout-processes', uid: 'shop/payment.yaml:31:7', version: 'cafe01' },
      },
    ],
    risk_score: 42,
    risk_level_id: 2,
    risk_details: 'new-device 30, unusual-time 12',
    is_alert: false,
    trace: {
      uid: '0af7651916cd43dd8448eb211c80319c',
      span: { uid: 'b7ad6b7169203331', start_time: NOW_MS, end_time: NOW_MS + 2 },
    },
    unmapped: {
      schemaVersion: '1.0',
      userRoles: ['payment-processor'],
      clientId: 'web',
      endpoint: 'ProcessPayment',
      deviceId: 'laptop-1',
      devicePosture: 55,
      deviceTier: 'managed-corporate',
      deviceTrust: 'high',
      sourcePort: 40_000,
      protocol: 'HTTP/2',
      operation: 'Write',
      dataPolicy: 'restricted',
      auditLevel: 'Full',
      auditRetention: '7y',
      userAcr: 'mfa',
      userAmr: ['otp'],
      userMfa: true,
      userAuthTime: '2026-03-01T12:00:00.042Z',
      queryParameters: ['token'],
      mode: 'Enforce',
      obligations: ['read-only'],
    },
  })
})

test('an event that is no decision has an id of its own, the same each time', () => {
  const ids = ['withdrawal', 'signal', 'grant.create', 'risk.set-level'].map((name) => {
    const { metadata } = of(name)
    expect(of(name).metadata).toEqual(metadata)
    return JSON.stringify(metadata)
  })
  expect(new Set(ids).size).toBe(4)
  expect(ids.some((id) => id.includes(`"uid":"${DECISION_ID}"`))).toBe(false)
  expect(of('withdrawal').metadata).toMatchObject({ correlation_uid: DECISION_ID })
})

test.each(['', 'no json', '[]', 'null', '"text"'])('%j is no event', (line) => {
  expect(() => renderOcsf(line)).toThrow()
})
