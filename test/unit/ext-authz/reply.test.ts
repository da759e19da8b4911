import { describe, expect, test } from '@jest/globals'
import type { Decision } from '../../../src/decision/decision.js'
import { HTTP_STATUS_OF_REASON, type RefusalReason } from '../../../src/decision/reason.js'
import { readAccessRequest } from '../../../src/ext-authz/read-access-request.js'
import { prepareReplies, replyTo, type ReplyOptions } from '../../../src/ext-authz/reply.js'
import type { UserPrincipal, WorkloadPrincipal } from '../../../src/identity/principal.js'
import type { AccessRequest } from '../../../src/request/access-request.js'
import {
  type CheckFields,
  type CheckReply,
  decodeReply,
  encodeCheck,
  type HeaderOption,
} from '../../support/envoy-wire.js'
import { HEADER_NAMES, WORDING } from '../../support/replies.js'

const OPTIONS = prepareReplies(HEADER_NAMES, WORDING)
const GRPC = { headers: { 'content-type': 'application/grpc' } }
const ID = 'decision-1'

const USER: UserPrincipal = {
  issuer: 'https://idp.example',
  subject: 'alice',
  email: undefined,
  roles: ['buyer', 'a,b'],
  scopes: [],
  clientId: undefined,
  deviceId: undefined,
  deviceTrust: 'high',
  riskScore: undefined,
  mfaVerified: false,
  sessionId: 's-1',
  acr: undefined,
  amr: [],
  authTimeMs: undefined,
  zone: undefined,
  claims: {},
}
const WORKLOAD: WorkloadPrincipal = {
  spiffeId: {
    text: 'spiffe://cluster.local/ns/shop/sa/checkout',
    trustDomain: 'cluster.local',
    path: '/ns/shop/sa/checkout',
  },
  verifiedBy: 'certificate',
}
const ALLOW: Decision = {
  outcome: 'allow',
  reason: 'allowed',
  message: '',
  mode: 'Enforce',
  obligations: [],
  revision: 'r1',
}
const refusal = (reason: RefusalReason, more: Partial<Decision> = {}): Decision => ({
  ...ALLOW,
  outcome: 'deny',
  reason,
  message: 'rule internal-42 says no',
  ...more,
})

function requestOf(fields: CheckFields = {}): AccessRequest {
  const read = readAccessRequest(encodeCheck(fields), 'x-service-token')
  if (!read.ok) throw new Error(read.message)
  return read.request
}

function reply(decision: Decision, fields: CheckFields = {}, options: ReplyOptions = OPTIONS): CheckReply {
  return decodeReply(replyTo(decision, ID, requestOf(fields), options))
}

const byName = (options: readonly HeaderOption[] | undefined): Record<string, string> =>
  Object.fromEntries((options ?? []).map(({ header }) => [header.key, header.value]))
const deniedHeaders = (answer: CheckReply): Record<string, string> => byName(answer.denied_response?.headers)

describe('refusals', () => {
  test.each(Object.entries(HTTP_STATUS_OF_REASON))(
    '%s is %d, explicit, with reason and decision id',
    (reason, status) => {
      const answer = reply(refusal(reason as RefusalReason))
      expect(answer.status?.code).toBe({ 401: 16, 403: 7, 429: 8, 503: 14 }[status])
      expect(answer.denied_response?.status?.code).toBe(status)
      const headers = deniedHeaders(answer)
      expect(headers).toMatchObject({
        'x-portcullis-decision-id': ID,
        'x-portcullis-reason': reason,
        'content-type': 'application/json',
      })
      expect('www-authenticate' in headers).toBe(status === 401 || reason === 'scope-missing')
      const body = JSON.parse(answer.denied_response?.body ?? '') as Record<string, string>
      expect(body).toMatchObject({ error: reason, decision_id: ID })
      expect(body['message']).not.toContain('internal-42')
      expect(answer.dynamic_metadata?.fields).toMatchObject({
        decision: { stringValue: 'deny' },
        reason: { stringValue: reason },
      })
    },
  )

  test.each([
    { decision: refusal('no-credentials'), realm: '', value: 'Bearer' },
    { decision: refusal('no-credentials'), realm: 'my "shop"', value: 'Bearer realm="my \\"shop\\""' },
    { decision: refusal('user-token-expired'), realm: '', value: 'Bearer error="invalid_token"' },
    {
      decision: refusal('user-token-expired'),
      realm: 'shop',
      value: 'Bearer error="invalid_token", realm="shop"',
    },
    { decision: refusal('scope-missing'), realm: '', value: 'Bearer error="insufficient_scope"' },
    {
      decision: refusal('scope-missing', { scopes: ['orders:read', 'orders:write'] }),
      realm: '',
      value: 'Bearer error="insufficient_scope", scope="orders:read orders:write"',
    },
    {
      decision: refusal('step-up-required', {
        outcome: 'challenge',
        stepUp: { factor: 'mfa', maxAgeSeconds: 900 },
      }),
      realm: '',
      value: 'Bearer error="insufficient_user_authentication", acr_values="mfa", max_age="900"',
    },
    {
      decision: refusal('step-up-required', {
        outcome: 'challenge',
        stepUp: { factor: 'push', maxAgeSeconds: 0 },
      }),
      realm: '',
      value: 'Bearer error="insufficient_user_authentication", acr_values="push", max_age="0"',
    },
  ])('WWW-Authenticate: $value', ({ decision, realm, value }) => {
    const options = prepareReplies(HEADER_NAMES, { ...WORDING, realm })
    expect(deniedHeaders(reply(decision, {}, options))['www-authenticate']).toBe(value)
  })

  test.each([401, 403] as const)('a challenge with status %d', (stepUpStatus) => {
    const decision = refusal('step-up-required', {
      outcome: 'challenge',
      user: USER,
      stepUp: { factor: 'push', maxAgeSeconds: 60 },
    })
    const answer = reply(decision, {}, prepareReplies(HEADER_NAMES, { ...WORDING, stepUpStatus }))
    expect(answer.denied_response?.status?.code).toBe(stepUpStatus)
    expect(JSON.parse(answer.denied_response?.body ?? '')).toEqual({
      error: 'step-up-required',
      challenge: 'mfa',
      factor: 'push',
      session_id: 's-1',
      decision_id: ID,
    })
    expect(deniedHeaders(answer)['www-authenticate']).toMatch(/insufficient_user_authentication/)
  })

  test.each([
    { decision: refusal('user-token-expired'), code: '16' },
    { decision: refusal('call-not-allowed'), code: '7' },
    { decision: refusal('overloaded'), code: '8' },
    { decision: refusal('internal-error'), code: '14' },
    { decision: refusal('step-up-required', { outcome: 'challenge' }), code: '16' },
  ])('a gRPC caller gets grpc-status $code, and the body becomes grpc-message', ({ decision, code }) => {
    const answer = reply(decision, GRPC, prepareReplies(HEADER_NAMES, { ...WORDING, stepUpStatus: 403 }))
    const headers = deniedHeaders(answer)
    expect(headers['grpc-status']).toBe(code)
    expect(headers).not.toHaveProperty('content-type')
    expect(answer.denied_response?.body).toMatch(new RegExp(`^[A-Z].* \\(${decision.reason}\\)$`))
  })

  test('messages are shown where configured', () => {
    const options = prepareReplies(HEADER_NAMES, { ...WORDING, showMessages: true })
    expect(reply(refusal('forbidden'), {}, options).denied_response?.body).toContain(
      'rule internal-42 says no',
    )
    expect(reply(refusal('forbidden'), GRPC, options).denied_response?.body).toBe(
      'rule internal-42 says no (forbidden)',
    )
  })

  test('what was never read is refused, in gRPC where that could be read, and never allowed', () => {
    const unread = readAccessRequest(encodeCheck({ path: '/a//b', ...GRPC }), 'x-service-token')
    if (unread.ok) throw new Error('read')
    const headers = deniedHeaders(decodeReply(replyTo(refusal('ambiguous-request'), ID, unread, OPTIONS)))
    expect(headers).toMatchObject({ 'grpc-status': '7' })
    expect(decodeReply(replyTo(refusal('ambiguous-request'), ID, undefined, OPTIONS)).status?.code).toBe(7)
    expect(() => replyTo(ALLOW, ID, unread, OPTIONS)).toThrow()
    expect(() => replyTo(ALLOW, ID, undefined, OPTIONS)).toThrow()
  })

  test('the last resort is a refusal', () => {
    const answer = decodeReply(OPTIONS.lastResort)
    expect([answer.status?.code, answer.denied_response?.status?.code]).toEqual([14, 503])
  })
})

describe('an allow', () => {
  const removed = (answer: CheckReply): readonly string[] =>
    (answer.ok_response?.headers_to_remove ?? []).toSorted()

  test.each([
    { name: 'a subject that is no header', user: { ...USER, subject: 'a\ud800' } },
    {
      name: 'roles without end',
      user: { ...USER, roles: Array.from({ length: 2000 }, (_, at) => `role-${at}`) },
    },
  ])('$name stops the call', ({ user }) => {
    expect(() => reply({ ...ALLOW, user })).toThrow()
  })

  test('tells the upstream who calls and overwrites what the caller sent', () => {
    const decision: Decision = {
      ...ALLOW,
      user: USER,
      workload: WORKLOAD,
      caller: 'shop/checkout',
      obligations: ['read-only'],
    }
    const answer = reply(decision, { headers: { 'x-user-id': 'root', 'x-user-roles': 'admin' } })
    expect(byName(answer.ok_response?.headers)).toEqual({
      'x-portcullis-decision-id': ID,
      'x-user-id': 'alice',
      'x-user-roles': 'buyer,a%2Cb',
      'x-device-trust': 'high',
      'x-caller-service': 'shop/checkout',
      'x-caller-spiffe-id': 'spiffe://cluster.local/ns/shop/sa/checkout',
      'x-portcullis-obligations': 'read-only',
    })
    for (const { append_action: action } of answer.ok_response?.headers ?? [])
      expect(action).toBe('OVERWRITE_IF_EXISTS_OR_ADD')
    expect(removed(answer)).toEqual([])
    expect(byName(answer.ok_response?.response_headers_to_add)).toEqual({ 'x-portcullis-decision-id': ID })
  })

  test('removes every identity it does not set, and every other spelling of its names', () => {
    const headers = {
      'x-user-id': 'root',
      x_user_id: 'root',
      'x-user_roles': 'admin',
      x_other: '1',
      x_portcullis_decision_id: 'fake',
    }
    const answer = reply({ ...ALLOW, workload: WORKLOAD }, { headers })
    expect(removed(answer)).toEqual(
      [
        'x-user-id',
        'x-user-roles',
        'x-device-trust',
        'x-caller-service',
        'x-portcullis-obligations',
        'x_user_id',
        'x-user_roles',
        'x_portcullis_decision_id',
      ].toSorted(),
    )
    expect(Object.keys(byName(answer.ok_response?.headers)).toSorted()).toEqual([
      'x-caller-spiffe-id',
      'x-portcullis-decision-id',
    ])
  })

  test('a name with an underscore of its own is removed in its dashed spelling', () => {
    const options = prepareReplies({ ...HEADER_NAMES, userId: 'x_user_id' }, WORDING)
    const answer = reply(
      { ...ALLOW, user: USER },
      { headers: { 'x-user-id': 'root', x_user_id: 'root' } },
      options,
    )
    expect(byName(answer.ok_response?.headers)).toMatchObject({ x_user_id: 'alice' })
    expect(removed(answer)).toContain('x-user-id')
    expect(removed(answer)).not.toContain('x_user_id')
  })

  test('a disabled header is neither set nor removed', () => {
    const options = prepareReplies({ ...HEADER_NAMES, userId: '' }, WORDING)
    const answer = reply(
      { ...ALLOW, user: USER },
      { headers: { 'x-user-id': 'own', x_user_id: 'own' } },
      options,
    )
    expect(byName(answer.ok_response?.headers)).not.toHaveProperty('x-user-id')
    expect(removed(answer)).not.toContain('x-user-id')
    expect(removed(answer)).not.toContain('x_user_id')
  })

  test.each(['Observe', 'Shadow'] as const)('in %s nothing changes but the decision id', (mode) => {
    const headers = { 'x-user-id': 'root', x_user_id: 'root', x_portcullis_decision_id: 'fake' }
    const answer = reply({ ...ALLOW, mode, user: USER, workload: WORKLOAD }, { headers })
    expect(byName(answer.ok_response?.headers)).toEqual({ 'x-portcullis-decision-id': ID })
    expect(removed(answer)).toEqual(['x_portcullis_decision_id'])
  })

  test('dynamic metadata holds what is known and nothing else', () => {
    const decision: Decision = {
      ...ALLOW,
      user: USER,
      caller: 'shop/checkout',
      target: 'shop/payment',
      endpoint: 'Pay',
      rule: 'checkout-pays',
      riskScore: 20,
      obligations: ['read-only'],
    }
    const text = (stringValue: string): object => ({ stringValue, kind: 'stringValue' })
    expect(reply(decision).dynamic_metadata?.fields).toEqual({
      decision: text('allow'),
      decision_id: text(ID),
      reason: text('allowed'),
      rule: text('checkout-pays'),
      mode: text('Enforce'),
      caller: text('shop/checkout'),
      target: text('shop/payment'),
      endpoint: text('Pay'),
      user: text('alice'),
      risk_score: { numberValue: 20, kind: 'numberValue' },
      revision: text('r1'),
      obligations: { listValue: { values: [text('read-only')] }, kind: 'listValue' },
    })
    const fields = Object.keys(reply({ ...ALLOW, revision: '' }).dynamic_metadata?.fields ?? {})
    expect(fields.toSorted()).toEqual(['decision', 'decision_id', 'mode', 'reason'])
  })

  test('a TCP connection is told by status and metadata alone', () => {
    const answer = reply({ ...ALLOW, workload: WORKLOAD }, { tcp: true })
    expect(answer.status).toBeTruthy()
    expect(answer.ok_response ?? undefined).toBeUndefined()
    expect(reply(refusal('caller-unknown'), { tcp: true }).status?.code).toBe(7)
  })
})
