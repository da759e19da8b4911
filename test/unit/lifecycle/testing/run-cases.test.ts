import { describe, expect, test } from '@jest/globals'
import { readCases } from '../../../../src/lifecycle/testing/read-cases.js'
import { runCases, type TestRun } from '../../../../src/lifecycle/testing/run-cases.js'
import { loadPolicy } from '../../../../src/policy/load-policy.js'
import { formatProblem } from '../../../../src/schema/problem.js'

const POLICY = `
apiVersion: portcullis.dev/v1beta1
kind: ServicePolicy
metadata: { name: web, namespace: shop }
spec:
  calls: [{ service: pay }, { service: quiet }]
---
apiVersion: portcullis.dev/v1beta1
kind: ServicePolicy
metadata: { name: pay, namespace: shop }
spec:
  routes: [{ host: shop.example, pathPrefix: /pay, stripPrefix: /pay }]
  endpoints:
    - { name: Pay, paths: [/pay], methods: [POST], workloadScopes: [pay] }
    - { name: List, paths: [/list], methods: [GET], require: Any }
    - { name: Call, grpc: [a.B/C] }
    - { name: sql, protocol: TCP, ports: [5432] }
    - { name: Report, paths: [/report], methods: [GET], require: User, dataPolicy: secret }
  rules:
    - { name: granted, from: [{ services: [web] }], to: [{ endpoints: [Pay] }], when: [{ key: time.hour, atLeast: 9 }], grantScopes: [pay] }
    - { name: any-service, from: [{ services: [web] }], to: [{ endpoints: [Call, sql, Pay] }] }
    - { name: people, from: [{ users: true }], to: [{ endpoints: [List, Report] }] }
  forbid:
    - { name: no-tests, to: [{ endpoints: [Pay, List, Call, Report] }], when: [{ key: "request.headers[x-test]", present: true }] }
    - { name: half, to: [{ endpoints: [Pay, List] }], when: [{ key: "request.headers[x-half]", present: true }], mode: Shadow }
---
apiVersion: portcullis.dev/v1beta1
kind: ServicePolicy
metadata: { name: quiet, namespace: shop }
spec:
  mode: Shadow
  endpoints: [{ name: Hush, paths: [/], methods: [GET] }]
---
apiVersion: portcullis.dev/v1beta1
kind: AdaptivePolicy
metadata: { name: default }
spec:
  rules:
    - { name: abroad, when: [{ key: client.country, notValues: [GB] }], then: Deny }
    - { name: phone, when: [{ key: device.managed, is: false }], then: StepUp, factor: push }
    - { name: hot, when: [{ key: risk.score, above: 60 }], then: Deny }
    - { name: allowed, when: [{ key: user.mfa, is: true }], then: Allow }
---
apiVersion: portcullis.dev/v1beta1
kind: DataPolicy
metadata: { name: secret }
spec:
  access:
    - { role: reader, operations: [Read], approval: Required }
    - { role: boss, operations: [Read] }
`

const loaded = loadPolicy([{ file: 'p.yaml', text: POLICY }], {
  localTrustDomain: 'cluster.local',
  trustDomains: [],
  hasDevices: true,
})
if (!loaded.ok) throw new Error(loaded.problems.map(formatProblem).join('\n'))
const { policy, sources } = loaded

const DEFAULTS = '{ request: { target: shop/pay }, place: { country: GB } }'

function run(cases: string, defaults = DEFAULTS): Promise<TestRun> {
  const text = `apiVersion: portcullis.dev/v1beta1\nkind: PolicyTest\nmetadata: { name: t }\nspec:\n  defaults: ${defaults}\n  cases:\n${cases}`
  const read = readCases([{ file: 't.yaml', text }])
  if (read.problems.length > 0) throw new Error(read.problems.map(formatProblem).join('\n'))
  const setting = {
    policy,
    serviceTokenHeader: 'x-service-token',
    issuer: 'https://idp.example',
    mappingOf: () => ({ claims: new Map([['roles', 'groups']]), roles: [] }),
  }
  return runCases(read.cases, setting, sources)
}

async function one(facts: string, expected: string): Promise<readonly string[]> {
  const ran = await run(`    - { name: c, ${facts}, expect: ${expected} }\n`)
  if (!ran.ok) return ran.problems.map(formatProblem)
  return ran.results.flatMap(({ mismatches }) =>
    mismatches.map(({ field, expected: wanted, actual }) => `${field}: ${wanted}, not ${actual}`),
  )
}

describe('a case that makes no sense is refused with its place', () => {
  test.each([
    { name: 'a time that is none', facts: 'at: tomorrow', says: 't.yaml:7:22: error: `tomorrow` is no time' },
    { name: 'a day that is none', facts: 'at: 2026-02-30T12:00:00Z', says: 'is no time' },
    {
      name: 'a caller that is no name',
      facts: 'caller: web',
      says: '`caller` web is neither namespace/name',
    },
    { name: 'a proxy alone', facts: 'via: shop/web', says: '`via` needs `caller`' },
    {
      name: 'a service token alone',
      facts: 'serviceToken: { scopes: [pay] }',
      says: '`serviceToken` needs `caller`',
    },
    {
      name: 'TCP without a port',
      facts: 'caller: shop/web, request: { tcp: true }',
      says: '`tcp` needs `port`',
    },
    {
      name: 'TCP and gRPC',
      facts: 'caller: shop/web, request: { tcp: true, port: 1, grpc: a.B/C }',
      says: 'exclude each other',
    },
    {
      name: 'a workload from outside',
      facts: 'caller: shop/web, listener: { role: Gateway }',
      says: 'nobody outside has a workload',
    },
    { name: 'a device of nobody', facts: 'device: { known: false }', says: "`device` is a user's" },
    { name: 'a session of nobody', facts: 'session: { ended: true }', says: "`session` is a user's" },
    {
      name: 'a grant to nobody',
      facts: 'grants: [{ service: shop/pay, operations: [Read] }]',
      says: "`grants` is a user's",
    },
    { name: 'a risk of nobody', facts: 'risk: { claimed: 5 }', says: '`claimed` is of a user' },
    {
      name: 'a grant that no record has room for',
      facts: `user: {}, grants: [{ service: shop/pay, operations: [Read], roles: [${'r'.repeat(600)}] }]`,
      says: 'a grant as long as this can not be stored',
    },
    { name: 'claims of the wrong type', facts: 'user: { claims: { auth_time: soon } }', says: 'malformed' },
  ])('$name', async ({ facts, says }) => {
    expect((await one(facts, '{ decision: deny }')).join('\n')).toContain(says)
  })

  test('a target that is missing', async () => {
    const ran = await run('    - { name: c, expect: { decision: deny } }\n', '{}')
    expect(ran).toMatchObject({
      ok: false,
      problems: [{ message: expect.stringContaining('`request.target` is missing') }],
    })
  })
})

describe('what is not met is told', () => {
  test.each([
    {
      facts: 'caller: shop/web, request: { method: POST, path: /pay }',
      expected:
        '{ decision: deny, reason: forbidden, rule: x, endpoint: why, mode: Shadow, factor: mfa, obligations: [read-only] }',
      says: [
        'decision: deny, not allow',
        'reason: forbidden, not allowed',
        'rule: x, not granted',
        'endpoint: why, not Pay',
        'obligations: read-only, not none',
        'factor: mfa, not none',
        'mode: Shadow, not Enforce',
      ],
    },
    {
      facts: 'caller: shop/web, request: { method: POST, path: /pay }',
      expected: '{ decision: allow, wouldBe: { decision: deny, reason: forbidden } }',
      says: ['wouldBe.decision: deny, not allow', 'wouldBe.reason: forbidden, not allowed'],
    },
  ])('$expected', async ({ facts, expected, says }) => {
    expect(await one(facts, expected)).toEqual(says)
  })
})

describe('every fact has its say', () => {
  const WEB = 'caller: shop/web'
  const PAY = `${WEB}, request: { method: POST, path: /pay }`
  const LIST = 'caller: shop/web, request: { path: /list }'
  const REPORT = `listener: { role: Gateway }, request: { host: shop.example, path: /pay/report }`
  test.each([
    { name: 'the caller', facts: PAY, expected: '{ decision: allow, rule: granted }' },
    {
      name: 'a SPIFFE ID',
      facts: PAY.replace('shop/web', 'spiffe://cluster.local/ns/shop/sa/web'),
      expected: '{ decision: allow }',
    },
    {
      name: 'no caller',
      facts: 'request: { method: POST, path: /pay }',
      expected: '{ decision: deny, reason: certificate-required }',
    },
    {
      name: 'an unknown target',
      facts: 'caller: shop/web, request: { target: shop/nobody }',
      expected: '{ decision: deny, reason: target-unknown }',
    },
    {
      name: 'a proxy that has no edge',
      facts: 'caller: shop/web, via: shop/quiet, request: { method: POST, path: /pay }',
      expected: '{ decision: deny, reason: call-not-allowed }',
    },
    {
      name: 'scopes of a service token',
      facts: `${PAY}, serviceToken: { scopes: [other] }`,
      expected: '{ decision: deny, reason: scope-missing }',
    },
    {
      name: 'a header',
      facts: 'caller: shop/web, request: { method: POST, path: /pay, headers: { X-Test: "1" } }',
      expected: '{ decision: deny, reason: forbidden, rule: no-tests }',
    },
    {
      name: 'a forbid in Shadow',
      facts: 'caller: shop/web, request: { method: POST, path: /pay, headers: { x-half: "1" } }',
      expected: '{ decision: allow, rule: half, wouldBe: { decision: deny, reason: forbidden } }',
    },
    {
      name: 'a target in Shadow',
      facts: 'caller: shop/pay, request: { target: shop/quiet }',
      expected: '{ decision: allow, mode: Shadow, wouldBe: { decision: deny, reason: call-not-allowed } }',
    },
    {
      name: 'the time',
      facts: `${PAY}, at: 2026-01-07T03:00:00Z`,
      expected: '{ decision: deny, reason: scope-missing, rule: any-service }',
    },
    {
      name: 'gRPC',
      facts: 'caller: shop/web, request: { grpc: a.B/C }',
      expected: '{ decision: allow, endpoint: Call }',
    },
    {
      name: 'TCP',
      facts: 'caller: shop/web, request: { tcp: true, port: 5432 }',
      expected: '{ decision: allow, endpoint: sql }',
    },
    {
      name: 'another port',
      facts: 'caller: shop/web, request: { tcp: true, port: 5433 }',
      expected: '{ decision: deny, reason: endpoint-not-exposed }',
    },
    {
      name: 'an ambiguous path',
      facts: 'caller: shop/web, request: { path: /a/../list }',
      expected: '{ decision: deny, reason: ambiguous-request }',
    },
    { name: 'a user', facts: `${LIST}, user: {}`, expected: '{ decision: allow, rule: people }' },
    { name: 'no user', facts: LIST, expected: '{ decision: deny, reason: rule-not-matched }' },
    {
      name: 'the country',
      facts: `${LIST}, user: {}, place: { country: FR }`,
      expected: '{ decision: deny, reason: adaptive-deny, rule: abroad }',
    },
    {
      name: 'no place: nobody can tell',
      facts: `${LIST}, user: {}, without: [place]`,
      expected: '{ decision: deny, reason: adaptive-deny, rule: abroad }',
    },
    {
      name: 'a private address has no country',
      facts: `${LIST}, user: {}, without: [place], place: { ip: 10.1.2.3 }`,
      expected: '{ decision: allow }',
    },
    {
      name: 'a device that nobody knows',
      facts: `${LIST}, user: {}, device: { known: false }`,
      expected: '{ decision: challenge, reason: step-up-required, factor: push }',
    },
    {
      name: 'a factor that was shown',
      facts: `${LIST}, user: { amr: [push], authAge: 1m }, device: { managed: false }`,
      expected: '{ decision: allow }',
    },
    {
      name: 'a device of low trust',
      facts: `${LIST}, user: { deviceTrust: low }`,
      expected: '{ decision: allow, obligations: [read-only] }',
    },
    {
      name: 'a device that others find risky',
      facts: `${LIST}, user: {}, device: { externalRisk: HIGH }`,
      expected: '{ decision: allow, obligations: [no-download, read-only] }',
    },
    {
      name: 'an ended session',
      facts: `${LIST}, user: {}, session: { ended: true }`,
      expected: '{ decision: deny, reason: session-terminated }',
    },
    {
      name: 'an old session',
      facts: `${LIST}, user: {}, session: { age: 9h, idle: 1m }`,
      expected: '{ decision: deny, reason: session-expired }',
    },
    {
      name: 'an idle session',
      facts: `${LIST}, user: {}, session: { age: 2h, idle: 31m }`,
      expected: '{ decision: deny, reason: session-idle }',
    },
    {
      name: 'a session in use',
      facts: `${LIST}, user: {}, session: { age: 2h }`,
      expected: '{ decision: allow }',
    },
    {
      name: 'a claimed risk',
      facts: `${LIST}, user: {}, risk: { claimed: 61 }`,
      expected: '{ decision: deny, reason: adaptive-deny, rule: hot }',
    },
    {
      name: 'a level of the user',
      facts: `${LIST}, user: {}, risk: { userLevel: HIGH }`,
      expected: '{ decision: deny, reason: adaptive-deny, rule: hot }',
    },
    {
      name: 'a level of the workload',
      facts: `${PAY}, risk: { workloadLevel: HIGH }`,
      expected: '{ decision: deny, reason: risk-too-high }',
    },
    {
      name: 'a quarantine, in Shadow too',
      facts: 'caller: shop/web, request: { target: shop/quiet }, risk: { quarantined: true }',
      expected: '{ decision: deny, reason: quarantined }',
    },
    {
      name: 'a role under the name of the issuer',
      facts: `${REPORT}, user: { claims: { groups: [boss] } }`,
      expected: '{ decision: allow, endpoint: Report }',
    },
    {
      name: 'a role that needs an approval',
      facts: `${REPORT}, user: { roles: [reader] }`,
      expected: '{ decision: deny, reason: approval-required }',
    },
    {
      name: 'a grant',
      facts: `${REPORT}, user: { roles: [reader] }, grants: [{ service: shop/pay, operations: [Read] }]`,
      expected: '{ decision: allow }',
    },
    {
      name: 'a grant for something else',
      facts: `${REPORT}, user: { roles: [reader] }, grants: [{ service: shop/pay, operations: [Write] }]`,
      expected: '{ decision: deny, reason: approval-required }',
    },
  ])('$name', async ({ facts, expected }) => {
    expect(await one(facts, expected)).toEqual([])
  })
})

describe('defaults', () => {
  test('groups are joined field by field, and facts are taken back', async () => {
    const ran = await run(
      `    - { name: joined, request: { path: /list }, user: { roles: [boss] }, expect: { decision: allow } }
    - { name: no user, without: [user], request: { path: /list }, expect: { decision: deny, reason: rule-not-matched } }
    - { name: nobody, without: [user, caller], request: { path: /list }, expect: { decision: deny, reason: certificate-required } }
    - { name: device, device: { managed: false }, request: { path: /list }, expect: { decision: challenge } }
`,
      '{ caller: shop/web, serviceToken: { scopes: [] }, request: { target: shop/pay }, user: { mfa: true }, device: { id: d }, session: { age: 1h }, place: { country: GB } }',
    )
    expect(ran.ok && ran.results.map(({ read, mismatches }) => [read.name, mismatches])).toEqual([
      ['joined', []],
      ['no user', []],
      ['nobody', []],
      ['device', []],
    ])
  })
})

test('what a token says of its user is read as a server reads it', async () => {
  const ran = await run(
    `    - { name: a, caller: shop/web, request: { path: /list }, user: { email: a@b.example, acr: gold, authAge: 2m, claims: { department: sales } }, expect: { decision: allow } }\n`,
  )
  expect(ran.ok && ran.results[0]?.decision.user).toMatchObject({
    subject: 'alice',
    issuer: 'https://idp.example',
    email: 'a@b.example',
    acr: 'gold',
    authTimeMs: Date.UTC(2026, 0, 7, 11, 58),
    claims: { department: 'sales' },
  })
})

test('a name that no document has is doubted, unless it is what the case is about', async () => {
  const ran =
    await run(`    - { name: a, caller: shop/wep, request: { path: /list }, expect: { decision: deny } }
    - { name: b, caller: shop/nobody, request: { path: /list }, expect: { decision: deny, reason: caller-unknown } }
`)
  expect(ran.ok && ran.warnings.map(formatProblem)).toEqual([
    't.yaml:7:26: warning: no document names `shop/wep`; did you mean `shop/web`? (unknown-service)',
  ])
})

test('steps are told of failures alone, and they end where the call was refused', async () => {
  const ran =
    await run(`    - { name: a, caller: shop/web, request: { method: POST, path: /pay }, expect: { decision: allow } }
    - { name: b, caller: shop/quiet, request: { method: POST, path: /pay }, expect: { decision: allow } }
`)
  const steps = ran.ok
    ? ran.results.map((result) => result.steps.filter(({ outcome }) => outcome === 'fail'))
    : []
  expect(steps).toEqual([
    [],
    [{ step: 'calls', outcome: 'fail', detail: 'the calls of shop/quiet do not name shop/pay' }],
  ])
})

describe('coverage', () => {
  const missed = async (cases: string) => {
    const ran = await run(cases)
    if (!ran.ok) throw new Error(ran.problems.map(formatProblem).join('\n'))
    const { rules, endpoints } = ran.coverage
    return {
      rules: rules.missed.map(({ name }) => name),
      endpoints: endpoints.missed.map(({ name }) => name),
      rulePercent: rules.percent,
      total: [rules.total, endpoints.total],
    }
  }

  test('a rule decides by letting pass, by refusing, and by what would have been', async () => {
    expect(
      await missed(`    - { name: a, caller: shop/web, request: { method: POST, path: /pay }, expect: { decision: allow } }
    - { name: b, caller: shop/web, request: { path: /list, headers: { x-test: "1" } }, expect: { decision: deny } }
    - { name: c, caller: shop/web, user: {}, request: { path: /list, headers: { x-half: "1" } }, expect: { decision: allow } }
    - { name: d, caller: shop/web, user: {}, request: { path: /list }, place: { country: FR }, expect: { decision: deny } }
`),
    ).toEqual({
      rules: ['any-service', 'people', 'phone', 'hot', 'reader', 'boss'],
      endpoints: ['Call', 'sql', 'Report', 'Hush'],
      rulePercent: 40,
      total: [10, 6],
    })
  })

  test('an access rule is covered by the call that it lets pass, and by the one that it refuses', async () => {
    const REPORT = 'listener: { role: Gateway }, request: { host: shop.example, path: /pay/report }'
    const { rules } =
      await missed(`    - { name: a, ${REPORT}, user: { roles: [boss] }, expect: { decision: allow } }
    - { name: b, ${REPORT}, user: { roles: [reader] }, expect: { decision: deny } }
`)
    expect(rules).not.toContain('boss')
    expect(rules).not.toContain('reader')
  })

  test('what is missed is told with its place', async () => {
    const ran = await run(
      '    - { name: a, caller: shop/web, request: { path: /x }, expect: { decision: deny } }\n',
    )
    expect(ran.ok && ran.coverage.rules.missed[0]).toEqual({
      kind: 'permit',
      name: 'granted',
      of: 'shop/pay',
      source: 'p.yaml:20:7',
    })
    expect(ran.ok && ran.coverage.rules.percent).toBe(0)
  })
})

test('a thousand cases take about a second', async () => {
  const cases = Array.from(
    { length: 1000 },
    (_, at) =>
      `    - { name: c${at}, caller: shop/web, user: { subject: u${at} }, request: { method: POST, path: /pay }, expect: { decision: allow } }\n`,
  )
  const startMs = performance.now()
  const ran = await run(cases.join(''))
  const tookMs = performance.now() - startMs
  expect(ran.ok && ran.results.filter(({ mismatches }) => mismatches.length === 0)).toHaveLength(1000)
  // Far above what it takes, for machines that do other things at the same time.
  expect(tookMs).toBeLessThan(8000)
})
