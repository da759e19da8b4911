import { describe, expect, test } from '@jest/globals'
import { readCases } from '../../../../src/lifecycle/testing/read-cases.js'
import { runCases } from '../../../../src/lifecycle/testing/run-cases.js'
import { loadPolicy } from '../../../../src/policy/load-policy.js'
import { formatProblem } from '../../../../src/schema/problem.js'

const POLICY = `
apiVersion: portcullis.dev/v1beta1
kind: ServicePolicy
metadata: { name: web, namespace: shop }
spec: { calls: [{ service: pay }] }
---
apiVersion: portcullis.dev/v1beta1
kind: ServicePolicy
metadata: { name: pay, namespace: shop }
spec:
  endpoints: [{ name: Pay, paths: [/pay], methods: [POST] }]
  rules:
    - { name: small, from: [{ services: [web] }], when: [{ key: "request.body[order][amount]", below: 100 }] }
    - { name: form, from: [{ services: [web] }], when: [{ key: "request.body[kind]", values: [gift] }] }
    - { name: batch, from: [{ services: [web] }], when: [{ cel: "size(request.body) == 2 && request.body[0].id == 'a'" }] }
  forbid:
    - { name: delete, when: [{ key: "request.body[method]", values: [delete] }, { key: "request.headers[x-strict]", present: true }] }
`
const loaded = loadPolicy([{ file: 'p.yaml', text: POLICY }], {
  localTrustDomain: 'cluster.local',
  trustDomains: [],
})
if (!loaded.ok) throw new Error(loaded.problems.map(formatProblem).join('\n'))
const { policy, sources } = loaded

/** What is wrong with the case, or what it decided and the steps of a failure. */
async function decided(request: string, defaults = '') {
  const text = `apiVersion: portcullis.dev/v1beta1
kind: PolicyTest
metadata: { name: t }
spec:
  defaults: { caller: shop/web, request: { target: shop/pay, method: POST, path: /pay${defaults} } }
  cases: [{ name: c, request: { ${request} }, expect: { decision: challenge } }]
`
  const read = readCases([{ file: 't.yaml', text }])
  if (read.problems.length > 0) return read.problems.map(formatProblem).join('\n')
  const setting = {
    policy,
    serviceTokenHeader: 'x-service-token',
    issuer: 'https://idp.example',
    mappingOf: () => ({ claims: new Map<never, never>(), roles: [] }),
  }
  const ran = await runCases(read.cases, setting, sources)
  if (!ran.ok) return ran.problems.map(formatProblem).join('\n')
  const [result] = ran.results
  const body = result?.steps.find(({ step }) => step === 'body')
  const { outcome, rule, reason } = result?.decision ?? {}
  return `${outcome} ${outcome === 'allow' ? rule : reason}${body ? `, ${body.detail}` : ''}`
}

const FORM = 'headers: { Content-Type: application/x-www-form-urlencoded }'
const JSON_HEADER = 'headers: { content-type: application/json }'

describe('a body that makes no sense is refused with its place', () => {
  test.each([
    { request: 'body: "a=1"', says: 't.yaml:6:39: error: a `body` of text needs a header `content-type`' },
    {
      request: 'body: 7',
      says: '`spec.cases[0].request.body` is the number `7`, must be a string: quote it',
    },
    { request: 'body: { a: 1 }, grpc: a.B/C', says: '`body` and `grpc` exclude each other' },
    { request: 'body: { a: 1 }, tcp: true, port: 5', says: '`body` and `tcp` exclude each other' },
  ])('$request', async ({ request, says }) => {
    expect(await decided(request)).toContain(says)
  })
})

describe('a body that can not be read lets nobody in, and the steps say why', () => {
  test.each([
    { request: `body: "{", ${JSON_HEADER}`, says: "deny rule-not-matched, can't be read, as on a server: " },
    {
      request: 'body: "<a/>", headers: { content-type: text/xml }',
      says: "deny rule-not-matched, can't be read, as on a server: neither JSON nor a form",
    },
    {
      request: 'body: { order: { amount: 5 } }, headers: { x-envoy-auth-partial-body: "true" }',
      says: "deny rule-not-matched, can't be read, as on a server: Envoy does not say that it is whole",
    },
    {
      request: `body: { order: { amount: 5 }, pad: ${'x'.repeat(65_536)} }`,
      says: "deny rule-not-matched, can't be read, as on a server: longer than 65536 bytes",
    },
    {
      request: 'body: { order: { amount: 5 } }, headers: { content-type: text/plain }',
      says: "deny rule-not-matched, can't be read, as on a server: neither JSON nor a form",
    },
    { request: 'body: { method: get }, headers: { x-strict: "1" }', says: 'deny rule-not-matched' },
    { request: 'headers: { x-strict: "1" }', says: 'deny forbidden' },
    { request: 'body: { method: delete }, headers: { x-strict: "1" }', says: 'deny forbidden' },
  ])('$says', async ({ request, says }) => {
    expect(await decided(request)).toContain(says)
  })
})

describe('a body has its say', () => {
  test.each([
    { request: 'body: { order: { amount: 5 } }', says: 'allow small' },
    { request: 'body: { order: { amount: 500 } }', says: 'deny rule-not-matched' },
    { request: `body: '{"order":{"amount":5}}', ${JSON_HEADER}`, says: 'allow small' },
    {
      request: 'body: { kind: gift }, headers: { content-type: application/vnd.shop+json }',
      says: 'allow form',
    },
    { request: `body: "kind=gift&a=%20", ${FORM}`, says: 'allow form' },
    { request: `body: "kind=gift&kind=gift", ${FORM}`, says: 'deny rule-not-matched' },
    { request: 'body: [{ id: a }, {}]', says: 'allow batch' },
    { request: 'path: /pay', defaults: ', body: { kind: gift }', says: 'allow form' },
    { request: 'body: ""', defaults: ', body: { kind: gift }', says: 'deny rule-not-matched' },
  ])('$request $defaults', async ({ request, defaults, says }) => {
    expect(await decided(request, defaults)).toBe(says)
  })
})
