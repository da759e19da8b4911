import { expect, test } from '@jest/globals'
import { baseline, type Call, matrixOf, problemsOf, service, verdictOf } from '../../support/mesh.js'
import { type Naive, naiveVerdict } from '../../support/naive-matrix.js'
import { generator, type Random } from '../../support/naive-mesh.js'

const IDS = ['x/a', 'x/b', 'x/c', 'y/a', 'y/b'] as const
const NAMESPACES = ['x', 'y', 'z']
const TIERS = ['web', 'batch']
const TEMPLATES = [
  '/',
  '/a',
  '/a/',
  '/A',
  '/{p}',
  '/a/b',
  '/a/{p}',
  '/{p}/b',
  '/a/**',
  '/**',
  '/{p}/**',
  '/{p}/{q}/b',
]
const PATHS = [
  '/',
  '/a',
  '/a/',
  '/A',
  '/A/',
  '/b',
  '/a/b',
  '/a/B',
  '/a/b/',
  '/b/b',
  '/a/a',
  '/a/c/b',
  '/b/c/b',
  '/p.S/M',
  '/p.S/N',
  '/p.S/',
  '/p.s/m',
]
const METHODS = ['GET', 'POST', 'PUT']
const SCOPES = ['s', 't']
const MODES = ['Enforce', 'Shadow', 'Observe'] as const
const REQUIRE = ['Workload', 'User', 'Both', 'Any', 'None'] as const
const FEDERATED = 'spiffe://partner.example/w/'

type Rules = NonNullable<Naive['services'][number]['spec']['rules']>
type From = Rules[number]['from'][number]

function aFrom(random: Random, cluster: boolean, home: string): From {
  if (random.chance(0.12)) return { any: true }
  const from: From = {}
  if (random.chance(0.3)) from.users = true
  if (random.chance(0.35)) {
    from.services = random
      .some(IDS, 2)
      .map((id) => (!cluster && id.startsWith(`${home}/`) && random.chance(0.5) ? id.slice(2) : id))
  }
  if (random.chance(0.2)) from.namespaces = random.some(NAMESPACES, 2)
  if (random.chance(0.15)) from.notNamespaces = random.some(NAMESPACES, 1)
  if (random.chance(0.1)) from.trustDomains = [random.one(['cluster.local', 'partner.example'])]
  if (random.chance(0.15))
    from.identities = [
      random.one(['spiffe://cluster.local/ns/x/sa/a', 'spiffe://cluster.local/ns/*/sa/a', `${FEDERATED}*`]),
    ]
  if (random.chance(0.2)) from.selector = { matchLabels: { tier: random.one(TIERS) } }
  return Object.keys(from).length > 0 ? from : { users: true }
}

const someFrom = (random: Random, cluster: boolean, home: string) =>
  Array.from({ length: 1 + random.below(2) }, () => aFrom(random, cluster, home))
const someWhen = (random: Random) => [{ key: 'request.headers[x-k]', values: [random.one(['1', '2'])] }]

function aService(random: Random, id: string): Naive['services'][number] {
  const home = id.slice(0, 1)
  const templates = [...TEMPLATES]
  const endpoints: NonNullable<Naive['services'][number]['spec']['endpoints']> = []
  for (let at = 1 + random.below(5); at > 0; at--) {
    const paths = random.some(templates, 2)
    for (const path of paths) templates.splice(templates.indexOf(path), 1)
    endpoints.push({
      name: `e${endpoints.length}`,
      paths,
      methods: random.some(METHODS, 3),
      ...(random.chance(0.15) && { protocol: 'WebSocket' as const }),
      ...(random.chance(0.15) && { ports: random.some([80, 81], 2) }),
      ...(random.chance(0.3) && { require: random.one(REQUIRE) }),
      ...(random.chance(0.3) && { workloadScopes: random.some(SCOPES, 2) }),
      ...(random.chance(0.15) && { userScopes: random.some(SCOPES, 1) }),
      ...(random.chance(0.1) && { mfa: 'Required' as const }),
    })
  }
  if (random.chance(0.3)) endpoints.push({ name: 'grpc', grpc: [random.one(['p.S/M', 'p.S/*'])] })
  if (random.chance(0.3)) endpoints.push({ name: 'tcp', protocol: 'TCP', ports: [80] })
  const to = (share: number) =>
    endpoints.length > 0 &&
    random.chance(share) && { to: [{ endpoints: random.some(endpoints, 2).map(({ name }) => name) }] }
  const rules: Rules = Array.from({ length: random.one([0, 0, 1, 2, 3, 10]) }, (_, at) => ({
    name: `r${at}`,
    from: someFrom(random, false, home),
    ...to(0.4),
    ...(random.chance(0.15) && { when: someWhen(random) }),
    ...(random.chance(0.4) && { grantScopes: random.some(SCOPES, 2) }),
  }))
  if (endpoints.some(({ require }) => require === 'None')) rules.push({ name: 'open', from: [{ any: true }] })
  return service(
    id,
    {
      ...(random.chance(0.2) && { identities: [`${FEDERATED}${id.replace('/', '-')}`] }),
      ...(random.chance(0.2) && { require: random.one(['Workload', 'User', 'Both', 'Any'] as const) }),
      calls: random.some(IDS, 6).map((target) => ({ service: target })),
      endpoints,
      rules,
      forbid: Array.from({ length: random.one([0, 0, 0, 1, 2]) }, (_, at) => ({
        name: `f${at}`,
        ...(random.chance(0.8) && { from: someFrom(random, false, home) }),
        ...to(0.6),
        ...(random.chance(0.5) && { when: someWhen(random) }),
        ...(random.chance(0.3) && { mode: random.one(MODES) }),
      })),
    },
    random.chance(0.6) ? { tier: random.one(TIERS) } : undefined,
  )
}

function someTo(
  random: Random,
): { paths?: string[]; methods?: string[]; services?: string[]; namespaces?: string[]; ports?: number[] }[] {
  const to: ReturnType<typeof someTo>[number] = {}
  if (random.chance(0.5)) to.paths = random.some(TEMPLATES, 2)
  if (random.chance(0.3)) to.methods = random.some(METHODS, 2)
  if (random.chance(0.2)) to.services = random.some(IDS, 2)
  if (random.chance(0.3)) to.namespaces = random.some(NAMESPACES, 2)
  if (random.chance(0.2)) to.ports = random.some([80, 81], 1)
  return [Object.keys(to).length > 0 ? to : { ports: [81] }]
}

function aMesh(random: Random): Naive {
  const services = IDS.filter(() => random.chance(0.95)).map((id) => aService(random, id))
  const named = new Set(services.map(({ metadata }) => `${metadata.namespace}/${metadata.name}`))
  const mesh: Naive = {
    services,
    baseline: baseline({
      allow: Array.from({ length: random.one([0, 0, 1]) }, (_, at) => ({
        name: `ba${at}`,
        from: someFrom(random, true, ''),
        ...(random.chance(0.8) && { to: someTo(random) }),
        ...(random.chance(0.3) && { grantScopes: random.some(SCOPES, 2) }),
      })),
      forbid: Array.from({ length: random.one([0, 0, 0, 1]) }, (_, at) => ({
        name: `bf${at}`,
        ...(random.chance(0.8) && { from: someFrom(random, true, '') }),
        ...(random.chance(0.8) && { to: someTo(random) }),
        ...(random.chance(0.3) && { mode: random.one(MODES) }),
      })),
    }),
  }
  return withoutUnknown(mesh, named)
}

/** Names of services that this mesh leaves out would be load errors. */
function withoutUnknown(mesh: Naive, named: ReadonlySet<string>): Naive {
  const known = (home: string) => (id: string) => named.has(id.includes('/') ? id : `${home}/${id}`)
  const clean = (elements: readonly { services?: string[] }[] | undefined, home: string) => {
    for (const element of elements ?? []) {
      if (!element.services) continue
      element.services = element.services.filter(known(home))
      if (element.services.length === 0) element.services = [[...named][0] ?? '']
    }
  }
  for (const { metadata, spec } of mesh.services) {
    spec.calls = (spec.calls ?? []).filter((call) => known('')(call.service))
    for (const rule of [...(spec.rules ?? []), ...(spec.forbid ?? [])])
      clean(rule.from, metadata.namespace ?? '')
  }
  for (const rule of [...(mesh.baseline.spec.allow ?? []), ...(mesh.baseline.spec.forbid ?? [])]) {
    clean(rule.from, '')
    clean(rule.to, '')
  }
  return mesh
}

function aCall(random: Random): Call {
  const caller = random.one(['', '', ...IDS, 'x/a', 'z/stranger', `${FEDERATED}x-a`, `${FEDERATED}y-b`])
  return {
    ...(caller !== '' && { from: caller }),
    to: random.one([...IDS, ...IDS, 'z/nobody']),
    ...(random.chance(0.5) && { user: { scopes: random.chance(0.5) ? SCOPES : [] } }),
    ...(random.chance(0.2) && { token: random.some(SCOPES, 2) }),
    method: random.one(METHODS),
    path: random.one(PATHS),
    upgrade: random.chance(0.1),
    tcp: random.chance(0.1),
    port: random.one([80, 81]),
    gateway: random.chance(0.15),
    headers: random.one([
      [],
      [['x-k', '1']],
      [['x-k', '2']],
      [
        ['x-k', '1'],
        ['x-k', '1'],
      ],
    ] as const),
  }
}

test('the compiled matrix says what a naive reading of the documents says', () => {
  const seed = Number(process.env['PROPERTY_SEED'] ?? Date.now() % 1_000_000_007)
  const random = generator(seed)
  const seen = new Map<string, number>()
  let meshes = 0
  for (let round = 0; round < 400; round++) {
    const mesh = aMesh(random)
    const written = [...mesh.services, mesh.baseline]
    if (mesh.services.length === 0) continue
    const problems = problemsOf(...written).filter((problem) => !problem.includes(' warning '))
    // Only ties are left to chance: everything else the generator writes is sound.
    expect({ seed, problems: problems.filter((problem) => !problem.includes('endpoint-tie')) }).toEqual({
      seed,
      problems: [],
    })
    if (problems.length > 0) continue
    meshes++
    const matrix = matrixOf(...written)
    for (let at = 0; at < 60; at++) {
      const call = aCall(random)
      const expected = naiveVerdict(mesh, call)
      const verdict = verdictOf(matrix, call, at % 8 === 0 ? [] : undefined)
      const actual = verdict.permit ? 'allowed' : verdict.refusal.reason
      seen.set(actual, (seen.get(actual) ?? 0) + 1)
      if (actual !== expected) {
        throw new Error(
          `seed ${seed}: ${actual}, naively ${expected}\n${JSON.stringify(call)}\n${JSON.stringify(mesh)}`,
        )
      }
    }
  }
  // A generator that never reaches a verdict would prove nothing about it.
  const rare = [
    'allowed',
    'forbidden',
    'rule-not-matched',
    'scope-missing',
    'call-not-allowed',
    'user-required',
  ].filter((verdict) => (seen.get(verdict) ?? 0) < 20)
  expect({ seed, rare, enough: meshes > 50 }).toEqual({ seed, rare: [], enough: true })
})
