import { describe, expect, test } from '@jest/globals'
import { formatFinding } from '../../../../src/lifecycle/lint/finding.js'
import { lintPolicy, type LintOptions } from '../../../../src/lifecycle/lint/lint-policy.js'
import { loadPolicy } from '../../../../src/policy/load-policy.js'

const NOW_MS = Date.parse('2026-03-01T12:00:00Z')

const textOf = (documents: readonly string[]): string =>
  documents.map((body) => `apiVersion: portcullis.dev/v1beta1\n${body}`).join('\n---\n')

function load(...documents: string[]) {
  const text = textOf(documents)
  const loaded = loadPolicy([{ file: 'p.yaml', text }], {
    localTrustDomain: 'cluster.local',
    trustDomains: ['partner.example'],
    hasDevices: true,
  })
  if (!loaded.ok) throw new Error(JSON.stringify(loaded.problems))
  return loaded
}

function lint(documents: readonly string[], options: Partial<LintOptions> = {}): string[] {
  return lintPolicy(load(...documents), { nowMs: NOW_MS, ...options }).map(formatFinding)
}

/** A target `shop/api` with what follows `spec:`, and two callers. */
function api(spec: string, calls = '[{ service: api }]'): string[] {
  return [
    `kind: ServicePolicy\nmetadata: { name: api, namespace: shop }\nspec:\n${spec}`,
    `kind: ServicePolicy\nmetadata: { name: web, namespace: shop, labels: { tier: front } }\nspec: { calls: ${calls} }`,
    `kind: ServicePolicy\nmetadata: { name: cron, namespace: batch }\nspec: { calls: [{ service: shop/api }] }`,
  ]
}

const READ =
  '  endpoints: [{ name: Read, paths: [/r], methods: [GET] }, { name: Write, paths: [/w], methods: [POST] }]\n'
const BOTH = '{ name: all, from: [{ services: [web, batch/cron] }] }'
const rules = (...list: string[]): string[] =>
  api(`${READ}  rules:\n${list.map((rule) => `    - ${rule}\n`).join('')}`)

/** Severity, code and the first words of what stands there. */
function brief(documents: readonly string[], options: Partial<LintOptions> = {}): string[] {
  const lines = textOf(documents).split('\n')
  return lintPolicy(load(...documents), { nowMs: NOW_MS, ...options }).map(({ severity, code, position }) => {
    const { line = 0, column = 0 } = position ?? {}
    const there = lines[line - 1]
      ?.slice(column - 1)
      .replaceAll(/[^\w./*{]+/g, ' ')
      .trim()
    return `${severity} ${code}: ${there?.split(' ').slice(0, 3).join(' ')}`
  })
}

describe('shadowed rules', () => {
  test.each([
    {
      name: 'the same callers again',
      list: [BOTH, '{ name: late, from: [{ services: [web] }] }'],
      found: ['warning shadowed-rule: { name late'],
    },
    {
      name: 'one endpoint of all',
      list: [
        BOTH,
        '{ name: late, from: [{ services: [web] }], to: [{ endpoints: [Read] }], when: [{ key: user.mfa, is: true }] }',
      ],
      found: ['warning shadowed-rule: { name late'],
    },
    {
      name: 'a wider one after it',
      list: ['{ name: early, from: [{ services: [web] }] }', BOTH],
      found: ['info redundant-rule: { name early'],
    },
    {
      name: 'by namespace',
      list: [
        '{ name: ns, from: [{ namespaces: [shop, batch] }] }',
        '{ name: late, from: [{ services: [web] }] }',
      ],
      found: ['warning shadowed-rule: { name late'],
    },
    {
      name: 'by pattern',
      list: [
        '{ name: ids, from: [{ identities: ["spiffe://cluster.local/ns/shop/sa/*"] }, { services: [batch/cron] }] }',
        '{ name: late, from: [{ identities: ["spiffe://cluster.local/ns/shop/sa/web"] }] }',
      ],
      found: ['warning shadowed-rule: { name late'],
    },
    {
      name: 'two that are the same: only the second',
      list: [BOTH, BOTH.replace('all', 'again')],
      found: ['warning shadowed-rule: { name again'],
    },
    {
      name: 'not one with conditions before',
      list: [
        `{ name: c, from: [{ services: [web, batch/cron] }], when: [{ key: user.mfa, is: true }] }`,
        BOTH,
      ],
      found: ['info redundant-rule: { name c'],
    },
    {
      name: 'not one that is for other endpoints',
      list: [
        '{ name: r, from: [{ services: [web, batch/cron] }], to: [{ endpoints: [Read] }] }',
        '{ name: w, from: [{ services: [web, batch/cron] }], to: [{ endpoints: [Write] }] }',
      ],
      found: [],
    },
    {
      name: 'not one that asks for a user',
      list: ['{ name: u, from: [{ users: true, services: [web] }] }', BOTH],
      found: ['info redundant-rule: { name u'],
    },
  ])('$name', ({ list, found }) => {
    expect(brief(rules(...list))).toEqual(found)
  })

  test('a later rule that grants a scope which is asked for does decide', () => {
    const spec = `  endpoints: [{ name: Read, paths: [/r], methods: [GET], workloadScopes: [r] }]
  rules:
    - { name: all, from: [{ services: [web, batch/cron] }] }
    - { name: late, from: [{ services: [web] }], grantScopes: [r] }`
    expect(lint(api(spec))).toEqual([])
  })
})

describe('permits that a forbid beats', () => {
  test.each([
    {
      name: 'an own one',
      forbid: '{ name: stop, from: [{ namespaces: [batch] }] }',
      found: ['warning beaten-rule: { name cron'],
    },
    {
      name: 'not in Shadow',
      forbid: '{ name: stop, from: [{ namespaces: [batch] }], mode: Shadow }',
      found: [],
    },
    {
      name: 'not with conditions',
      forbid: '{ name: stop, from: [{ namespaces: [batch] }], when: [{ key: user.mfa, is: false }] }',
      found: [],
    },
    {
      name: 'not for other endpoints',
      forbid: '{ name: stop, from: [{ namespaces: [batch] }], to: [{ endpoints: [Read] }] }',
      found: [],
    },
  ])('$name', ({ forbid, found }) => {
    const list = [
      '{ name: web, from: [{ services: [web] }] }',
      '{ name: cron, from: [{ services: [batch/cron] }] }',
    ]
    const [first = '', ...others] = rules(...list)
    expect(brief([`${first}  forbid: [${forbid}]`, ...others])).toEqual(found)
  })

  test('one of the mesh', () => {
    const baseline =
      'kind: BaselinePolicy\nmetadata: { name: b }\nspec: { forbid: [{ name: stop, from: [{ namespaces: [batch] }], to: [{ namespaces: [shop] }] }] }'
    const list = [
      '{ name: web, from: [{ services: [web] }] }',
      '{ name: cron, from: [{ services: [batch/cron] }] }',
    ]
    expect(lint([...rules(...list), baseline])).toEqual([
      'p.yaml:8:7: warning: the rule cron lets nobody in: whoever it means, stop forbids (beaten-rule)',
    ])
  })
})

describe('endpoints that no request finds', () => {
  test.each([
    {
      name: 'a path that is a gRPC method',
      endpoints: ['{ name: G, grpc: [a.B/*] }', '{ name: P, paths: ["/a.B/{m}"], methods: [POST] }'],
      found: ['warning unreachable-endpoint: /a.B/{m methods POST'],
    },
    {
      name: 'a /** whose every part is taken',
      endpoints: [
        '{ name: All, paths: ["/a/**"], methods: [GET] }',
        '{ name: Parts, paths: [/a, /a/, "/a/{x}/**"], methods: [GET] }',
      ],
      found: ['warning unreachable-endpoint: /a/** methods GET'],
    },
    {
      name: 'a method that stays behind at a more specific path',
      endpoints: [
        '{ name: Item, paths: ["/i/{id}"], methods: [GET, DELETE] }',
        '{ name: Special, paths: [/i/special], methods: [GET] }',
      ],
      found: ['info hidden-method: /i/special methods GET'],
    },
    {
      name: 'not where another endpoint takes that method there',
      endpoints: [
        '{ name: Item, paths: ["/i/{id}"], methods: [GET, DELETE] }',
        '{ name: S, paths: [/i/s], methods: [GET] }',
        '{ name: D, paths: [/i/s], methods: [DELETE] }',
      ],
      found: [],
    },
  ])('$name', ({ endpoints, found }) => {
    const list = endpoints.map((endpoint) => `    - ${endpoint}\n`).join('')
    expect(
      brief(api(`  endpoints:\n${list}  rules: [${BOTH}]`)).filter((line) => !line.includes('uncallable')),
    ).toEqual(found)
  })

  test.each([
    {
      name: 'by an own forbid',
      forbid: '  forbid: [{ name: stop, to: [{ endpoints: [Write] }] }]',
      baseline: '',
    },
    { name: 'by path', forbid: '', baseline: '{ name: stop, to: [{ paths: ["/W"] }] }' },
    {
      name: 'by method',
      forbid: '',
      baseline: '{ name: stop, to: [{ services: [shop/api], methods: [POST, PUT] }] }',
    },
  ])('forbidden to everyone $name', ({ forbid, baseline }) => {
    const mesh =
      baseline === '' ? [] : [`kind: BaselinePolicy\nmetadata: { name: b }\nspec: { forbid: [${baseline}] }`]
    const [first = '', ...others] = rules(BOTH)
    expect(lint([`${first}${forbid}`, ...others, ...mesh])).toEqual([
      'p.yaml:5:60: warning: nobody reaches the endpoint Write: stop forbids it to everyone (unreachable-endpoint)',
    ])
  })

  test.each([
    {
      name: 'in other namespaces',
      baseline: '{ name: stop, to: [{ namespaces: [batch], methods: [POST] }] }',
    },
    {
      name: 'of somebody',
      baseline: '{ name: stop, from: [{ namespaces: [batch] }], to: [{ methods: [POST] }] }',
    },
    { name: 'at a port', baseline: '{ name: stop, to: [{ ports: [81] }] }' },
  ])('not forbidden $name', ({ baseline }) => {
    const mesh = `kind: BaselinePolicy\nmetadata: { name: b }\nspec: { forbid: [${baseline}] }`
    expect(lint([...rules(BOTH), mesh])).toEqual([])
  })
})

describe('unknown names', () => {
  test.each([
    { from: '{ namespaces: [shop, batsh] }', found: ['warning unknown-namespace: batsh'] },
    {
      from: '{ notNamespaces: [dev], services: [web, batch/cron] }',
      found: ['warning unknown-namespace: dev services web'],
    },
    {
      from: '{ selector: { matchLabels: { tier: back } } }, { services: [web, batch/cron] }',
      found: ['warning unknown-label: { matchLabels {'],
    },
    {
      from: '{ selector: { matchExpressions: [{ key: zone, operator: Exists }] } }, { services: [web, batch/cron] }',
      found: ['warning unknown-label: { matchExpressions {'],
    },
    {
      from: '{ identities: ["spiffe://cluster.local/ns/shop/sa/none"] }, { services: [web, batch/cron] }',
      found: ['warning unknown-identity: spiffe //cluster.local/ns/shop/sa/none {'],
    },
    { from: '{ selector: { matchLabels: { tier: front } } }, { services: [batch/cron] }', found: [] },
    { from: '{ identities: ["spiffe://cluster.local/ns/*/sa/web"] }, { services: [batch/cron] }', found: [] },
  ])('$from', ({ from, found }) => {
    expect(brief(rules(`{ name: r, from: [${from}] }`))).toEqual(found)
  })

  test.each([
    { when: '{ key: workload.namespace, values: [batc, shop] }', found: ['unknown-namespace'] },
    { when: '{ key: workload.service, values: [webb, web] }', found: ['unknown-service'] },
    { when: '{ key: "workload.labels[none]", present: true }', found: ['unknown-label'] },
    { when: '{ key: workload.service, values: ["shop/*"] }', found: [] },
  ])('$when', ({ when, found }) => {
    const lines = brief(rules(`{ name: r, from: [{ services: [web, batch/cron] }], when: [${when}] }`))
    expect(lines.map((line) => /[a-z-]+(?=:)/.exec(line)?.[0])).toEqual(found)
  })

  test('a forbid may be ahead of its time, with the nearest name for a slip', () => {
    const [first = '', ...others] = rules(BOTH)
    expect(lint([`${first}  forbid: [{ name: stop, from: [{ namespaces: [bacth] }] }]`, ...others])).toEqual([
      'p.yaml:8:48: info: the rule stop names the namespace bacth, which no ServicePolicy is in (unknown-namespace)\n    hint: did you mean `batch`?',
    ])
  })
})

describe('scopes', () => {
  const spec = (rule: string) =>
    api(
      `  endpoints: [{ name: Read, paths: [/r], methods: [GET], workloadScopes: [r:one, r:two] }]\n  rules: [${rule}]`,
    )
  const all = '{ name: all, from: [{ services: [web, batch/cron] }], grantScopes: [r:one] }'

  test.each([
    { name: 'nobody may claim', scopes: [], found: ['warning unheld-scope: r two'] },
    { name: 'another one may be claimed', scopes: ['r:three'], found: ['warning unheld-scope: r two'] },
    { name: 'it may be claimed', scopes: ['r:two'], found: [] },
    { name: 'by prefix', scopes: ['r:*'], found: [] },
  ])('$name', ({ scopes, found }) => {
    const issuers = { services: [{ service: 'shop/web', scopes }], users: [] }
    expect(brief(spec(all), { issuers })).toEqual(found)
  })

  test('what tokens may claim is not known: nothing is concluded', () => {
    expect(lint(spec(all))).toEqual([])
  })

  test('a scope is granted that nothing asks for', () => {
    expect(lint(spec(all.replace('r:one', 'r:one, r:other')))).toEqual([
      'p.yaml:6:86: warning: the rule all grants r:other, which none of its endpoints asks for (unneeded-scope)',
    ])
  })
})

describe('users', () => {
  const issuers = { services: [], users: [{ issuer: 'https://idp.example', roles: ['admin', 'clerk'] }] }
  const role = (values: string) =>
    rules(
      `{ name: r, from: [{ services: [web, batch/cron] }], when: [{ key: user.roles, values: ${values} }] }`,
    )

  test.each([
    { values: '[clark]', found: 1 },
    { values: '["sup*"]', found: 1 },
    { values: '[admin, "cl*"]', found: 0 },
  ])('roles $values', ({ values, found }) => {
    expect(lint(role(values), { issuers })).toHaveLength(found)
    expect(lint(role(values), { issuers: { services: [], users: [{ issuer: 'x', roles: [] }] } })).toEqual([])
  })

  test('a role that a grant can give may be asserted', () => {
    const baseline = 'kind: BaselinePolicy\nmetadata: { name: b }\nspec: { grantOnlyRoles: [breakglass] }'
    expect(lint([...role('[breakglass]'), baseline], { issuers })).toEqual([])
  })

  test('data policies and device tiers', () => {
    const documents = [
      'kind: DataPolicy\nmetadata: { name: medical }\nspec: { access: [{ role: doctor, operations: [Read], approval: Required }] }',
      'kind: DevicePolicy\nmetadata: { name: kiosk }\nspec: { tier: kiosk, match: { managed: true, ownership: Personal }, services: [shop/api] }',
      ...rules(BOTH),
    ]
    expect(lint(documents, { issuers })).toEqual([
      'p.yaml:3:19: info: no endpoint and no DevicePolicy names the DataPolicy medical (unused-data-policy)',
      'p.yaml:4:26: warning: no issuer may assert the role doctor, so there is nobody to approve (unknown-role)',
      'p.yaml:9:80: warning: shop/api asks for no user anywhere, so no device of one ever calls it (tier-without-users)',
    ])
  })
})

describe('edges', () => {
  test('only a part of an edge has consent', () => {
    const documents = api(
      `${READ}  rules: [{ name: web, from: [{ services: [web, batch/cron] }], to: [{ endpoints: [Read] }] }]`,
      '[{ service: api, endpoints: [Read, Write] }]',
    )
    expect(lint(documents).filter((line) => line.includes('one-sided'))).toEqual([
      'p.yaml:11:51: warning: shop/web calls Write of shop/api, which has no rule that lets it in there: that part of the edge stays closed (one-sided-edge)',
    ])
  })

  test('only a part of a consent is called for', () => {
    const documents = api(
      `${READ}  rules: [{ name: web, from: [{ services: [web, batch/cron] }], to: [{ endpoints: [Read, Write] }] }]`,
      '[{ service: api, endpoints: [Read] }]',
    )
    expect(brief(documents)).toEqual(['info one-sided-edge: web batch/cron to'])
  })
})

test('more rules than can be compared with each other are told, in bounded time', () => {
  const many = Array.from(
    { length: 600 },
    (_, at) => `{ name: r${at}, from: [{ services: [web, batch/cron] }] }`,
  )
  expect(brief(rules(...many))).toEqual(['info too-many-rules: { name r0'])
})

describe('conditions', () => {
  const when = (condition: string, to = '[{ endpoints: [Read] }]') =>
    rules(`{ name: r, from: [{ services: [web, batch/cron] }], to: ${to}, when: [${condition}] }`, BOTH)

  test.each([
    { condition: '{ key: target.endpoint, values: [Write] }', only: 'Read' },
    { condition: '{ key: request.method, values: [POST, "P*"] }', only: 'GET' },
    { condition: '{ key: target.service, values: [web] }', only: 'shop/api' },
    { condition: '{ key: target.namespace, values: [batch] }', only: 'shop' },
    { condition: '{ key: target.sensitivity, values: [High, Low] }', only: 'Medium' },
  ])('$condition is never met where it stands', ({ condition, only }) => {
    const lines = lint(when(condition)).filter((line) => line.includes('unmeetable'))
    expect(lines).toEqual([expect.stringContaining(`the rule r never matches: `)])
    expect(lines[0]).toContain(`can only be ${only} here`)
  })

  test.each([
    '{ key: target.endpoint, values: ["R*"] }',
    '{ key: request.method, values: [GET] }',
    '{ key: target.service, values: [api] }',
  ])('%s is', (condition) => {
    expect(lint(when(condition)).filter((line) => line.includes('unmeetable'))).toEqual([])
  })

  test('two that contradict each other, in every kind that has conditions', () => {
    const never = '[{ key: user.mfa, is: true }, { key: user.mfa, is: false }]'
    const kinds = [
      `kind: AdaptivePolicy\nmetadata: { name: a }\nspec: { rules: [{ name: a, when: ${never}, then: Deny }] }`,
      `kind: BaselinePolicy\nmetadata: { name: b }\nspec: { forbid: [{ name: b, when: ${never} }], allow: [{ name: c, from: [{ users: true }], when: ${never} }] }`,
    ]
    expect(brief([...rules(BOTH), ...kinds])).toEqual(
      Array(3).fill('warning unmeetable-condition: { key user.mfa'),
    )
  })
})

test('a directory full of slips is told in bounded time', () => {
  const names = Array.from({ length: 3000 }, (_, at) => `shop${at}`)
  const services = Array.from(
    { length: 1500 },
    (_, at) => `kind: ServicePolicy\nmetadata: { name: s, namespace: ns-shop${at} }\nspec: {}`,
  )
  const before = performance.now()
  const found = lint([...rules(`{ name: r, from: [{ namespaces: [${names.join(', ')}] }] }`), ...services])
  expect(found.filter((line) => line.includes('(unknown-namespace)'))).toHaveLength(3000)
  expect(performance.now() - before).toBeLessThan(5000)
})
