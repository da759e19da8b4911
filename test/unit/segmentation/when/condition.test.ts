import { describe, expect, test } from '@jest/globals'
import {
  compileConditions,
  type Condition,
  type ConditionScope,
} from '../../../../src/segmentation/when/condition.js'
import {
  aCall,
  anEndpoint,
  aService,
  aUser,
  factsOf,
  NOW_MS,
  type KnownFacts,
} from '../../../support/facts.js'

const SCOPE: ConditionScope = {
  namespace: 'shop',
  localTrustDomain: 'cluster.local',
  hasPlaces: true,
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

describe('a condition that says nothing clear is refused at load', () => {
  test.each<{ condition: Condition; fault: string }>([
    {
      condition: { key: 'user.rols', values: ['a'] },
      fault: '0.key condition-key: no key `user.rols`; did you mean `user.roles`?',
    },
    { condition: { key: 'tier', values: ['a'] }, fault: '0.key condition-key: no key `tier`' },
    {
      condition: { key: 'user.claims', present: true },
      fault:
        '0.key condition-key: `user.claims` should be `user.claims[name]` or `user.claims[outer][inner]`',
    },
    {
      condition: { key: 'request.headers[a][b]', present: true },
      fault: '0.key condition-key: `request.headers[a][b]` should be `request.headers[name]`',
    },
    {
      condition: { key: 'request.headers[:path]', present: true },
      fault: '0.key condition-key: `request.headers[:path]` should be `request.headers[name]`',
    },
    {
      condition: { key: 'user.roles[0]', present: true },
      fault: '0.key condition-key: `user.roles` takes no brackets',
    },
    {
      condition: { key: 'user.claims[a', present: true },
      fault: '0.key condition-key: no key `user.claims[a`; did you mean `user.claims`?',
    },
    {
      condition: { key: 'device.managed', is: true },
      fault:
        '0.key condition-no-source: `device.managed` has no source in this configuration: set `deviceInventory` in portcullis.yaml',
    },
    {
      condition: { key: 'risk.level', values: ['severe'] },
      fault: '0.values condition-value: `severe` is none of low, medium, high',
    },
    {
      condition: { key: 'client.country', values: ['Germany'] },
      fault: '0.values condition-value: `Germany` is no country such as DE (ISO 3166-1, two capitals)',
    },
    {
      condition: { key: 'request.body', present: true },
      fault:
        '0.key condition-key: `request.body` should be `request.body[name]` or `request.body[outer][inner]`',
    },
    {
      condition: { key: 'user.roles' },
      fault:
        '0.key condition-operator: `user.roles` is compared with nothing: add one of values, notValues, present',
    },
    {
      condition: { key: 'user.roles', above: 3 },
      fault:
        "0.above condition-operator: `above` doesn't fit `user.roles`, which takes values, notValues, present",
    },
    {
      condition: { key: 'user.mfa', values: ['true'] },
      fault: "0.values condition-operator: `values` doesn't fit `user.mfa`, which takes is, present",
    },
    {
      condition: { key: 'risk.score', is: true },
      fault:
        "0.is condition-operator: `is` doesn't fit `risk.score`, which takes values, notValues, present, above, below, atLeast, atMost, between",
    },
    {
      condition: { key: 'time.ofDay', values: ['22:00'] },
      fault: "0.values condition-operator: `values` doesn't fit `time.ofDay`, which takes between",
    },
    {
      condition: { key: 'user.id', values: ['a'], zone: 'UTC' },
      fault: '0.zone condition-operator: `zone` belongs to time.* keys alone',
    },
    {
      condition: { key: 'risk.score', above: 101 },
      fault: "0.above condition-value: `risk.score` is between 0 and 100, so 101 can't be meant",
    },
    {
      condition: { key: 'destination.port', values: ['http'] },
      fault: '0.values condition-value: `http` is not a number',
    },
    {
      condition: { key: 'destination.port', between: ['90', '80'] },
      fault: '0.between condition-value: 90 is greater than 80',
    },
    {
      condition: { key: 'user.id', values: ['a*b'] },
      fault: '0.values condition-value: `a*b`: a * stands alone, first or last, and once',
    },
    {
      condition: { key: 'user.id', notValues: ['*a*'] },
      fault: '0.notValues condition-value: `*a*`: a * stands alone, first or last, and once',
    },
    {
      condition: { key: 'request.method', values: ['get'] },
      fault: '0.values condition-value: methods are compared as sent, in capitals: did you mean `GET`?',
    },
    {
      condition: { key: 'device.trust', values: ['High'] },
      fault: '0.values condition-value: `High` is none of high, medium, low',
    },
    {
      condition: { key: 'target.sensitivity', values: ['high'] },
      fault: '0.values condition-value: `high` is none of Low, Medium, High',
    },
    {
      condition: { key: 'workload.service', values: ['*-service'] },
      fault: '0.values condition-value: write `shop/*`, `*/name` or whole names',
    },
    {
      condition: { key: 'source.ip', cidr: ['10.0.0.1/8'] },
      fault:
        '0.cidr condition-value: `10.0.0.1/8` names a host inside its range; the range itself is 10.0.0.0/8',
    },
    {
      condition: { key: 'source.ip', cidr: ['10.0.0.0/33'] },
      fault: '0.cidr condition-value: `10.0.0.0/33` has a wrong prefix length',
    },
    {
      condition: { key: 'source.ip', values: ['10.0.0.0/8'] },
      fault: '0.values condition-value: `10.0.0.0/8` is not one IP address; ranges belong in `cidr`',
    },
    {
      condition: { key: 'time.hour', above: 24 },
      fault: "0.above condition-value: `time.hour` is between 0 and 23, so 24 can't be meant",
    },
    {
      condition: { key: 'time.weekday', values: ['Funday'] },
      fault: "0.values condition-value: `Funday` doesn't fit `time.weekday`; write Mon or Monday",
    },
    {
      condition: { key: 'time.date', values: ['2026-02-30'] },
      fault: '0.values condition-value: `2026-02-30` doesn\'t fit `time.date`; write "2026-12-24"',
    },
    {
      condition: { key: 'time.date', between: ['2027-01-02', '2026-12-24'] },
      fault: '0.between condition-value: from 2027-01-02 to 2026-12-24 is no time at all',
    },
    {
      condition: { key: 'time.ofDay', between: ['22:00', '22:00'] },
      fault: '0.between condition-value: from 22:00 to 22:00 is no time at all',
    },
    {
      condition: { key: 'time.ofDay', between: ['22:00', '6:00'] },
      fault: '0.between condition-value: `6:00` doesn\'t fit `time.ofDay`; write "22:00"',
    },
    {
      condition: { key: 'time.hour', values: ['9'], zone: 'Europe/Berln' },
      fault:
        '0.zone condition-value: `Europe/Berln` is not a known time zone; write one such as Europe/Berlin',
    },
  ])('$fault', ({ condition, fault }) => {
    expect(compile([condition]).faults).toEqual([fault])
  })

  test('a bare service name in a cluster-wide kind', () => {
    const { faults } = compile([{ key: 'target.service', values: ['payment-service'] }], {
      ...SCOPE,
      namespace: undefined,
    })
    expect(faults).toEqual([
      '0.values condition-value: write the service as namespace/name, not `payment-service`',
    ])
  })

  test('all faults are told at once, with their places', () => {
    const { faults } = compile([
      { key: 'user.rols', values: ['a'] },
      { key: 'user.mfa', above: 3, cidr: ['x'] },
    ])
    expect(faults.map((fault) => fault.split(':', 1)[0])).toEqual([
      '0.key condition-key',
      '1.above condition-operator',
      '1.cidr condition-operator',
    ])
  })
})

type Row = { readonly name: string; readonly when: Condition; readonly facts: KnownFacts }
const holds = ({ when, facts }: Row) => {
  const { faults, holds: evaluate } = compile([when])
  expect(faults).toEqual([])
  return evaluate(factsOf(facts))
}

describe("what can't be evaluated is neither true nor false", () => {
  test.each<Row>([
    { name: 'no user', when: { key: 'user.roles', notValues: ['x'] }, facts: {} },
    { name: 'no user: mfa', when: { key: 'user.mfa', is: false }, facts: {} },
    {
      name: 'roles that the token lacks',
      when: { key: 'user.roles', notValues: ['x'] },
      facts: { user: aUser() },
    },
    {
      name: 'roles of a wrong type',
      when: { key: 'user.roles', notValues: ['x'] },
      facts: { user: aUser({ claims: { roles: { x: 1 } } }) },
    },
    {
      name: 'no email',
      when: { key: 'user.email', notValues: ['*@evil.example'] },
      facts: { user: aUser() },
    },
    {
      name: 'claim absent',
      when: { key: 'user.claims[tenant]', notValues: ['x'] },
      facts: { user: aUser() },
    },
    {
      name: 'claim null',
      when: { key: 'user.claims[tenant]', notValues: ['x'] },
      facts: { user: aUser({ claims: { tenant: null } }) },
    },
    {
      name: 'claim inherited, not own',
      when: { key: 'user.claims[constructor][name]', values: ['*'] },
      facts: { user: aUser() },
    },
    {
      name: 'claim is an object',
      when: { key: 'user.claims[tenant]', notValues: ['x'] },
      facts: { user: aUser({ claims: { tenant: { id: 'x' } } }) },
    },
    {
      name: 'claim is a mixed list',
      when: { key: 'user.claims[t]', values: ['x'] },
      facts: { user: aUser({ claims: { t: ['x', null] } }) },
    },
    {
      name: 'text is no number',
      when: { key: 'user.claims[level]', atLeast: 3 },
      facts: { user: aUser({ claims: { level: '5' } }) },
    },
    {
      name: 'text is no boolean',
      when: { key: 'user.claims[staff]', is: true },
      facts: { user: aUser({ claims: { staff: 'true' } }) },
    },
    {
      name: 'header absent',
      when: { key: 'request.headers[x-env]', notValues: ['dev'] },
      facts: { http: aCall() },
    },
    {
      name: 'header repeated',
      when: { key: 'request.headers[x-env]', values: ['prod'] },
      facts: {
        http: aCall({
          headers: [
            ['x-env', 'prod'],
            ['x-env', 'prod'],
          ],
        }),
      },
    },
    {
      name: 'header joined by a comma',
      when: { key: 'request.headers[x-env]', values: ['prod*'] },
      facts: { http: aCall({ headers: [['x-env', 'prod,dev']] }) },
    },
    { name: 'header of a TCP check', when: { key: 'request.headers[x-env]', present: false }, facts: {} },
    {
      name: 'parameter repeated',
      when: { key: 'request.query[debug]', values: ['0'] },
      facts: { http: aCall({ query: 'debug=0&debug=1' }) },
    },
    {
      name: 'parameter repeated under an escaped name',
      when: { key: 'request.query[debug]', values: ['0'] },
      facts: { http: aCall({ query: 'debug=0&d%65bug=1' }) },
    },
    {
      name: 'a malformed query could hide it',
      when: { key: 'request.query[debug]', present: false },
      facts: { http: aCall({ query: 'a=1&%zz=1' }) },
    },
    {
      name: 'a semicolon may separate',
      when: { key: 'request.query[debug]', present: false },
      facts: { http: aCall({ query: 'a=1;debug=1' }) },
    },
    {
      name: 'a claim within a list',
      when: { key: 'user.claims[org][admin]', present: false },
      facts: { user: aUser({ claims: { org: [{ admin: true }] } }) },
    },
    {
      name: 'a claim within text',
      when: { key: 'user.claims[org][admin]', present: false },
      facts: { user: aUser({ claims: { org: 'admin' } }) },
    },
    { name: 'method of a TCP check', when: { key: 'request.method', notValues: ['POST'] }, facts: {} },
    {
      name: 'no gRPC method in a longer path',
      when: { key: 'request.grpc.service', values: ['*'] },
      facts: { http: aCall({ path: '/a/b/c' }) },
    },
    { name: 'no peer address', when: { key: 'source.ip', cidr: ['0.0.0.0/0'] }, facts: {} },
    {
      name: 'peer is a pipe',
      when: { key: 'source.ip', cidr: ['0.0.0.0/0'] },
      facts: { sourceIp: '@/run/x' },
    },
    { name: 'risk not evaluated', when: { key: 'risk.score', below: 10 }, facts: {} },
    {
      name: 'authentication time unknown',
      when: { key: 'user.authAge', atMost: 900 },
      facts: { user: aUser() },
    },
    {
      name: 'authenticated in the future',
      when: { key: 'user.authAge', atMost: 900 },
      facts: { user: aUser({ authTimeMs: NOW_MS + 61_000 }) },
    },
    { name: 'no SNI', when: { key: 'connection.sni', notValues: ['x'] }, facts: {} },
    {
      name: 'workload without a document',
      when: { key: 'workload.namespace', values: ['*'] },
      facts: { workload: 'spiffe://cluster.local/ns/shop/sa/x' },
    },
    {
      name: 'a federated workload is in no namespace',
      when: { key: 'workload.namespace', values: ['shop'] },
      facts: { workload: 'spiffe://other.example/ns/shop/sa/x', caller: aService() },
    },
    {
      name: 'label absent',
      when: { key: 'workload.labels[tier]', notValues: ['dev'] },
      facts: { caller: aService() },
    },
    {
      name: 'target without a document',
      when: { key: 'target.namespace', notValues: ['prod'] },
      facts: { targetService: undefined },
    },
    { name: 'no endpoint', when: { key: 'target.sensitivity', notValues: ['High'] }, facts: {} },
    { name: 'no device trust', when: { key: 'device.trust', notValues: ['low'] }, facts: { user: aUser() } },
  ])('$name', (row) => {
    expect(holds(row)).toBeUndefined()
  })
})

describe('what does not hold is false', () => {
  test.each<Row>([
    { name: 'mfa is false unless claimed', when: { key: 'user.mfa', is: true }, facts: { user: aUser() } },
    {
      name: 'no element of the list',
      when: { key: 'user.roles', values: ['admin'] },
      facts: { user: aUser({ roles: ['clerk', 'Admin'] }) },
    },
    {
      name: 'an explicitly empty list',
      when: { key: 'user.roles', values: ['*'] },
      facts: { user: aUser({ claims: { roles: [] } }) },
    },
    {
      name: 'one element refused',
      when: { key: 'user.roles', notValues: ['int*'] },
      facts: { user: aUser({ roles: ['clerk', 'intern'] }) },
    },
    { name: 'above is exclusive', when: { key: 'risk.score', above: 70 }, facts: { riskScore: 70 } },
    { name: 'below is exclusive', when: { key: 'risk.score', below: 70 }, facts: { riskScore: 70 } },
    {
      name: 'one operator of several',
      when: { key: 'risk.score', above: 10, below: 20 },
      facts: { riskScore: 20 },
    },
    {
      name: 'a bare service name is of the own namespace',
      when: { key: 'workload.service', values: ['checkout'] },
      facts: { caller: aService({ id: 'evil/checkout', namespace: 'evil' }) },
    },
    {
      name: 'an IPv6 range of everything holds no IPv4',
      when: { key: 'source.ip', cidr: ['::/0'] },
      facts: { sourceIp: '10.1.2.3' },
    },
    {
      name: 'an address just outside',
      when: { key: 'source.ip', cidr: ['10.0.0.0/9'] },
      facts: { sourceIp: '10.128.0.0' },
    },
    {
      name: 'refused address, mapped',
      when: { key: 'source.ip', notValues: ['10.0.0.1'] },
      facts: { sourceIp: '::ffff:10.0.0.1' },
    },
    {
      name: 'a time range ends before its end',
      when: { key: 'time.ofDay', between: ['09:00', '21:30'] },
      facts: {},
    },
    { name: 'outside a wrapped range', when: { key: 'time.ofDay', between: ['22:00', '06:00'] }, facts: {} },
    {
      name: 'another weekday in the zone',
      when: { key: 'time.weekday', values: ['Mon'], zone: 'Asia/Tokyo' },
      facts: {},
    },
    {
      name: 'absent is not present',
      when: { key: 'user.claims[tenant]', present: true },
      facts: { user: aUser() },
    },
    { name: 'nobody is no user', when: { key: 'user.id', present: true }, facts: {} },
    {
      name: 'a repeated header is there',
      when: { key: 'request.headers[x-env]', present: false },
      facts: {
        http: aCall({
          headers: [
            ['x-env', 'a'],
            ['x-env', 'b'],
          ],
        }),
      },
    },
    {
      name: 'a repeated parameter is there',
      when: { key: 'request.query[a]', present: false },
      facts: { http: aCall({ query: 'a=1&a=2' }) },
    },
    {
      name: 'a whole claim of scopes is not one of them',
      when: { key: 'user.claims[scope]', values: ['a b'] },
      facts: { user: aUser({ claims: { scope: 'a b' } }) },
    },
  ])('$name', (row) => {
    expect(holds(row)).toBe(false)
  })
})

describe('what holds is true', () => {
  test.each<Row>([
    {
      name: 'issuer',
      when: { key: 'user.issuer', values: ['https://idp.example'] },
      facts: { user: aUser() },
    },
    { name: 'id', when: { key: 'user.id', values: ['al*'] }, facts: { user: aUser() } },
    {
      name: 'email by suffix',
      when: { key: 'user.email', values: ['*@shop.example'] },
      facts: { user: aUser({ email: 'a@shop.example' }) },
    },
    {
      name: 'any role',
      when: { key: 'user.roles', values: ['admin', 'clerk'] },
      facts: { user: aUser({ roles: ['x', 'clerk'] }) },
    },
    {
      name: 'scopes',
      when: { key: 'user.scopes', values: ['orders:*'] },
      facts: { user: aUser({ scopes: ['orders:read'] }) },
    },
    {
      name: 'groups by mapped claim',
      when: { key: 'user.groups', values: ['eng'] },
      facts: { user: aUser({ claims: { groups: ['eng'] } }) },
    },
    {
      name: 'department',
      when: { key: 'user.department', values: ['finance'] },
      facts: { user: aUser({ claims: { department: 'finance' } }) },
    },
    {
      name: 'clearance',
      when: { key: 'user.clearance', atLeast: 3 },
      facts: { user: aUser({ claims: { clearance: 3 } }) },
    },
    {
      name: 'nested claim',
      when: { key: 'user.claims[realm_access][roles]', values: ['a'] },
      facts: { user: aUser({ claims: { realm_access: { roles: ['a'] } } }) },
    },
    {
      name: 'nested claim in a Map',
      when: { key: 'user.claims[realm_access][roles]', values: ['a'] },
      facts: { user: aUser({ claims: { realm_access: new Map([['roles', ['a']]]) } }) },
    },
    {
      name: "Istio's spelling",
      when: { key: 'request.auth.claims[role]', values: ['payment-processor'] },
      facts: { user: aUser({ claims: { role: 'payment-processor' } }) },
    },
    {
      name: 'a claim named as a URL',
      when: { key: 'user.claims[https://x.example/tenant]', values: ['42'] },
      facts: { user: aUser({ claims: { 'https://x.example/tenant': 42 } }) },
    },
    {
      name: 'a claim of scopes',
      when: { key: 'user.claims[scope]', values: ['b'] },
      facts: { user: aUser({ claims: { scope: 'a b' } }) },
    },
    {
      name: 'claim true',
      when: { key: 'user.claims[staff]', is: true },
      facts: { user: aUser({ claims: { staff: true } }) },
    },
    {
      name: 'claim false is present',
      when: { key: 'user.claims[staff]', present: true },
      facts: { user: aUser({ claims: { staff: false } }) },
    },
    { name: 'no mfa', when: { key: 'user.mfa', is: false }, facts: { user: aUser() } },
    { name: 'acr', when: { key: 'user.acr', values: ['mfa'] }, facts: { user: aUser({ acr: 'mfa' }) } },
    {
      name: 'amr',
      when: { key: 'user.amr', values: ['hwk'] },
      facts: { user: aUser({ amr: ['pwd', 'hwk'] }) },
    },
    {
      name: 'age in seconds',
      when: { key: 'user.authAge', atMost: 900 },
      facts: { user: aUser({ authTimeMs: NOW_MS - 900_000 }) },
    },
    {
      name: 'a little clock skew',
      when: { key: 'user.authAge', atMost: 0 },
      facts: { user: aUser({ authTimeMs: NOW_MS + 30_000 }) },
    },
    {
      name: 'workload',
      when: { key: 'workload.id', values: ['spiffe://cluster.local/ns/shop/*'] },
      facts: { workload: 'spiffe://cluster.local/ns/shop/sa/x' },
    },
    {
      name: 'trust domain',
      when: { key: 'workload.trustDomain', values: ['Cluster.Local'] },
      facts: { workload: 'spiffe://cluster.local/ns/shop/sa/x' },
    },
    {
      name: 'namespace',
      when: { key: 'workload.namespace', values: ['shop'] },
      facts: { workload: 'spiffe://cluster.local/ns/shop/sa/x', caller: aService() },
    },
    {
      name: 'service of the own namespace',
      when: { key: 'workload.service', values: ['payment-*'] },
      facts: { caller: aService() },
    },
    {
      name: 'service of any namespace',
      when: { key: 'workload.service', values: ['*/payment-service'] },
      facts: { caller: aService() },
    },
    {
      name: 'label',
      when: { key: 'workload.labels[tier]', values: ['core'] },
      facts: { caller: aService({ labels: new Map([['tier', 'core']]) }) },
    },
    { name: 'method', when: { key: 'request.method', values: ['POST'] }, facts: { http: aCall() } },
    { name: 'path', when: { key: 'request.path', values: ['/api/*'] }, facts: { http: aCall() } },
    {
      name: 'host',
      when: { key: 'request.host', values: ['*.Example.COM'] },
      facts: { http: aCall({ host: 'a.example.com' }) },
    },
    {
      name: 'header by any case',
      when: { key: 'request.headers[X-Env]', values: ['prod'] },
      facts: { http: aCall({ headers: [['x-env', 'prod']] }) },
    },
    {
      name: 'parameter decoded',
      when: { key: 'request.query[q]', values: ['a b'] },
      facts: { http: aCall({ query: 'x=1&q=a%20b' }) },
    },
    {
      name: 'parameter without a value',
      when: { key: 'request.query[q]', values: [''] },
      facts: { http: aCall({ query: 'q' }) },
    },
    {
      name: 'gRPC service',
      when: { key: 'request.grpc.service', values: ['shop.v1.Payments'] },
      facts: { http: aCall({ path: '/shop.v1.Payments/Refund' }) },
    },
    {
      name: 'gRPC method',
      when: { key: 'request.grpc.method', values: ['Refund'] },
      facts: { http: aCall({ path: '/shop.v1.Payments/Refund' }) },
    },
    {
      name: 'mapped IPv4',
      when: { key: 'source.ip', cidr: ['192.168.0.0/16', '10.0.0.0/8'] },
      facts: { sourceIp: '::ffff:10.1.2.3' },
    },
    {
      name: 'mapped range',
      when: { key: 'source.ip', cidr: ['::ffff:10.0.0.0/104'] },
      facts: { sourceIp: '10.1.2.3' },
    },
    {
      name: 'IPv6',
      when: { key: 'source.ip', cidr: ['2001:db8::/33'] },
      facts: { sourceIp: '2001:db8:7fff::1' },
    },
    {
      name: 'one address',
      when: { key: 'source.ip', values: ['::1'] },
      facts: { sourceIp: '0:0:0:0:0:0:0:1' },
    },
    { name: 'port', when: { key: 'destination.port', values: ['5432'] }, facts: { port: 5432 } },
    {
      name: 'port range',
      when: { key: 'destination.port', between: ['5000', '5432'] },
      facts: { port: 5432 },
    },
    { name: 'SNI', when: { key: 'connection.sni', values: ['a.example'] }, facts: { sni: 'A.example' } },
    {
      name: 'device',
      when: { key: 'device.id', values: ['laptop-1'] },
      facts: { user: aUser({ deviceId: 'laptop-1' }) },
    },
    {
      name: 'device trust',
      when: { key: 'device.trust', notValues: ['low'] },
      facts: { user: aUser({ deviceTrust: 'high' }) },
    },
    {
      name: 'session',
      when: { key: 'session.id', present: true },
      facts: { user: aUser({ sessionId: 's' }) },
    },
    { name: 'risk', when: { key: 'risk.score', above: 70 }, facts: { riskScore: 70.5 } },
    { name: 'hour in UTC', when: { key: 'time.hour', values: ['21'] }, facts: {} },
    { name: 'hours with their last', when: { key: 'time.hour', between: ['20', '21'] }, facts: {} },
    { name: 'hour in a zone', when: { key: 'time.hour', atLeast: 22, zone: 'Europe/Berlin' }, facts: {} },
    {
      name: 'weekday over the week end',
      when: { key: 'time.weekday', between: ['sat', 'Monday'] },
      facts: {},
    },
    {
      name: 'date in a zone',
      when: { key: 'time.date', values: ['2026-11-24'], zone: 'Asia/Tokyo' },
      facts: {},
    },
    {
      name: 'dates with their last',
      when: { key: 'time.date', between: ['2026-11-01', '2026-11-23'] },
      facts: {},
    },
    { name: 'a wrapped range', when: { key: 'time.ofDay', between: ['21:30', '06:00'] }, facts: {} },
    { name: 'until midnight', when: { key: 'time.ofDay', between: ['20:00', '24:00'] }, facts: {} },
    { name: 'target', when: { key: 'target.service', values: ['payment-service'] }, facts: {} },
    {
      name: 'endpoint',
      when: { key: 'target.endpoint', values: ['Process*'] },
      facts: { endpoint: anEndpoint() },
    },
    {
      name: 'sensitivity',
      when: { key: 'target.sensitivity', notValues: ['High'] },
      facts: { endpoint: anEndpoint() },
    },
  ])('$name', (row) => {
    expect(holds(row)).toBe(true)
  })
})

describe('AND has three values and no order', () => {
  const yes: Condition = { key: 'risk.score', above: 0 }
  const no: Condition = { key: 'risk.score', above: 50 }
  const unknown: Condition = { key: 'user.id', values: ['x'] }
  test.each([
    { when: [no, unknown], expected: false },
    { when: [unknown, no], expected: false },
    { when: [yes, unknown, yes], expected: undefined },
    { when: [yes, yes], expected: true },
    { when: [], expected: true },
  ])('$when gives $expected', ({ when, expected }) => {
    expect(compile(when).holds(factsOf({ riskScore: 20 }))).toBe(expected)
  })
})

test('one clock serves many minutes', () => {
  const { holds: evening } = compile([
    { key: 'time.ofDay', between: ['22:00', '23:00'], zone: 'Europe/Berlin' },
  ])
  const at = (minutes: number) => evening(factsOf({ nowMs: NOW_MS + minutes * 60_000 }))
  expect([at(-31), at(-30), at(0), at(29), at(30), at(-31)]).toEqual([false, true, true, true, false, false])
})

test('client.country needs something that knows places', () => {
  const { faults } = compile([{ key: 'client.country', values: ['DE'] }], { ...SCOPE, hasPlaces: false })
  expect(faults).toEqual([
    '0.key condition-no-source: `client.country` has no source in this configuration: set `geo` in portcullis.yaml',
  ])
})

describe('where a call comes from, its session and its risk', () => {
  const client = { ip: '203.0.113.9', country: 'DE', isPublic: true }
  test.each<[Condition, KnownFacts, boolean | undefined]>([
    [{ key: 'client.ip', cidr: ['203.0.113.0/24'] }, {}, undefined],
    [{ key: 'client.country', notValues: ['US'] }, {}, undefined],
    [{ key: 'session.age', above: 60 }, {}, undefined],
    [{ key: 'session.idle', above: 60 }, {}, undefined],
    [{ key: 'risk.level', values: ['high'] }, {}, undefined],
    [{ key: 'client.ip', cidr: ['198.51.100.0/24'] }, { client }, false],
    [{ key: 'client.ip', cidr: ['203.0.113.0/24'] }, { client }, true],
    [{ key: 'remote.ip', cidr: ['203.0.113.0/24'] }, { client }, true],
    [{ key: 'client.country', values: ['US', 'CA'] }, { client }, false],
    [{ key: 'client.country', notValues: ['US', 'CA'] }, { client }, true],
    [{ key: 'session.age', above: 3600 }, { session: { ageMs: 3_600_000, idleMs: 0 } }, false],
    [{ key: 'session.age', above: 3600 }, { session: { ageMs: 3_600_001, idleMs: 0 } }, true],
    [{ key: 'session.idle', above: 60 }, { session: { ageMs: 3_600_001, idleMs: 61_000 } }, true],
    [{ key: 'risk.level', values: ['medium', 'high'] }, { riskLevel: 'low' }, false],
    [{ key: 'risk.level', values: ['medium', 'high'] }, { riskLevel: 'high' }, true],
  ])('%j', (condition, facts, expected) => {
    const compiled = compile([condition])
    expect(compiled.faults).toEqual([])
    expect(compiled.holds(factsOf(facts))).toBe(expected)
  })
})
