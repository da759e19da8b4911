import { writeAdminEvent } from '../../../src/audit/admin-event.js'
import { writeAnomaly } from '../../../src/audit/anomaly/anomaly-event.js'
import { SEVERITIES } from '../../../src/audit/anomaly/finding.js'
import { type SecurityEventInput, writeSecurityEvent } from '../../../src/audit/security-event.js'
import { writeSignalEvent } from '../../../src/audit/signal-event.js'
import { writeWithdrawal } from '../../../src/audit/withdrawal-event.js'
import type { Decision } from '../../../src/decision/decision.js'
import { HTTP_STATUS_OF_REASON, type RefusalReason } from '../../../src/decision/reason.js'
import type { AccessRequest, HttpCall } from '../../../src/request/access-request.js'
import { aUser } from '../../support/facts.js'

export const NOW_MS = Date.UTC(2026, 2, 1, 12, 0, 0, 42)
export const DECISION_ID = '0192f8e4-7c1a-7def-8a11-0123456789ab'
const TRACEPARENT = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'

const call: HttpCall = {
  method: 'POST',
  path: '/api/payments',
  query: 'token=planted-query',
  host: 'pay.example',
  protocol: 'HTTP/2',
  upgrade: false,
  grpc: false,
  headers: { get: () => undefined, count: () => 0, names: () => [][Symbol.iterator]() },
}

export const allow: Decision = {
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
  riskScore: 42,
  riskFactors: [
    { factor: 'new-device', points: 30 },
    { factor: 'unusual-time', points: 12 },
  ],
  clientIp: '203.0.113.7',
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
  user: aUser({
    roles: ['payment-processor'],
    clientId: 'web',
    deviceId: 'laptop-1',
    deviceTrust: 'high',
    mfaVerified: true,
    sessionId: 's-1',
    acr: 'mfa',
    amr: ['otp'],
    authTimeMs: NOW_MS,
  }),
  obligations: ['read-only'],
  data: { name: 'restricted', level: 'Full', retention: '7y', alert: true },
  revision: 'cafe01',
}

export function refused(reason: RefusalReason, over: Partial<Decision> = {}): Decision {
  const { outcome, message } = { outcome: 'deny' as const, message: `refused for ${reason}` }
  return { outcome, reason, message, mode: 'Enforce', obligations: [], revision: 'cafe01', ...over }
}

export function eventOf(decision: Decision, over: Partial<SecurityEventInput> = {}): string {
  const request: AccessRequest = {
    requestId: 'r-1',
    source: { ip: '10.0.0.1', port: 40_000, principal: '', certificate: '' },
    destination: { ip: '10.0.0.2', port: 8443, principal: '' },
    http: call,
    contextExtensions: new Map(),
    sni: '',
  }
  return writeSecurityEvent({
    decision,
    decisionId: DECISION_ID,
    request,
    unreadable: undefined,
    traceparent: TRACEPARENT,
    nowMs: NOW_MS,
    durationUs: 1093.6,
    ...over,
  })
}

const withCall = (over: Partial<HttpCall> | undefined): Partial<SecurityEventInput> => ({
  request: {
    requestId: 'r-1',
    source: { ip: '2001:db8::1', port: 40_000, principal: '', certificate: '' },
    destination: { ip: '', port: 0, principal: '' },
    http: over && { ...call, ...over },
    contextExtensions: new Map(),
    sni: '',
  },
})

const unread = (unreadable: SecurityEventInput['unreadable']): Partial<SecurityEventInput> => ({
  request: undefined,
  unreadable,
  traceparent: undefined,
})
const HOSTILE = 'a\u001b[2Jb\u2028c\u202ed\u0085e"f\\g\ud800h\u00e9'

/** One of every type, of every reason, and of every kind of decision and call. */
export const EVENTS: readonly { readonly name: string; readonly line: string }[] = [
  ...Object.keys(HTTP_STATUS_OF_REASON).map((reason) => ({
    name: `deny ${reason}`,
    line: eventOf(refused(reason as RefusalReason)),
  })),
  { name: 'allow', line: eventOf(allow) },
  {
    name: 'challenge',
    line: eventOf(
      refused('step-up-required', { ...allow, outcome: 'challenge', reason: 'step-up-required' }),
    ),
  },
  ...(['Observe', 'Shadow'] as const).flatMap((mode) => [
    { name: `${mode}, allowed anyway`, line: eventOf({ ...allow, mode }) },
    {
      name: `${mode}, would be denied`,
      line: eventOf({
        ...allow,
        mode,
        wouldBe: { outcome: 'deny', reason: 'rule-not-matched', message: 'no rule' },
      }),
    },
    { name: `${mode}, refused in every mode`, line: eventOf(refused('quarantined', { mode })) },
  ]),
  { name: 'last-known state, granted', line: eventOf({ ...allow, state: 'last-known', grantId: 'g-1' }) },
  ...['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'PURGE'].map((method) => ({
    name: method,
    line: eventOf({ ...allow, endpoint: undefined }, withCall({ method })),
  })),
  { name: 'gRPC', line: eventOf(allow, withCall({ grpc: true, path: '/shop.v1.Payments/Refund' })) },
  { name: 'TCP', line: eventOf({ ...allow, endpoint: undefined }, withCall(undefined)) },
  {
    name: 'hostile text',
    line: eventOf(allow, withCall({ path: `/${HOSTILE}`, host: HOSTILE, method: HOSTILE })),
  },
  { name: 'nothing could be read', line: eventOf(refused('ambiguous-request'), unread(undefined)) },
  {
    name: 'nothing at all',
    line: eventOf(refused('ambiguous-request', { revision: '', message: '' }), unread({})),
  },
  {
    name: 'some of it could be read',
    line: eventOf(
      refused('ambiguous-request'),
      unread({
        requestId: 'r-2',
        source: { ip: '10.0.0.9', port: 1 },
        method: 'GET',
        path: '/a%2fb?x=y',
        host: 'h',
      }),
    ),
  },
  ...(
    ['grant.create', 'grant.revoke', 'quarantine.lift', 'risk.set-level', 'session.terminate'] as const
  ).map((action) => ({
    name: action,
    line: writeAdminEvent({
      atMs: NOW_MS,
      actor: 'carol',
      role: 'Admin',
      action,
      resourceType: 'grant',
      resourceId: 'g-1',
      reason: 'ticket 4711',
      remoteIp: '127.0.0.1',
      requestId: 'a-1',
      details: { user: 'alice', operations: ['Read'] },
      success: action !== 'grant.revoke',
      errorCode: action === 'grant.revoke' ? 'not-found' : undefined,
    }),
  })),
  {
    name: 'signal',
    line: writeSignalEvent({
      atMs: NOW_MS,
      transmitter: 'https://idp.example',
      eventType: 'https://schemas.openid.net/secevent/caep/event-type/session-revoked',
      subject: 'user alice',
      jti: 'j-1',
      effective: true,
    }),
  },
  { name: 'withdrawal', line: writeWithdrawal(DECISION_ID, NOW_MS) },
  ...SEVERITIES.map((severity, index) => ({
    name: `anomaly ${severity}`,
    line: writeAnomaly({
      rule: 'fan-out',
      severity,
      subject:
        [
          { kind: 'workload', id: 'shop/checkout-service' } as const,
          { kind: 'workload', id: 'spiffe://cluster.local/ns/shop/sa/stranger' } as const,
        ][index] ?? ({ kind: 'user', id: 'alice', issuer: 'https://idp.example' } as const),
      atMs: NOW_MS,
      fromMs: NOW_MS - 600_000,
      observed: 40,
      baseline: 3,
      unit: 'targets',
      message: 'reached 40 targets, 3 is usual',
      events: { decisionIds: [DECISION_ID], count: 40 },
    }),
  })),
  ...['audit-opened', 'audit-checkpoint', 'audit-retention'].map((eventType) => ({
    name: eventType,
    line: `{"schemaVersion":"1.0","timestamp":"2026-03-01T12:00:00.042Z","eventType":"${eventType}","stream":"default","covered":7}`,
  })),
]

export function lineOf(name: string): string {
  const found = EVENTS.find((each) => each.name === name)
  if (!found) throw new Error(`no event ${name}`)
  return found.line
}

/** What no line of text for people or line-wise tools may hold. */
export const UNPRINTABLE = /[\p{Cc}\u00ad\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]/u
