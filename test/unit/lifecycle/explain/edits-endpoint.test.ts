import { describe, expect, test } from '@jest/globals'
import { candidates } from '../../../../src/lifecycle/explain/candidates.js'
import { draftOf } from '../../../../src/lifecycle/explain/draft-policy.js'
import { isGuarded } from '../../../../src/lifecycle/explain/protection.js'
import { loadPolicy } from '../../../../src/policy/load-policy.js'
import { evaluateMatrix } from '../../../../src/segmentation/evaluate.js'
import { type Call, factsFor } from '../../../support/mesh.js'

const OPTIONS = { localTrustDomain: 'cluster.local', trustDomains: [] }
const POLICY = `apiVersion: portcullis.dev/v1beta1
kind: ServicePolicy
metadata: { name: pay, namespace: shop }
spec:
  endpoints:
    - { name: Pay, paths: [/pay], methods: [POST] }
    - { name: Inner, paths: [/inner], methods: [POST], require: Workload }
    - { name: Files, paths: ["/files/**"], methods: [GET] }
---
apiVersion: portcullis.dev/v1beta1
kind: ServicePolicy
metadata: { name: web, namespace: shop }
spec: { calls: [{ service: pay }] }
---
apiVersion: portcullis.dev/v1beta1
kind: BaselinePolicy
metadata: { name: default }
spec:
  allow:
    - { name: scrape, from: [{ identities: ["spiffe://cluster.local/ns/mon/sa/one"] }], to: [{ paths: [/metrics], methods: [GET] }] }
`

/** What is proposed to try for a refused call, in words. */
function proposed(call: Call): string[] {
  const loaded = loadPolicy([{ file: 'p/policy.yaml', text: POLICY }], OPTIONS)
  if (!loaded.ok) throw new Error(JSON.stringify(loaded.problems))
  const draft = draftOf(loaded.sources, { ...OPTIONS, dataPolicies: loaded.policy.classifications })
  if (!draft) throw new Error('what loads does not compile')
  const facts = factsFor(draft.matrix, call)
  const verdict = evaluateMatrix(draft.matrix, facts)
  expect(verdict.permit ? undefined : verdict.refusal.reason).toBe('endpoint-not-exposed')
  return candidates(draft, facts, verdict).map(({ say }) => say)
}

const CALL = { from: 'shop/web', to: 'shop/pay', method: 'POST' } as const

describe('refused', () => {
  test.each(['/**', '/a/**', '/*', '/a/*/b', '/a*', '/{id}', '/a/{b', '/a}/b', '/{}'])(
    'the path %s is in no template as it is, where it would stand for others',
    (path) => expect(proposed({ ...CALL, path })).toEqual([]),
  )

  test('a new endpoint is not written with a wildcard that another one has', () => {
    expect(proposed({ ...CALL, path: '/files/a' })).toEqual(['let Files take POST too'])
  })

  test('a method that reads as every method', () => {
    expect(proposed({ ...CALL, method: '*', path: '/pay' })).toEqual([])
  })

  test('to ask for less identity than an endpoint does', () => {
    const call = { to: 'shop/pay', method: 'POST', path: '/inner', user: { subject: 'al' }, gateway: true }
    expect(proposed(call)).toEqual([])
  })

  test('a baseline allow for a caller that has a document', () => {
    const says = proposed({ ...CALL, method: 'GET', path: '/metrics' })
    expect(says).toEqual(['expose /metrics as Files too', 'expose get-metrics (GET /metrics)'])
  })
})

test('an ordinary path is exposed, as a number of an id', () => {
  expect(proposed({ ...CALL, path: '/refunds/17' })).toEqual([
    'expose /refunds/{id} as Pay too',
    'expose /refunds/{id} as Inner too',
    'expose post-refunds-id (POST /refunds/{id})',
  ])
})

test('a caller without a document is put into a baseline allow that means such requests', () => {
  const says = proposed({ ...CALL, from: 'x/prom', method: 'GET', path: '/metrics' })
  expect(says).toContain('let the rule scrape mean spiffe://cluster.local/ns/x/sa/prom too')
})

test('an endpoint with a DataPolicy is guarded, one that asks for nothing is not', () => {
  expect(isGuarded({ name: 'a', paths: ['/a'], dataPolicy: 'cards' })).toBe(true)
  expect(isGuarded({ name: 'a', paths: ['/a'], mfa: 'None' })).toBe(false)
})
