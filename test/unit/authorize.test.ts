import { describe, expect, test } from '@jest/globals'
import { decide, type PolicyInForce } from '../../src/decide.js'
import { parseSpiffeId } from '../../src/identity/spiffe-id.js'
import type { Identified } from '../../src/identity/identify.js'
import { loadPolicy } from '../../src/policy/load-policy.js'
import type { AccessRequest } from '../../src/request/access-request.js'
import type { ListenerRules } from '../../src/request/listener.js'
import { resolveTarget } from '../../src/segmentation/target.js'
import { aCall, aUser, NOW_MS } from '../support/facts.js'
import { reportOps } from '../../src/device/device-report.js'
import { deviceInOrder } from '../../src/lifecycle/suppose-device.js'
import { NOWHERE } from '../../src/risk/locate.js'
import { applyOps } from '../../src/state/record.js'
import { NOTHING_KNOWN, type Recalled } from '../../src/state/recall.js'

const LISTENER: ListenerRules = {
  name: 'mesh',
  role: 'Sidecar',
  peerIdentity: 'Certificate',
  principalTrustDomains: [],
  trustedProxies: new Map(),
  trustedHops: 0,
  mtls: 'Strict',
  target: ['extension'],
}

const POLICY = `
apiVersion: portcullis.dev/v1beta1
kind: ServicePolicy
metadata: { name: pay }
spec:
  endpoints:
    - { name: Watched, paths: [/watched], methods: [GET], mode: Observe, require: User }
    - { name: Tried, paths: [/tried], methods: [GET], mode: Shadow, require: User }
    - { name: Enforced, paths: [/enforced], methods: [GET], require: User }
  rules:
    - { name: users, from: [{ users: true }] }
  forbid:
    - { name: hard, mode: Enforce, to: [{ endpoints: [Watched, Tried] }], when: [{ key: "request.headers[x-test]", values: ["1"] }] }
    - { name: soft, mode: Shadow, to: [{ endpoints: [Enforced] }], when: [{ key: "request.headers[x-soft]", present: true }] }
`

const DEVICE = {
  managed: true,
  osPatched: true,
  diskEncrypted: true,
  firewall: true,
  antivirus: true,
  jailbroken: false,
}

const FAILED = {
  ok: false as const,
  refusal: { reason: 'user-token-expired' as const, message: 'it has expired' },
}
const REVOKED: Identified = { ok: false, refusal: { reason: 'certificate-revoked', message: 'revoked' } }
const as = (claims: Parameters<typeof aUser>[0] = {}): Identified => ({
  ok: true,
  identity: { workload: undefined, serviceToken: undefined, user: aUser(claims) },
})

function policyOf(text = POLICY, hasDevices?: boolean): PolicyInForce {
  const loaded = loadPolicy([{ file: 'pay.yaml', text }], {
    localTrustDomain: 'cluster.local',
    trustDomains: [],
    hasDevices,
  })
  if (!loaded.ok) throw new Error(JSON.stringify(loaded.problems))
  return loaded.policy
}

function ask(
  path: string,
  who: Identified,
  headers: Record<string, string> = {},
  known: Recalled = NOTHING_KNOWN,
  inForce = policyOf(),
): ReturnType<typeof decide> {
  const request: AccessRequest = {
    requestId: '',
    source: { ip: '10.1.2.3', port: 40000, principal: '', certificate: '' },
    destination: { ip: '10.1.2.4', port: 8443, principal: '' },
    http: aCall({ method: 'GET', path, headers: Object.entries(headers) }),
    contextExtensions: new Map([['portcullis.service', 'default/pay']]),
    sni: '',
  }
  const asker = { spiffeId: undefined }
  const found = resolveTarget(inForce.matrix, request, LISTENER, asker)
  if (!found.ok) throw new Error(found.refusal.message)
  return decide(
    { request, listener: LISTENER, asker, nowMs: NOW_MS },
    found.target,
    who,
    { known, located: NOWHERE },
    inForce,
  )
}

test.each([
  ['Enforce refuses a failed credential', '/enforced', FAILED, { 'x-test': '0' }, 'user-token-expired'],
  [
    'a revoked certificate is refused in Observe',
    '/watched',
    REVOKED,
    { 'x-test': '0' },
    'certificate-revoked',
  ],
  ['an enforced forbid counts in Observe', '/watched', as(), { 'x-test': '1' }, 'forbidden'],
  [
    'a broken credential does not slip past an enforced forbid in Observe',
    '/watched',
    FAILED,
    { 'x-test': '1' },
    'forbidden',
  ],
  ['nor in Shadow', '/tried', FAILED, { 'x-test': '1' }, 'forbidden'],
  ['risk of 71 in Enforce', '/enforced', as({ riskScore: 71 }), {}, 'step-up-required'],
])('%s', (_name, path, who, headers, reason) => {
  expect(ask(path, who, headers)).toMatchObject({ reason, wouldBe: undefined })
})

test.each([
  ['Observe records a failed credential', '/watched', FAILED, { 'x-test': '0' }, 'user-token-expired'],
  ['Shadow records a failed credential', '/tried', FAILED, { 'x-test': '0' }, 'user-token-expired'],
  ['Shadow records a challenge', '/tried', as({ riskScore: 71 }), { 'x-test': '0' }, 'step-up-required'],
  [
    'a forbid in Shadow is recorded on an enforced endpoint',
    '/enforced',
    as(),
    { 'x-soft': '1' },
    'forbidden',
  ],
])('%s and lets pass', (_name, path, who, headers, reason) => {
  expect(ask(path, who, headers)).toMatchObject({ outcome: 'allow', reason: 'allowed', wouldBe: { reason } })
})

test('Observe does not evaluate risk', () => {
  const decision = ask('/watched', as({ riskScore: 99 }), { 'x-test': '0' })
  expect(decision).toMatchObject({ outcome: 'allow', wouldBe: undefined, riskScore: undefined })
})

test('what nothing refuses is allowed by its rule', () => {
  expect(ask('/enforced', as({ riskScore: 70 }))).toMatchObject({
    outcome: 'allow',
    reason: 'allowed',
    rule: 'users',
    ruleSource: expect.stringMatching(/^pay\.yaml:\d+:\d+$/),
    riskScore: 70,
    riskFactors: [{ factor: 'token-claim', points: 70 }],
  })
})

describe('quarantine holds in every mode, and through whom it was', () => {
  const quarantined = new Map([['qt', `${NOW_MS - 1}|${NOW_MS + 1}`]])
  const id = (name: string) => {
    const parsed = parseSpiffeId(`spiffe://cluster.local/ns/default/sa/${name}`)
    if (!parsed.ok) throw new Error(name)
    return parsed.id
  }
  const workload = { spiffeId: id('web'), verifiedBy: 'forwarded', via: { spiffeId: id('gateway') } } as const
  const identity = { workload, serviceToken: undefined, user: undefined }
  test.each(['/enforced', '/tried', '/watched'])('%s', (path) => {
    const who: Identified = { ok: true, identity }
    expect(ask(path, who, { 'x-test': '0' }, { ...NOTHING_KNOWN, workload: quarantined }).reason).toBe(
      'quarantined',
    )
    expect(ask(path, who, { 'x-test': '0' }, { ...NOTHING_KNOWN, proxy: quarantined }).reason).toBe(
      'quarantined',
    )
  })

  test('a certificate that a signal revoked, of the caller and of the proxy that names it', () => {
    const certificate = { serialHex: '0a1b', notBeforeMs: NOW_MS - 60_000 }
    const revoked = new Map([['cs:a1b', NOW_MS]])
    const shown = { ...workload, certificate, via: { spiffeId: id('gateway'), certificate } }
    const who: Identified = { ok: true, identity: { ...identity, workload: shown } }
    for (const known of [{ workload: revoked }, { proxy: revoked }]) {
      for (const path of ['/enforced', '/tried', '/watched']) {
        const { reason } = ask(path, who, { 'x-test': '0' }, { ...NOTHING_KNOWN, ...known })
        expect(reason).toBe('certificate-revoked')
      }
    }
    const other = new Map([['cs:b2', NOW_MS]])
    const decision = ask(
      '/tried',
      who,
      { 'x-test': '0' },
      { ...NOTHING_KNOWN, workload: other, proxy: other },
    )
    expect(decision.outcome).toBe('allow')
  })

  test.each(['/tried', '/watched'])('%s, with another credential that fails', (path) => {
    const who: Identified = { ...FAILED, ok: false, verified: identity }
    expect(ask(path, who, { 'x-test': '0' }, { ...NOTHING_KNOWN, workload: quarantined }).reason).toBe(
      'quarantined',
    )
    expect(ask(path, who, { 'x-test': '0' }).outcome).toBe('allow')
  })
})

describe('a role that no grant makes count', () => {
  const document = (kind: string, name: string, spec: string): string =>
    `---\napiVersion: portcullis.dev/v1beta1\nkind: ${kind}\nmetadata: { name: ${name} }\nspec: ${spec}\n`
  const inForce = policyOf(
    [
      document(
        'ServicePolicy',
        'pay',
        `
  endpoints: [{ name: Any, paths: [/any], methods: [GET], require: User }, { name: Apart, paths: [/apart], methods: [GET], require: User }]
  rules:
    - { name: users, from: [{ users: true }], to: [{ endpoints: [Any] }] }
    - { name: no-admins, from: [{ users: true }], to: [{ endpoints: [Apart] }], when: [{ key: user.roles, notValues: [admin] }] }`,
      ),
      document('BaselinePolicy', 'default', '{ grantOnlyRoles: [admin, contractor, auditor] }'),
      document(
        'AdaptivePolicy',
        'mine',
        `
  rules:
    - { name: out, when: [{ key: user.roles, values: [contractor] }], then: Deny }
    - { name: strong, when: [{ key: user.roles, values: [auditor] }], then: StepUp, factor: webauthn }`,
      ),
    ].join(''),
  )
  test.each([
    ['is denied by what denies it', '/any', 'contractor', 'adaptive-deny'],
    ['is challenged by what challenges it', '/any', 'auditor', 'step-up-required'],
    ['does not pass by its absence', '/apart', 'admin', 'rule-not-matched'],
    ['takes nothing else away', '/any', 'admin', 'allowed'],
    ['is none of another', '/apart', 'intern', 'allowed'],
  ])('%s', (_name, path, role, reason) => {
    expect(
      ask(path, as({ roles: [role], claims: { roles: [role] } }), {}, NOTHING_KNOWN, inForce).reason,
    ).toBe(reason)
  })
})

describe('a step-up about the device', () => {
  const MINUTE_MS = 60_000
  const inForce = policyOf(
    `${POLICY}---
apiVersion: portcullis.dev/v1beta1
kind: AdaptivePolicy
metadata: { name: default }
spec: { rules: [{ name: bad-device, when: [{ key: device.risk, above: 40 }], then: StepUp, factor: mfa }] }
`,
    true,
  )
  const jailbroken = applyOps(
    deviceInOrder(NOW_MS - 60 * MINUTE_MS),
    reportOps({ ...DEVICE, jailbroken: true }, NOW_MS - 5 * MINUTE_MS),
  )
  test.each([
    ['before it became so', 6, 'step-up-required'],
    ['after it became so', 4, 'allowed'],
  ])('MFA %s', (_name, minutesAgo, reason) => {
    const who = as({ mfaVerified: true, authTimeMs: NOW_MS - minutesAgo * MINUTE_MS })
    const decision = ask('/enforced', who, {}, { ...NOTHING_KNOWN, device: jailbroken }, inForce)
    expect(decision.reason).toBe(reason)
  })
})
