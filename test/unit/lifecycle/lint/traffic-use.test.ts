import { describe, expect, test } from '@jest/globals'
import { lintPolicy } from '../../../../src/lifecycle/lint/lint-policy.js'
import { TrafficUse } from '../../../../src/lifecycle/lint/traffic-use.js'
import { readTrafficLine } from '../../../../src/lifecycle/traffic.js'
import { loadPolicy } from '../../../../src/policy/load-policy.js'

const POLICY = `apiVersion: portcullis.dev/v1beta1
kind: ServicePolicy
metadata: { name: api, namespace: shop }
spec:
  endpoints: [{ name: Read, paths: [/r], methods: [GET] }]
  rules: [{ name: web, from: [{ services: [web] }] }]
  forbid: [{ name: night, when: [{ key: time.hour, below: 5 }] }]
---
apiVersion: portcullis.dev/v1beta1
kind: ServicePolicy
metadata: { name: web, namespace: shop }
spec: { calls: [{ service: api }] }
---
apiVersion: portcullis.dev/v1beta1
kind: BaselinePolicy
metadata: { name: b }
spec: { forbid: [{ name: night, when: [{ key: time.hour, below: 3 }] }, { name: mesh, when: [{ key: time.hour, below: 3 }] }] }
---
apiVersion: portcullis.dev/v1beta1
kind: AdaptivePolicy
metadata: { name: a }
spec: { rules: [{ name: risky, when: [{ key: risk.score, above: 90 }], then: Deny }, { name: fine, when: [{ key: risk.score, below: 1 }], then: Allow }] }
`

type Fields = Readonly<Record<string, unknown>>
const DAY = { timestamp: '2026-03-01T12:00:00Z' }

function findingsOf(text: string, events: readonly Fields[]) {
  const loaded = loadPolicy([{ file: 'p.yaml', text }], {
    localTrustDomain: 'cluster.local',
    trustDomains: [],
  })
  if (!loaded.ok) throw new Error(JSON.stringify(loaded.problems))
  const traffic = new TrafficUse(loaded)
  for (const event of events) {
    const read = readTrafficLine(
      JSON.stringify({
        eventType: 'authorization',
        timestamp: '2026-03-01T00:00:00Z',
        decisionId: '1',
        decision: 'allow',
        decisionReason: 'allowed',
        ...event,
        ...(event['policyRevision'] === 'this' && { policyRevision: loaded.policy.revision }),
      }),
    )
    if (read.kind !== 'event') throw new Error(JSON.stringify(read))
    traffic.add(read.event)
  }
  return lintPolicy(loaded, { nowMs: 0, traffic }).filter(({ code }) => code.startsWith('unused'))
}

const messagesOf = (policy: string, ...events: Fields[]): string[] =>
  findingsOf(policy, events).map(({ message }) => message)
const unusedOf = (policy: string, ...events: Fields[]): string[] =>
  findingsOf(policy, events).map(
    ({ position, message }) => `${position?.line} ${message.replace(/ in \d+ events? .*/, '')}`,
  )
const unused = (...events: Fields[]): string[] => unusedOf(POLICY, ...events)

const EDGE = '12 shop/web never called shop/api'
const RULE = '6 the rule web decided nothing'
const NIGHT = '7 the rule night decided nothing'
const MESH_NIGHT = '17 the rule night decided nothing'
const MESH = '17 the rule mesh decided nothing'
const RISKY = '22 the rule risky decided nothing'
const CALL = { callerService: 'shop/web', targetService: 'shop/api' }
/** As an event of the linted policy says. */
const OF_THIS = { policyRevision: 'this' }
/** As recorded before there was any policy: nothing but the call itself, and no rule. */
const UNDER_NONE = {
  workloadId: 'spiffe://cluster.local/ns/shop/sa/web',
  targetId: 'spiffe://cluster.local/ns/shop/sa/api',
  protocol: 'HTTP/2',
  requestMethod: 'GET',
  requestPath: '/r',
  destinationPort: 8080,
  mode: 'Observe',
  wouldBeDecision: 'deny',
  wouldBeReason: 'target-unknown',
}

describe('what recorded traffic never used: events of this policy name their rule', () => {
  test.each([
    {
      name: 'strangers alone',
      event: { callerService: 'x/y', targetService: 'x/z', rule: 'web' },
      found: [RULE, NIGHT, EDGE, MESH_NIGHT, MESH, RISKY],
    },
    {
      name: 'a name of Object.prototype',
      event: { ...CALL, callerService: '__proto__', rule: 'constructor' },
      found: [RULE, NIGHT, EDGE, MESH_NIGHT, MESH, RISKY],
    },
    { name: 'a call by the rule', event: { ...CALL, rule: 'web' }, found: [NIGHT, MESH_NIGHT, MESH, RISKY] },
    {
      name: 'a forbid of the service, not of the same name elsewhere',
      event: { ...CALL, rule: 'night', decision: 'deny', decisionReason: 'forbidden' },
      found: [RULE, MESH_NIGHT, MESH, RISKY],
    },
    {
      name: 'a refusal after the matrix, by an adaptive rule: any rule may have let it so far',
      event: { ...CALL, ...DAY, rule: 'risky', decision: 'deny', decisionReason: 'adaptive-deny' },
      found: [NIGHT, MESH_NIGHT, MESH],
    },
    {
      name: 'a would-be deny counts, and what else could have matched',
      event: { ...CALL, ...DAY, rule: 'mesh', wouldBeDecision: 'deny', wouldBeReason: 'forbidden' },
      found: [NIGHT, MESH_NIGHT],
    },
  ])('$name', ({ event, found }) => {
    expect(unused({ ...OF_THIS, ...event })).toEqual(found)
  })

  test('nothing recorded says nothing', () => {
    expect(unused()).toEqual([])
  })
})

describe('events of another policy count for every rule that could have decided them', () => {
  test.each([
    {
      name: 'nobody of the rule, another target',
      event: {
        ...UNDER_NONE,
        ...DAY,
        workloadId: 'spiffe://cluster.local/ns/x/sa/y',
        targetId: 'spiffe://a/b',
      },
      found: [RULE, NIGHT, EDGE, MESH_NIGHT, MESH],
    },
    {
      name: 'the caller of the rule, a path that no endpoint has',
      event: { ...UNDER_NONE, ...DAY, requestPath: '/none' },
      found: [RULE, NIGHT, MESH_NIGHT, MESH],
    },
    {
      name: 'by day no rule of the night',
      event: { ...UNDER_NONE, ...DAY },
      found: [NIGHT, MESH_NIGHT, MESH],
    },
    { name: 'at night each', event: UNDER_NONE, found: [] },
    {
      name: 'with names instead of identities',
      event: { ...UNDER_NONE, ...DAY, ...CALL, targetId: undefined, workloadId: undefined },
      found: [NIGHT, MESH_NIGHT, MESH],
    },
    {
      name: 'a target by another name, told by its identity',
      event: { ...UNDER_NONE, ...DAY, targetService: 'old/name' },
      found: [NIGHT, MESH_NIGHT, MESH],
    },
    {
      name: 'a path that was cut may be any endpoint',
      event: { ...UNDER_NONE, ...DAY, requestPath: `/${'x'.repeat(2047)}` },
      found: [NIGHT, MESH_NIGHT, MESH],
    },
    {
      name: 'a workload that nobody can read may be any caller',
      event: { ...UNDER_NONE, ...DAY, workloadId: 'spiffe://cut off' },
      found: [NIGHT, MESH_NIGHT, MESH],
    },
    {
      name: 'a proxy that named somebody else has the edge too',
      event: {
        ...UNDER_NONE,
        ...DAY,
        workloadId: 'spiffe://cluster.local/ns/x/sa/y',
        viaWorkloadId: UNDER_NONE.workloadId,
      },
      found: [NIGHT, MESH_NIGHT, MESH],
    },
  ])('$name', ({ event, found }) => {
    expect(unused(event)).toEqual(found)
  })

  test.each([
    '{ key: user.mfa, is: true }',
    '{ key: user.scopes, values: [a] }',
    '{ key: user.roles, values: [clerk] }',
    '{ key: "request.headers[x]", present: true }',
    '{ key: "request.query[x]", present: true }',
    '{ key: connection.sni, present: true }',
    '{ key: request.path, values: [/x] }',
    '{ key: risk.score, above: 90 }',
    '{ cel: "user.mfa && time.hour < 25" }',
  ])('what an event does not hold as it was is no reason to call a rule unused: %s', (condition) => {
    const policy = POLICY.replace(
      'from: [{ services: [web] }]',
      `from: [{ services: [web] }], when: [${condition}]`,
    )
    const event = { ...UNDER_NONE, ...DAY, userId: 'al', userRoles: ['x'], riskScore: 1 }
    expect(policy).not.toBe(POLICY)
    expect(unusedOf(policy, event)).not.toContain(RULE)
    expect(unusedOf(policy, { ...event, requestMethod: 'PUT' })).toContain(RULE)
  })

  test('a condition on the method can be told', () => {
    const policy = POLICY.replace('[web] }]', '[web] }], when: [{ key: request.method, values: [HEAD] }]')
    expect(unusedOf(policy, { ...UNDER_NONE, ...DAY })).toContain(RULE)
  })

  test('a call without a target could be for whatever the mesh says, and is told', () => {
    const event = { ...UNDER_NONE, targetId: undefined, requestHost: 'x' }
    expect(unused(event)).toEqual([RULE, NIGHT, EDGE])
    expect(messagesOf(POLICY, event)[0]).toMatch(
      /in 1 events .* \(of 1 nobody can tell what they were for\)$/,
    )
  })
})
