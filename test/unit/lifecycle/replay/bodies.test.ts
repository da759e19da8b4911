import { describe, expect, test } from '@jest/globals'
import { writeRecordedCheck } from '../../../../src/audit/recorded-check.js'
import { authorize } from '../../../../src/authorize.js'
import type { Identified } from '../../../../src/identity/identify.js'
import { parseSpiffeId } from '../../../../src/identity/spiffe-id.js'
import { extremesOf } from '../../../../src/lifecycle/replay/extremes.js'
import { Replay } from '../../../../src/lifecycle/replay/report.js'
import { loadPolicy } from '../../../../src/policy/load-policy.js'
import { requestBody } from '../../../../src/request/body.js'
import type { ListenerRules } from '../../../../src/request/listener.js'
import { NOWHERE } from '../../../../src/risk/locate.js'
import { NOTHING_KNOWN } from '../../../../src/state/recall.js'
import { aCall, NOW_MS } from '../../../support/facts.js'

const SERVICE = 'apiVersion: portcullis.dev/v1beta1\nkind: ServicePolicy\n'
const CART = `${SERVICE}metadata: { name: cart, namespace: shop }\nspec: { calls: [{ service: pay }] }\n---\n`
const PAY = `${CART}${SERVICE}metadata: { name: pay, namespace: shop }\nspec:\n  endpoints: [{ name: Pay, paths: [/pay], methods: [POST] }]\n`
const ALWAYS = `${PAY}  rules:\n    - { name: cart, from: [{ services: [cart] }] }\n`
const SMALL = `${PAY}  rules:\n    - { name: small, from: [{ services: [cart] }], when: [{ cel: "request.body.amount < 100" }] }\n`
const LARGE = `${ALWAYS}  forbid:\n    - { name: large, when: [{ key: "request.body[amount]", above: 100 }] }\n`
const AT_NIGHT = `${ALWAYS}  forbid:\n    - { name: large, when: [{ key: "request.body[amount]", above: 100 }, { key: time.hour, atLeast: 23 }] }\n`
const SHADOW = LARGE.replace('- { name: large,', '- { name: large, mode: Shadow,')
const ADAPTIVE = `${ALWAYS}---\napiVersion: portcullis.dev/v1beta1\nkind: AdaptivePolicy\nmetadata: { name: default }\nspec:\n  rules:\n    - { name: large, when: [{ key: "request.body[amount]", above: 100 }], then: Deny }\n`
const NOBODY = `${PAY}  rules:\n    - { name: other, from: [{ services: [other] }] }\n---\n${SERVICE}metadata: { name: other, namespace: shop }\nspec: {}\n`
const BASELINE = `${NOBODY}---\napiVersion: portcullis.dev/v1beta1\nkind: BaselinePolicy\nmetadata: { name: default }\nspec:\n  allow:\n    - { name: small, from: [{ services: [shop/cart] }], when: [{ key: "request.body[amount]", below: 100 }] }\n`
const CLOSED = LARGE.replace('forbid:', 'forbid:\n    - { name: closed }')
const CLOSED_LAST = `${LARGE}    - { name: closed }\n`

const AROUND = { localTrustDomain: 'cluster.local', trustDomains: [] }
function loadedOf(text: string) {
  const loaded = loadPolicy([{ file: 'p.yaml', text }], AROUND)
  if (!loaded.ok) throw new Error(JSON.stringify(loaded.problems))
  return loaded
}

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
const id = parseSpiffeId('spiffe://cluster.local/ns/shop/sa/cart')
if (!id.ok) throw new Error('no SPIFFE ID')
const workload = { spiffeId: id.id, verifiedBy: 'certificate' as const }
const WHO: Identified = { ok: true, identity: { workload, serviceToken: undefined, user: undefined } }
const JSON_TYPE = 'application/json'

/** The line that recording makes of a call with this body, decided by this policy. */
async function record(text: string, body: string | undefined, type = JSON_TYPE) {
  const http = aCall({
    method: 'POST',
    path: '/pay',
    headers: [
      ['content-type', type],
      ['x-envoy-auth-partial-body', 'false'],
    ],
  })
  const request = {
    requestId: 'r-1',
    source: { ip: '10.1.2.3', port: 40000, principal: '', certificate: '' },
    destination: { ip: '10.1.2.4', port: 8443, principal: '' },
    http: body === undefined ? http : { ...http, body: requestBody(() => Buffer.from(body), http.headers) },
    contextExtensions: new Map([['portcullis.service', 'shop/pay']]),
    sni: '',
  }
  const question = { request, listener: LISTENER, asker: { spiffeId: undefined }, nowMs: NOW_MS }
  const decision = await authorize(question, loadedOf(text).policy, {
    identify: () => WHO,
    recall: (keys) => ({ ...NOTHING_KNOWN, keys }),
    locate: () => NOWHERE,
    consume: () => 'consumed',
    signals: false,
  })
  const line = writeRecordedCheck(
    { ...question, identified: WHO, known: NOTHING_KNOWN, located: NOWHERE, decision, decisionId: 'd-1' },
    'x-service-token',
  )
  return { line, outcome: decision.outcome }
}

function replayed(line: string, text: string) {
  const { policy, sources } = loadedOf(text)
  const replay = new Replay(policy, extremesOf(policy, sources, AROUND))
  expect(replay.take(line)).toBeUndefined()
  return replay.report()
}

const NONE = { same: 0, broken: 0, opened: 0, other: 0, undecidable: 0, untold: 0 }

describe('a call that is refused whatever its body was is told as broken', () => {
  test.each([
    { name: 'no rule for the caller', candidate: NOBODY, is: 'deny rule-not-matched' },
    { name: 'a forbid of everything', candidate: CLOSED, is: 'deny forbidden' },
    { name: 'the same behind a forbid on the body', candidate: CLOSED_LAST, is: 'deny forbidden' },
    {
      name: 'a rule on the body for somebody else',
      candidate: SMALL.replace('services: [cart]', 'services: [pay]'),
      is: 'deny rule-not-matched',
    },
  ])('$name', async ({ candidate, is }) => {
    const { line, outcome } = await record(ALWAYS, '{"amount":5}')
    expect(outcome).toBe('allow')
    const report = replayed(line, candidate)
    expect(report).toMatchObject({ ...NONE, checks: 1, broken: 1, groups: [{ kind: 'broken', is }] })
  })

  test('so is one without a body, and one whose body nobody can read', async () => {
    const without = await record(ALWAYS, undefined)
    expect(replayed(without.line, SMALL)).toMatchObject({ ...NONE, broken: 1, bodies: 0 })
    const message = await record(ALWAYS, 'abc', 'application/grpc')
    expect(replayed(message.line, SMALL)).toMatchObject({ ...NONE, broken: 1, bodies: 1 })
  })
})

describe('the same policy changes nothing: what hangs on the body is told apart', () => {
  test.each([
    { name: 'a permit that let it in', policy: SMALL, body: '{"amount":5}', then: 'allow' },
    { name: 'a permit that did not', policy: SMALL, body: '{"amount":500}', then: 'deny' },
    { name: 'a forbid that did not match', policy: LARGE, body: '{"amount":5}', then: 'allow' },
    { name: 'a forbid that did', policy: LARGE, body: '{"amount":500}', then: 'deny' },
    { name: 'a forbid in Shadow', policy: SHADOW, body: '{"amount":500}', then: 'allow' },
    { name: 'an adaptive rule', policy: ADAPTIVE, body: '{"amount":5}', then: 'allow' },
    { name: 'a baseline allow', policy: BASELINE, body: '{"amount":5}', then: 'allow' },
    { name: 'a record that lacks its content type', policy: SMALL, body: '{"amount":5}', then: 'allow' },
  ])('$name', async ({ name, policy, body, then }) => {
    const { line, outcome } = await record(policy, body)
    expect(outcome).toBe(then)
    const kept = name.includes('lacks')
      ? line.replace(`["content-type","${JSON_TYPE}"]`, '["content-type"]')
      : line
    expect(replayed(kept, policy)).toMatchObject({
      ...NONE,
      checks: 1,
      untold: 1,
      bodies: 1,
      groups: [{ kind: 'untold', endpoint: 'Pay', count: 1 }],
    })
  })

  test('the group shows what the decision may be', async () => {
    const { line } = await record(LARGE, '{"amount":5}')
    expect(replayed(line, LARGE).groups).toMatchObject([
      { was: 'allow', is: 'allow, or deny forbidden', rule: 'large', ruleSource: 'p.yaml:14:7' },
    ])
  })
})

describe('where the body has no say', () => {
  test.each([
    { name: 'another condition fails', policy: ALWAYS, candidate: AT_NIGHT, counts: { same: 1 } },
    {
      name: 'another rule lets it in',
      policy: ALWAYS,
      candidate: SMALL.replace('- {', '- { name: cart, from: [{ services: [cart] }] }\n    - {'),
      counts: { same: 1 },
    },
    { name: 'it is refused as before', policy: NOBODY, candidate: NOBODY, counts: { same: 1 } },
    { name: 'a rule without it opens', policy: NOBODY, candidate: ALWAYS, counts: { opened: 1 } },
    {
      name: 'it is opened, but for a Shadow forbid on it',
      policy: NOBODY,
      candidate: SHADOW,
      counts: { opened: 1 },
    },
  ])('$name', async ({ policy, candidate, counts }) => {
    const { line } = await record(policy, '{"amount":5}')
    expect(replayed(line, candidate)).toMatchObject({ ...NONE, ...counts, checks: 1 })
  })

  test('a policy without such conditions is not compiled twice', () => {
    const { policy, sources } = loadedOf(ALWAYS)
    expect(extremesOf(policy, sources, AROUND)).toBeUndefined()
  })
})
