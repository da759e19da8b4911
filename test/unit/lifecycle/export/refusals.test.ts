import { expect, test } from '@jest/globals'
import { adaptive, baseline, exported, refusals, written } from './exporting.js'

const CALLER = written('shop/caller', '{ calls: [{ service: target }] }')
const one = (endpoint: string, more = '') =>
  written('shop/target', `{ endpoints: [{ name: e, paths: [/a], methods: [GET]${endpoint} }]${more} }`)
const rule = (fields: string) => `, rules: [{ name: r, ${fields} }]`
const ANY = 'from: [{ any: true }]'

test.each([
  {
    name: 'observe',
    target: one('', ', mode: Observe'),
    why: ['mode Observe lets every call pass, so there is nothing to enforce'],
  },
  {
    name: 'endpoint in shadow',
    target: one(', mode: Shadow'),
    why: ['the endpoint e is in mode Shadow, which lets every call pass'],
  },
  {
    name: 'users',
    target: one(', require: Both'),
    why: ['the endpoint e has require: Both, and users are not known there'],
  },
  {
    name: 'mfa',
    target: one(', mfa: Required'),
    why: ['the endpoint e asks for multi-factor authentication (mfa: Required)'],
  },
  {
    name: 'age',
    target: one(', maxAuthAge: 5m'),
    why: ['the endpoint e asks how long ago the user authenticated (maxAuthAge)'],
  },
  {
    name: 'user scopes',
    target: one(', userScopes: [a]'),
    why: ["the endpoint e asks for the user's scopes a"],
  },
  { name: 'users rule', target: one('', rule('from: [{ users: true }]')), why: ['the rule r is for users'] },
  {
    name: 'time',
    target: one('', rule(`${ANY}, when: [{ key: time.hour, below: 8 }]`)),
    why: ['the rule r has the condition on time.hour'],
  },
  {
    name: 'risk',
    target: one('', rule(`${ANY}, when: [{ key: risk.score, below: 8 }]`)),
    why: ['the rule r has the condition on risk.score'],
  },
  {
    name: 'prefix of a header',
    target: one('', rule(`${ANY}, when: [{ key: "request.headers[x]", values: ["a*"] }]`)),
    why: ['the rule r has the condition on request.headers[x], which is not of exact values'],
  },
  {
    name: 'a scope that nothing grants',
    target: one(', workloadScopes: [s]'),
    why: ['the endpoint e asks for scopes (s) that no rule grants spiffe://cluster.local/ns/shop/sa/caller'],
  },
  {
    name: 'a forbid by time',
    target: one('', `, forbid: [{ name: f, when: [{ key: time.hour, below: 8 }] }]`),
    why: ['the forbid f has the condition on time.hour'],
  },
  {
    name: 'a forbid of users',
    target: one('', ', forbid: [{ name: f, from: [{ users: true }] }]'),
    why: ['the forbid f may mean some of those that are let in and not others'],
  },
])('neither Envoy nor Istio can say: $name', ({ target, why }) => {
  expect(refusals('envoy-rbac', [target, CALLER])).toEqual(why)
  expect(refusals('istio', [target, CALLER])).toEqual(expect.arrayContaining(why))
})

test.each([
  {
    name: 'a country',
    rule: 'when: [{ key: client.country, notValues: [GB] }], then: Deny',
    why: ['the adaptive rule x (Deny) is decided per call'],
  },
  {
    name: 'a rule in shadow',
    rule: 'when: [{ key: client.country, notValues: [GB] }], then: Deny, mode: Shadow',
    why: [],
  },
  { name: 'a rule about users', rule: 'when: [{ key: user.mfa, is: false }], then: StepUp', why: [] },
  {
    name: 'another target',
    rule: 'to: [{ namespaces: [other] }], when: [{ key: time.hour, below: 8 }], then: Deny',
    why: [],
  },
])('adaptive: $name', ({ rule: text, why }) => {
  expect(refusals('envoy-rbac', [one(''), CALLER, adaptive(`{ rules: [{ name: x, ${text} }] }`)])).toEqual(
    why,
  )
})

const OF_ENVOY = [
  'host',
  'connection',
  'transfer-encoding',
  'te',
  'content-length',
  'upgrade',
  'cookie',
  'via',
  'x-request-id',
  'x-forwarded-for',
  'x-forwarded-client-cert',
  'x-envoy-internal',
]
const CONDITIONS = ['values: [t.shop]', 'notValues: [t.shop]', 'present: true', 'present: false']

test.each(OF_ENVOY.flatMap((header) => CONDITIONS.map((asks) => ({ header, asks }))))(
  'neither Envoy nor Istio can say what is asked of a header of their own: $header $asks',
  ({ header, asks }) => {
    const key = `request.headers[${header}]`
    const when = `when: [{ key: "${key}", ${asks} }]`
    const why = `the condition on ${key}, a header that Envoy itself sets or reads otherwise`
    for (const format of ['envoy-rbac', 'istio'] as const) {
      expect(refusals(format, [one('', rule(`${ANY}, ${when}`)), CALLER])).toEqual([`the rule r has ${why}`])
      expect(refusals(format, [one('', `, forbid: [{ name: f, ${when} }]`), CALLER])).toEqual([
        `the forbid f has ${why}`,
      ])
      const allow = baseline(`{ allow: [{ name: b, ${ANY}, to: [{ paths: [/b] }], ${when} }] }`)
      expect(refusals(format, [one(''), CALLER, allow])).toEqual([`the baseline's b has ${why}`])
    }
  },
)

test.each(['x-hostname', 'te-x', 'x-requested-with', 'x-b3'])('%s is a header like others', (header) => {
  const when = `when: [{ key: "request.headers[${header}]", present: true }]`
  expect(refusals('envoy-rbac', [one('', rule(`${ANY}, ${when}`)), CALLER])).toEqual([])
})

test('a refusal names its place', () => {
  const [refused] = exported('envoy-rbac', [one(', mfa: Required'), CALLER]).refused
  expect(refused).toMatchObject({ service: 'shop/target', obstacles: [{ source: 'p.yaml:4:21' }] })
})

test('some of a pattern of identities', () => {
  const caller = written(
    'shop/caller',
    '{ calls: [{ service: target }], identities: ["spiffe://cluster.local/ns/*/sa/x"] }',
  )
  const target = one('', rule('from: [{ identities: ["spiffe://cluster.local/ns/a/sa/*"] }]'))
  expect(refusals('envoy-rbac', [target, caller])).toEqual([
    'the rule r may mean some of spiffe://cluster.local/ns/*/sa/x and not others',
  ])
})

test.each([
  {
    name: 'a WebSocket below a baseline allow',
    endpoint: ', protocol: WebSocket',
    why: "the baseline's b covers the endpoint e, which is a WebSocket",
  },
  {
    name: 'scopes below a baseline allow',
    endpoint: ', workloadScopes: [s]',
    why: "the baseline's b covers the endpoint e, which asks for the scopes s",
  },
])('$name', ({ endpoint, why }) => {
  const allow = baseline(`{ allow: [{ name: b, ${ANY}, to: [{ paths: ["/{x}"] }] }] }`)
  expect(refusals('envoy-rbac', [one(endpoint), allow])).toEqual([why])
})

test('Envoy: a path that no expression it takes can tell', () => {
  const target = written(
    'shop/target',
    `{ endpoints: [{ name: e, paths: ["/${'a'.repeat(120)}/{id}"], methods: [GET] }] }`,
  )
  expect(refusals('envoy-rbac', [target, CALLER])).toEqual([
    'same-namespace has a path too long for a regular expression in Envoy',
  ])
})

test.each([
  {
    name: 'a repeated header',
    more: rule(`${ANY}, when: [{ key: "request.headers[x]", values: [a] }]`),
    why: 'r: where the header x is repeated Istio looks at each value, and here it has none',
  },
  {
    name: 'a forbid without the header',
    more: ', forbid: [{ name: f, when: [{ key: "request.headers[x]", values: [a] }] }]',
    why: 'forbid f: it holds where there is no header x, which Istio can not say',
  },
])('Istio: $name', ({ more, why }) => {
  expect(refusals('istio', [one('', more), CALLER])).toEqual([why])
})

test('Istio: other spellings of a forbidden path that a wider template lets in', () => {
  const target = written(
    'shop/target',
    '{ endpoints: [{ name: wide, paths: ["/{x}"], methods: [GET] }, { name: debug, paths: [/debug], methods: [GET] }], forbid: [{ name: f, to: [{ endpoints: [debug] }] }] }',
  )
  expect(refusals('istio', [target, CALLER])).toEqual([
    'forbid f ignores case and a trailing slash, and paths in Istio do not',
  ])
  expect(refusals('envoy-rbac', [target, CALLER])).toEqual([])
})
