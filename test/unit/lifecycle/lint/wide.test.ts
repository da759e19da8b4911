import { describe, expect, test } from '@jest/globals'
import { lintPolicy } from '../../../../src/lifecycle/lint/lint-policy.js'
import { loadPolicy } from '../../../../src/policy/load-policy.js'

const NOW_MS = Date.parse('2026-03-01T12:00:00Z')
const SERVICE = 'apiVersion: portcullis.dev/v1beta1\nkind: ServicePolicy\n'

/** Codes of what is found about one rule of shop/api, or one forbid beside a plain rule. */
function codesOf(rule: string, where: 'rules' | 'forbid' = 'rules'): string[] {
  const plain = where === 'forbid' ? '  rules: [{ name: plain, from: [{ services: [web] }] }]\n' : ''
  const text =
    `${SERVICE}metadata: { name: web, namespace: shop }\nspec: { calls: [{ service: api }] }\n---\n` +
    `${SERVICE}metadata: { name: api, namespace: shop }\nspec:\n  endpoints: [{ name: Read, paths: [/r], methods: [GET] }]\n` +
    `${plain}  ${where}: [${rule}]\n`
  const loaded = loadPolicy([{ file: 'p.yaml', text }], {
    localTrustDomain: 'cluster.local',
    trustDomains: [],
    hasDevices: true,
    hasPlaces: true,
  })
  if (!loaded.ok) throw new Error(JSON.stringify(loaded.problems))
  return [...new Set(lintPolicy(loaded, { nowMs: NOW_MS }).map(({ code }) => code))]
}

const when = (condition: string): string => `{ name: r, from: [{ services: [web] }], when: [${condition}] }`

describe('who is everybody', () => {
  test.each(['identities: ["spiffe://cluster.local/ns/*/sa/*"]', 'trustDomains: [cluster.local]'])(
    '%s',
    (from) => {
      expect(codesOf(`{ name: r, from: [{ ${from} }] }`)).toContain('over-broad')
    },
  )

  test.each(['identities: ["spiffe://cluster.local/ns/shop/sa/*"]', 'namespaces: [shop]'])(
    '%s is not',
    (from) => {
      expect(codesOf(`{ name: r, from: [{ ${from} }] }`)).not.toContain('over-broad')
    },
  )

  test('a namespace that is taken out again', () => {
    const from = 'namespaces: [shop], notNamespaces: [shop]'
    expect(codesOf(`{ name: r, from: [{ ${from} }] }`)).toContain('unmeetable-condition')
  })
})

describe('conditions that are no conditions', () => {
  test.each([
    { condition: '{ cel: "1 > 2" }', code: 'unmeetable-condition' },
    { condition: '{ cel: "1 < 2" }', code: 'constant-condition' },
    { condition: '{ key: client.ip, cidr: ["0.0.0.0/0", "::/0"] }', code: 'constant-condition' },
    { condition: '{ key: user.roles, values: ["*"] }', code: 'constant-condition' },
  ])('$condition: $code', ({ condition, code }) => {
    expect(codesOf(when(condition))).toContain(code)
    expect(codesOf(`{ name: f, when: [${condition}] }`, 'forbid')).toContain(code)
  })

  test.each([
    '{ cel: "request.method == \'GET\'" }',
    '{ key: client.ip, cidr: ["0.0.0.0/0"] }',
    '{ key: client.ip, cidr: ["10.0.0.0/8", "::/0"] }',
    '{ key: user.roles, values: ["admin*"] }',
    '{ key: user.roles, present: true }',
  ])('%s is one', (condition) => {
    const codes = codesOf(when(condition))
    expect(codes).not.toContain('constant-condition')
    expect(codes).not.toContain('unmeetable-condition')
  })
})
