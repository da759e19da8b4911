import { describe, expect, test } from '@jest/globals'
import { formatProblem } from '../../../../src/schema/problem.js'
import { parseResource, type Resource } from '../../../../src/policy/resources/resource.js'
import { type InForce, settle, type Settled } from '../../../../src/policy/resources/settle.js'
import { statusOf } from '../../../../src/policy/resources/status.js'

const OPTIONS = {
  localTrustDomain: 'cluster.local',
  trustDomains: ['partner.example'],
  grants: new Map([['shop', ['shop.example.com', '*.pay.example']]]),
}

type Meta = {
  readonly uid?: string
  readonly generation?: number
  readonly created?: number
  readonly labels?: Readonly<Record<string, string>>
  readonly status?: unknown
}

function resource(kind: string, id: string, spec: unknown, meta: Meta = {}): Resource {
  const [namespace, name = id] = id.includes('/') ? id.split('/') : [undefined, id]
  const parsed = parseResource(kind, {
    apiVersion: 'portcullis.dev/v1beta1',
    kind,
    metadata: {
      name,
      ...(namespace !== undefined && { namespace }),
      uid: meta.uid ?? `uid of ${kind} ${id}`,
      generation: meta.generation ?? 1,
      resourceVersion: '1',
      creationTimestamp: `2026-01-01T00:00:${String(meta.created ?? 0).padStart(2, '0')}Z`,
      ...(meta.labels && { labels: meta.labels }),
    },
    spec,
    status: meta.status,
  })
  if (!parsed.ok) throw new Error(parsed.problem)
  return parsed.resource
}

const service = (id: string, spec: unknown = {}, meta: Meta = {}): Resource =>
  resource('ServicePolicy', id, spec, meta)

function settled(
  resources: readonly Resource[],
  before: ReadonlyMap<string, InForce> = new Map(),
): Extract<Settled, { ok: true }> {
  const result = settle(resources, before, OPTIONS)
  if (!result.ok) throw new Error(result.problems.map(formatProblem).join('\n'))
  return result
}

/** `key: in force, code at field` of every resource. */
function told({ verdicts }: Extract<Settled, { ok: true }>): string[] {
  return verdicts.map(({ resource: { name }, inForce, problems, unresolved }) => {
    const faults = problems.map(({ code, position }) => `${code} at ${position?.field}`)
    const open = unresolved.map(({ code, position }) => `(${code} at ${position?.field})`)
    return [`${name}: ${inForce}`, ...faults, ...open].join(', ')
  })
}

const ENDPOINTS = [{ name: 'Read', paths: ['/read'], methods: ['GET'] }]
const PAY = service('shop/pay', {
  endpoints: ENDPOINTS,
  rules: [{ name: 'web-reads', from: [{ services: ['web'] }] }],
})
const WEB = service('shop/web', { calls: [{ service: 'pay' }] })

describe('refuses', () => {
  test.each<[string, unknown, string]>([
    ['an unknown field', { endpints: [] }, 'unknown-field at spec.endpints'],
    ['a wrong type', { calls: 'pay' }, 'wrong-type at spec.calls'],
    [
      'a wrong path, by its place',
      { endpoints: [{ name: 'a', paths: ['/ok', '/x/*'], methods: ['GET'] }] },
      'bad-path at spec.endpoints[0].paths[1]',
    ],
    [
      "an endpoint of its own that it hasn't",
      {
        endpoints: ENDPOINTS,
        rules: [{ name: 'r', from: [{ users: true }], to: [{ endpoints: ['Write'] }] }],
      },
      'unknown-endpoint at spec.rules[0].to[0].endpoints[0]',
    ],
    [
      'the identity of another namespace',
      { identities: ['spiffe://cluster.local/ns/shop/sa/b', 'spiffe://cluster.local/ns/other/sa/b'] },
      'foreign-identity at spec.identities[1]',
    ],
    [
      'a namespace that only begins as its own',
      { identities: ['spiffe://cluster.local/ns/shop-2/sa/b'] },
      'foreign-identity at spec.identities[0]',
    ],
    [
      'every namespace at once',
      { identities: ['spiffe://cluster.local/ns/*/sa/b'] },
      'foreign-identity at spec.identities[0]',
    ],
    [
      'the identity of another trust domain',
      { identities: ['spiffe://partner.example/ns/shop/sa/b'] },
      'foreign-identity at spec.identities[0]',
    ],
    [
      'a service account that leads out of the namespace',
      { serviceAccounts: ['../../other/sa/b'] },
      'bad-service-account at spec.serviceAccounts[0]',
    ],
    [
      'a host that is granted to nobody',
      { routes: [{ host: 'shop.example.com' }, { host: 'admin.example.com' }] },
      'host-not-granted at spec.routes[1].host',
    ],
    [
      'the domain itself, where what is below it is granted',
      { routes: [{ host: 'pay.example' }] },
      'host-not-granted at spec.routes[0].host',
    ],
    [
      'a host that only ends as a granted one',
      { routes: [{ host: 'evilpay.example' }] },
      'host-not-granted at spec.routes[0].host',
    ],
  ])('%s', (_name, spec, fault) => {
    const result = settled([service('shop/a', spec), PAY, WEB])
    expect(told(result)).toEqual([`a: nothing, ${fault}`, 'pay: this', 'web: this'])
    expect([...result.loaded.policy.matrix.services.keys()].toSorted()).toEqual(['shop/pay', 'shop/web'])
  })

  test('a host in a namespace that nothing is granted to', () => {
    const other = service('other/a', { routes: [{ host: 'shop.example.com' }] })
    expect(told(settled([other]))).toEqual(['a: nothing, host-not-granted at spec.routes[0].host'])
  })

  test('of two that are new and claim the same, the younger', () => {
    const old = service('shop/old', { serviceAccounts: ['api'] }, { created: 1 })
    const young = service('shop/a-young', { serviceAccounts: ['api'] }, { created: 2 })
    expect(told(settled([young, old]))).toEqual([
      'a-young: nothing, identity-claimed-twice at spec.serviceAccounts[0]',
      'old: this',
    ])
  })

  test('a change that claims what another has in force, whoever is older', () => {
    const old = service('shop/old', {}, { created: 1 })
    const young = service('shop/young', { serviceAccounts: ['api'] }, { created: 2 })
    const first = settled([old, young])
    const greedy = service('shop/old', { serviceAccounts: ['old', 'api'] }, { created: 1, generation: 2 })
    const second = settled([greedy, young], first.inForce)
    expect(told(second)).toEqual([
      'old: earlier, identity-claimed-twice at spec.serviceAccounts[1]',
      'young: this',
    ])
    expect(second.loaded.policy.revision).toBe(first.loaded.policy.revision)
  })

  test('the same after a restart, by what the statuses say', () => {
    const greedy = service(
      'shop/old',
      { serviceAccounts: ['old', 'api'] },
      { created: 1, generation: 2, status: { programmedGeneration: 1 } },
    )
    const young = service(
      'shop/young',
      { serviceAccounts: ['api'] },
      { created: 2, status: { programmedGeneration: 1 } },
    )
    expect(told(settled([greedy, young]))).toEqual([
      'old: closed, identity-claimed-twice at spec.serviceAccounts[1]',
      'young: this',
    ])
  })

  test('a change that makes another unsound, and no other change of that moment', () => {
    const data = resource('DataPolicy', 'secret', {})
    const sql = service('shop/sql', {
      endpoints: [{ name: 'q', protocol: 'TCP', ports: [5432], dataPolicy: 'secret' }],
    })
    const first = settled([data, sql])
    expect(told(first)).toEqual(['secret: this', 'sql: this'])
    const strict = resource(
      'DataPolicy',
      'secret',
      { access: [{ role: 'dba', operations: ['Read'] }] },
      { generation: 2 },
    )
    const others = ['b', 'c', 'd'].map((name) => service(`shop/${name}`))
    const second = settled([others[0] ?? WEB, strict, ...others.slice(1), sql], first.inForce)
    expect(told(second)).toEqual([
      'b: this',
      'secret: earlier, breaks-another at spec',
      'c: this',
      'd: this',
      'sql: this',
    ])
    expect(second.verdicts[1]?.problems[0]?.message).toContain(
      'servicepolicy/shop/sql spec.endpoints[0].dataPolicy',
    )
  })
})

describe('what is refused leaves in force what was', () => {
  const broken = service('shop/pay', { endpoints: [{ name: 'Read' }] }, { generation: 2 })

  test('its last good version', () => {
    const first = settled([PAY, WEB])
    const second = settled([broken, WEB], first.inForce)
    expect(told(second)).toEqual(['pay: earlier, missing-paths at spec.endpoints[0]', 'web: this'])
    expect(second.verdicts[0]?.generation).toBe(1)
    expect(second.loaded.policy.revision).toBe(first.loaded.policy.revision)
    const third = settled([broken, service('shop/web', {}, { generation: 2 })], second.inForce)
    expect(third.verdicts[0]?.inForce).toBe('earlier')
    const mended = settled([PAY, WEB], third.inForce)
    expect(told(mended)).toEqual(['pay: this', 'web: this'])
    expect(mended.loaded.policy.revision).toBe(first.loaded.policy.revision)
  })

  test('nothing where it never was sound', () => {
    expect(told(settled([broken, WEB]))[0]).toBe('pay: nothing, missing-paths at spec.endpoints[0]')
  })

  test('nothing where it was deleted and made again', () => {
    const first = settled([PAY, WEB])
    const again = service('shop/pay', { endpoints: [{ name: 'Read' }] }, { uid: 'another' })
    expect(told(settled([again, WEB], first.inForce))[0]).toMatch(/^pay: nothing/)
  })

  test('a closed service where the version in force is not known here', () => {
    const known = service(
      'shop/pay',
      { endpoints: [{ name: 'Read' }], serviceAccounts: ['pay-2'] },
      { generation: 2, status: { programmedGeneration: 1 } },
    )
    const { loaded, verdicts } = settled([known, WEB])
    expect(verdicts[0]?.inForce).toBe('closed')
    const pay = loaded.policy.matrix.services.get('shop/pay')
    expect(pay?.identities.map(({ text }) => text)).toEqual(['spiffe://cluster.local/ns/shop/sa/pay-2'])
    expect(pay?.forbids).toMatchObject([{ name: 'not-accepted', mode: 'Enforce', from: undefined }])
  })

  test('no policy at all where such a version is of the whole mesh', () => {
    const baseline = resource(
      'BaselinePolicy',
      'default',
      { forbid: [{ name: 'x', to: [{}] }] },
      { generation: 3, status: { programmedGeneration: 2 } },
    )
    const result = settle([baseline, PAY], new Map(), OPTIONS)
    expect(result.ok ? [] : result.problems.map(formatProblem)).toEqual([
      expect.stringMatching(
        /^baselinepolicy\/default: error: generation 3 is refused \(spec\.forbid\[0\]\.to\[0\].*generation 2.*not known here/,
      ),
    ])
  })
})

describe('what is missing is closed until it is there', () => {
  test('an edge to a service and to an endpoint', () => {
    const early = service('shop/web', {
      calls: [{ service: 'pay', endpoints: ['Read', 'Refund'] }, { service: 'ghost' }],
    })
    const alone = settled([early])
    expect(told(alone)).toEqual([
      'web: this, (unknown-service at spec.calls[0].service), (unknown-service at spec.calls[1].service)',
    ])
    expect(alone.loaded.policy.matrix.counts.edges).toBe(0)
    const both = settled([early, PAY], alone.inForce)
    expect(told(both)[0]).toBe(
      'web: this, (unknown-endpoint at spec.calls[0].endpoints[1]), (unknown-service at spec.calls[1].service)',
    )
    expect(both.loaded.policy.matrix.counts.edges).toBe(1)
  })

  test('no resource at all is a policy that lets nothing pass', () => {
    const { loaded } = settled([])
    expect(loaded.policy.matrix.services.size).toBe(0)
  })
})

describe('the revision', () => {
  test('depends on what decides, and not on order or statuses', () => {
    const one = settled([PAY, WEB]).loaded.policy.revision
    expect(settled([WEB, PAY]).loaded.policy.revision).toBe(one)
    const told2 = service(
      'shop/web',
      { calls: [{ service: 'pay' }] },
      { status: { programmedGeneration: 1 } },
    )
    expect(settled([PAY, told2]).loaded.policy.revision).toBe(one)
    const labelled = service('shop/web', { calls: [{ service: 'pay' }] }, { labels: { tier: 'edge' } })
    expect(settled([PAY, labelled]).loaded.policy.revision).not.toBe(one)
  })

  test('rule sources name the resource and the field', () => {
    const pay = settled([PAY, WEB]).loaded.policy.matrix.services.get('shop/pay')
    expect(pay?.rules.map(({ source }) => source)).toEqual(['servicepolicy/shop/pay spec.rules[0]'])
  })
})

describe('the status', () => {
  test('tells the fault with its field, and what decides meanwhile', () => {
    const first = settled([PAY, WEB])
    const broken = service('shop/pay', { endpoints: [{ name: 'Read' }] }, { generation: 2 })
    const [verdict] = settled([broken, WEB], first.inForce).verdicts
    if (!verdict) throw new Error('no verdict')
    const status = statusOf(verdict, 'r1', '2026-01-01T00:00:00Z')
    expect(status).toMatchObject({ observedGeneration: 2, programmedGeneration: 1 })
    expect(
      status.conditions.map(({ type, status: is, reason, message }) => [type, is, reason, message]),
    ).toEqual([
      [
        'Accepted',
        'False',
        'Invalid',
        expect.stringMatching(/^spec\.endpoints\[0\]: an endpoint needs paths/),
      ],
      ['ResolvedRefs', 'Unknown', 'NotAccepted', 'looked for once the policy is accepted'],
      ['Programmed', 'False', 'EarlierVersion', 'decisions are made by generation 1'],
    ])
  })

  test('a condition that stays keeps its time', () => {
    const conditions = [
      {
        type: 'Accepted',
        status: 'True',
        reason: 'Accepted',
        message: 'x',
        lastTransitionTime: '2025-01-01T00:00:00Z',
      },
      {
        type: 'ResolvedRefs',
        status: 'False',
        reason: 'x',
        message: 'x',
        lastTransitionTime: '2025-01-01T00:00:00Z',
      },
    ]
    const [verdict] = settled([service('shop/a', {}, { status: { conditions } })]).verdicts
    if (!verdict) throw new Error('no verdict')
    const times = statusOf(verdict, 'r1', '2026-01-01T00:00:00Z').conditions.map(
      ({ lastTransitionTime }) => lastTransitionTime,
    )
    expect(times).toEqual(['2025-01-01T00:00:00Z', '2026-01-01T00:00:00Z', '2026-01-01T00:00:00Z'])
  })
})
