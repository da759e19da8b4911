import { expect, test } from '@jest/globals'
import { factsOfDecision } from '../../../../src/audit/anomaly/facts.js'
import { readEvent } from '../../../../src/audit/anomaly/read-event.js'
import { writeSecurityEvent } from '../../../../src/audit/security-event.js'
import type { Decision } from '../../../../src/decision/decision.js'
import type { WorkloadPrincipal } from '../../../../src/identity/principal.js'
import { parseSpiffeId } from '../../../../src/identity/spiffe-id.js'
import { aCall, aUser, NOW_MS } from '../../../support/facts.js'

function workload(name: string, via?: string): WorkloadPrincipal {
  const idOf = (text: string) => {
    const parsed = parseSpiffeId(`spiffe://cluster.local/ns/shop/sa/${text}`)
    if (!parsed.ok) throw new Error('no SPIFFE ID')
    return parsed.id
  }
  return {
    spiffeId: idOf(name),
    verifiedBy: 'certificate',
    ...(via !== undefined && { via: { spiffeId: idOf(via) } }),
  }
}

const user = aUser()

const allow: Decision = {
  outcome: 'allow',
  reason: 'allowed',
  message: '',
  mode: 'Enforce',
  obligations: [],
  revision: 'r',
  target: 'shop/pay',
  endpoint: 'Read',
  operation: 'Read',
  clientIp: '203.0.113.9',
}
const data = { name: 'restricted', level: 'Full', retention: undefined, alert: false } as const

test.each<{ name: string; decision: Decision; isUserAddress?: boolean }>([
  {
    name: 'nobody',
    decision: { ...allow, target: undefined, endpoint: undefined, operation: undefined },
    isUserAddress: true,
  },
  {
    name: 'a target without a name',
    decision: { ...allow, target: undefined, targetId: 'spiffe://a.b/c', operation: undefined },
    isUserAddress: true,
  },
  { name: 'a workload', decision: { ...allow, workload: workload('web') } },
  { name: 'a workload with a name', decision: { ...allow, workload: workload('web'), caller: 'shop/web' } },
  { name: 'a user alone', decision: { ...allow, user, data }, isUserAddress: true },
  { name: 'a user behind a workload', decision: { ...allow, user, workload: workload('web') } },
  {
    name: 'behind a proxy that forwards',
    decision: { ...allow, user, workload: workload('web', 'gate') },
    isUserAddress: true,
  },
  {
    name: 'behind a trusted proxy',
    decision: { ...allow, user, workload: workload('gate') },
    isUserAddress: true,
  },
  {
    name: 'refused',
    decision: {
      ...allow,
      outcome: 'deny',
      reason: 'call-not-allowed',
      endpoint: undefined,
      workload: workload('web'),
    },
  },
  {
    name: 'let pass by a mode',
    decision: {
      ...allow,
      mode: 'Observe',
      wouldBe: { outcome: 'deny', reason: 'rule-not-matched', message: '' },
      workload: workload('web'),
    },
  },
  {
    name: 'risky',
    decision: {
      ...allow,
      user,
      riskScore: 45,
      riskFactors: [
        { factor: 'impossible-travel', points: 30 },
        { factor: 'unusual-time', points: 15 },
      ],
    },
    isUserAddress: true,
  },
])('the facts of a decision are those of its event: $name', ({ decision, isUserAddress = false }) => {
  const proxies = new Set(['spiffe://cluster.local/ns/shop/sa/gate'])
  const line = writeSecurityEvent({
    decision,
    decisionId: 'd1',
    request: {
      requestId: '',
      source: { ip: '10.0.0.1', port: 1, principal: '', certificate: '' },
      destination: { ip: '10.0.0.2', port: 2, principal: '' },
      http: aCall({ method: 'GET', path: '/', host: 'shop.example' }),
      contextExtensions: new Map(),
      sni: '',
    },
    unreadable: undefined,
    traceparent: undefined,
    nowMs: NOW_MS,
    durationUs: 1,
  })
  const facts = factsOfDecision(decision, 'd1', 'shop.example', NOW_MS, proxies)
  expect(readEvent(line, proxies)).toEqual({ kind: 'event', facts })
  expect(facts.userIp).toBe(isUserAddress ? '203.0.113.9' : undefined)
})
