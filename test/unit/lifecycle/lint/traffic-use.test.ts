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

function unused(...events: Readonly<Record<string, unknown>>[]): string[] {
  const loaded = loadPolicy([{ file: 'p.yaml', text: POLICY }], {
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
      }),
    )
    if (read.kind !== 'event') throw new Error(JSON.stringify(read))
    traffic.add(read.event)
  }
  return lintPolicy(loaded, { nowMs: 0, traffic })
    .filter(({ code }) => code.startsWith('unused'))
    .map(({ position, message }) => `${position?.line} ${message.replace(/ in \d+ events? .*/, '')}`)
}

const EDGE = '12 shop/web never called shop/api'
const RULE = '6 the rule web decided nothing'
const NIGHT = '7 the rule night decided nothing'
const MESH_NIGHT = '17 the rule night decided nothing'
const MESH = '17 the rule mesh decided nothing'
const RISKY = '22 the rule risky decided nothing'
const CALL = { callerService: 'shop/web', targetService: 'shop/api' }

describe('what recorded traffic never used', () => {
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
      name: 'a would-be deny counts',
      event: { ...CALL, rule: 'mesh', wouldBeDecision: 'deny', wouldBeReason: 'forbidden' },
      found: [RULE, NIGHT, MESH_NIGHT, RISKY],
    },
    {
      name: 'an adaptive rule',
      event: { ...CALL, rule: 'risky', decision: 'deny', decisionReason: 'adaptive-deny' },
      found: [RULE, NIGHT, MESH_NIGHT, MESH],
    },
  ])('$name', ({ event, found }) => {
    expect(unused(event)).toEqual(found)
  })

  test('nothing recorded says nothing', () => {
    expect(unused()).toEqual([])
  })
})
