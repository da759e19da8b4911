import { describe, expect, test } from '@jest/globals'
import { loadPolicy, type Policy } from '../../../src/policy/load-policy.js'
import { evaluateAdaptive } from '../../../src/session/adaptive-policy.js'
import { aCall, anEndpoint, aUser, factsOf, type KnownFacts, NOW_MS } from '../../support/facts.js'

const SERVICES = ['payment-service', 'order-service']
  .map(
    (name) => `---
apiVersion: portcullis.dev/v1beta1
kind: ServicePolicy
metadata: { name: ${name}, namespace: shop, labels: { app: ${name} } }
spec: {}
`,
  )
  .join('')

const adaptive = (name: string, spec: string) => `---
apiVersion: portcullis.dev/v1beta1
kind: AdaptivePolicy
metadata: { name: ${name} }
spec: ${spec}
`

function load(...documents: string[]) {
  return loadPolicy([{ file: 'p.yaml', text: SERVICES + documents.join('') }], {
    localTrustDomain: 'cluster.local',
    trustDomains: [],
    hasDevices: false,
  })
}

function policyOf(...documents: string[]): Policy {
  const loaded = load(...documents)
  if (!loaded.ok) throw new Error(JSON.stringify(loaded.problems))
  return loaded.policy
}

/** Facts about the policy's own payment-service. */
function facts({ matrix }: Policy, known: KnownFacts, path = '/api/payments') {
  const built = factsOf({ http: aCall({ path }), ...known })
  return { ...built, target: { ...built.target, service: matrix.services.get('shop/payment-service') } }
}

const words = (verdict: ReturnType<typeof evaluateAdaptive>) => {
  const name = (refusal: typeof verdict.refusal) =>
    refusal && `${refusal.reason} ${refusal.rule}${refusal.stepUp ? ` ${refusal.stepUp.factor}` : ''}`
  return verdict.shadowed ? `${name(verdict.refusal)} / ${name(verdict.shadowed)}` : name(verdict.refusal)
}

describe('the built-in rules', () => {
  const policy = policyOf()
  const user = aUser({ mfaVerified: false })
  const mfa = aUser({ mfaVerified: true, authTimeMs: NOW_MS - 1000 })
  test.each<{ name: string; known: KnownFacts; path?: string; expected: string | undefined }>([
    {
      name: 'a workload alone at high risk is denied, never challenged',
      known: { riskScore: 71 },
      expected: 'risk-too-high high-risk',
    },
    {
      name: 'a user at high risk',
      known: { riskScore: 71, user },
      expected: 'step-up-required high-risk mfa',
    },
    { name: 'unknown risk', known: { user: mfa, riskScore: undefined }, expected: undefined },
    { name: 'unknown risk without MFA', known: { user }, expected: 'step-up-required high-risk mfa' },
    {
      name: 'unknown risk in Observe',
      known: { user, endpoint: anEndpoint({ mode: 'Observe' }) },
      expected: undefined,
    },
    {
      name: 'a sensitive path without MFA',
      known: { riskScore: 0, user },
      path: '/api/billing/1',
      expected: 'step-up-required sensitive mfa',
    },
    {
      name: 'in any case',
      known: { riskScore: 0, user },
      path: '/API/Users/',
      expected: 'step-up-required sensitive mfa',
    },
    {
      name: 'only a prefix of the word',
      known: { riskScore: 0, user },
      path: '/api/usersx',
      expected: undefined,
    },
    {
      name: 'a sensitive path of a workload alone',
      known: { riskScore: 0 },
      path: '/api/admin',
      expected: undefined,
    },
    { name: 'with MFA', known: { riskScore: 0, user: mfa }, path: '/api/admin', expected: undefined },
    { name: 'risk of 70', known: { riskScore: 70, user }, expected: undefined },
    { name: 'recent MFA lifts risk', known: { riskScore: 71, user: mfa }, expected: undefined },
  ])('$name: $expected', ({ known, path, expected }) => {
    expect(words(evaluateAdaptive(policy.adaptive, facts(policy, known, path)))).toBe(expected)
  })

  test('a prefix that the route strips still counts', () => {
    const known = facts(policy, { riskScore: 0, user }, '/api/users/1')
    const stripped = { ...known, target: { ...known.target, path: '/1' } }
    expect(words(evaluateAdaptive(policy.adaptive, stripped))).toBe('step-up-required sensitive mfa')
  })

  test('what nothing feeds is inert, and said', () => {
    expect(policy.adaptive.inert).toEqual([
      'the built-in adaptive rule `unmanaged` never applies: `device.managed` has no source in this configuration: set `deviceInventory` in portcullis.yaml',
    ])
    expect(policyOf(adaptive('default', '{ rules: [] }')).adaptive.inert).toEqual([])
  })
})

describe('own rules', () => {
  const user = aUser({ mfaVerified: true, authTimeMs: NOW_MS - 1000 })
  const deny = '{ name: d, then: Deny }'
  const push = '{ name: p, then: StepUp, factor: push }'
  const header = '[{ key: "request.headers[x-env]", values: [prod] }]'
  test.each<{ name: string; rules: string; known?: KnownFacts; expected: string | undefined }>([
    { name: 'Deny over StepUp', rules: `${push}, ${deny}`, expected: 'adaptive-deny d' },
    {
      name: 'StepUp over Allow',
      rules: `{ name: a, then: Allow }, ${push}`,
      expected: 'step-up-required p push',
    },
    {
      name: 'among equals the first',
      rules: `${push}, { name: q, then: StepUp }`,
      known: { user: aUser() },
      expected: 'step-up-required p push',
    },
    {
      name: 'a step-up without a user',
      rules: push,
      known: { user: undefined },
      expected: 'user-required p',
    },
    {
      name: "a Deny whose condition can't be evaluated",
      rules: `{ name: h, when: ${header}, then: Deny }`,
      expected: 'adaptive-deny h',
    },
    {
      name: 'a condition on the user without one',
      rules: '{ name: u, when: [{ key: user.roles, values: [x] }], then: Deny }',
      known: { user: undefined },
      expected: undefined,
    },
    {
      name: 'a condition on claims without a user',
      rules: '{ name: u, when: [{ key: "request.auth.claims[a]", values: [x] }], then: Deny }',
      known: { user: undefined },
      expected: undefined,
    },
    {
      name: 'a condition on the user that lacks the claim',
      rules: '{ name: u, when: [{ key: user.roles, values: [x] }], then: Deny }',
      expected: 'adaptive-deny u',
    },
    {
      name: 'the half of a condition that holds without a user',
      rules: `{ name: c, when: [{ cel: "request.method == 'POST' || user.claims['x'] == 'y'" }], then: Deny }`,
      known: { user: undefined },
      expected: 'adaptive-deny c',
    },
    {
      name: 'the half that holds without a country',
      rules: `{ name: c, when: [{ cel: "request.method == 'POST' || client.country == 'KP'" }], then: Deny }`,
      known: { client: { ip: '10.0.0.1', country: undefined, isPublic: false } },
      expected: 'adaptive-deny c',
    },
    {
      name: 'the half that holds without risk in Observe',
      rules: `{ name: c, when: [{ cel: "request.method == 'POST' || risk.score > 50.0" }], then: Deny }`,
      known: { riskScore: undefined, endpoint: anEndpoint({ mode: 'Observe' }) },
      expected: 'adaptive-deny c',
    },
    {
      name: 'a half that does not hold without a user',
      rules: `{ name: c, when: [{ cel: "request.method == 'GET' || user.claims['x'] == 'y'" }], then: Deny }`,
      known: { user: undefined },
      expected: undefined,
    },
    {
      name: 'a half beside a condition on the user',
      rules: `{ name: c, when: [{ cel: "request.method == 'POST'" }, { key: user.mfa, is: false }], then: Deny }`,
      known: { user: undefined },
      expected: undefined,
    },
    {
      name: 'what a user that is not there lacks',
      rules: '{ name: u, when: [{ key: user.email, present: false }], then: Deny }',
      known: { user: undefined },
      expected: undefined,
    },
    ...['!has(user.claims.x)', '!has(user.claims)', '!has(user.email)', '!has(device.id)'].map((cel) => ({
      name: `${cel} without a user`,
      rules: `{ name: u, when: [{ cel: "${cel}" }], then: Deny }`,
      known: { user: undefined },
      expected: undefined,
    })),
    {
      name: 'what a user lacks',
      rules:
        '{ name: u, when: [{ cel: "!has(user.claims.x)" }, { key: user.email, present: false }], then: Deny }',
      expected: 'adaptive-deny u',
    },
    {
      name: 'a Deny in Shadow hides no StepUp',
      rules: `{ name: s, then: Deny, mode: Shadow }, ${push}`,
      expected: 'step-up-required p push / adaptive-deny s',
    },
    {
      name: 'its own Enforce outweighs what the target shadows',
      rules: `${deny}, { name: e, then: StepUp, factor: push, mode: Enforce }`,
      known: { user, endpoint: anEndpoint({ mode: 'Shadow' }) },
      expected: 'step-up-required e push',
    },
    {
      name: 'to another service',
      rules: '{ name: o, to: [{ services: [shop/order-service] }], then: Deny }',
      expected: undefined,
    },
    {
      name: 'to this service',
      rules: '{ name: o, to: [{ services: [shop/payment-service] }], then: Deny }',
      expected: 'adaptive-deny o',
    },
    {
      name: 'to its labels',
      rules: '{ name: o, to: [{ selector: { matchLabels: { app: payment-service } } }], then: Deny }',
      expected: 'adaptive-deny o',
    },
    {
      name: 'to another method',
      rules: '{ name: o, to: [{ methods: [GET] }], then: Deny }',
      expected: undefined,
    },
    {
      name: 'to another namespace',
      rules: '{ name: o, to: [{ namespaces: [prod] }], then: Deny }',
      expected: undefined,
    },
  ])('$name: $expected', ({ rules, known, expected }) => {
    const policy = policyOf(adaptive('default', `{ rules: [${rules}] }`))
    const at = facts(policy, { riskScore: 0, user, ...known })
    expect(words(evaluateAdaptive(policy.adaptive, at))).toBe(expected)
  })

  test('a document of another name adds to the built-in rules', () => {
    const policy = policyOf(adaptive('mine', `{ rules: [${deny}], session: { maxAuthAge: 5m } }`))
    expect(policy.adaptive.rules.map(({ name }) => name)).toEqual(['high-risk', 'sensitive', 'd'])
    expect(policy.adaptive.maxAuthAgeMs).toBe(300_000)
  })
})

describe('what an AdaptivePolicy may not say', () => {
  test.each([
    {
      spec: '{ rules: [{ name: a, when: [{ key: client.country, values: [Germany] }], then: Deny }] }',
      problem: '15:66 condition-value: `Germany` is no country such as DE (ISO 3166-1, two capitals)',
    },
    {
      spec: '{ rules: [{ name: a, then: Deny, factor: mfa }] }',
      problem: '15:48 factor-without-step-up: only `then: StepUp` asks for a factor, not `Deny`',
    },
    {
      spec: '{ rules: [{ name: a, when: [{ key: device.managed, is: false }], then: Deny }] }',
      problem: '15:42 condition-no-source: `device.managed` has no source in this configuration',
    },
    {
      spec: '{ rules: [{ name: a, then: Deny }, { name: a, then: Deny }] }',
      problem: '15:50 duplicate-name: a second rule is named `a`',
    },
    {
      spec: '{ rules: [{ name: a, to: [{ services: [payment-service] }], then: Deny }] }',
      problem:
        '15:46 bare-service-name: write the service as namespace/name, not `payment-service`: did you mean `shop/payment-service`?',
    },
    {
      spec: '{ rules: [{ name: a, to: [{ paths: [/a/*] }], then: Deny }] }',
      problem:
        '15:43 bad-path: the path `/a/*`: /* is refused: write {name} for one segment or a last /** for zero or more',
    },
    { spec: '{ rules: [{ name: a, then: stepup }] }', problem: '15:34 wrong-word' },
  ])('$problem', ({ spec, problem }) => {
    const loaded = load(adaptive('default', spec))
    const problems = loaded.ok ? [] : loaded.problems
    expect(problems).toHaveLength(1)
    const [{ code, message, position } = { code: '', message: '', position: undefined }] = problems
    expect(`${position?.line}:${position?.column} ${code}: ${message}`).toContain(problem)
  })

  test('two documents of one name, or two that set the session', () => {
    const session = '{ session: { maxAuthAge: 5m } }'
    const loaded = load(adaptive('a', session), adaptive('a', session))
    expect(loaded.ok ? [] : loaded.problems.map(({ code }) => code)).toEqual([
      'duplicate-name',
      'duplicate-session',
    ])
  })
})
