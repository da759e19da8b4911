import { describe, expect, test } from '@jest/globals'
import { compare } from '../../../../src/lifecycle/diff/compare.js'
import { changesBetween } from '../../../../src/lifecycle/diff/changes.js'
import { TrafficDiff } from '../../../../src/lifecycle/diff/traffic-changes.js'
import { viewOf } from '../../../../src/lifecycle/diff/view.js'
import { MARKDOWN, writeDiff } from '../../../../src/lifecycle/diff/write-diff.js'
import { takeLine } from '../../../../src/lifecycle/learn/learn.js'
import { loadPolicy } from '../../../../src/policy/load-policy.js'

const HEAD = 'apiVersion: portcullis.dev/v1beta1\nkind: ServicePolicy\n'
const CART = `${HEAD}metadata: { name: cart, namespace: shop }\nspec: { calls: [{ service: pay }] }\n---\n`
const PAY = `${HEAD}metadata: { name: pay, namespace: shop }
spec:
  endpoints:
    - { name: Pay, paths: [/pay], methods: [POST, PUT] }
    - { name: List, paths: [/list], methods: [GET] }
  rules:
    - { name: cart, from: [{ services: [cart] }] }
`

function load(text: string) {
  const loaded = loadPolicy([{ file: 'p.yaml', text }], {
    localTrustDomain: 'cluster.local',
    trustDomains: [],
  })
  if (!loaded.ok) throw new Error(JSON.stringify(loaded.problems))
  return loaded
}

/** What differs after a change of PAY, nothing left out but what is empty. */
function diffOf(from: string, to: string, old = CART + PAY) {
  const now = old.replace(from, to)
  expect(now).not.toBe(old)
  const diff = compare(viewOf(load(old)), viewOf(load(now)))
  return Object.fromEntries(Object.entries(diff).filter(([, list]) => list.length > 0))
}

const pay = (endpoint: string) => ({ caller: 'shop/cart', target: 'shop/pay', endpoint })

describe('what differs', () => {
  test.each([
    { name: 'a comment', from: 'spec:\n  endpoints', to: 'spec: # more\n  endpoints', diff: {} },
    { name: 'the order of methods', from: '[POST, PUT]', to: '[PUT, POST]', diff: {} },
    {
      name: 'the order of endpoints',
      from: '    - { name: Pay, paths: [/pay], methods: [POST, PUT] }\n    - { name: List, paths: [/list], methods: [GET] }',
      to: '    - { name: List, paths: [/list], methods: [GET] }\n    - { name: Pay, paths: [/pay], methods: [POST, PUT] }',
      diff: {},
    },
    {
      name: 'a narrower rule',
      from: '[{ services: [cart] }] }',
      to: '[{ services: [cart] }], to: [{ endpoints: [Pay] }] }',
      diff: {
        lost: [{ ...pay('List'), under: ['always'] }],
        documents: [
          {
            document: 'ServicePolicy shop/pay',
            changes: [{ field: 'rules[cart].to', was: undefined, is: '[{"endpoints":["Pay"]}]' }],
          },
        ],
      },
    },
    {
      name: 'a condition',
      from: '[{ services: [cart] }] }',
      to: '[{ services: [cart] }], when: [{ key: user.roles, values: [clerk] }] }',
      diff: {
        changed: [
          { ...pay('Pay'), was: ['always'], is: ['user.roles values ["clerk"]'] },
          { ...pay('List'), was: ['always'], is: ['user.roles values ["clerk"]'] },
        ],
        documents: expect.anything(),
      },
    },
    {
      name: 'a user besides',
      from: 'services: [cart] }] }',
      to: 'services: [cart], users: true }], to: [{ endpoints: [Pay] }] }',
      diff: {
        lost: [expect.objectContaining(pay('List'))],
        changed: [{ ...pay('Pay'), was: ['always'], is: ['with a user'] }],
        documents: expect.anything(),
      },
    },
    {
      name: 'users alone',
      from: '    - { name: cart,',
      to: '    - { name: people, from: [{ users: true }], to: [{ endpoints: [List] }] }\n    - { name: cart,',
      diff: {
        gained: [{ caller: 'users', target: 'shop/pay', endpoint: 'List', under: ['always'] }],
        documents: expect.anything(),
      },
    },
    {
      name: 'anyone instead of users: nobody loses, who has a name needs no user any more',
      from: 'users: true',
      to: 'any: true',
      old: CART + PAY.replace('services: [cart]', 'users: true'),
      diff: {
        gained: [
          { caller: 'anyone', target: 'shop/pay', endpoint: 'Pay', under: ['always'] },
          { caller: 'anyone', target: 'shop/pay', endpoint: 'List', under: ['always'] },
        ],
        changed: [
          { ...pay('Pay'), was: ['with a user'], is: ['always'] },
          { ...pay('List'), was: ['with a user'], is: ['always'] },
        ],
        documents: expect.anything(),
      },
    },
    {
      name: 'anyone instead of a caller by name: the caller keeps what it had',
      from: 'services: [cart]',
      to: 'any: true',
      diff: {
        gained: Array.from({ length: 4 }, () =>
          expect.objectContaining({ caller: expect.stringMatching(/^(?:users|anyone)$/) }),
        ),
        documents: expect.anything(),
      },
    },
    {
      name: 'and back: what is lost is lost',
      from: 'any: true',
      to: 'services: [cart]',
      old: CART + PAY.replace('services: [cart]', 'any: true'),
      diff: { lost: Array.from({ length: 4 }, () => expect.anything()), documents: expect.anything() },
    },
    {
      name: 'neighbours instead of a rule',
      from: '  rules:\n    - { name: cart, from: [{ services: [cart] }] }\n',
      to: '',
      diff: {
        changed: [expect.objectContaining({ is: ['as a neighbour'] }), expect.anything()],
        documents: expect.anything(),
      },
    },
    {
      name: 'an endpoint less',
      from: '    - { name: List, paths: [/list], methods: [GET] }\n',
      to: '',
      diff: {
        lost: [expect.objectContaining(pay('List'))],
        endpointsLost: ['shop/pay List'],
        documents: expect.anything(),
      },
    },
    {
      name: 'the caller gone',
      from: CART,
      to: '',
      diff: { lost: [expect.anything(), expect.anything()], servicesLost: ['shop/cart'] },
      old: CART + PAY.replace('services: [cart]', 'namespaces: [shop]'),
    },
    {
      name: 'mode and requirement',
      from: 'paths: [/pay], methods: [POST, PUT]',
      to: 'paths: [/pay], methods: [POST], mode: Observe, mfa: Required',
      diff: {
        documents: [
          {
            document: 'ServicePolicy shop/pay',
            changes: [
              { field: 'endpoints[Pay].methods', was: '["POST","PUT"]', is: '["POST"]' },
              { field: 'endpoints[Pay].mode', was: undefined, is: 'Observe' },
              { field: 'endpoints[Pay].mfa', was: undefined, is: 'Required' },
            ],
          },
        ],
      },
    },
    {
      name: 'a cluster-wide document',
      from: CART,
      to: `${CART}apiVersion: portcullis.dev/v1beta1\nkind: BaselinePolicy\nmetadata: { name: b }\nspec: { defaults: { mode: Observe } }\n---\n`,
      diff: {
        documents: [
          {
            document: 'BaselinePolicy b',
            changes: [{ field: 'the whole', was: undefined, is: '{"defaults":{"mode":"Observe"}}' }],
          },
        ],
      },
    },
  ])('$name', ({ from, to, diff, old }) => {
    expect(diffOf(from, to, old)).toEqual(diff)
  })

  test('of a value without end at most a thousand fields', () => {
    const many = Object.fromEntries(Array.from({ length: 5000 }, (_, at) => [`f${at}`, at]))
    expect(changesBetween(many, {})).toHaveLength(1000)
  })
})

describe('recorded calls', () => {
  const event = (fields: object) =>
    JSON.stringify({
      eventType: 'authorization',
      timestamp: '2026-11-03T10:00:00Z',
      decisionId: 'd',
      workloadId: 'spiffe://cluster.local/ns/shop/sa/cart',
      targetService: 'shop/pay',
      protocol: 'HTTP/2',
      requestMethod: 'GET',
      requestPath: '/list',
      decision: 'allow',
      decisionReason: 'allowed',
      ...fields,
    })

  test('are told where the matrices answer differently', () => {
    const now = load(CART + PAY.replace('[/list]', '[/lists]')).policy.matrix
    const traffic = new TrafficDiff(load(CART + PAY).policy.matrix, now)
    const lines = [
      event({}),
      event({}),
      event({ requestPath: '/lists' }),
      event({ requestMethod: 'POST', requestPath: '/pay' }),
      event({ targetService: undefined }),
      event({ workloadId: 'spiffe://cluster.local/ns/a/sa/b' }),
    ]
    for (const line of lines) expect(takeLine(line, (each) => traffic.note(each))).toBeUndefined()
    expect(traffic).toMatchObject({ calls: 5, lost: 2, gained: 1 })
    expect(traffic.groups()).toMatchObject([
      { caller: 'shop/cart', was: 'permit', is: 'endpoint-not-exposed', count: 2, example: 'GET /list' },
      { was: 'endpoint-not-exposed', is: 'permit', count: 1, ruleSource: 'p.yaml:14:7' },
      { was: 'caller-unknown', is: 'endpoint-not-exposed', count: 1 },
    ])
    const diff = compare(viewOf(load(CART + PAY)), viewOf(load(CART + PAY.replace('[/list]', '[/lists]'))))
    const text = writeDiff(diff, traffic, MARKDOWN)
    expect(text).toContain('Of 5 recorded calls, 2 are refused now and 1 permitted now')
    expect(text).toContain(
      '- ServicePolicy shop/pay endpoints\\[List\\].paths: \\["/list"\\] ⇒ \\["/lists"\\]',
    )
  })
})
