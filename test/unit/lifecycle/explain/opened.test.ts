import { describe, expect, test } from '@jest/globals'
import { draftOf } from '../../../../src/lifecycle/explain/draft-policy.js'
import { type Change, findChanges } from '../../../../src/lifecycle/explain/search.js'
import { loadPolicy } from '../../../../src/policy/load-policy.js'
import { type Call, factsFor, listenerOf, verdictOf } from '../../../support/mesh.js'

const OPTIONS = { localTrustDomain: 'cluster.local', trustDomains: [] }
const CALLING = ['x/b', 'w/b']
  .map(
    (id) => `---
apiVersion: portcullis.dev/v1beta1
kind: ServicePolicy
metadata: { name: ${id.slice(2)}, namespace: ${id.slice(0, 1)} }
spec: { calls: [{ service: x/a }] }
`,
  )
  .join('')
const target = (spec: string): string => `apiVersion: portcullis.dev/v1beta1
kind: ServicePolicy
metadata: { name: a, namespace: x }
spec: ${spec}
${CALLING}`

/** The change whose first edit says this, and what it lets in. */
function changeFor(
  text: string,
  call: Call,
  says: string,
): { gained: Change['gained'] | undefined; complete: boolean | undefined; patched: (call: Call) => boolean } {
  const files = [{ file: 'p/policy.yaml', text }]
  const loaded = loadPolicy(files, OPTIONS)
  if (!loaded.ok) throw new Error(JSON.stringify(loaded.problems))
  const draft = draftOf(loaded.sources, { ...OPTIONS, dataPolicies: loaded.policy.classifications })
  if (!draft) throw new Error('what loads does not compile')
  const facts = factsFor(loaded.policy.matrix, call)
  const asked = { request: facts.request, identity: facts.identity, listener: listenerOf({}), known: facts }
  const changes = findChanges(draft, asked, { ...loaded, files, options: OPTIONS })
  const change = changes.find(({ edits }) => edits[0]?.say.startsWith(says))
  const matrix = change?.policy.matrix
  return {
    gained: change?.gained,
    complete: change?.complete,
    patched: (other) => matrix !== undefined && verdictOf(matrix, other).permit,
  }
}

describe('what a change opens is told', () => {
  const put = { to: 'x/a', method: 'PUT', path: '/b' } as const

  test.each([
    { name: 'header', condition: '{ key: "request.headers[x-k]", values: ["2"] }' },
    { name: 'query', condition: '{ key: "request.query[q]", values: ["2"] }' },
    { name: 'body', condition: '{ key: "request.body[q]", values: ["2"] }' },
    { name: 'CEL expression', condition: "{ cel: \"request.headers['x-k'] == '2'\" }" },
  ])('where another forbid looks at a $name that the asked call lacks', ({ condition }) => {
    // A source address that is not known matches, as whatever a forbid can't evaluate does.
    const policy = target(`
  endpoints: [{ name: e1, paths: [/b], methods: [PUT] }]
  forbid:
    - { name: f0, when: [{ key: source.ip, cidr: [10.0.0.0/8] }] }
    - { name: f1, from: [{ services: [b] }], when: [${condition}] }`)
    const { gained } = changeFor(policy, { ...put, from: 'w/b' }, 'take the forbid f0 out')
    expect(gained).toContainEqual(
      expect.objectContaining({ caller: 'x/b', target: 'x/a', under: 'other conditions' }),
    )
  })

  test('and is so: the call passes with the patch', () => {
    const policy = target(`
  endpoints: [{ name: e1, paths: [/b], methods: [PUT] }]
  forbid:
    - { name: f0, when: [{ key: source.ip, cidr: [10.0.0.0/8] }] }
    - { name: f1, from: [{ services: [b] }], when: [{ key: "request.headers[x-k]", values: ["2"] }] }`)
    const { patched } = changeFor(policy, { ...put, from: 'w/b' }, 'take the forbid f0 out')
    expect(patched({ ...put, from: 'x/b', headers: [['x-k', '1']] })).toBe(true)
    expect(patched({ ...put, from: 'x/b', headers: [['x-k', '2']] })).toBe(false)
    expect(patched({ ...put, from: 'x/b' })).toBe(false)
  })

  test('where a rule asks for one path of a template', () => {
    const policy = target(`
  endpoints:
    - { name: e1, paths: [/b], methods: [PUT] }
    - { name: e2, paths: ["/c/{id}"], methods: [PUT] }
  rules: [{ name: r, from: [{ services: [b] }], when: [{ key: request.path, values: [/b, /c/7] }] }]`)
    const { gained, patched } = changeFor(policy, { ...put, from: 'w/b' }, 'let the rule r mean')
    expect(patched({ ...put, path: '/c/7', from: 'w/b' })).toBe(true)
    expect(gained).toContainEqual(
      expect.objectContaining({ caller: 'w/b', endpoint: 'e2', under: 'other conditions' }),
    )
  })
})

test('a change that opens nothing else says nothing of other callers', () => {
  const policy = target(`
  endpoints: [{ name: e1, paths: [/b], methods: [PUT] }]
  rules: [{ name: r, from: [{ services: [b] }] }]
  forbid: [{ name: f1, from: [{ services: [b] }], when: [{ key: "request.headers[x-k]", values: ["2"] }] }]`)
  const call = { to: 'x/a', method: 'PUT', path: '/b', from: 'w/b' }
  expect(changeFor(policy, call, 'let the rule r mean').gained).toEqual([])
})

describe('the asked caller is told what else it may do then', () => {
  test('by other methods and paths of the same endpoint, and not the asked call itself', () => {
    const policy = target(`
  endpoints: [{ name: e1, paths: [/b, "/admin/**"], methods: [GET, DELETE] }]
  rules: [{ name: r, from: [{ services: [b] }] }]`)
    const { gained } = changeFor(policy, { to: 'x/a', path: '/b', from: 'w/b' }, 'let the rule r mean')
    const requests = gained?.map(({ caller, request }) => `${caller} ${request}`)
    expect(requests).toContain('w/b DELETE /admin/sample-y/sample-z')
    expect(requests).toContain('w/b DELETE /b')
    expect(requests).not.toContain('w/b GET /b')
  })

  test('with other users of the role that a new rule asks for', () => {
    const policy = target(`
  require: Any
  endpoints: [{ name: e1, paths: ["/cfg/**"], methods: [GET] }]
  rules: [{ name: r, from: [{ services: [b] }] }]`)
    const call = { to: 'x/a', path: '/cfg/x', user: { subject: 'al', roles: ['clerk'] } }
    const { gained, patched } = changeFor(policy, call, 'add the rule users-e1')
    expect(patched({ ...call, path: '/cfg/secrets/all', user: { subject: 'bob', roles: ['clerk'] } })).toBe(
      true,
    )
    const under = 'other users like this one'
    expect(gained).toContainEqual(expect.objectContaining({ request: 'GET /cfg/x', under }))
    expect(gained).toContainEqual(expect.objectContaining({ request: 'GET /cfg/sample-y/sample-z', under }))
  })

  test('where a new rule goes past the condition that kept it out, also behind a forbid', () => {
    const policy = target(`
  endpoints: [{ name: e1, paths: [/b], methods: [POST] }]
  rules: [{ name: r, from: [{ services: [w/b] }], when: [{ key: "request.headers[x-k]", values: ["2"] }] }]
  forbid: [{ name: f, from: [{ services: [w/b, x/b] }] }]`)
    const call = { to: 'x/a', method: 'POST', path: '/b', from: 'w/b' }
    const { gained } = changeFor(policy, call, 'let the forbid f not mean w/b')
    expect(gained).toContainEqual({
      caller: 'w/b',
      target: 'x/a',
      endpoint: 'e1',
      request: 'POST /b',
      under: 'other conditions',
    })
  })
})

describe('a baseline', () => {
  const baseline = (spec: string): string => `---
apiVersion: portcullis.dev/v1beta1
kind: BaselinePolicy
metadata: { name: default }
spec: ${spec}
`

  test('a workload that its allow lets in by name is told by that name alone, its ports once', () => {
    const policy =
      target('{ endpoints: [{ name: e1, paths: [/b], methods: [GET], ports: [81] }] }') +
      baseline(
        '{ allow: [{ name: mon, from: [{ services: [x/b] }], to: [{ paths: [/metrics, /m2], methods: [GET] }] }] }',
      )
    const call = { to: 'x/a', path: '/metrics', from: 'spiffe://cluster.local/ns/q/sa/y' }
    const { gained } = changeFor(policy, call, 'let the rule mon mean')
    expect(gained?.map(({ caller }) => caller)).not.toContain('workloads that no document names')
    const at = gained?.filter((way) => way.target === 'x/a').map(({ request }) => request)
    expect(at).toContain('GET /m2')
    expect(at?.filter((request) => request.includes('on port'))).toEqual([])
    expect(new Set(at).size).toBe(at?.length)
    expect(at).not.toContain('GET /metrics')
  })

  test('a way out of its forbid is found among 200 services, with all that it opens', () => {
    const endpoints = Array.from(
      { length: 10 },
      (_, at) => `{ name: e${at}, paths: [/e${at}, "/e${at}/{id}"], methods: [GET, POST] }`,
    )
    const namespaces = Array.from({ length: 10 }, (_, at) => `n${at}`).join(', ')
    const services = Array.from(
      { length: 200 },
      (_, at) => `---
apiVersion: portcullis.dev/v1beta1
kind: ServicePolicy
metadata: { name: s${at}, namespace: n${at % 10} }
spec:
  calls: [{ service: n5/s5 }]
  endpoints: [${endpoints.join(', ')}]
  rules:
    - { name: r, from: [{ namespaces: [${namespaces}] }] }
    - { name: q, from: [{ services: [n1/s1] }], when: [{ key: user.roles, values: [admin] }] }
`,
    )
    const policy =
      services.join('') +
      baseline(
        '{ defaults: { mode: Enforce }, forbid: [{ name: f, from: [{ namespaces: [n4] }], to: [{ namespaces: [n5] }] }] }',
      )
    const call = { to: 'n5/s5', path: '/e1', from: 'n4/s4' }
    const { gained, complete } = changeFor(policy, call, 'take the forbid f out')
    expect(complete).toBe(true)
    expect(gained).toContainEqual(expect.objectContaining({ caller: 'n4/s194', target: 'n5/s5' }))
  })
})

test('a change too large to look at is shown, and says that it may open more', () => {
  const rules = Array.from(
    { length: 14 },
    (_, at) =>
      `{ name: r${at}, from: [{ services: [b] }], when: [{ key: "request.headers[x-${at}]", values: ["2"] }] }`,
  )
  const policy = target(`
  endpoints: [{ name: e1, paths: [/b], methods: [PUT] }]
  rules: [${rules.join(', ')}]`)
  const call = { to: 'x/a', method: 'PUT', path: '/b', from: 'w/b' }
  expect(changeFor(policy, call, 'add the rule').complete).toBe(false)
})
