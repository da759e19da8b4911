import { describe, expect, test } from '@jest/globals'
import { writeRecordedCheck } from '../../../../src/audit/recorded-check.js'
import { authorize } from '../../../../src/authorize.js'
import type { Identified } from '../../../../src/identity/identify.js'
import { parseSpiffeId } from '../../../../src/identity/spiffe-id.js'
import { extremesOf } from '../../../../src/lifecycle/replay/extremes.js'
import { Replay } from '../../../../src/lifecycle/replay/report.js'
import { loadPolicy } from '../../../../src/policy/load-policy.js'
import type { ListenerRules } from '../../../../src/request/listener.js'
import { NOWHERE } from '../../../../src/risk/locate.js'
import { NOTHING_KNOWN } from '../../../../src/state/recall.js'
import { aCall, aUser, NOW_MS } from '../../../support/facts.js'

const AROUND = { localTrustDomain: 'cluster.local', trustDomains: [] }
const SERVICE = 'apiVersion: portcullis.dev/v1beta1\nkind: ServicePolicy\n'

function policyWith(when: string, kind: 'rule' | 'forbid' = 'rule') {
  const cart = `${SERVICE}metadata: { name: cart, namespace: shop }\nspec: { calls: [{ service: pay }] }\n---\n`
  const pay = `${cart}${SERVICE}metadata: { name: pay, namespace: shop }\nspec:\n  endpoints: [{ name: Pay, paths: [/pay], methods: [POST] }]\n`
  const condition = when === '' ? '' : `, when: [${when}]`
  const text =
    kind === 'rule'
      ? `${pay}  rules: [{ name: cart, from: [{ services: [cart] }]${condition} }]\n`
      : `${pay}  rules: [{ name: cart, from: [{ services: [cart] }] }]\n  forbid: [{ name: banned${condition} }]\n`
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
const user = aUser({ claims: { api_key: 'k-1', team: 'red' } })
const WHO: Identified = { ok: true, identity: { workload, serviceToken: undefined, user } }

/** What a replay on `candidate` says of a call that was decided by `policy` and recorded. */
async function replayed(policy: ReturnType<typeof policyWith>, candidate = policy) {
  const http = aCall({
    method: 'POST',
    path: '/pay',
    query: 'key=good&page=3',
    headers: [
      ['x-csrf-token', 'c-1'],
      ['x-env', 'prod'],
    ],
  })
  const request = {
    requestId: 'r-1',
    source: { ip: '10.1.2.3', port: 40000, principal: '', certificate: '' },
    destination: { ip: '10.1.2.4', port: 8443, principal: '' },
    http,
    contextExtensions: new Map([['portcullis.service', 'shop/pay']]),
    sni: '',
  }
  const question = { request, listener: LISTENER, asker: { spiffeId: undefined }, nowMs: NOW_MS }
  const decision = await authorize(question, policy.policy, {
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
  const replay = new Replay(candidate.policy, extremesOf(candidate.policy, candidate.sources, AROUND))
  expect(replay.take(line)).toBeUndefined()
  const { same, broken, opened, other, untold } = replay.report()
  return { outcome: decision.outcome, same, broken, opened, other, untold }
}

const NONE = { same: 0, broken: 0, opened: 0, other: 0, untold: 0 }
const WITHHELD = [
  { of: 'a header', when: '{ key: "request.headers[x-csrf-token]", values: [c-1] }' },
  { of: 'a parameter', when: '{ key: "request.query[key]", values: [good] }' },
  { of: 'a parameter that must not be something', when: '{ key: "request.query[key]", notValues: [bad] }' },
  { of: 'a claim', when: '{ key: "user.claims[api_key]", values: [k-1] }' },
  { of: 'a claim, as an expression', when: `{ cel: "user.claims.api_key == 'k-1'" }` },
]

describe('what was withheld decides nothing: an unchanged policy breaks and opens nothing', () => {
  test.each(WITHHELD)('$of lets in', async ({ when }) => {
    expect(await replayed(policyWith(when))).toEqual({ ...NONE, outcome: 'allow', untold: 1 })
  })

  test.each(WITHHELD)('$of keeps out', async ({ when }) => {
    expect(await replayed(policyWith(when, 'forbid'))).toEqual({ ...NONE, outcome: 'deny', untold: 1 })
  })
})

test('a refusal that hangs on nothing withheld is told as broken', async () => {
  const open = policyWith('')
  const closed = policyWith('{ key: "request.headers[x-env]", values: [test] }')
  expect(await replayed(open, closed)).toEqual({ ...NONE, outcome: 'allow', broken: 1 })
})

test('what is recorded decides as it did', async () => {
  for (const when of [
    '{ key: "request.headers[x-env]", values: [prod] }',
    '{ key: "request.query[page]", values: ["3"] }',
    '{ key: "user.claims[team]", values: [red] }',
  ]) {
    expect(await replayed(policyWith(when))).toEqual({ ...NONE, outcome: 'allow', same: 1 })
  }
})
