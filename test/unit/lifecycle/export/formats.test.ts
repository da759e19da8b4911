import { expect, test } from '@jest/globals'
import { istioPaths } from '../../../../src/lifecycle/export/istio.js'
import { isOversized, pathPatterns, pathTemplate } from '../../../../src/lifecycle/export/request-shape.js'
import { foldTemplate } from '../../../../src/segmentation/path-template.js'
import { TemplateTrie } from '../../../../src/segmentation/template-trie.js'
import { baseline, exported, written } from './exporting.js'

const SHOP = [
  written(
    'shop/target',
    '{ endpoints: [{ name: e, paths: ["/a/{id}"], methods: [GET], ports: [8080] }, { name: sql, protocol: TCP, ports: [5432] }], rules: [{ name: r, from: [{ services: [caller] }] }] }',
  ),
  written('shop/caller', '{ calls: [{ service: target }] }'),
  written('shop/other', '{ calls: [{ service: target }] }'),
]
const PROMETHEUS =
  '{ allow: [{ name: metrics, from: [{ identities: [spiffe://cluster.local/ns/monitoring/sa/prometheus] }], to: [{ paths: [/metrics] }] }] }'
const peer = (namespace: string, name?: string) => ({
  namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': namespace } },
  ...(name !== undefined && { podSelector: { matchLabels: { app: name } } }),
})
const tcp = (port: number) => ({ protocol: 'TCP', port })
const barring = (forbid: string) => `{ forbid: [{ name: f, ${forbid} }] }`
const SCRAPE =
  '{ allow: [{ name: scrape, from: [{ namespaces: [shop] }], to: [{ services: [shop/target], ports: [9101] }] }] }'
const OWN = { from: [peer('shop', 'caller')], ports: [tcp(5432), tcp(8080)] }
const ingressOf = (documents: readonly string[]) =>
  exported('networkpolicy', documents)
    .services.map(({ objects: [object] }) => object?.['spec'])
    .map((spec) => JSON.parse(JSON.stringify(spec)).ingress)

test.each([
  {
    name: 'what a mode lets pass',
    spec: 'mode: Observe, endpoints: [{ name: e, paths: [/a], methods: [GET] }]',
  },
  {
    name: 'what the mode of an endpoint lets pass',
    spec: 'endpoints: [{ name: e, paths: [/a], methods: [GET], mode: Shadow }]',
  },
])('a NetworkPolicy never refuses $name', ({ spec }) => {
  const { services, refused } = exported('networkpolicy', [written('shop/target', `{ ${spec} }`)])
  expect(services).toEqual([])
  expect(refused[0]?.obstacles[0]?.message).toContain('lets every call pass')
})

test('a service without endpoints gets no NetworkPolicy', () => {
  const { services, refused, notes } = exported('networkpolicy', SHOP, true)
  expect(services.map(({ service }) => service)).toEqual(['shop/target'])
  expect(refused).toEqual([])
  expect(notes).toHaveLength(2)
})

test.each([
  {
    name: 'callers and their ports',
    documents: SHOP,
    ingress: [
      {
        from: [peer('shop', 'caller')],
        ports: [
          { protocol: 'TCP', port: 5432 },
          { protocol: 'TCP', port: 8080 },
        ],
      },
    ],
  },
  {
    name: 'an identity that no document names, by its namespace',
    documents: [...SHOP, baseline(PROMETHEUS)],
    ingress: [
      {
        from: [peer('shop', 'caller')],
        ports: [
          { protocol: 'TCP', port: 5432 },
          { protocol: 'TCP', port: 8080 },
        ],
      },
      { from: [peer('monitoring')] },
    ],
  },
  {
    name: 'nobody',
    documents: [written('shop/target', '{ endpoints: [{ name: e, paths: [/a], methods: [GET] }] }')],
    ingress: [],
  },
  {
    name: 'whoever has a condition to meet',
    documents: [
      written(
        'shop/target',
        '{ endpoints: [{ name: e, paths: [/a], methods: [GET], mfa: Required, workloadScopes: [s] }], rules: [{ name: r, from: [{ services: [caller], users: true }], when: [{ key: risk.score, below: 9 }] }] }',
      ),
      ...SHOP.slice(1),
    ],
    ingress: [{ from: [peer('shop', 'caller')] }],
  },
  {
    name: 'everybody, where users need no workload',
    documents: [
      written(
        'shop/target',
        '{ endpoints: [{ name: e, paths: [/a], methods: [GET], ports: [8080], require: User }], rules: [{ name: r, from: [{ users: true }] }] }',
      ),
    ],
    ingress: [{ ports: [{ protocol: 'TCP', port: 8080 }] }],
  },
  {
    name: 'a workload of another trust domain, from anywhere',
    documents: [
      SHOP[0] ?? '',
      written(
        'shop/caller',
        '{ calls: [{ service: target }], serviceAccounts: [], identities: ["spiffe://partner.example/x"] }',
      ),
    ],
    ingress: [
      {
        ports: [
          { protocol: 'TCP', port: 5432 },
          { protocol: 'TCP', port: 8080 },
        ],
      },
    ],
  },
  {
    name: 'anyone by the baseline, from anywhere',
    documents: [
      ...SHOP,
      baseline('{ allow: [{ name: h, from: [{ any: true }], to: [{ ports: [9000] }] }] }'),
    ],
    ingress: [
      {
        from: [peer('shop', 'caller')],
        ports: [
          { protocol: 'TCP', port: 5432 },
          { protocol: 'TCP', port: 8080 },
        ],
      },
      { ports: [{ protocol: 'TCP', port: 9000 }] },
    ],
  },
  {
    name: 'not whom a forbid without conditions bars',
    documents: [
      (SHOP[0] ?? '').replace('rules:', 'forbid: [{ name: f, from: [{ services: [caller] }] }], rules:'),
      ...SHOP.slice(1),
    ],
    ingress: [],
  },
  {
    name: 'not whom a baseline forbid without conditions bars',
    documents: [...SHOP, baseline(barring('from: [{ services: [shop/caller] }]'))],
    ingress: [],
  },
  {
    name: 'not the port from which a baseline forbid bars it',
    documents: [
      ...SHOP,
      baseline(barring('from: [{ services: [shop/caller] }], to: [{ ports: [5432] }, { paths: [/x] }]')),
    ],
    ingress: [{ from: [peer('shop', 'caller')], ports: [tcp(8080)] }],
  },
  {
    name: 'only the ports of a baseline allow to a service',
    documents: [...SHOP, baseline(SCRAPE)],
    ingress: [{ from: [peer('shop', 'caller'), peer('shop', 'other')], ports: [tcp(9101)] }, OWN],
  },
  {
    name: 'the ports that a baseline forbid leaves to whom a baseline allow lets in',
    documents: [
      ...SHOP,
      baseline(
        `${SCRAPE.slice(0, -1)}, ${barring('from: [{ services: [shop/other] }], to: [{ namespaces: [shop], ports: [9101] }]').slice(1)}`,
      ),
    ],
    ingress: [{ from: [peer('shop', 'caller')], ports: [tcp(9101)] }, OWN],
  },
  ...[
    'forbid: [{ name: f, from: [{ identities: [spiffe://cluster.local/ns/monitoring/sa/prometheus] }] }]',
    'forbid: [{ name: f, from: [{ identities: ["spiffe://cluster.local/ns/monitoring/sa/*"] }], to: [{ services: [shop/target] }] }]',
  ].map((forbid) => ({
    name: `not an identity without a document that is barred by ${forbid}`,
    documents: [...SHOP, baseline(`${PROMETHEUS.slice(0, -1)}, ${forbid} }`)],
    ingress: [OWN],
  })),
  {
    name: 'not an identity without a document that the target bars',
    documents: [
      (SHOP[0] ?? '').replace(
        'rules:',
        'forbid: [{ name: f, from: [{ identities: [spiffe://cluster.local/ns/monitoring/sa/prometheus] }] }], rules:',
      ),
      ...SHOP.slice(1),
      baseline(PROMETHEUS),
    ],
    ingress: [OWN],
  },
  ...[
    'to: [{ paths: [/x] }]',
    'to: [{ methods: [GET] }]',
    'mode: Shadow',
    'when: [{ key: time.hour, below: 8 }]',
  ].map((less) => ({
    name: `an identity that is barred from some calls alone: ${less}`,
    documents: [
      ...SHOP,
      baseline(
        `${PROMETHEUS.slice(0, -1)}, forbid: [{ name: f, from: [{ identities: [spiffe://cluster.local/ns/monitoring/sa/prometheus] }], ${less} }] }`,
      ),
    ],
    ingress: [OWN, { from: [peer('monitoring')] }],
  })),
  {
    name: 'nobody, where a forbid bars everybody from what users may call',
    documents: [
      written(
        'shop/target',
        '{ endpoints: [{ name: e, paths: [/a], methods: [GET], ports: [8080], require: User }], rules: [{ name: r, from: [{ users: true }] }], forbid: [{ name: f }] }',
      ),
    ],
    ingress: [],
  },
])('NetworkPolicy: $name', ({ documents, ingress }) => {
  expect(ingressOf(documents)).toEqual([ingress])
})

test('Istio: who, what, and no upgrade', () => {
  const { services, refused } = exported('istio', [
    ...SHOP,
    baseline(PROMETHEUS).replace('paths: [/metrics]', 'paths: [/metrics], ports: [9100]'),
  ])
  expect(refused).toEqual([])
  const noUpgrade = [{ key: 'request.headers[upgrade]', notValues: ['*'] }]
  expect(services[0]?.objects).toEqual([
    {
      apiVersion: 'security.istio.io/v1',
      kind: 'AuthorizationPolicy',
      metadata: { name: 'target-allow', namespace: 'shop' },
      spec: {
        selector: { matchLabels: { app: 'target' } },
        action: 'ALLOW',
        rules: [
          {
            from: [{ source: { principals: ['cluster.local/ns/shop/sa/caller'] } }],
            to: [{ operation: { paths: ['/a/{*}'], methods: ['GET'], ports: ['8080'] } }],
            when: noUpgrade,
          },
          {
            from: [{ source: { principals: ['cluster.local/ns/monitoring/sa/prometheus'] } }],
            to: [{ operation: { paths: ['/metrics'], ports: ['9100'] } }],
            when: noUpgrade,
          },
          {
            from: [{ source: { principals: ['cluster.local/ns/shop/sa/caller'] } }],
            to: [{ operation: { ports: ['5432'] } }],
          },
        ],
      },
    },
  ])
})

test('Istio: nobody is an ALLOW policy without rules', () => {
  const alone = written('shop/target', '{ endpoints: [{ name: e, paths: [/a], methods: [GET] }] }')
  expect(exported('istio', [alone]).services[0]?.objects).toEqual([
    expect.objectContaining({ spec: { selector: { matchLabels: { app: 'target' } }, action: 'ALLOW' } }),
  ])
})

test.each([
  { text: '/', paths: ['/'] },
  { text: '/a/', paths: ['/a/'] },
  { text: '/a/{id}/b', paths: ['/a/{*}/b'] },
  { text: '/**', paths: ['/*'] },
  { text: '/a/**', paths: ['/a', '/a/*'] },
  { text: '/a/{id}/**', paths: ['/a/{*}', '/a/{*}/{**}'] },
])('Istio writes $text', ({ text, paths }) => {
  expect(istioPaths({ template: pathTemplate(text), folded: false })).toEqual(paths)
})

const TEMPLATES = [
  '/',
  '/a',
  '/a/',
  '/{x}',
  '/a/{x}',
  '/a.b/{x}/c',
  '/**',
  '/a/**',
  '/a/{x}/**',
  `/${'long-'.repeat(14)}/{x}/${'words-'.repeat(11)}/{y}`,
]
const SEGMENTS = ['a', 'A', 'b', 'a.b', 'axb', 'c', '', 'long-'.repeat(14), 'words-'.repeat(11)]
const ONE = SEGMENTS.map((segment) => `/${segment}`)
const TWO = ONE.flatMap((one) => ONE.map((two) => one + two))
const THREE = TWO.flatMap((two) => ONE.map((one) => two + one))
const PATHS = ONE.concat(
  TWO,
  THREE,
  THREE.map((path) => `${path}/z`),
).filter((path) => !path.includes('//'))

test.each(TEMPLATES)('the patterns of %s match what the trie finds', (text) => {
  for (const folded of [false, true]) {
    const plain = pathTemplate(text)
    const template = folded ? foldTemplate(plain) : plain
    const trie = new TemplateTrie<true>()
    trie.set(template, true)
    const shape = { template, folded }
    expect(isOversized(shape)).toBe(false)
    const patterns = pathPatterns(shape).map(
      (pattern) => new RegExp(`^(?:${pattern.replace('(?i)', '')})$`, folded ? 'i' : ''),
    )
    const seen = (path: string) =>
      folded ? (path.length > 1 ? path.replace(/\/$/, '') : path).toLowerCase() : path
    const differing = PATHS.filter(
      (path) => patterns.every((pattern) => pattern.test(path)) !== (trie.find(seen(path)) === true),
    )
    expect(differing).toEqual([])
  }
})
