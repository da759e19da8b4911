import { describe, expect, test } from '@jest/globals'
import { asEnvoySends, createAuthority } from '../support/certificate-authority.js'
import { CHECK_SERVERS } from '../support/check-servers.js'
import type { CheckFields } from '../support/envoy-wire.js'
import { hmacWithPublicKey, signedToken, testKey, unsignedToken } from '../support/tokens.js'
import { frontDoor, NOW_SECONDS } from './door.js'

describe.each(CHECK_SERVERS)('Check on %s', (checkServer) => {
  const door = frontDoor(
    { certificates: { revoked: { identities: ['spiffe://cluster.local/ns/shop/sa/gone'] } } },
    checkServer,
  )
  const WEB = 'spiffe://cluster.local/ns/shop/sa/web'
  const PAY = 'spiffe://cluster.local/ns/shop/sa/pay'
  const READ: CheckFields = { destinationPrincipal: PAY, method: 'GET', path: '/api/payments/7' }
  const PROCESS: CheckFields = { destinationPrincipal: PAY, method: 'POST', path: '/api/payments' }
  const REFUND: CheckFields = {
    destinationPrincipal: PAY,
    method: 'POST',
    path: '/shop.v1.Payments/Refund',
    headers: { 'content-type': 'application/grpc' },
  }

  type Case = {
    readonly name: string
    readonly fields: () => CheckFields | Promise<CheckFields>
    readonly listener?: string
    readonly reason: string
    readonly status?: number
  }

  const DAY_MS = 86_400_000
  const web = (): CheckFields => door.peer(WEB)
  const withToken = async (request: Parameters<typeof door.serviceToken>[0]): Promise<CheckFields> => ({
    ...web(),
    ...PROCESS,
    headers: { 'x-service-token': await door.serviceToken(request) },
  })
  const withUser = (path: string, claims: Record<string, unknown>, method = 'GET'): CheckFields => ({
    ...web(),
    destinationPrincipal: PAY,
    method,
    path,
    headers: door.user(claims),
  })
  const withAuthorization = (authorization: string): CheckFields => ({
    ...web(),
    destinationPrincipal: PAY,
    path: '/profile',
    headers: { authorization },
  })
  const FRESH_MFA = { mfa_verified: true, auth_time: NOW_SECONDS - 60, amr: ['mfa'] }

  const GONE = 'spiffe://cluster.local/ns/shop/sa/gone'
  const refusals: readonly Case[] = [
    {
      name: 'a revoked identity by certificate',
      fields: () => ({ ...door.peer(GONE), ...READ }),
      reason: 'certificate-revoked',
    },
    {
      name: 'a revoked identity whose certificate has expired, where the target only watches',
      fields: () => ({
        ...door.peer(GONE, { spiffeId: GONE, notBefore: new Date(Date.now() - 7_200_000), ttlSeconds: 3600 }),
        ...READ,
        path: '/tried',
      }),
      reason: 'certificate-revoked',
    },
    {
      name: 'a revoked identity by principal',
      listener: 'istio',
      fields: () => ({ ...READ, principal: GONE }),
      reason: 'certificate-revoked',
    },
    {
      name: 'a revoked identity where the target only watches',
      listener: 'istio',
      fields: () => ({ ...READ, principal: GONE, path: '/tried' }),
      reason: 'certificate-revoked',
    },
    // What can't be read or could mean two things.
    ...[
      '/api/payments/../admin',
      '/api//payments/7',
      '/api/payments/%2e%2e/x',
      '/api/payments%2f7',
      '/api/payments/7;x=1',
      '/api\\payments',
      'api/payments/7',
      '',
      '/a#b',
      '/%zz',
      '/%c3%28',
    ].map((path): Case => ({
      name: `path ${path}`,
      fields: () => ({ ...web(), ...READ, path }),
      reason: 'ambiguous-request',
      status: 403,
    })),
    {
      name: 'lower-case method',
      fields: () => ({ ...web(), ...READ, method: 'get' }),
      reason: 'ambiguous-request',
    },
    {
      name: 'method override',
      fields: () => ({ ...web(), ...READ, headers: { 'x-http-method-override': 'DELETE' } }),
      reason: 'ambiguous-request',
    },
    {
      name: 'two authorizations joined',
      fields: () => ({ ...web(), ...READ, headers: { authorization: 'Bearer a,Bearer b' } }),
      reason: 'ambiguous-request',
    },
    // The workload.
    { name: 'no certificate', fields: () => READ, reason: 'certificate-required', status: 401 },
    {
      name: 'a principal without its certificate',
      fields: () => ({ ...READ, principal: WEB }),
      reason: 'certificate-required',
    },
    {
      name: 'no certificate but a user',
      fields: () => ({ ...READ, headers: door.user() }),
      reason: 'certificate-required',
    },
    {
      name: 'no certificate at all',
      fields: () => ({ ...READ, principal: WEB, certificate: 'nonsense' }),
      reason: 'certificate-invalid',
    },
    {
      name: 'a root that nobody trusts',
      fields: () => ({
        ...READ,
        principal: WEB,
        certificate: asEnvoySends(
          createAuthority({ name: 'evil' }).issueSvid({ spiffeId: WEB }).certificatePem,
        ),
      }),
      reason: 'certificate-invalid',
    },
    {
      name: 'another trust domain',
      fields: () => ({ ...door.peer('spiffe://evil.example/ns/shop/sa/web'), ...READ }),
      reason: 'untrusted-domain',
    },
    {
      name: 'no SPIFFE ID',
      fields: () => ({ ...door.peer('https://web.example/'), ...READ }),
      reason: 'svid-invalid',
    },
    {
      name: 'a principal that the certificate does not name',
      fields: () => ({ ...web(), ...READ, principal: PAY }),
      reason: 'principal-mismatch',
    },
    {
      name: 'expired',
      fields: () => ({
        ...door.peer(WEB, { spiffeId: WEB, notBefore: new Date(Date.now() - 7_200_000), ttlSeconds: 3600 }),
        ...READ,
      }),
      reason: 'certificate-expired',
    },
    {
      name: 'not yet valid',
      fields: () => ({
        ...door.peer(WEB, { spiffeId: WEB, notBefore: new Date(Date.now() + 3_600_000) }),
        ...READ,
      }),
      reason: 'certificate-not-yet-valid',
    },
    {
      name: 'two days long',
      fields: () => ({
        ...door.peer(WEB, { spiffeId: WEB, notAfter: new Date(Date.now() + 2 * DAY_MS) }),
        ...READ,
      }),
      reason: 'certificate-lifetime',
    },
    // The target.
    { name: 'no target', fields: () => ({ ...web(), method: 'GET', path: '/x' }), reason: 'target-unknown' },
    {
      name: 'a target that nobody documented',
      fields: () => ({ ...web(), ...READ, destinationPrincipal: 'spiffe://cluster.local/ns/shop/sa/ghost' }),
      reason: 'target-unknown',
    },
    {
      name: 'two targets',
      fields: () => ({ ...web(), ...READ, service: 'edge/portal' }),
      reason: 'target-conflict',
    },
    // The matrix.
    {
      name: 'a caller that nobody documented',
      fields: () => ({ ...door.peer('spiffe://cluster.local/ns/shop/sa/ghost'), ...READ }),
      reason: 'caller-unknown',
    },
    {
      name: 'a caller that does not declare the call',
      fields: () => ({ ...door.peer('spiffe://cluster.local/ns/shop/sa/cron'), ...READ }),
      reason: 'call-not-allowed',
    },
    {
      name: 'a caller that no rule names',
      fields: () => ({ ...door.peer('spiffe://cluster.local/ns/other/sa/stranger'), ...READ }),
      reason: 'rule-not-matched',
    },
    {
      name: 'a path that is not exposed',
      fields: () => ({ ...web(), ...READ, path: '/api/payments/7/history' }),
      reason: 'endpoint-not-exposed',
    },
    {
      name: 'a method that is not exposed',
      fields: () => ({ ...web(), ...READ, method: 'DELETE' }),
      reason: 'endpoint-not-exposed',
    },
    {
      name: 'HEAD where GET is exposed',
      fields: () => ({ ...web(), ...READ, method: 'HEAD' }),
      reason: 'endpoint-not-exposed',
    },
    {
      name: 'an upgrade of a plain endpoint',
      fields: () => ({ ...web(), ...READ, headers: { connection: 'upgrade', upgrade: 'websocket' } }),
      reason: 'endpoint-not-exposed',
    },
    {
      name: 'a gRPC method that is not exposed',
      fields: () => ({ ...web(), ...REFUND, path: '/shop.v1.Payments/Delete' }),
      reason: 'endpoint-not-exposed',
    },
    {
      name: 'a TCP port that is not exposed',
      fields: () => ({ ...web(), destinationPrincipal: PAY, destinationPort: 6379, tcp: true }),
      reason: 'endpoint-not-exposed',
    },
    {
      name: 'TCP from a caller without the edge',
      fields: () => ({
        ...door.peer('spiffe://cluster.local/ns/shop/sa/cron'),
        destinationPrincipal: PAY,
        destinationPort: 5432,
        tcp: true,
      }),
      reason: 'call-not-allowed',
    },
    {
      name: 'a forbid',
      fields: () => ({ ...web(), ...READ, headers: { 'x-test': '1' } }),
      reason: 'forbidden',
    },
    { name: 'no scope', fields: () => ({ ...web(), ...PROCESS }), reason: 'scope-missing', status: 403 },
    // Service tokens.
    {
      name: 'a service token that is none',
      fields: () => ({ ...web(), ...PROCESS, headers: { 'x-service-token': 'abc' } }),
      reason: 'service-token-malformed',
      status: 401,
    },
    {
      name: 'an unknown issuer',
      fields: () => withToken({ issuer: 'nobody' }),
      reason: 'service-token-issuer',
    },
    {
      name: 'another key',
      fields: async () => withToken({ key: (await testKey('ES256')).privateKeyPem }),
      reason: 'service-token-signature',
    },
    {
      name: 'another audience',
      fields: () => withToken({ audience: 'shop/other' }),
      reason: 'service-token-audience',
    },
    {
      name: 'ten minutes',
      fields: () => withToken({ lifetimeSeconds: 600 }),
      reason: 'service-token-lifetime',
    },
    {
      name: 'expired service token',
      fields: () => withToken({ nowMs: Date.now() - 60_000 }),
      reason: 'service-token-expired',
    },
    {
      name: 'stolen by another service',
      fields: async () => ({
        ...(await withToken({})),
        ...door.peer('spiffe://cluster.local/ns/shop/sa/cron'),
      }),
      reason: 'service-token-subject',
    },
    {
      name: 'a subject of another service',
      fields: () => withToken({ subject: PAY }),
      reason: 'service-token-subject',
    },
    {
      name: 'a scope that its issuer may not claim',
      fields: () => withToken({ scopes: ['admin:all'] }),
      reason: 'scope-missing',
    },
    // User tokens.
    { name: 'Basic', fields: () => withAuthorization('Basic YTpi'), reason: 'user-token-malformed' },
    {
      name: 'alg none',
      fields: () =>
        withAuthorization(`Bearer ${unsignedToken({ iss: 'https://idp.example', sub: 'a', aud: 'shop' })}`),
      reason: 'user-token-signature',
    },
    {
      name: 'HS256 with the public key',
      fields: () =>
        withAuthorization(
          `Bearer ${hmacWithPublicKey(door.userKey, { iss: 'https://idp.example', sub: 'a', aud: 'shop', exp: NOW_SECONDS + 60 })}`,
        ),
      reason: 'user-token-signature',
    },
    {
      name: 'a user of nobody',
      fields: () => withUser('/profile', { iss: 'https://evil.example' }),
      reason: 'user-token-issuer',
    },
    {
      name: 'a user for somebody else',
      fields: () => withUser('/profile', { aud: 'bank' }),
      reason: 'user-token-audience',
    },
    {
      name: 'an expired user',
      fields: () => withUser('/profile', { exp: NOW_SECONDS - 120 }),
      reason: 'user-token-expired',
    },
    {
      name: 'a user of tomorrow',
      fields: () => withUser('/profile', { nbf: NOW_SECONDS + 3600 }),
      reason: 'user-token-not-yet-valid',
    },
    {
      name: 'a risk that is no number',
      fields: () => withUser('/profile', { risk_score: 'low' }),
      reason: 'user-token-malformed',
    },
    {
      name: 'another typ',
      fields: () =>
        withAuthorization(
          `Bearer ${signedToken(door.userKey, { iss: 'https://idp.example', aud: 'shop', sub: 'a', exp: NOW_SECONDS + 60 }, { alg: 'RS256', kid: 'idp-1', typ: 'secevent+jwt' })}`,
        ),
      reason: 'user-token-type',
    },
    {
      name: 'no user where one is required',
      fields: () => ({ ...web(), destinationPrincipal: PAY, path: '/profile' }),
      reason: 'user-required',
      status: 403,
    },
    { name: 'no user scope', fields: () => withUser('/scoped', { scope: 'other' }), reason: 'scope-missing' },
    // Device and risk, challenges.
    {
      name: 'a low-trust device that writes',
      fields: () => withUser('/profile', { device_trust_level: 'low' }, 'PUT'),
      reason: 'device-read-only',
      status: 403,
    },
    {
      name: 'a risk of 71',
      fields: () => withUser('/profile', { risk_score: 71 }),
      reason: 'step-up-required',
      status: 401,
    },
    {
      name: 'a sensitive path without MFA',
      fields: () => withUser('/api/admin/report', {}),
      reason: 'step-up-required',
    },
    {
      name: 'mfa: Required without MFA',
      fields: () => ({ ...web(), ...REFUND, headers: { ...REFUND.headers, ...door.user() } }),
      reason: 'step-up-required',
    },
    {
      name: 'an old authentication',
      fields: () => withUser('/fresh', { auth_time: NOW_SECONDS - 1000 }),
      reason: 'step-up-required',
    },
    // Doors.
    {
      name: 'gateway: nobody',
      listener: 'edge',
      fields: () => ({ host: 'shop.example.com', path: '/portal/home' }),
      reason: 'no-credentials',
      status: 401,
    },
    {
      name: 'gateway: another host',
      listener: 'edge',
      fields: () => ({ host: 'evil.example.com', path: '/portal/home', headers: door.user() }),
      reason: 'target-unknown',
    },
    {
      name: 'gateway: an endpoint for workloads',
      listener: 'edge',
      fields: () => ({ host: 'shop.example.com', path: '/portal/inner', headers: door.user() }),
      reason: 'endpoint-not-exposed',
    },
    {
      name: 'gateway: a certificate counts for nothing',
      listener: 'edge',
      fields: () => ({ ...web(), host: 'shop.example.com', path: '/portal/home' }),
      reason: 'no-credentials',
    },
    {
      name: 'Istio: a DNS name',
      listener: 'istio',
      fields: () => ({ ...READ, principal: 'web.shop' }),
      reason: 'svid-invalid',
    },
    {
      name: 'permissive: a token does not outweigh the peer that Envoy names',
      listener: 'lenient',
      fields: async () => ({
        ...PROCESS,
        principal: 'spiffe://cluster.local/ns/shop/sa/cron',
        headers: { 'x-service-token': await door.serviceToken() },
      }),
      reason: 'certificate-required',
    },
    {
      name: 'a risk of 71 that an older authentication can not answer',
      fields: () =>
        withUser('/profile', {
          risk_score: 71,
          mfa_verified: true,
          amr: ['mfa'],
          auth_time: NOW_SECONDS - 600,
        }),
      reason: 'step-up-required',
    },
    {
      name: 'Istio: another trust domain',
      listener: 'istio',
      fields: () => ({ ...READ, principal: 'spiffe://evil.example/ns/shop/sa/web' }),
      reason: 'untrusted-domain',
    },
    { name: 'permissive: nothing', listener: 'lenient', fields: () => READ, reason: 'no-credentials' },
    {
      name: 'permissive: a bad certificate is not passed over',
      listener: 'lenient',
      fields: () => ({ ...READ, principal: WEB, certificate: 'nonsense' }),
      reason: 'certificate-invalid',
    },
  ]

  const allowed: readonly Case[] = [
    { name: 'a documented call', fields: () => ({ ...web(), ...READ }), reason: 'allowed' },
    {
      name: 'the extension agrees',
      fields: () => ({ ...web(), ...READ, service: 'shop/pay' }),
      reason: 'allowed',
    },
    {
      name: 'an RSA certificate',
      fields: () => ({ ...door.peer(WEB, { spiffeId: WEB, keyType: 'rsa-2048' }), ...READ }),
      reason: 'allowed',
    },
    {
      name: 'an Ed25519 certificate',
      fields: () => ({ ...door.peer(WEB, { spiffeId: WEB, keyType: 'ed25519' }), ...READ }),
      reason: 'allowed',
    },
    { name: 'a service token with the scope', fields: () => withToken({}), reason: 'allowed' },
    {
      name: 'TCP',
      fields: () => ({ ...web(), destinationPrincipal: PAY, destinationPort: 5432, tcp: true }),
      reason: 'allowed',
    },
    {
      name: 'a WebSocket',
      fields: () => ({
        ...web(),
        destinationPrincipal: PAY,
        path: '/live',
        headers: { connection: 'Upgrade', upgrade: 'websocket' },
      }),
      reason: 'allowed',
    },
    { name: 'a user', fields: () => withUser('/profile', {}), reason: 'allowed' },
    {
      name: 'a user with the scope',
      fields: () => withUser('/scoped', { scope: 'openid pay:read' }),
      reason: 'allowed',
    },
    {
      name: 'a low-trust device that reads',
      fields: () => withUser('/profile', { device_trust_level: 'low' }),
      reason: 'allowed',
    },
    { name: 'a risk of 70', fields: () => withUser('/profile', { risk_score: 70 }), reason: 'allowed' },
    {
      name: 'a risk of 71 after a step-up',
      fields: () => withUser('/profile', { risk_score: 71, ...FRESH_MFA }),
      reason: 'allowed',
    },
    {
      name: 'a sensitive path with MFA',
      fields: () => withUser('/api/admin/report', FRESH_MFA),
      reason: 'allowed',
    },
    {
      name: 'gRPC with MFA',
      fields: () => ({ ...web(), ...REFUND, headers: { ...REFUND.headers, ...door.user(FRESH_MFA) } }),
      reason: 'allowed',
    },
    {
      name: 'a recent authentication',
      fields: () => withUser('/fresh', { auth_time: NOW_SECONDS - 100, amr: ['mfa'] }),
      reason: 'allowed',
    },
    {
      name: 'what Shadow would refuse',
      fields: () => ({ ...web(), destinationPrincipal: PAY, path: '/tried' }),
      reason: 'allowed',
    },
    {
      name: 'gateway: a user',
      listener: 'edge',
      fields: () => ({ host: 'shop.example.com', path: '/portal/home', headers: door.user() }),
      reason: 'allowed',
    },
    {
      name: 'gateway: host with a port',
      listener: 'edge',
      fields: () => ({ host: 'SHOP.example.com:8443', path: '/portal/home', headers: door.user() }),
      reason: 'allowed',
    },
    {
      name: 'gateway: login',
      listener: 'edge',
      fields: () => ({ host: 'shop.example.com', method: 'POST', path: '/portal/login' }),
      reason: 'allowed',
    },
    {
      name: 'Istio: the principal alone',
      listener: 'istio',
      fields: () => ({ ...READ, principal: WEB }),
      reason: 'allowed',
    },
    {
      name: 'permissive: a service token stands in',
      listener: 'lenient',
      fields: async () => ({ ...PROCESS, headers: { 'x-service-token': await door.serviceToken() } }),
      reason: 'allowed',
    },
  ]

  describe('refuses', () => {
    test.each(refusals)('$name: $reason', async ({ fields, listener, reason, status }) => {
      const answer = await door.portcullis.check(await fields(), listener)
      expect({ outcome: answer.outcome, reason: answer.reason }).toEqual({ outcome: 'deny', reason })
      if (status !== undefined) expect(answer.httpStatus).toBe(status)
      if (answer.httpStatus === 401) expect(answer.headers.get('www-authenticate')).toMatch(/^Bearer/)
      expect(answer.headers.get('x-portcullis-decision-id')).toMatch(/^[0-9a-f-]{36}$/)
    })
  })

  describe('allows', () => {
    test.each(allowed)('$name', async ({ fields, listener, reason }) => {
      const answer = await door.portcullis.check(await fields(), listener)
      expect({ outcome: answer.outcome, reason: answer.reason }).toEqual({ outcome: 'allow', reason })
    })
  })

  test('a service token counts once', async () => {
    const fields = await withToken({})
    expect((await door.portcullis.check(fields)).reason).toBe('allowed')
    expect((await door.portcullis.check(fields)).reason).toBe('service-token-replayed')
  })

  test('of a hundred concurrent uses of one service token one is let pass', async () => {
    const fields = await withToken({})
    const answers = await Promise.all(Array.from({ length: 100 }, () => door.portcullis.check(fields)))
    expect(answers.filter(({ outcome }) => outcome === 'allow')).toHaveLength(1)
    expect(answers.filter(({ reason }) => reason === 'service-token-replayed')).toHaveLength(99)
  })

  test('the upstream learns who calls, and copies of the caller are overwritten or removed', async () => {
    const spoofed = {
      'x-user-id': 'root',
      x_user_id: 'root',
      'x-user-roles': 'admin',
      'X-Caller_Spiffe-Id': 'x'.toLowerCase(),
      'x-portcullis-obligations': 'none',
      'x-portcullis-reason': 'allowed',
      x_portcullis_reason: 'allowed',
    }
    const fields = withUser('/profile', { roles: ['reader'], device_trust_level: 'low' })
    const { reply, headers } = await door.portcullis.check({
      ...fields,
      headers: {
        ...fields.headers,
        ...Object.fromEntries(Object.entries(spoofed).map(([name, value]) => [name.toLowerCase(), value])),
      },
    })
    expect(Object.fromEntries(headers)).toMatchObject({
      'x-user-id': 'alice',
      'x-user-roles': 'reader',
      'x-device-trust': 'low',
      'x-caller-service': 'shop/web',
      'x-caller-spiffe-id': WEB,
      'x-portcullis-obligations': 'read-only',
    })
    expect(reply.ok_response?.headers_to_remove.toSorted()).toEqual([
      'x-caller_spiffe-id',
      'x-portcullis-reason',
      'x_portcullis_reason',
      'x_user_id',
    ])
    for (const option of reply.ok_response?.headers ?? [])
      expect(option.append_action).toBe('OVERWRITE_IF_EXISTS_OR_ADD')
  })

  test('Shadow changes nothing in the request but the decision id', async () => {
    const { reply } = await door.portcullis.check({
      ...web(),
      destinationPrincipal: PAY,
      path: '/tried',
      headers: { 'x-user-id': 'root' },
    })
    expect(reply.ok_response?.headers.map(({ header }) => header.key)).toEqual(['x-portcullis-decision-id'])
    expect(reply.ok_response?.headers_to_remove).toEqual([])
  })

  test('every decision leaves one event, and no credential is in any of them', async () => {
    const before = door.portcullis.events().length
    const token = await door.serviceToken()
    const user = door.user({ secret_claim: 'planted-7f3a' })
    const { headers } = await door.portcullis.check({
      ...web(),
      ...PROCESS,
      path: '/api/payments?key=planted-9c1d',
      headers: { ...user, 'x-service-token': token, cookie: 'sid=planted-55aa' },
    })
    await new Promise((resolve) => setTimeout(resolve, 50))
    const events = door.portcullis.events()
    expect(events).toHaveLength(before + 1)
    expect(events.at(-1)).toMatchObject({
      decisionId: headers.get('x-portcullis-decision-id'),
      decision: 'allow',
      decisionReason: 'allowed',
      callerService: 'shop/web',
      targetService: 'shop/pay',
      endpoint: 'Process',
      rule: 'web-calls',
      userId: 'alice',
      workloadId: WEB,
      requestPath: '/api/payments',
      mode: 'Enforce',
    })
    const text = JSON.stringify(events)
    for (const secret of ['planted-', token, user['authorization']?.slice(7) ?? 'absent'])
      expect(text).not.toContain(secret)
  })

  test('a mesh that comes all at once after a start is let in, each certificate verified once', async () => {
    const fields = Array.from({ length: 200 }, () => ({ ...web(), ...READ }))
    const answers = await Promise.all(fields.map((each) => door.portcullis.check(each, 'mesh', 10_000)))
    expect(new Set(answers.map(({ reason }) => reason))).toEqual(new Set(['allowed']))
  })
})
