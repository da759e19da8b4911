import { baseline, service } from './mesh.js'
import type { Asked } from './naive-conditions.js'
import type { Naive } from './naive-matrix.js'

/** Small, fast and good enough to spread cases: mulberry32. */
export function generator(seed: number) {
  let state = seed >>> 0
  const next = () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296
  }
  const below = (limit: number) => Math.floor(next() * limit)
  const chance = (share: number) => next() < share
  const one = <T>(list: readonly T[]): T => {
    const found = list[below(list.length)]
    if (found === undefined) throw new Error('nothing to choose from')
    return found
  }
  const some = <T>(list: readonly T[], most: number): T[] => {
    const count = 1 + below(most)
    return [...new Set(Array.from({ length: count }, () => one(list)))]
  }
  return { below, chance, one, some }
}
export type Random = ReturnType<typeof generator>

const IDS = ['x/a', 'x/b', 'x/c', 'y/a', 'y/b'] as const
const NAMESPACES = ['x', 'y', 'z']
const TIERS = ['web', 'batch']
const TEMPLATES = '/ /a /a/ /A /{p} /a/b /a/{p} /{p}/b /a/** /** /{p}/** /{p}/{q}/b'.split(' ')
const PATHS = '/ /a /a/ /A /A/ /b /a/b /a/B /a/b/ /b/b /a/a /a/c/b /b/c/b /p.S/M /p.S/N /p.S/ /p.s/m'.split(
  ' ',
)
const METHODS = ['GET', 'POST', 'PUT']
const GRPC = ['p.S/M', 'p.S/*', 'p.S/N']
const SCOPES = ['s', 't']
const MODES = ['Enforce', 'Shadow', 'Observe'] as const
const REQUIRE = ['Workload', 'User', 'Both', 'Any', 'None'] as const
const FEDERATED = 'spiffe://partner.example/w/'

type Spec = Naive['services'][number]['spec']
type Rules = NonNullable<Spec['rules']>
type From = Rules[number]['from'][number]
type When = NonNullable<Rules[number]['when']>
type Allows = NonNullable<Naive['baseline']['spec']['allow']>
type To = NonNullable<Allows[number]['to']>[number]

function aSelector(random: Random): NonNullable<From['selector']> {
  const values = random.some(TIERS, 2)
  if (random.chance(0.5)) return { matchLabels: { tier: random.one(TIERS) } }
  return {
    matchExpressions: [
      random.one([
        { key: 'tier', operator: 'In' as const, values },
        { key: 'tier', operator: 'NotIn' as const, values },
        { key: 'tier', operator: 'Exists' as const },
        { key: 'tier', operator: 'DoesNotExist' as const },
      ]),
    ],
  }
}

/** `home` is the namespace of the writing document; undefined in cluster-wide ones. */
function aFrom(random: Random, home: string | undefined): From {
  if (random.chance(0.12)) return { any: true }
  const from: From = {}
  if (random.chance(0.3)) from.users = true
  if (random.chance(0.35)) {
    from.services = random
      .some(IDS, 2)
      .map((id) => (home !== undefined && id.startsWith(`${home}/`) && random.chance(0.5) ? id.slice(2) : id))
  }
  if (random.chance(0.2)) from.namespaces = random.some(NAMESPACES, 2)
  if (random.chance(0.15)) from.notNamespaces = random.some(NAMESPACES, 1)
  if (random.chance(0.1)) from.trustDomains = [random.one(['cluster.local', 'partner.example'])]
  if (random.chance(0.15)) {
    from.identities = [
      random.one(['spiffe://cluster.local/ns/x/sa/a', 'spiffe://cluster.local/ns/*/sa/a', `${FEDERATED}*`]),
    ]
  }
  if (random.chance(0.2)) from.selector = aSelector(random)
  return Object.keys(from).length > 0 ? from : { users: true }
}

const someFrom = (random: Random, home: string | undefined) =>
  Array.from({ length: 1 + random.below(2) }, () => aFrom(random, home))

function aCondition(random: Random): When[number] {
  const header = 'request.headers[x-k]'
  return random.one<() => When[number]>([
    () => ({ key: header, values: [random.one(['1', '2'])] }),
    () => ({ key: header, notValues: [random.one(['1', '2'])] }),
    () => ({ key: header, present: random.chance(0.5) }),
    () => ({ key: 'user.roles', values: [random.one(['r', 'q', 'r*'])] }),
    () => ({ key: 'user.roles', notValues: [random.one(['r', 'q'])] }),
    () => ({ key: 'user.roles', present: random.chance(0.5) }),
    () => ({ key: 'user.mfa', is: random.chance(0.5) }),
    () => ({ key: 'request.method', values: random.some(METHODS, 2) }),
    () => ({ key: 'request.path', values: [random.one(['/a*', '/b', '/p*'])] }),
    () => ({ key: 'workload.namespace', values: random.some(NAMESPACES, 2) }),
    () => ({ key: 'workload.labels[tier]', notValues: [random.one(TIERS)] }),
    () => ({ key: 'target.endpoint', values: [random.one(['e0', 'e1', 'e*', 'tcp'])] }),
    () => ({ key: 'destination.port', atLeast: 81 }),
    () => ({ key: 'destination.port', below: 81 }),
    () => ({ key: 'source.ip', cidr: ['10.0.0.0/8'] }),
  ])()
}

const someWhen = (random: Random): When =>
  Array.from({ length: 1 + random.below(2) }, () => aCondition(random))

function someEndpoints(random: Random): NonNullable<Spec['endpoints']> {
  const templates = [...TEMPLATES]
  const endpoints: NonNullable<Spec['endpoints']> = []
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
      ...(random.chance(0.2) && { mfa: random.one(['Required', 'Required', 'RiskBased', 'None'] as const) }),
      ...(random.chance(0.1) && { maxAuthAge: '15m' }),
      ...(random.chance(0.25) && { mode: random.one(MODES) }),
    })
  }
  if (random.chance(0.3)) endpoints.push({ name: 'grpc', grpc: [random.one(['p.S/M', 'p.S/*'])] })
  if (random.chance(0.3)) endpoints.push({ name: 'tcp', protocol: 'TCP', ports: [80] })
  return endpoints
}

function aService(random: Random, id: string): Naive['services'][number] {
  const home = id.slice(0, 1)
  const endpoints = someEndpoints(random)
  const to = (share: number) =>
    random.chance(share) && { to: [{ endpoints: random.some(endpoints, 2).map(({ name }) => name) }] }
  const rules: Rules = Array.from({ length: random.one([0, 0, 1, 2, 3, 10]) }, (_, at) => ({
    name: `r${at}`,
    from: someFrom(random, home),
    ...to(0.4),
    ...(random.chance(0.2) && { when: someWhen(random) }),
    ...(random.chance(0.4) && { grantScopes: random.some(SCOPES, 2) }),
  }))
  if (endpoints.some(({ require }) => require === 'None')) rules.push({ name: 'open', from: [{ any: true }] })
  return service(
    id,
    {
      ...(random.chance(0.2) && { identities: [`${FEDERATED}${id.replace('/', '-')}`] }),
      ...(random.chance(0.2) && { require: random.one(['Workload', 'User', 'Both', 'Any'] as const) }),
      ...(random.chance(0.2) && { mode: random.one(MODES) }),
      calls: random.some(IDS, 6).map((target) => ({ service: target })),
      endpoints,
      rules,
      forbid: Array.from({ length: random.one([0, 0, 0, 1, 2]) }, (_, at) => ({
        name: `f${at}`,
        ...(random.chance(0.8) && { from: someFrom(random, home) }),
        ...to(0.6),
        ...(random.chance(0.6) && { when: someWhen(random) }),
        ...(random.chance(0.3) && { mode: random.one(MODES) }),
      })),
    },
    random.chance(0.6) ? { tier: random.one(TIERS) } : undefined,
  )
}

function someTo(random: Random): To[] {
  const to: To = {}
  if (random.chance(0.4)) to.paths = random.some(TEMPLATES, 2)
  else if (random.chance(0.2)) to.grpc = random.some(GRPC, 2)
  if (random.chance(0.3)) to.methods = random.some(METHODS, 2)
  if (random.chance(0.2)) to.services = random.some(IDS, 2)
  if (random.chance(0.3)) to.namespaces = random.some(NAMESPACES, 2)
  if (random.chance(0.2)) to.selector = aSelector(random)
  if (random.chance(0.2)) to.ports = random.some([80, 81], 1)
  return [Object.keys(to).length > 0 ? to : { ports: [81] }]
}

/** A mesh whose documents are sound but for endpoints that may tie. */
export function aMesh(random: Random): Naive {
  const services = IDS.filter(() => random.chance(0.95)).map((id) => aService(random, id))
  const [mode, require] = [random.one(MODES), random.one(['Any', 'Both', 'User'] as const)]
  const defaults = { ...(random.chance(0.2) && { mode }), ...(random.chance(0.2) && { require }) }
  const mesh: Naive = {
    services,
    baseline: baseline({
      ...(Object.keys(defaults).length > 0 && { defaults }),
      allow: Array.from({ length: random.one([0, 0, 1, 2]) }, (_, at) => ({
        name: `ba${at}`,
        from: someFrom(random, undefined),
        ...(random.chance(0.8) && { to: someTo(random) }),
        ...(random.chance(0.2) && { when: someWhen(random) }),
        ...(random.chance(0.3) && { grantScopes: random.some(SCOPES, 2) }),
      })),
      forbid: Array.from({ length: random.one([0, 0, 0, 1, 2]) }, (_, at) => ({
        name: `bf${at}`,
        ...(random.chance(0.8) && { from: someFrom(random, undefined) }),
        ...(random.chance(0.8) && { to: someTo(random) }),
        ...(random.chance(0.4) && { when: someWhen(random) }),
        ...(random.chance(0.3) && { mode: random.one(MODES) }),
      })),
    }),
  }
  return linked(mesh, random)
}

/** Names of services that this mesh leaves out would be load errors; those that are there may name endpoints. */
function linked(mesh: Naive, random: Random): Naive {
  const named = new Map(
    mesh.services.map((each) => [`${each.metadata.namespace}/${each.metadata.name}`, each.spec]),
  )
  const [first] = named.keys()
  const clean = (elements: readonly { services?: string[] }[] | undefined, home: string | undefined) => {
    for (const element of elements ?? []) {
      if (!element.services) continue
      element.services = element.services.filter((id) => named.has(id.includes('/') ? id : `${home}/${id}`))
      if (element.services.length === 0) element.services = [first ?? '']
    }
  }
  for (const { metadata, spec } of mesh.services) {
    spec.calls = (spec.calls ?? []).flatMap(({ service: id }) => {
      const endpoints = named.get(id)?.endpoints?.map(({ name }) => name)
      if (!endpoints) return []
      const isBare = id.startsWith(`${metadata.namespace}/`) && random.chance(0.5)
      const only = random.chance(0.3) && { endpoints: random.some(endpoints, 3) }
      return [{ service: isBare ? id.slice(2) : id, ...only }]
    })
    for (const rule of [...(spec.rules ?? []), ...(spec.forbid ?? [])]) clean(rule.from, metadata.namespace)
  }
  for (const rule of [...(mesh.baseline.spec.allow ?? []), ...(mesh.baseline.spec.forbid ?? [])]) {
    clean(rule.from, undefined)
    clean(rule.to, undefined)
  }
  return mesh
}

export function aCall(random: Random): Asked {
  const caller = random.one(['', '', ...IDS, 'x/a', 'z/stranger', `${FEDERATED}x-a`, `${FEDERATED}y-b`])
  const roles = random.one([[], ['r'], ['q', 'r']])
  const address = random.one(['', '10.1.2.3', '192.168.0.1'])
  return {
    ...(caller !== '' && { from: caller }),
    ...(caller !== '' &&
      random.chance(0.2) && { via: random.one([...IDS, 'z/stranger', `${FEDERATED}x-b`]) }),
    to: random.one([...IDS, ...IDS, 'z/nobody']),
    ...(random.chance(0.5) && {
      user: {
        scopes: random.chance(0.5) ? SCOPES : [],
        mfaVerified: random.chance(0.5),
        ...(roles.length > 0 && { roles, claims: { roles } }),
      },
      ...(roles.length > 0 && { roles }),
    }),
    ...(random.chance(0.2) && { token: random.some(SCOPES, 2) }),
    method: random.one(METHODS),
    path: random.one(PATHS),
    upgrade: random.chance(0.1),
    tcp: random.chance(0.1),
    port: random.one([80, 81]),
    gateway: random.chance(0.15),
    ...(address !== '' && { sourceIp: address }),
    headers: random.one([
      [],
      [['x-k', '1']],
      [['x-k', '2']],
      [['x-k', '1,2']],
      [
        ['x-k', '1'],
        ['x-k', '1'],
      ],
    ] as const),
  }
}

/** Every value that is this one less one member, at whatever depth; the greatest cuts first. */
export function* smaller(value: unknown): Generator {
  if (Array.isArray(value)) {
    for (const index of value.keys()) yield value.toSpliced(index, 1)
    for (const [index, member] of value.entries()) {
      for (const less of smaller(member)) yield value.with(index, less)
    }
  } else if (typeof value === 'object' && value !== null) {
    for (const [name, member] of Object.entries(value)) {
      yield Object.fromEntries(Object.entries(value).filter(([other]) => other !== name))
      for (const less of smaller(member)) yield { ...value, [name]: less }
    }
  }
}
