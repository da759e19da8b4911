import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { asEnvoySends, createAuthority } from '../support/certificate-authority.js'
import type { CheckFields } from '../support/envoy-wire.js'
import { type Answer, startPortcullis, type TestPortcullis } from '../support/portcullis.js'
import { jwksText, signedToken, testKey, type TestKey } from '../support/tokens.js'

const TARGETS = ['other-1', 'other-2', 'other-3', 'other-4']
const POLICY = `
apiVersion: portcullis.dev/v1beta1
kind: ServicePolicy
metadata: { name: vault, namespace: shop }
spec:
  endpoints:
    - { name: Mfa, paths: [/mfa], methods: [GET], grpc: [shop.v1.Vault/Mfa], mfa: Required }
    - { name: Fresh, paths: [/fresh], methods: [GET], maxAuthAge: 5m }
    - { name: Strict, paths: [/strict], methods: [GET], mfa: Required, maxAuthAge: 5m }
    - { name: Risky, paths: [/risky], methods: [GET], mfa: RiskBased }
    - { name: High, paths: [/high], methods: [GET], sensitivity: High }
    - { name: Rule, paths: [/rule], methods: [GET], grpc: [shop.v1.Vault/Rule] }
    - { name: Plain, paths: [/plain], methods: [GET] }
    - { name: Admin, paths: [/api/admin/report], methods: [GET] }
    - { name: Tried, paths: [/tried], methods: [GET], mfa: Required, mode: Shadow }
  rules: [{ name: web, from: [{ services: [web, prober] }] }]
---
apiVersion: portcullis.dev/v1beta1
kind: ServicePolicy
metadata: { name: web, namespace: shop }
spec: { calls: [{ service: vault }] }
---
apiVersion: portcullis.dev/v1beta1
kind: ServicePolicy
metadata: { name: prober, namespace: shop }
spec: { calls: [{ service: vault }] }
${TARGETS.map(
  (name) => `---
apiVersion: portcullis.dev/v1beta1
kind: ServicePolicy
metadata: { name: ${name}, namespace: shop }
spec: { endpoints: [{ name: All, paths: [/plain], methods: [GET] }] }
`,
).join('')}---
apiVersion: portcullis.dev/v1beta1
kind: AdaptivePolicy
metadata: { name: mine }
spec:
  rules: [{ name: bio, to: [{ paths: [/rule, /shop.v1.Vault/Rule] }], then: StepUp, factor: biometric }]
  session: { maxAuthAge: 10m, maxAuthAgeFrom: High }
---
apiVersion: portcullis.dev/v1beta1
kind: RiskPolicy
metadata: { name: mine }
spec: { factors: { maliciousIp: { points: 60 }, lateralMovement: { tiers: [{ above: 3, points: 75 }] } } }
`

const LISTED = '5.3.0.1'
const root = createAuthority({ name: 'root' })
let key: TestKey
let portcullis: TestPortcullis
let worded: TestPortcullis

beforeAll(async () => {
  key = await testKey('RS256', 'idp-1')
  const start = (stepUp?: object): Promise<TestPortcullis> =>
    startPortcullis(
      {
        'policy/shop.yaml': POLICY,
        'pki/ca.pem': root.certificatePem,
        'keys/idp.json': jwksText(key),
        'threats.txt': '5.3.0.0/24\n',
      },
      {
        trustDomains: { 'cluster.local': { bundle: { file: './pki/ca.pem' } } },
        userTokens: {
          issuers: [
            {
              issuer: 'https://idp.example',
              audiences: ['shop'],
              jwksFile: './keys/idp.json',
              algorithms: ['RS256'],
            },
          ],
        },
        threats: { files: ['./threats.txt'] },
        ...(stepUp ? { stepUp } : {}),
      },
    )
  portcullis = await start()
  worded = await start({ status: 403, acrValues: ['urn:shop:gold', 'mfa'], realm: 'the shop' })
})
afterAll(async () => {
  await portcullis.stop()
  await worded.stop()
})

const seconds = (): number => Math.floor(Date.now() / 1000)

type Claims = Readonly<Record<string, unknown>>

const certificates = new Map<string, string>()
function callOf(
  caller: string,
  path: string,
  claims?: Claims,
  others: Partial<CheckFields> = {},
): CheckFields {
  const principal = `spiffe://cluster.local/ns/shop/sa/${caller}`
  const certificate =
    certificates.get(caller) ?? asEnvoySends(root.issueSvid({ spiffeId: principal }).certificatePem)
  certificates.set(caller, certificate)
  return {
    principal,
    certificate,
    service: 'shop/vault',
    method: 'GET',
    path,
    ...others,
    headers: { ...others.headers, ...(claims ? { authorization: `Bearer ${tokenOf(claims)}` } : {}) },
  }
}

let users = 0
/** Everybody is somebody new: nobody's risk is held against another. */
function tokenOf(claims: Claims): string {
  const now = seconds()
  const sub = `user-${++users}`
  return signedToken(key, {
    iss: 'https://idp.example',
    aud: 'shop',
    sub,
    iat: now,
    exp: now + 600,
    ...claims,
  })
}

const challengeIn = (answer: Answer): string | undefined => answer.headers.get('www-authenticate')

/** Every way to a challenge, and what answers it. */
type Way = {
  readonly name: string
  readonly path: string
  readonly from?: string
  /** Claims that lead there. */
  readonly claims?: Claims
  readonly factor: string
  /** The oldest authentication that still answers, seconds; undefined: any, and none at all. */
  readonly maxAge?: number
  /** The authentication's age alone is asked for. */
  readonly anyFactor?: true
  /** It begins with the call: only what is shown after it answers. */
  readonly beginsNow?: true
  /** What a call without a user gets instead. */
  readonly workload: string
}
const WAYS: readonly Way[] = [
  { name: 'endpoint, mfa: Required', path: '/mfa', factor: 'mfa', workload: 'user-required' },
  {
    name: 'endpoint, maxAuthAge',
    path: '/fresh',
    factor: 'mfa',
    maxAge: 300,
    anyFactor: true,
    workload: 'user-required',
  },
  { name: 'endpoint, both', path: '/strict', factor: 'mfa', maxAge: 300, workload: 'user-required' },
  {
    name: 'endpoint, mfa: RiskBased',
    path: '/risky',
    claims: { risk_score: 60 },
    factor: 'mfa',
    maxAge: 59,
    workload: 'user-required',
  },
  { name: 'maxAuthAgeFrom', path: '/high', factor: 'mfa', maxAge: 600, anyFactor: true, workload: 'allowed' },
  {
    name: 'adaptive rule of a factor',
    path: '/rule',
    factor: 'biometric',
    maxAge: 600,
    workload: 'user-required',
  },
  { name: 'built-in rule on paths', path: '/api/admin/report', factor: 'mfa', workload: 'allowed' },
  {
    name: 'built-in rule on risk',
    path: '/plain',
    claims: { risk_score: 75 },
    factor: 'mfa',
    maxAge: 59,
    workload: 'allowed',
  },
  {
    name: 'computed risk',
    path: '/plain',
    from: LISTED,
    factor: 'mfa',
    maxAge: 600,
    beginsNow: true,
    workload: 'allowed',
  },
]

const ask = (way: Way, claims: Claims): Promise<Answer> =>
  portcullis.check(
    callOf(
      'web',
      way.path,
      { ...way.claims, ...claims },
      way.from === undefined ? {} : { sourceIp: way.from },
    ),
  )

describe.each(WAYS)('$name', (way) => {
  const { factor, maxAge, anyFactor } = way
  const shown = { acr: factor }
  const refusals: [string, () => Claims][] = [
    ['no claim at all', () => ({})],
    ...(anyFactor
      ? []
      : ([
          ['another factor', () => ({ acr: 'pwd', amr: ['otp'], auth_time: seconds() })],
          [
            'a factor that only looks like it',
            () => ({ acr: `${factor} x`, amr: [factor.toUpperCase()], auth_time: seconds() }),
          ],
        ] satisfies [string, () => Claims][])),
    ...(factor === 'mfa'
      ? []
      : ([['MFA', () => ({ mfa_verified: true, auth_time: seconds() })]] satisfies [string, () => Claims][])),
    ...(maxAge === undefined
      ? []
      : ([
          ['the factor, without saying when', () => shown],
          ['the factor, shown too long ago', () => ({ ...shown, auth_time: seconds() - maxAge - 3 })],
          ['the factor, shown tomorrow', () => ({ ...shown, auth_time: seconds() + 86_400 })],
        ] satisfies [string, () => Claims][])),
  ]

  if (way.beginsNow) {
    refusals.push(['the factor, shown just before it', () => ({ ...shown, auth_time: seconds() - 1 })])
  }

  test.each(refusals)('a token with %s is challenged', async (_name, claims) => {
    const answer = await ask(way, claims())
    expect(answer).toMatchObject({
      httpStatus: 401,
      reason: 'step-up-required',
      reply: { status: { code: 16 } },
    })
    expect(challengeIn(answer)).toMatch(
      new RegExp(
        `^Bearer error="insufficient_user_authentication", acr_values="${factor}", max_age="\\d+", realm="portcullis"$`,
      ),
    )
    expect(portcullis.events().at(-1)).toMatchObject({
      decision: 'challenge',
      decisionReason: 'step-up-required',
    })
  })

  test.each([
    ['acr', () => ({ acr: factor })],
    ['amr', () => ({ amr: ['pwd', factor] })],
  ] satisfies [string, () => Claims][])('a token that shows it as %s passes', async (_name, claims) => {
    const shownAt = seconds() + (way.beginsNow ? 2 : 0)
    expect((await ask(way, { ...claims(), auth_time: shownAt })).reason).toBe('allowed')
  })

  test('a workload alone is never challenged', async () => {
    const answer = await portcullis.check(
      callOf('web', way.path, undefined, way.from === undefined ? {} : { sourceIp: way.from }),
    )
    expect(answer.reason).toBe(way.workload)
    expect(answer.httpStatus).toBe(way.workload === 'allowed' ? 200 : 403)
    expect(challengeIn(answer)).toBeUndefined()
  })
})

test.each([
  ['/mfa', {}],
  ['/mfa', { auth_time: 1_600_000_000 }],
  ['/api/admin/report', {}],
])('%s takes an MFA of any age: it has no maxAuthAge', async (path, claims) => {
  const shown = { mfa_verified: true, ...claims }
  expect((await portcullis.check(callOf('web', path, shown))).reason).toBe('allowed')
})

test('a workload at high risk is denied wherever it goes', async () => {
  for (const target of TARGETS) {
    const answer = await portcullis.check(
      callOf('prober', '/plain', undefined, { service: `shop/${target}` }),
    )
    expect(answer.reason).toBe('call-not-allowed')
  }
  for (const { path } of WAYS) {
    const answer = await portcullis.check(callOf('prober', path))
    expect(answer).toMatchObject({ outcome: 'deny', httpStatus: 403 })
    expect(challengeIn(answer)).toBeUndefined()
    expect(portcullis.events().at(-1)).toMatchObject({ decision: 'deny' })
  }
})

test('a challenge is no cure for what is denied, and none is recorded where the mode only tries', async () => {
  const elsewhere = callOf('web', '/plain', {}, { service: 'shop/other-1' })
  expect((await portcullis.check(elsewhere)).reason).toBe('call-not-allowed')
  expect((await portcullis.check(callOf('web', '/tried', {}))).reason).toBe('allowed')
  expect(portcullis.events().at(-1)).toMatchObject({
    decision: 'allow',
    wouldBeDecision: 'challenge',
    wouldBeReason: 'step-up-required',
  })
})

describe('what the caller reads', () => {
  const GRPC = { method: 'POST', headers: { 'content-type': 'application/grpc' } }
  const idOf = (answer: Answer): string => answer.headers.get('x-portcullis-decision-id') ?? ''

  test.each([
    ['with a session', { session_id: 's-1' }, { session_id: 's-1' }],
    ['with a session under the name of OpenID', { sid: 's-2' }, { session_id: 's-2' }],
    ['without', {}, {}],
  ])('JSON, %s', async (_name, claims, told) => {
    const answer = await portcullis.check(callOf('web', '/strict', claims))
    expect(answer.headers.get('content-type')).toBe('application/json')
    expect(challengeIn(answer)).toBe(
      'Bearer error="insufficient_user_authentication", acr_values="mfa", max_age="300", realm="portcullis"',
    )
    expect(JSON.parse(answer.reply.denied_response?.body ?? '')).toEqual({
      error: 'step-up-required',
      challenge: 'mfa',
      factor: 'mfa',
      decision_id: idOf(answer),
      ...told,
    })
    expect(idOf(answer)).toMatch(/^[0-9a-f-]{36}$/)
  })

  test('gRPC, as status, message and metadata', async () => {
    const answer = await portcullis.check(callOf('web', '/shop.v1.Vault/Rule', { session_id: 's-1' }, GRPC))
    expect(answer.reply.status?.code).toBe(16)
    expect(Object.fromEntries(answer.headers)).toEqual({
      'grpc-status': '16',
      'www-authenticate':
        'Bearer error="insufficient_user_authentication", acr_values="biometric", max_age="600", realm="portcullis"',
      'x-portcullis-reason': 'step-up-required',
      'x-portcullis-decision-id': idOf(answer),
    })
    expect(answer.reply.denied_response?.body).toBe(
      'Authentication is required or was not accepted. (step-up-required)',
    )
  })

  test('another status, other contexts and another realm by configuration; gRPC stays 16', async () => {
    const challenge =
      'Bearer error="insufficient_user_authentication", acr_values="urn:shop:gold mfa", max_age="600", realm="the shop"'
    const http = await worded.check(callOf('web', '/mfa', {}))
    expect([http.httpStatus, challengeIn(http)]).toEqual([403, challenge])
    expect(JSON.parse(http.reply.denied_response?.body ?? '')).toMatchObject({
      challenge: 'mfa',
      factor: 'mfa',
    })
    const grpc = await worded.check(callOf('web', '/shop.v1.Vault/Mfa', {}, GRPC))
    expect([grpc.headers.get('grpc-status'), challengeIn(grpc)]).toEqual(['16', challenge])
    expect(challengeIn(await worded.check(callOf('web', '/rule', {})))).toMatch(/acr_values="biometric",/)
  })
})
