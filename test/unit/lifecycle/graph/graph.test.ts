import { expect, test } from '@jest/globals'
import { blastRadius, withinRadius } from '../../../../src/lifecycle/graph/blast-radius.js'
import { type CallGraph, callGraph } from '../../../../src/lifecycle/graph/call-graph.js'
import { writeDot } from '../../../../src/lifecycle/graph/dot.js'
import { writePage } from '../../../../src/lifecycle/graph/page.js'
import { writeSvg } from '../../../../src/lifecycle/graph/svg.js'
import { writeRadius, writeTable } from '../../../../src/lifecycle/graph/table.js'
import { baseline, loaded, written } from '../export/exporting.js'

const END = '{ name: e, paths: [/a], methods: [GET] }'
const graphOf = (...documents: string[]): CallGraph => {
  const { policy, sources } = loaded(...documents)
  return callGraph(policy.matrix, sources)
}
const pairs = ({ services, calls }: CallGraph): string[] =>
  calls.map(({ from, to, endpoints, baseline: by }) => {
    const ways = [...endpoints.map(({ name, conditional }) => (conditional ? `${name}?` : name)), ...by]
    return `${services[from]?.id} ${services[to]?.id} ${ways.join()}`
  })

const A = written('shop/a', '{ calls: [{ service: b }] }')
const target = (more: string, endpoint = END) => written('shop/b', `{ endpoints: [${endpoint}]${more} }`)
const rule = (fields: string) => `, rules: [{ name: r, ${fields} }]`

test.each([
  { name: 'no consent', documents: [A, target(rule('from: [{ services: [b] }]'))], calls: [] },
  { name: 'no call', documents: [written('shop/a', '{}'), target('')], calls: [] },
  {
    name: 'another namespace',
    documents: [written('x/a', '{ calls: [{ service: shop/b }] }'), target('')],
    calls: [],
  },
  {
    name: 'forbidden',
    documents: [A, target(', forbid: [{ name: f, from: [{ services: [a] }] }]')],
    calls: [],
  },
  {
    name: 'its only endpoint forbidden',
    documents: [A, target(', forbid: [{ name: f, to: [{ endpoints: [e] }] }]')],
    calls: [],
  },
  {
    name: 'forbidden in the mesh',
    documents: [A, target(''), baseline('{ forbid: [{ name: f, from: [{ namespaces: [shop] }] }] }')],
    calls: [],
  },
  {
    name: 'forbidden at times',
    documents: [A, target(', forbid: [{ name: f, when: [{ key: time.hour, below: 8 }] }]')],
    calls: ['shop/a shop/b e'],
  },
  {
    name: 'a forbid in shadow',
    documents: [A, target(', forbid: [{ name: f, mode: Shadow }]')],
    calls: ['shop/a shop/b e'],
  },
  { name: 'neighbours', documents: [A, target('')], calls: ['shop/a shop/b e'] },
  {
    name: 'a condition',
    documents: [A, target(rule('from: [{ services: [a] }], when: [{ key: time.hour, below: 8 }]'))],
    calls: ['shop/a shop/b e?'],
  },
  {
    name: 'a user',
    documents: [A, target(rule('from: [{ services: [a], users: true }]'))],
    calls: ['shop/a shop/b e?'],
  },
  {
    name: 'a scope',
    documents: [A, target('', '{ name: e, paths: [/a], methods: [GET], workloadScopes: [s] }')],
    calls: ['shop/a shop/b e?'],
  },
  {
    name: 'a rule for others than one with a pattern of identities',
    documents: [
      written('shop/a', '{ calls: [{ service: b }], identities: ["spiffe://cluster.local/x/*"] }'),
      target(rule('from: [{ services: [b] }]')),
    ],
    calls: [],
  },
  {
    name: 'some of a pattern of identities',
    documents: [
      written('shop/a', '{ calls: [{ service: b }], identities: ["spiffe://cluster.local/x/*"] }'),
      target(
        `${rule('from: [{ identities: [spiffe://cluster.local/x/1] }]')}, forbid: [{ name: f, from: [{ identities: [spiffe://cluster.local/x/2] }] }]`,
      ),
    ],
    calls: ['shop/a shop/b e'],
  },
  {
    name: 'the baseline',
    documents: [
      written('shop/a', '{}'),
      target(''),
      baseline('{ allow: [{ name: m, from: [{ services: [shop/a] }], to: [{ services: [shop/b] }] }] }'),
    ],
    calls: ['shop/a shop/b m'],
  },
])('edges: $name', ({ documents, calls }) => {
  expect(pairs(graphOf(...documents))).toEqual(calls)
})

const chain = (...names: string[]): string[] =>
  names.map((name, at) => {
    const next = names[(at + 1) % names.length]
    const calls = at + 1 < names.length ? `calls: [{ service: ${next} }], ` : ''
    return written(`shop/${name}`, `{ ${calls}endpoints: [${END}] }`)
  })

test('blast radius: the shortest ways, in both directions, round a cycle', () => {
  const documents = chain('a', 'b', 'c', 'd')
  documents[3] = written('shop/d', `{ calls: [{ service: b }], endpoints: [${END}] }`)
  const graph = graphOf(...documents)
  const radius = blastRadius(graph, 1, 'both')
  expect(radius).toEqual({
    service: 1,
    in: [
      { service: 0, path: [0, 1] },
      { service: 3, path: [3, 1] },
      { service: 2, path: [2, 3, 1] },
    ],
    out: [
      { service: 2, path: [1, 2] },
      { service: 3, path: [1, 2, 3] },
    ],
  })
  expect(blastRadius(graph, 1, 'in').out).toBeUndefined()
  expect(withinRadius(graph, blastRadius(graph, 2, 'out')).services.map(({ id }) => id)).toEqual([
    'shop/b',
    'shop/c',
    'shop/d',
  ])
  expect(writeRadius(graph, radius)).toBe(
    [
      '3 of 3 other services can reach shop/b',
      '   1  shop/a → shop/b',
      '   1  shop/d → shop/b',
      '   2  shop/c → shop/d → shop/b',
      '',
      'shop/b can reach 2 of 3 other services',
      '   1  shop/b → shop/c',
      '   2  shop/b → shop/c → shop/d',
      '',
    ].join('\n'),
  )
})

test('the table tells what is left out', () => {
  const open = baseline('{ allow: [{ name: health, from: [{ any: true }], to: [{ paths: [/healthz] }] }] }')
  const text = writeTable(graphOf(...chain('a', 'b'), open))
  expect(text).toContain('shop/a  (calls 1, called by 0)\n  → shop/b  e\n')
  expect(text).toContain('left out: the baseline lets anyone in by health\n')
})

/** Names that no policy document can have, in case that changes. */
const NASTY = `</script><b a="'>&\\"\u0001`
const HOSTILE: CallGraph = {
  revision: NASTY,
  services: [0, 1].map((at) => ({
    id: `${NASTY}/${at}`,
    namespace: NASTY,
    name: NASTY,
    mode: NASTY,
    endpoints: 1,
    source: NASTY,
  })),
  calls: [{ from: 0, to: 1, endpoints: [{ name: NASTY, conditional: true }], baseline: [NASTY] }],
  openToAll: [NASTY],
}

test.each([
  { form: 'svg', text: writeSvg(HOSTILE, 0) },
  { form: 'html', text: writePage(HOSTILE, 0) },
])('names stay text in $form', ({ text }) => {
  expect(text).not.toContain('<b ')
  expect(text.match(/<\/script>/g)?.length ?? 0).toBe(text.match(/<script/g)?.length ?? 0)
})

test('names stay text in dot', () => {
  for (const [, quoted = ''] of writeDot(HOSTILE).matchAll(/"((?:[^"\\]|\\.)*)"/g))
    expect(quoted).not.toContain('\u0001')
  expect(writeDot(HOSTILE)).toContain(String.raw`label="</script><b a=\"'>&\\\" "`)
})

test('the page asks nobody for anything', () => {
  const page = writePage(graphOf(...chain('a', 'b')))
  expect(page).toMatch(/default-src 'none'; style-src 'sha256-[^']+'; script-src 'sha256-[^']+'/)
  expect(page).not.toMatch(/https?:|\bsrc=|\bhref=|\bstyle=/)
})

test.each([2, 30, 200])('labels of a circle of %d services do not touch', (count) => {
  const services = Array.from({ length: count }, (_, at) => ({
    id: `n/s${at}`,
    namespace: `n${at % 5}`,
    name: `s${at}`,
    mode: 'Enforce',
    endpoints: 1,
    source: '',
  }))
  const svg = writeSvg({ revision: '', services, calls: [], openToAll: [] })
  const at = [
    ...svg.matchAll(
      /<circle cx="([\d.]+)" cy="([\d.]+)" r="5" fill="[^"]+"\/><text x="[\d.]+" y="[\d.]+" transform/g,
    ),
  ].map(([, x, y]) => [Number(x), Number(y)] as const)
  expect(at).toHaveLength(count)
  for (const [index, [x, y]] of at.entries()) {
    const [nextX, nextY] = at[(index + 1) % count] ?? [0, 0]
    expect(Math.hypot(nextX - x, nextY - y)).toBeGreaterThan(14)
  }
})

test('10,000 services with 100,000 calls take less than five seconds', () => {
  const documents = Array.from({ length: 10_000 }, (_, at) => {
    const calls = Array.from(
      { length: 10 },
      (_call, step) => `{ service: s${(at * 7 + step * 131 + 1) % 10_000} }`,
    )
    return written(`shop/s${at}`, `{ calls: [${calls.join()}], endpoints: [${END}] }`)
  })
  const { policy, sources } = loaded(...documents)
  const start = performance.now()
  const graph = callGraph(policy.matrix, sources)
  expect(blastRadius(graph, 0, 'both').out?.length).toBeGreaterThan(5000)
  expect(performance.now() - start).toBeLessThan(5000)
  expect(graph.calls.length).toBeGreaterThan(90_000)
}, 60_000)
