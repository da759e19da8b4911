import { describe, expect, test } from '@jest/globals'
import { candidates } from '../../../../src/lifecycle/explain/candidates.js'
import { draftOf } from '../../../../src/lifecycle/explain/draft-policy.js'
import { adviceOn } from '../../../../src/lifecycle/explain/advice.js'
import { isProtective } from '../../../../src/lifecycle/explain/protection.js'
import { loadPolicy } from '../../../../src/policy/load-policy.js'
import { evaluateMatrix } from '../../../../src/segmentation/evaluate.js'
import type { Facts } from '../../../../src/segmentation/facts.js'
import { type Call, factsFor } from '../../../support/mesh.js'

const OPTIONS = { localTrustDomain: 'cluster.local', trustDomains: [], hasDevices: true }
const target = (spec: string, more = ''): string => `apiVersion: portcullis.dev/v1beta1
kind: ServicePolicy
metadata: { name: pay, namespace: shop }
spec: ${spec}
---
apiVersion: portcullis.dev/v1beta1
kind: ServicePolicy
metadata: { name: web, namespace: shop }
spec: { calls: [{ service: pay }] }
---
apiVersion: portcullis.dev/v1beta1
kind: ServicePolicy
metadata: { name: order, namespace: shop }
spec: { calls: [{ service: pay }] }
${more}`

/** What is proposed to try for a refused call, in words. */
function proposed(text: string, call: Call, known: Partial<Facts> = {}): string[] {
  const loaded = loadPolicy([{ file: 'p/policy.yaml', text }], OPTIONS)
  if (!loaded.ok) throw new Error(JSON.stringify(loaded.problems))
  const draft = draftOf(loaded.sources, { ...OPTIONS, dataPolicies: loaded.policy.classifications })
  if (!draft) throw new Error('what loads does not compile')
  const facts = { ...factsFor(draft.matrix, call), ...known }
  const verdict = evaluateMatrix(draft.matrix, facts)
  expect(verdict.permit).toBe(false)
  return candidates(draft, facts, verdict).map(({ say }) => say)
}

const PAY = {
  from: 'shop/web',
  to: 'shop/pay',
  method: 'POST',
  path: '/pay',
  user: { subject: 'al' },
} as const
const EXPOSED = 'endpoints: [{ name: Pay, paths: [/pay], methods: [POST] }]'
const PROTECTIONS = [
  { key: '{ key: risk.score, below: 30 }' },
  { key: '{ key: risk.level, values: [low] }' },
  { key: '{ key: device.managed, is: true }' },
  { key: '{ key: device.trust, values: [high] }' },
  { key: '{ key: session.age, below: 60 }' },
  { key: '{ key: user.mfa, is: true }' },
  { key: '{ key: user.acr, values: [gold] }' },
  { key: '{ key: user.amr, values: [otp] }' },
  { key: '{ key: user.authAge, below: 60 }' },
  { key: '{ key: "user.claims[acr]", values: [gold] }' },
  { key: '{ cel: "risk.score < 30 || user.mfa" }' },
  { key: `{ cel: "user.claims['acr'] == 'gold'" }` },
]
const RISKY: Partial<Facts> = { riskScore: 50, riskLevel: 'medium' }
/** Whom every such condition refuses: acr, amr and a device's trust have a value that a list could be given. */
const REFUSED = {
  ...PAY,
  user: {
    subject: 'al',
    acr: 'tin',
    amr: ['pwd'],
    deviceTrust: 'low',
    claims: { acr: 'tin' },
  },
} as const

describe('no protection is proposed away', () => {
  test.each(PROTECTIONS)('by a rule without the condition $key', ({ key }) => {
    const policy = target(`
  ${EXPOSED}
  rules: [{ name: careful, from: [{ services: [web] }], to: [{ endpoints: [Pay] }], when: [${key}] }]`)
    expect(proposed(policy, REFUSED, RISKY)).toEqual([])
  })

  test.each(PROTECTIONS)('by taking out a forbid with the condition $key, or by an exemption', ({ key }) => {
    const policy = target(`
  ${EXPOSED}
  forbid: [{ name: hot, from: [{ services: [web, order] }], when: [${key.replace('below: 30', 'above: 30')}] }]`)
    const call = { ...REFUSED, user: { ...REFUSED.user, acr: 'gold', amr: ['otp'], claims: { acr: 'gold' } } }
    const known = { riskScore: 40, riskLevel: 'low' } as const
    const unknown = key.includes('cel') && key.includes('risk') ? { riskScore: undefined } : {}
    expect(
      proposed(
        policy,
        { ...call, user: { ...call.user, mfaVerified: true, deviceTrust: 'high' } },
        { ...known, ...unknown },
      ),
    ).toEqual([])
  })

  test.each([
    {
      name: 'by a caller more in a rule without it',
      rule: '{ name: orders, from: [{ services: [order] }] }',
    },
    {
      name: 'by a value more in a rule without it',
      rule: '{ name: methods, from: [{ services: [web] }], when: [{ key: request.method, values: [GET] }] }',
    },
  ])('$name', ({ rule }) => {
    const policy = target(`
  ${EXPOSED}
  rules:
    - { name: careful, from: [{ services: [web] }], when: [{ key: risk.score, below: 30 }] }
    - ${rule}`)
    expect(proposed(policy, PAY, RISKY)).toEqual([])
  })

  test('by a rule for another caller of an endpoint that nobody has without it', () => {
    const policy = target(`
  ${EXPOSED}
  rules: [{ name: careful, from: [{ services: [order] }], when: [{ key: user.mfa, is: true }] }]`)
    expect(proposed(policy, PAY)).toEqual([])
    const known = { ...PAY, user: { subject: 'al', mfaVerified: true } }
    expect(proposed(policy, known)).toEqual(['let the rule careful mean shop/web too'])
  })

  test('by a rule that grants scopes without it', () => {
    const policy = target(`
  endpoints: [{ name: Pay, paths: [/pay], methods: [POST], workloadScopes: [pay] }]
  rules: [{ name: careful, from: [{ services: [web] }], when: [{ key: risk.score, below: 60 }] }]`)
    expect(proposed(policy, PAY, RISKY)).toEqual(['let the rule careful grant pay'])
  })

  test.each(['mfa: Required', 'mfa: RiskBased', 'maxAuthAge: 5m'])(
    'by another endpoint beside one with %s',
    (field) => {
      const policy = target(`{ endpoints: [{ name: Pay, paths: [/pay], methods: [POST], ${field} }] }`)
      expect(proposed(policy, { ...PAY, method: 'PUT' })).toEqual(['let Pay take PUT too'])
    },
  )

  test('by a baseline allow past a rule for anybody', () => {
    const policy = target(
      `
  ${EXPOSED}
  rules: [{ name: careful, from: [{ any: true }], when: [{ key: risk.score, below: 30 }] }]`,
      `---
apiVersion: portcullis.dev/v1beta1
kind: BaselinePolicy
metadata: { name: default }
spec: { allow: [{ name: pays, from: [{ identities: ["spiffe://cluster.local/ns/mon/sa/x"] }], to: [{ paths: [/pay] }] }] }`,
    )
    expect(proposed(policy, { ...PAY, from: 'mon/unknown' }, RISKY)).toEqual([])
  })
})

test('a rule with protections that hold may be given what else it lacks', () => {
  const policy = target(`
  ${EXPOSED}
  rules:
    - name: careful
      from: [{ services: [web] }]
      when: [{ key: risk.score, below: 60 }, { key: request.host, values: [pay.example] }]`)
  const says = proposed(policy, PAY, RISKY)
  expect(says).toHaveLength(1)
  expect(says[0]).toMatch(/^let the condition on request\.host of careful hold for /)
})

test('a condition on anything else may still be left out, and a forbid with it', () => {
  const when = 'when: [{ key: time.hour, below: 0 }]'
  const rule = target(`{ ${EXPOSED}, rules: [{ name: early, from: [{ services: [web] }], ${when} }] }`)
  expect(proposed(rule, PAY)).toEqual(['add the rule web-Pay to pay, without the conditions of early'])
  const forbid = target(`{ ${EXPOSED}, forbid: [{ name: late, when: [{ key: time.hour, atLeast: 0 }] }] }`)
  expect(proposed(forbid, PAY)).toContain('take the forbid late out')
})

test('what asks about something else protects nobody', () => {
  for (const key of ['user.id', 'user.roles', 'user.claims[team]', 'request.headers[risk]', 'client.ip'])
    expect([key, isProtective({ key })]).toEqual([key, false])
  expect(isProtective({ cel: "user.claims['team'] == 'risk.score'" })).toBe(false)
})

test.each(['rule-not-matched', 'forbidden'] as const)('%s: what the caller has to do is told', (reason) => {
  const { advice } = adviceOn(reason)
  expect(advice).toContain('the caller must meet it')
  expect(advice).toContain('portcullis risk show')
})
