import { describe, expect, test } from '@jest/globals'
import type { RequestBody } from '../../../../src/request/access-request.js'
import { requestBody } from '../../../../src/request/body.js'
import {
  compileConditions,
  type Condition,
  type ConditionScope,
  costOf,
  keysOf,
} from '../../../../src/segmentation/when/condition.js'
import { aCall, anEndpoint, aService, aUser, factsOf, type KnownFacts } from '../../../support/facts.js'

const SCOPE: ConditionScope = {
  namespace: 'shop',
  localTrustDomain: 'cluster.local',
  hasPlaces: false,
  hasDevices: false,
}

function compile(conditions: readonly Condition[], scope = SCOPE) {
  const faults: string[] = []
  const holds = compileConditions(
    conditions,
    ['spec', 'when'],
    (pointer, message, code) => faults.push(`${pointer.slice(2).join('.')} ${code}: ${message}`),
    scope,
  )
  return { faults, holds }
}

function evaluate(cel: string, known: KnownFacts = {}): boolean | undefined {
  const { faults, holds } = compile([{ cel }])
  expect(faults).toEqual([])
  return holds(factsOf(known))
}

const withBody = (value: unknown): KnownFacts => ({ http: { ...aCall(), body: jsonBody(value) } })
function jsonBody(value: unknown): RequestBody {
  const headers = aCall({
    headers: [
      ['content-type', 'application/json'],
      ['x-envoy-auth-partial-body', 'false'],
    ],
  }).headers
  return requestBody(() => Buffer.from(JSON.stringify(value)), headers)
}

describe('an expression that says nothing clear is refused at load', () => {
  test.each<[condition: Condition, fault: string]>([
    [{}, '0 missing-field: a condition needs a `key` or `cel`'],
    [
      { key: 'user.id', cel: 'true', present: true },
      '0.key condition-operator: a condition has a `key` or `cel`, not both',
    ],
    [{ cel: 'true', is: true }, '0.is condition-operator: `is` belongs to a `key`; write it into `cel`'],
    [
      { cel: 'true', zone: 'UTC' },
      '0.zone condition-operator: `zone` belongs to a `key`; write it into `cel`',
    ],
  ])('%j', (condition, fault) => {
    expect(compile([condition]).faults).toContain(fault)
  })

  test.each<[cel: string, fault: string]>([
    ['user.mfa &&', 'not CEL: found & at character 10'],
    ['user.mfa\n  )', 'not CEL: found ) at line 2, character 3'],
    ['"a', 'not CEL: '],
    ['', 'not CEL: found end of input at character 1'],
    ['user.mfaa', 'no key `user.mfaa`; did you mean `user.mfa`?'],
    ['1 == 1 && usr.mfa', 'no key `usr.mfa`; did you mean `user.mfa`? (from character 11)'],
    ['user', 'no key `user`'],
    ['foo.bar["x"].baz == 1', 'no key `foo.bar`'],
    ['request.headers == 1', '`request.headers` should be `request.headers[name]`'],
    ["request.headers['a b'] == 'x'", '`request.headers[a b]` should be `request.headers[name]`'],
    ["request.headers['x'].y == 'x'", '`.y`: text has no members'],
    ["request.headers[request.method] == 'x'", '`request.headers` should be'],
    ["user.claims['a[b'] == 'x'", "`user.claims` has no member 'a[b'"],
    ["user.claims[''] == 'x'", "`user.claims` has no member ''"],
    ["client.country == 'DE'", '`client.country` has no source in this configuration'],
    ['device.managed', '`device.managed` has no source in this configuration'],
    ['user.id', 'the expression is not true or false'],
    ['1', 'the expression is not true or false'],
    ['user.id == 1', '`==` of text and a whole number: they are never the same'],
    ['user.mfa == "true"', '`==` of true or false and text: they are never the same'],
    ['user.mfa < true', '`<` of true or false and true or false: neither is greater'],
    ['user.id > 5', '`>` of text and a whole number: neither is greater'],
    ['user.mfa && user.id', '`&&` takes true or false, not text'],
    ['!user.id', '`!` takes true or false, not text'],
    ['user.id ? true : false', '`?` takes true or false before it'],
    ["-user.id == 'x'", '`-` takes a number'],
    ["user.id + 1 == 'x'", 'there is no `+` of text and a whole number'],
    ['user.roles + user.scopes == user.roles', 'there is no `+` of a list of texts and a list of texts'],
    ['user.authAge % 2 == 0', 'there is no `%` of'],
    ['5 in user.roles', 'a whole number is never `in` a list of texts'],
    ["'a' in user.id", '`in` takes a list, not text'],
    ['user.roles["a"] == "x"', 'a list of texts has no element for text in brackets'],
    ['user.roles.length() == 1', 'no function `length`'],
    ['user.id.startWith("a")', 'no function `startWith`; did you mean `startsWith`?'],
    ['user.id.startsWith(1)', '`startsWith` takes text, not a whole number'],
    ['user.id.startsWith()', '`startsWith` takes one value'],
    ['has(user)', '`has` takes a member after a dot'],
    ['has(1)', '`has` takes a member after a dot'],
    ['user.id.matches(user.email)', '`matches` takes a pattern that is written out'],
    ['user.id.matches("(a")', '`matches`: '],
    ['user.id.matches("(?=a)")', '`matches`: '],
    ['user.id.matches("((a{30}){30}){30}")', '`matches`: a pattern that is longer than 1000'],
    [`user.id.matches("${'a'.repeat(257)}")`, '`matches`: a pattern longer than 256 characters'],
    ['user.roles.map(r, r) == []', 'there is no `map` and no `filter`'],
    ['size(user.roles.filter(r, true)) > 1', 'there is no `map` and no `filter`'],
    ['user.roles.exists(user, true)', '`user` means something else already; take another name'],
    ['user.id.exists(c, true)', 'text has no elements to go through'],
    ['{"a": 1}.a == 1', 'an object can not be made here'],
    ['google.protobuf.Value{} == 1', 'an object can not be made here'],
    ["b'abc' == b'abc'", 'nothing here is of bytes or unsigned'],
    ['1u == 1u', 'nothing here is of bytes or unsigned'],
    ['timestamp("2020-01-01T00:00:00Z") == 1', 'no function `timestamp`'],
    ['type(1) == int', 'no function `type`'],
    ["request.method == 'post'", 'methods are compared as sent, in capitals: did you mean `POST`?'],
    ["request.method in ['GET', 'post']", 'did you mean `POST`?'],
    ["risk.level == 'High'", '`High` is none of low, medium, high'],
    ["time.weekday == 'Mn'", '`Mn` is no day'],
    ["time.ofDay >= '9:00'", '`9:00` is no time such as 22:00'],
    ["client.ip == '10.0.0.0/8'", '`10.0.0.0/8` is not an IP address'],
    [`${'('.repeat(1500)}true${')'.repeat(1500)}`, 'nested deeper than 64'],
    [`user.claims${'.a'.repeat(70)} == 1`, 'nested deeper than 64'],
    [`${'!!!user.mfa || '.repeat(200)}true`, 'of more than 500 parts'],
    [`user.id == '${'é'.repeat(2100)}'`, 'longer than 4096 bytes'],
    [
      'user.roles.all(a, user.roles.all(b, user.roles.all(c, a == b || b == c)))',
      'more than 2 macros in each other',
    ],
    [
      `user.roles.all(a, user.roles.all(b, ${'a == b || '.repeat(20)}true))`,
      'steps for one request; 20000000 are allowed',
    ],
  ])('%s', (cel, fault) => {
    const { faults, holds } = compile([{ cel }])
    expect(faults.join('\n')).toContain(fault)
    expect(faults.every((text) => text.startsWith('0.cel condition-'))).toBe(true)
    expect(holds(factsOf())).toBeUndefined()
  })
})

describe('what can not be evaluated is undefined', () => {
  const roles = (count: number) => aUser({ roles: Array.from({ length: count }, (_, index) => `r${index}`) })
  test.each<[cel: string, known: KnownFacts]>([
    ["user.id == 'alice'", {}],
    ["!(user.id == 'alice')", {}],
    ['user.claims.level > 3', { user: aUser({ claims: { level: '4' } }) }],
    ['user.claims.level == 3', { user: aUser() }],
    ['user.claims.flag', { user: aUser({ claims: { flag: 'yes' } }) }],
    ["request.headers['x-env'] == 'prod'", { http: aCall() }],
    ["request.headers['x-env'] != 'prod'", { http: aCall() }],
    ["request.headers['x-env'] != 'prod'", { http: aCall({ headers: [['x-env', 'a, b']] }) }],
    [
      "request.headers['x-env'] != 'prod'",
      {
        http: aCall({
          headers: [
            ['x-env', 'a'],
            ['x-env', 'b'],
          ],
        }),
      },
    ],
    ["request.query['a'] == '1'", { http: aCall({ query: 'a=1&a=1' }) }],
    ["'a' in request.query", { http: aCall({ query: 'a=1;b' }) }],
    ["double(request.headers['n']) < 5.0", { http: aCall({ headers: [['n', '']] }) }],
    ["double(request.headers['n']) < 5.0", { http: aCall({ headers: [['n', '0x1']] }) }],
    ["int(request.headers['n']) < 5", { http: aCall({ headers: [['n', '']] }) }],
    ["int(request.headers['n']) < 5", { http: aCall({ headers: [['n', '-9223372036854775809']] }) }],
    ['user.mfa && user.id == "bob" || user.email == "x"', { user: aUser() }],
    ["user.roles.exists(r, r == 'zz')", { user: roles(1001) }],
    ["'r1' in user.roles", { user: roles(1001) }],
    ['user.roles.all(a, user.roles.all(b, a == b || a != b))', { user: roles(1000) }],
    ['user.roles.all(a, user.roles.all(b, a == b || a != b)) || true', { user: roles(1000) }],
    ['request.body.amount > 10', { http: aCall() }],
    ['has(request.body.amount)', { http: aCall() }],
    ['request.body.amount > 10', withBody({ amount: '11' })],
    ['request.body.amount > 10', withBody([{ amount: 11 }])],
    ['request.body.constructor == 1', withBody({})],
    ['request.body.items[1] == 1', withBody({ items: [1] })],
    ['!has(request.body)', { http: aCall() }],
    ['!has(request.body.admin)', withBody([{ admin: true }])],
    ['!has(request.body.params.admin)', withBody({ params: [{ admin: true }] })],
    ['!has(request.body.params.admin)', withBody({ params: 'x' })],
    ["!('admin' in request.body)", withBody([{ admin: true }])],
    ["!('admin' in request.body.params)", withBody({ params: [{ admin: true }] })],
    ["!('admin' in request.body.params)", withBody({ params: 'admin' })],
    ['request.body.items.all(i, !has(i.admin))', withBody({ items: [[{ admin: true }]] })],
    ['!has(user.claims.org.admin)', { user: aUser({ claims: { org: [{ admin: true }] } }) }],
    ['!has(request.body.admin)', withBody({ Admin: true })],
    ['!has(request.body.params.admin)', withBody({ Params: { admin: true } })],
    ["!('admin' in request.body)", withBody({ ADMIN: true })],
    ["!('task' in request.body)", withBody({ 'ta\u017f\u212a': true })],
    ['request.body.items.all(i, !has(i.admin))', withBody({ items: [{ aDmin: true }] })],
    ["request.body.role != 'admin'", withBody({ role: ['admin'] })],
    ["!(request.body.role == 'admin')", withBody({ role: { name: 'admin' } })],
    ['!(request.body.admin == true)', withBody({ admin: 'true' })],
    ['request.body.admin != true', withBody({ admin: 1 })],
    ["request.body.level != '5'", withBody({ level: 5 })],
    ["!(request.body.role in ['admin', 'root'])", withBody({ role: ['admin'] })],
    ["!('admin' in request.body.roles)", withBody({ roles: [['admin']] })],
    ["!(request.body.roles.exists(r, r == 'admin'))", withBody({ roles: ['x', ['admin']] })],
    ["request.body.roles != ['admin']", withBody({ roles: [['admin']] })],
    ['request.body.a != request.body.b', withBody({ a: { r: 'x' }, b: { r: ['x'] } })],
    ['!(1 in request.body.a)', withBody({ a: { 1: 1 } })],
    ["user.claims.role != 'admin'", { user: aUser({ claims: { role: ['admin'] } }) }],
    ["request.body.roles.all(r, r != 'admin')", withBody({ roles: { 0: 'admin' } })],
    ["!request.body.exists(r, r == 'admin')", withBody({ role: 'admin' })],
    ['user.claims.roles.all(r, r != "admin")', { user: aUser({ claims: { roles: {} } }) }],
    ["request.body.list.all(l, l.all(r, r != 'admin'))", withBody({ list: [{ 0: 'admin' }] })],
    [
      'request.body.a.contains(request.body.b)',
      withBody({ a: 'a'.repeat(20_000), b: `${'a'.repeat(10_000)}b` }),
    ],
    ['request.body.items.all(i, i == 1)', withBody({ items: Array.from({ length: 1001 }, () => 1) })],
    [
      'request.body.items.all(i, request.body.items == request.body.items)',
      withBody({ items: Array.from({ length: 900 }, () => 1) }),
    ],
    [
      "request.body.items.exists(i, request.body.text.matches('[^a]*(a|aa|ab)*$x'))",
      withBody({ text: 'a'.repeat(9000), items: [1, 2, 3, 4, 5, 6, 7, 8, 9] }),
    ],
  ])('%s', (cel, known) => {
    const began = performance.now()
    expect(evaluate(cel, known)).toBeUndefined()
    expect(performance.now() - began).toBeLessThan(400)
  })
})

describe('an expression is what CEL makes of it', () => {
  const call = aCall({
    method: 'POST',
    path: '/shop.v1.Payments/Refund',
    query: 'dry=1&q=a%20b',
    headers: [
      ['x-env', 'prod'],
      ['n', '12'],
    ],
  })
  const known: KnownFacts = {
    http: {
      ...call,
      body: jsonBody({
        amount: 150.5,
        method: 'tools/call',
        params: { name: 'pay', tags: ['a', 'b'] },
        big: [{ id: 1 }, { id: 2 }],
        none: null,
      }),
    },
    user: aUser({
      mfaVerified: true,
      roles: ['admin', 'dev'],
      claims: { level: 4, groups: ['g1', 'g2'], nested: { deep: { x: 'y' } }, 'https://a.b/c': true },
      authTimeMs: Date.UTC(2026, 10, 23, 21, 20),
    }),
    workload: 'spiffe://cluster.local/ns/shop/sa/checkout-service',
    caller: aService({
      id: 'shop/checkout-service',
      name: 'checkout-service',
      labels: new Map([['tier', 'web']]),
    }),
    endpoint: anEndpoint(),
    sourceIp: '::ffff:10.0.0.1',
    port: 443,
    sni: 'Pay.Example',
    riskScore: 40,
  }
  test.each<[cel: string, holds: boolean]>([
    ["user.mfa && request.headers['x-env'] == 'prod'", true],
    ["user.mfa && request.headers['X-Env'] == 'test'", false],
    ["user.email == 'x' || user.mfa", true],
    ["user.email == 'x' && !user.mfa", false],
    ["has(user.email) && user.email == 'x'", false],
    ['!has(user.email)', true],
    ["has(request.headers.n) && 'n' in request.headers && !('m' in request.headers)", true],
    ["request.query.q == 'a b' && request.query['dry'] == '1'", true],
    ["'admin' in user.roles && user.roles.exists_one(r, r.startsWith('de')) && size(user.roles) == 2", true],
    ["user.roles.all(r, r in ['admin', 'dev', 'x'])", true],
    ["user.roles[0] == 'admin' && user.roles.size() < 3", true],
    ["user.claims.level >= 4 && user.claims['level'] + 1 == 5", true],
    ["user.claims.nested.deep.x == 'y' && user.claims['https://a.b/c']", true],
    [
      "request.auth.claims.nested['deep'].x == 'y' && has(user.claims.nested.deep) && !has(user.claims.nested.no.no)",
      true,
    ],
    ["'level' in user.claims && 'g2' in user.groups && user.groups[1] == 'g2'", true],
    ['user.authAge / 60 == 10', true],
    ['user.authAge < 900 && risk.score < 50', true],
    ["workload.service == 'checkout-service' && workload.service == 'shop/checkout-service'", true],
    ["workload.namespace == 'shop' && workload.labels.tier == 'web'", true],
    ["source.ip == '10.0.0.1' && source.ip in ['::ffff:10.0.0.1', '10.0.0.2']", true],
    ["destination.port in [443, 8443] && connection.sni == 'PAY.example'", true],
    ["request.grpc.service == 'shop.v1.Payments' && request.grpc.method.matches('^Ref[a-z]{3}$')", true],
    ["time.hour == 21 && time.weekday == 'Mon' && time.date >= '2026-01-01' && time.ofDay > '21:00'", true],
    ["target.endpoint == 'ProcessPayment' && target.sensitivity != 'Low'", true],
    [
      "int(request.headers.n) * 2 == 24 && double(request.headers.n) < 12.5 && string(destination.port) == '443'",
      true,
    ],
    ["request.headers['x-env'].upperAscii() == 'PROD' && 'ABC'.lowerAscii().contains('b')", true],
    ['request.body.amount > 150 && request.body.amount * 2 == 301', true],
    [
      "request.body.method == 'tools/call' && request.body.params.name in ['pay'] && request.body['params']['tags'][1] == 'b'",
      true,
    ],
    ['request.body.big.exists(o, o.id == 2) && request.body.big.all(o, has(o.id) && !has(o.no))', true],
    [
      'has(request.body.params.name) && !has(request.body.params.no) && !has(request.body.none) && has(request.body)',
      true,
    ],
    ["user.roles.exists(r, ['admin', 'root'].exists(s, s == r))", true],
    ['user.mfa ? risk.score < 30 : false', false],
    ['size("añ𝒳") == 3', true],
    ['request.body.params == request.body.params && !(request.body.big[0] == request.body.big[1])', true],
    ["'x' != request.body.method && request.body.amount == request.body.amount", true],
    ["[1, 'a'] != [2, request.body.amount] && ['a'] != ['a', request.body.amount]", true],
    ["'a' in ['a', request.body.amount] && 12 != request.body.amount && int('12') == 12.0", true],
    ["request.body.big.exists(o, o == null || o.id == 2) && request.body.params.tags.all(t, t < 'c')", true],
    ["'pay'.endsWith('ay') && !request.body.params.name.startsWith('ay') && 'b' >= 'a' && 'b' <= 'b'", true],
    ["!('no' in request.body.params) && 'name' in request.body.params", true],
  ])('%s', (cel, holds) => {
    expect(evaluate(cel, known)).toBe(holds)
  })
})

describe('work on long texts counts, so that a body can not make it long', () => {
  const long = 'a'.repeat(30_000)
  const l = Array.from({ length: 1000 }, () => 1)
  test.each<[cel: string, body: object]>([
    ['request.body.l.all(i, request.body.s.startsWith(request.body.t))', { l, s: long, t: long }],
    ['request.body.l.all(i, request.body.s.endsWith(request.body.t))', { l, s: long, t: long }],
    ['request.body.l.all(i, request.body.s <= request.body.t)', { l, s: long, t: long }],
    ['request.body.l.all(i, !(request.body.s < request.body.t))', { l, s: long, t: long }],
    ['request.body.l.all(i, request.body.s >= request.body.t)', { l, s: long, t: long }],
    ['request.body.l.all(i, !(request.body.s > request.body.t))', { l, s: long, t: long }],
    ['request.body.l.all(i, request.body.s == request.body.t)', { l, s: long, t: long }],
  ])('%s', (cel, body) => {
    const of = (value: object) => evaluate(cel, withBody(value))
    expect(of({ ...body, l: [1] })).toBe(true)
    expect(of(body)).toBeUndefined()
  })
})

test('conditions beside an expression are all asked, whatever their order', () => {
  const conditions = [{ cel: 'user.claims.level > 3' }, { key: 'user.mfa', is: true }]
  const user = aUser({ mfaVerified: false })
  expect(compile(conditions).holds(factsOf({ user }))).toBe(false)
  expect(compile(conditions.toReversed()).holds(factsOf({ user }))).toBe(false)
})

test('only what an expression comes to look at is read', () => {
  let reads = 0
  const body: RequestBody = { read: () => ({ ok: true, value: { a: (reads += 1) }, repeated: new Set() }) }
  expect(evaluate('user.mfa && request.body.a == 1', { user: aUser(), http: { ...aCall(), body } })).toBe(
    false,
  )
  expect(reads).toBe(0)
})

test('keys and cost are told of conditions as written', () => {
  expect(keysOf({ key: 'user.id' })).toEqual(['user.id'])
  expect(
    keysOf({ cel: "has(user.email) && user.email == risk.level && request.body.a['b'] == client.country" }),
  ).toEqual(['user.email', 'risk.level', 'request.body[a][b]', 'client.country'])
  expect(keysOf({ cel: 'device.managed || time.hour < 6' })).toEqual(['device.managed', 'time.hour'])
  expect(keysOf({ cel: '((' })).toEqual([])
  expect(costOf([{ key: 'user.id', present: true }, { cel: 'user.mfa' }, { cel: '((' }])).toBe(4)
  expect(costOf([{ cel: "user.roles.exists(r, r == 'a')" }])).toBeGreaterThan(5000)
})
