import { stringify } from 'yaml'
import type { Call } from '../../../support/mesh.js'

/** What a header that is absent, other or negated, a path, a method or an expression can hide from samples. */
const OTHER_CONDITIONS = [
  { key: 'request.headers[x-k]', notValues: ['1'] },
  { key: 'request.headers[x-k]', present: true },
  { key: 'request.headers[x-k]', present: false },
  { key: 'request.path', values: ['/b', '/a/b', '/p.S/*'] },
  { key: 'request.method', values: ['PUT'] },
  { key: 'destination.port', values: ['81'] },
  { cel: "request.headers['x-k'] == '2'" },
]

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
  const some = <T>(list: readonly T[], most: number): T[] => [
    ...new Set(Array.from({ length: 1 + below(most) }, () => one(list))),
  ]
  return { below, chance, one, some }
}
export type Random = ReturnType<typeof generator>

export const IDS = ['x/a', 'x/b', 'x/c', 'w/a', 'w/b'] as const
const NAMESPACES = ['x', 'w']
const TEMPLATES = ['/', '/a', '/{p}', '/a/b', '/a/{p}', '/{p}/b', '/a/**', '/c/d/e']
const PATHS = [
  '/',
  '/a',
  '/b',
  '/a/b',
  '/a/a',
  '/b/b',
  '/b/a',
  '/a/c/b',
  '/c/d/e',
  '/A',
  '/a/',
  '/A/B',
  '/A/b',
  '/p.S/M',
  '/p.S/N',
]
const METHODS = ['GET', 'POST', 'PUT']
const SCOPES = ['s', 't:x']
const ROLES = ['r1', 'r2']

function aFrom(random: Random, cluster: boolean): Record<string, unknown> {
  const from: Record<string, unknown> = {}
  if (random.chance(0.1)) return { any: true }
  if (random.chance(0.2)) from['users'] = true
  const kind = random.one([
    'services',
    'services',
    'services',
    'namespaces',
    'identities',
    'selector',
    'none',
  ])
  if (kind === 'services') from['services'] = random.some(IDS, 2)
  if (kind === 'namespaces') from['namespaces'] = random.some(NAMESPACES, 2)
  if (kind === 'identities') from['identities'] = [`spiffe://cluster.local/ns/*/sa/${random.one(['a', 'b'])}`]
  if (kind === 'selector') from['selector'] = { matchLabels: { tier: random.one(['web', 'batch']) } }
  if (cluster && from['selector'] && !from['namespaces']) from['namespaces'] = random.some(NAMESPACES, 2)
  return Object.keys(from).length > 0 ? from : { services: [random.one(IDS)] }
}

function someWhen(random: Random) {
  if (random.chance(0.4)) return [random.one(OTHER_CONDITIONS)]
  return [
    random.chance(0.5)
      ? { key: 'request.headers[x-k]', values: [random.one(['1', '2'])] }
      : random.chance(0.5)
        ? { key: 'user.roles', values: [random.one(ROLES)] }
        : { key: 'source.ip', cidr: ['10.0.0.0/8'] },
  ]
}

function aSpec(random: Random): Record<string, unknown> {
  const templates = [...TEMPLATES]
  const endpoints: Record<string, unknown>[] = []
  for (let at = random.below(4); at > 0; at--) {
    const paths = random.some(templates, 2)
    for (const path of paths) templates.splice(templates.indexOf(path), 1)
    endpoints.push({
      name: `e${endpoints.length}`,
      paths,
      methods: random.some(METHODS, 2),
      ...(random.chance(0.1) && { ports: random.some([80, 81], 2) }),
      ...(random.chance(0.2) && { require: random.one(['Workload', 'User', 'Both', 'Any']) }),
      ...(random.chance(0.3) && { workloadScopes: random.some(SCOPES, 2) }),
      ...(random.chance(0.1) && { userScopes: random.some(SCOPES, 1) }),
    })
  }
  if (random.chance(0.3)) endpoints.push({ name: 'grpc', grpc: [random.one(['p.S/M', 'p.S/*'])] })
  if (random.chance(0.3)) endpoints.push({ name: 'tcp', protocol: 'TCP', ports: [80], require: 'Workload' })
  const names = endpoints.map(({ name }) => name)
  const to = (share: number) =>
    names.length > 0 && random.chance(share) && { to: [{ endpoints: random.some(names, 2) }] }
  const rules = Array.from({ length: random.one([0, 0, 1, 2, 3]) }, (_, at) => ({
    name: `r${at}`,
    from: Array.from({ length: 1 + random.below(2) }, () => aFrom(random, false)),
    ...to(0.5),
    ...(random.chance(0.3) && { when: someWhen(random) }),
    ...(random.chance(0.4) && { grantScopes: random.some(SCOPES, 2) }),
  }))
  const forbid = Array.from({ length: random.one([0, 0, 0, 1, 2]) }, (_, at) => ({
    name: `f${at}`,
    ...(random.chance(0.8) && { from: [aFrom(random, false)] }),
    ...to(0.6),
    ...(random.chance(0.4) && { when: someWhen(random) }),
  }))
  const calls = random.some(IDS, 3).map((service) => ({ service }))
  return {
    ...(random.chance(0.8) && { calls }),
    ...(endpoints.length > 0 && { endpoints }),
    ...(rules.length > 0 && { rules }),
    ...(forbid.length > 0 && { forbid }),
  }
}

function aTo(random: Random) {
  const to = {
    ...(random.chance(0.5) && { paths: random.some(TEMPLATES, 2) }),
    ...(random.chance(0.3) && { methods: random.some(METHODS, 2) }),
    ...(random.chance(0.3) && { namespaces: random.some(NAMESPACES, 1) }),
  }
  return [Object.keys(to).length > 0 ? to : { ports: [81] }]
}

/** The text of a policy file, in block or flow style, with a comment here and there. */
export function aPolicyText(random: Random): string {
  const documents = IDS.map((id) => ({
    apiVersion: 'portcullis.dev/v1beta1',
    kind: 'ServicePolicy',
    metadata: {
      name: id.slice(2),
      namespace: id.slice(0, 1),
      ...(random.chance(0.5) && { labels: { tier: random.one(['web', 'batch']) } }),
    },
    spec: aSpec(random),
  }))
  const baseline = {
    apiVersion: 'portcullis.dev/v1beta1',
    kind: 'BaselinePolicy',
    metadata: { name: 'default' },
    spec: {
      ...(random.chance(0.3) && { allow: [{ name: 'ba', from: [aFrom(random, true)], to: aTo(random) }] }),
      ...(random.chance(0.2) && { forbid: [{ name: 'bf', from: [aFrom(random, true)], to: aTo(random) }] }),
    },
  }
  return [...documents, baseline]
    .map((document) =>
      random.chance(0.5)
        ? stringify(document, { lineWidth: 0 })
        : stringify(document, { collectionStyle: 'flow', lineWidth: random.one([0, 60]) }),
    )
    .map((text) => `# ${random.one(['one', 'two'])}\n${text.replace(/\n?$/, '\n')}`)
    .join('---\n')
}

export function aCall(random: Random): Call {
  const caller = random.one(['', ...IDS, ...IDS, 'z/stranger'])
  const tcp = random.chance(0.1)
  return {
    ...(caller !== '' && { from: caller }),
    to: random.one(IDS),
    ...(random.chance(0.5) && {
      user: {
        scopes: random.chance(0.5) ? SCOPES : [],
        roles: random.chance(0.6) ? [random.one(ROLES)] : [],
      },
    }),
    ...(random.chance(0.2) && { token: random.some(SCOPES, 2) }),
    method: random.one(METHODS),
    path: random.one(PATHS),
    upgrade: random.chance(0.05),
    tcp,
    port: random.one([80, 81]),
    gateway: random.chance(0.1),
    headers: random.one([[], [['x-k', '1']], [['x-k', '2']]] as const),
  }
}
