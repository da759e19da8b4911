import { expect, test } from '@jest/globals'
import { writeRecordedCheck } from '../../../../src/audit/recorded-check.js'
import { authorize } from '../../../../src/authorize.js'
import type { Decision } from '../../../../src/decision/decision.js'
import type { Identified } from '../../../../src/identity/identify.js'
import { parseSpiffeId } from '../../../../src/identity/spiffe-id.js'
import { readRecordLine } from '../../../../src/lifecycle/replay/read-record.js'
import { Replay } from '../../../../src/lifecycle/replay/report.js'
import { loadPolicy } from '../../../../src/policy/load-policy.js'
import type { ListenerRules } from '../../../../src/request/listener.js'
import { NOTHING_KNOWN, type Recalled } from '../../../../src/state/recall.js'
import { aCall, aUser, NOW_MS } from '../../../support/facts.js'

const HEAD = 'apiVersion: portcullis.dev/v1beta1\nkind: ServicePolicy\n'
const POLICY = `${HEAD}metadata: { name: cart, namespace: shop }
spec: { calls: [{ service: pay }] }
---
${HEAD}metadata: { name: pay, namespace: shop }
spec:
  endpoints:
    - { name: Pay, paths: [/pay], methods: [POST] }
    - { name: Refund, paths: ["/pay/{id}"], methods: [DELETE], require: Both }
    - { name: Report, paths: [/report], methods: [GET] }
  rules:
    - { name: cart, from: [{ services: [cart] }], to: [{ endpoints: [Pay] }], when: [{ key: "request.headers[x-env]", values: [prod] }] }
    - { name: refunds, from: [{ services: [cart] }], to: [{ endpoints: [Refund] }], when: [{ key: "user.claims[team]", values: [billing] }] }
    - { name: low-risk, from: [{ services: [cart] }], to: [{ endpoints: [Report] }], when: [{ key: "client.country", values: [DE] }, { key: "time.hour", between: ["21", "22"] }] }
`.replace('between: ["21", "22"]', 'atLeast: 21')

function policyOf(text: string) {
  const loaded = loadPolicy([{ file: 'p.yaml', text }], {
    localTrustDomain: 'cluster.local',
    trustDomains: [],
  })
  if (!loaded.ok) throw new Error(JSON.stringify(loaded.problems))
  return loaded.policy
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
const CART = parseSpiffeId('spiffe://cluster.local/ns/shop/sa/cart')
if (!CART.ok) throw new Error('no SPIFFE ID')
const WORKLOAD = { spiffeId: CART.id, verifiedBy: 'certificate' as const }
const TOKEN = 'eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJhbGljZSJ9.c2lnbmF0dXJl'
const ALICE = aUser({
  roles: ['clerk'],
  sessionId: 's-1',
  claims: Object.assign(Object.create(null), {
    team: 'billing',
    id_token: TOKEN,
    note: `see ${TOKEN}`,
    jti: 'jti-secret',
  }),
})
const as = (user = false): Identified => ({
  ok: true,
  identity: { workload: WORKLOAD, serviceToken: undefined, user: user ? ALICE : undefined },
})

type Ask = {
  readonly method?: string
  readonly path?: string
  readonly query?: string
  readonly headers?: readonly (readonly [string, string])[]
  readonly who?: Identified
  readonly known?: Recalled | 'unavailable'
  readonly target?: string
}

/** The line that recording makes of one call, through the same way as a real one. */
async function record({
  method = 'POST',
  path = '/pay',
  query = '',
  headers = [],
  who = as(),
  known,
  target,
}: Ask) {
  const request = {
    requestId: 'r-1',
    source: { ip: '10.1.2.3', port: 40000, principal: '', certificate: 'PEM-SECRET' },
    destination: { ip: '10.1.2.4', port: 8443, principal: '' },
    http: aCall({ method, path, query, headers }),
    contextExtensions: new Map([['portcullis.service', target ?? 'shop/pay']]),
    sni: '',
  }
  const question = { request, listener: LISTENER, asker: { spiffeId: undefined }, nowMs: NOW_MS }
  const located = {
    client: { ip: '10.1.2.3', country: 'DE', isPublic: true },
    place: undefined,
    malicious: false,
  }
  const seen: { identified?: Identified; known?: Recalled | 'unavailable' } = {}
  const decision: Decision = await authorize(question, policyOf(POLICY), {
    identify: () => (seen.identified = who),
    recall: (keys) => (seen.known = known ?? { ...NOTHING_KNOWN, keys }),
    locate: () => located,
    consume: () => 'consumed',
    signals: false,
  })
  const line = writeRecordedCheck(
    { ...question, identified: seen.identified, known: seen.known, located, decision, decisionId: 'd-1' },
    'x-service-token',
  )
  return { line, decision }
}

test.each([
  { name: 'not JSON', line: '{"recordVersion":1', problem: /no JSON/ },
  { name: 'a security event', line: '{"eventType":"authorization"}', problem: /recordVersion.*missing/ },
  { name: 'another version', line: '{"recordVersion":2}', problem: /of version 2/ },
  { name: 'a part of one', line: '{"recordVersion":1,"timestamp":"x"}', problem: /no whole/ },
  { name: 'an array', line: '[1]', problem: /no recorded Check/ },
  { name: 'a huge line', line: `{"a":"${'x'.repeat(1024 * 1024)}"}`, problem: /longer/ },
])('$name is told', ({ line, problem }) => {
  const read = readRecordLine(line)
  expect(read).toEqual({ kind: 'bad', problem: expect.stringMatching(problem) })
})

test('no credential is in the line', async () => {
  const { line } = await record({
    query: `access_token=hunter2&next=${TOKEN}&hunter2&page=3`,
    who: as(true),
    headers: [
      ['authorization', `Bearer ${TOKEN}`],
      ['cookie', 'sid=hunter2'],
      ['proxy-authorization', 'Basic hunter2'],
      ['x-service-token', 'hunter2'],
      ['dpop', 'hunter2'],
      ['x-forwarded-client-cert', 'hunter2'],
      ['x-api-key', 'hunter2'],
      ['x-trace', `a ${TOKEN} b`],
      ['x-env', 'prod\u202e'],
    ],
  })
  expect(line).not.toMatch(/hunter2|eyJ|jti-secret|PEM-SECRET|[^\x20-\x7e]/)
  expect(JSON.parse(line)).toMatchObject({
    request: { http: { query: 'access_token=[redacted]&next=[redacted]&[redacted]&page=3' } },
    identity: { user: { claims: { team: 'billing', note: 'see [redacted]' } } },
  })
})

const CALLS: readonly (Ask & { readonly name: string; readonly outcome: string })[] = [
  { name: 'a condition on a header', headers: [['x-env', 'prod']], outcome: 'allow' },
  {
    name: 'a repeated header',
    headers: [
      ['x-env', 'prod'],
      ['x-env', 'prod'],
    ],
    outcome: 'deny',
  },
  { name: 'a condition on a claim', method: 'DELETE', path: '/pay/7', who: as(true), outcome: 'allow' },
  { name: 'a missing user', method: 'DELETE', path: '/pay/7', outcome: 'deny' },
  { name: 'country and time', method: 'GET', path: '/report', outcome: 'allow' },
  { name: 'nothing exposed', method: 'GET', path: '/nowhere', outcome: 'deny' },
  { name: 'an unknown target', target: 'shop/other', outcome: 'deny' },
  { name: 'a target that is no name', target: 'NO NAME', outcome: 'deny' },
  { name: 'a store that is away', headers: [['x-env', 'prod']], known: 'unavailable', outcome: 'deny' },
  {
    name: 'a failed credential',
    who: { ok: false, refusal: { reason: 'user-token-expired', message: 'it has expired' } },
    outcome: 'deny',
  },
  {
    name: 'a quarantined workload',
    headers: [['x-env', 'prod']],
    known: { ...NOTHING_KNOWN, workload: new Map([['qt', `${NOW_MS}|${NOW_MS + 60_000}`]]) },
    outcome: 'deny',
  },
]

test.each(CALLS)('the same policy decides the same: $name', async ({ outcome, ...ask }) => {
  const { line, decision } = await record(ask)
  expect(decision.outcome).toBe(outcome)
  const replay = new Replay(policyOf(POLICY))
  expect(replay.take(line)).toBeUndefined()
  expect(replay.report()).toMatchObject({ checks: 1, same: 1, groups: [] })
})

test('changes are grouped, those that break first', async () => {
  const candidate = POLICY.replace('values: [prod]', 'values: [staging]')
    .replace('values: [billing]', 'values: [x]')
    .replace('paths: [/report]', 'paths: [/report, /nowhere]')
  const replay = new Replay(policyOf(candidate))
  const lines = await Promise.all([
    record({ method: 'GET', path: '/nowhere' }),
    record({ headers: [['x-env', 'prod']] }),
    record({ headers: [['x-env', 'prod']] }),
    record({ method: 'DELETE', path: '/pay/7', who: as(true) }),
    record({ method: 'GET', path: '/report' }),
    record({ headers: [['x-env', 'staging']] }),
  ])
  for (const { line } of lines) expect(replay.take(line)).toBeUndefined()
  const report = replay.report()
  expect(report).toMatchObject({ checks: 6, same: 1, broken: 3, opened: 2, other: 0, undecidable: 0 })
  expect(report.groups.map(({ kind, endpoint, was, is, count }) => [kind, endpoint, was, is, count])).toEqual(
    [
      ['broken', 'Pay', 'allow', 'deny rule-not-matched', 2],
      ['broken', 'Refund', 'allow', 'deny rule-not-matched', 1],
      ['opened', 'Report', 'deny endpoint-not-exposed', 'allow', 1],
      ['opened', 'Pay', 'deny rule-not-matched', 'allow', 1],
    ],
  )
  expect(report.groups[3]).toMatchObject({
    caller: 'shop/cart',
    target: 'shop/pay',
    rule: 'cart',
    ruleSource: 'p.yaml:15:7',
  })
})

test('a target that nobody knew then can not be decided', async () => {
  const line = (await record({ target: 'NO NAME' })).line.replaceAll('NO NAME', 'shop/pay')
  const replay = new Replay(policyOf(POLICY))
  replay.take(line)
  expect(replay.report()).toMatchObject({ checks: 1, undecidable: 1 })
})
