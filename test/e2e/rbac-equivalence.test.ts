import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { Agent, request as httpsRequest } from 'node:https'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { stringify } from 'yaml'
import { callTcp } from '../../demo/calls.js'
import { envoyBinary } from '../../demo/envoy-binary.js'
import { createPki, spiffeIdOf, writeIdentity } from '../../demo/pki.js'
import { Processes } from '../../demo/processes.js'
import { decideSupposed } from '../../src/lifecycle/decide-supposed.js'
import { exportPolicy } from '../../src/lifecycle/export/export.js'
import { deviceInOrder } from '../../src/lifecycle/suppose-device.js'
import { supposeCaller } from '../../src/lifecycle/suppose-caller.js'
import { loadPolicy, type Policy } from '../../src/policy/load-policy.js'
import type { PolicyDocument } from '../../src/policy/read-documents.js'
import type { Supposition } from '../../src/lifecycle/supposition.js'
import { NOWHERE } from '../../src/risk/locate.js'
import { serviceNamed } from '../../src/lifecycle/export/access-of.js'
import { NOTHING_KNOWN } from '../../src/state/recall.js'

const TARGET = 'shop/target'
const DATABASE = 'shop/database'
/** So long that no one regular expression in Envoy may hold it twice. */
const LONG = 'a-name-of-more-than-fifty-characters-for-one-segment-only'

/** Headers that Envoy knows, and leaves as they are. */
const KNOWN_HEADERS = [
  'user-agent',
  'accept',
  'authorization',
  'origin',
  'referer',
  'content-type',
  'grpc-timeout',
  'date',
  'server',
  'cache-control',
  'forwarded',
  'access-control-request-method',
]

/** The ports are those that Envoy listens on. */
const policyText = (port: number, tcpPort: number): string => `
apiVersion: portcullis.dev/v1beta1
kind: ServicePolicy
metadata: { name: target, namespace: shop }
spec:
  endpoints:
    - { name: item, paths: ["/api/items/{id}"], methods: [GET, PUT] }
    - { name: mine, paths: [/api/items/mine], methods: [POST] }
    - { name: parts, paths: ["/api/items/{id}/parts/**"], methods: [GET] }
    - { name: left, paths: ["/x/{a}"], methods: [GET] }
    - { name: right, paths: ["/{a}/y"], methods: [PUT] }
    - { name: folder, paths: [/folder/], methods: [GET] }
    - { name: files, paths: [/files/**], methods: [GET, HEAD] }
    - { name: secret, paths: [/files/secret/**], methods: [GET] }
    - { name: odd, paths: ["/a.b/c+d", "/caf%C3%A9"], methods: [GET] }
    - { name: all-calls, grpc: [shop.v1.Items/*] }
    - { name: refund, grpc: [shop.v1.Items/Refund], workloadScopes: [refund] }
    - { name: live, paths: [/live], methods: [GET], protocol: WebSocket }
    - { name: here, paths: [/port], methods: [GET], ports: [${port}] }
    - { name: elsewhere, paths: [/port], methods: [GET], ports: [1] }
    - { name: long, paths: ["/${LONG}/{id}/${LONG}/{part}/tail/**"], methods: [GET] }
    - { name: flagged, paths: [/flagged], methods: [GET] }
    - { name: unflagged, paths: [/unflagged], methods: [GET] }
${KNOWN_HEADERS.map((name) => `    - { name: h-${name}, paths: [/h/${name}], methods: [GET] }\n`).join('')}  rules:
${KNOWN_HEADERS.map((name) => `    - { name: h-${name}, from: [{ any: true }], to: [{ endpoints: [h-${name}] }], when: [{ key: "request.headers[${name}]", values: [a] }] }\n`).join('')}    - { name: friends, from: [{ services: [friend] }], to: [{ endpoints: [item, mine, parts, left, right, folder, long, odd, live, here, elsewhere, all-calls] }] }
    - { name: refunds, from: [{ services: [friend] }], to: [{ endpoints: [refund] }], grantScopes: [refund] }
    - { name: files, from: [{ namespaces: [shop], selector: { matchLabels: { reads: files } } }], to: [{ endpoints: [files, secret] }] }
    - { name: fleet, from: [{ identities: ["spiffe://cluster.local/ns/fleet/sa/*"] }, { services: [fleet/trucks] }], to: [{ endpoints: [files] }] }
    - { name: flagged, from: [{ any: true }], to: [{ endpoints: [flagged] }], when: [{ key: "request.headers[x-env]", values: [prod, stage] }] }
    - { name: unflagged, from: [{ any: true }], to: [{ endpoints: [unflagged] }], when: [{ key: "request.headers[x-env]", notValues: [prod] }] }
  forbid:
    - { name: no-secrets, to: [{ endpoints: [secret] }] }
    - { name: no-puts-by-reader, from: [{ services: [reader] }], to: [{ endpoints: [item] }] }
    - { name: sealed, to: [{ endpoints: [odd] }], when: [{ key: "request.headers[x-seal]", values: ["open"] }] }
---
apiVersion: portcullis.dev/v1beta1
kind: ServicePolicy
metadata: { name: friend, namespace: shop, labels: { reads: files } }
spec:
  calls: [{ service: target }, { service: database }]
  identities: ["spiffe://cluster.local/ns/elsewhere/sa/*"]
---
apiVersion: portcullis.dev/v1beta1
kind: ServicePolicy
metadata: { name: reader, namespace: shop, labels: { reads: files } }
spec: { calls: [{ service: target, endpoints: [files, secret, flagged] }, { service: database }] }
---
apiVersion: portcullis.dev/v1beta1
kind: ServicePolicy
metadata: { name: trucks, namespace: fleet }
spec:
  calls: [{ service: shop/target }, { service: shop/database, endpoints: [sql] }]
  serviceAccounts: [trucks, vans]
---
apiVersion: portcullis.dev/v1beta1
kind: ServicePolicy
metadata: { name: database, namespace: shop }
spec:
  endpoints:
    - { name: sql, protocol: TCP, ports: [${tcpPort}] }
    - { name: replication, protocol: TCP, ports: [1] }
  rules:
    - { name: sql, from: [{ any: true }], to: [{ endpoints: [sql] }] }
    - { name: replication, from: [{ any: true }], to: [{ endpoints: [replication] }] }
    - { name: by-header, from: [{ any: true }], when: [{ key: "request.headers[x-env]", present: true }] }
  forbid:
    - { name: no-vans, from: [{ identities: [spiffe://cluster.local/ns/fleet/sa/vans] }], to: [{ endpoints: [sql] }] }
    - { name: no-dev, from: [{ services: [reader] }], when: [{ key: "request.headers[x-env]", values: [dev] }] }
---
apiVersion: portcullis.dev/v1beta1
kind: ServicePolicy
metadata: { name: stranger, namespace: shop }
spec: { calls: [{ service: database, endpoints: [replication] }] }
---
apiVersion: portcullis.dev/v1beta1
kind: BaselinePolicy
metadata: { name: default }
spec:
  allow:
    - { name: metrics, from: [{ identities: [spiffe://cluster.local/ns/monitoring/sa/prometheus] }], to: [{ paths: [/metrics], methods: [GET] }] }
    - { name: health, from: [{ any: true }], to: [{ paths: [/healthz, "/status/**"] }] }
  forbid:
    - { name: no-debug, to: [{ paths: [/files/debug/**, /status/internal] }] }
    - { name: vans-do-not-delete, from: [{ identities: [spiffe://cluster.local/ns/fleet/sa/vans] }], to: [{ methods: [DELETE, POST] }] }
`

const CALLERS = [
  'shop/friend',
  'shop/reader',
  'shop/stranger',
  'fleet/trucks',
  'fleet/vans',
  'monitoring/prometheus',
  'nowhere/nobody',
  'elsewhere/friend',
]
const PATHS = [
  '/api/items/7',
  '/api/items/mine',
  '/api/items/Mine',
  '/api/items/mine/',
  '/api/items/',
  '/api/items//7',
  '/api/items/7?x=/y',
  '/api/items/7?x=%2e#y',
  '/api/items/a%20b',
  '/api/items/a%2fb',
  '/api/items/a%2Fb',
  '/api/items/caf%C3%A9',
  '/api/items/caf%c3%a9',
  '/api/items/%EF%BC%8F',
  '/api/items/%C0%AF',
  '/api/items/%E2%82%AC%F0%9F%98%80',
  '/api/items/a*b',
  '/api/items/a;b',
  '/api/items/a\\b',
  '/api/items/..',
  '/api/items/...',
  '/api/items/../items/7',
  '/api/./items/7',
  '/API/items/7',
  '/api/items/7/parts',
  '/api/items/7/parts/',
  '/api/items/7/parts/a/b',
  '/api/items/7/partsa',
  '/x/y',
  '/x/z',
  '/x/',
  '/z/y',
  '/x/y/',
  '/folder',
  '/folder/',
  '/files',
  '/files/',
  '/files/a/b/c',
  '/files/secret',
  '/files/Secret/x',
  '/files/secret/x/',
  '/files/SECRET',
  '/files/secretly',
  '/files/Debug/a',
  '/files/debug/',
  '/a.b/c+d',
  '/A.b/c+d',
  '/aXb/c+d',
  '/caf%C3%A9',
  '/shop.v1.Items/List',
  '/shop.v1.Items/Refund',
  '/shop.v1.Items/',
  '/shop.v1.Items/List/x',
  '/shop.v1.items/List',
  '/live',
  '/port',
  '/metrics',
  '/metrics/',
  '/healthz',
  '/status',
  '/status/a',
  '/status/Internal/',
  `/${LONG}/1/${LONG}/2/tail/x/y`,
  `/${LONG}/1/${LONG}/2/tail`,
  `/${LONG}/1/x/2/tail`,
  `/x/1/${LONG}/2/tail`,
  `/${LONG}/1/${LONG}/2/tall`,
  '/flagged',
  '/unflagged',
  '/',
]
const METHODS = ['GET', 'POST', 'PUT', 'HEAD']
type Header = readonly [string, string]
const HEADERS: readonly (readonly Header[])[] = [
  [['x-env', 'prod']],
  [['x-env', 'stage']],
  [['x-env', 'dev']],
  [['x-env', 'prod,stage']],
  [['x-env', '']],
  [['x-seal', 'open']],
  [['x-seal', 'shut']],
  [
    ['connection', 'Upgrade'],
    ['upgrade', 'websocket'],
  ],
]
const WITH_HEADERS = ['/flagged', '/unflagged', '/live', '/files/a', '/a.b/c+d', '/healthz', '/api/items/7']

type Call = {
  readonly caller: string
  readonly method: string
  readonly path: string
  readonly headers: readonly Header[]
}

const callsOf = (caller: string): Call[] => {
  const plain = PATHS.flatMap((path) =>
    METHODS.map((method): Call => ({ caller, method, path, headers: [] })),
  )
  const more = WITH_HEADERS.flatMap((path) =>
    HEADERS.map((headers): Call => ({ caller, method: 'GET', path, headers })),
  )
  const known = KNOWN_HEADERS.flatMap((name) =>
    ['a', 'b', 'a,a'].map((value): Call => ({
      caller,
      method: 'GET',
      path: `/h/${name}`,
      headers: [[name, value]],
    })),
  )
  return plain.concat(more, known)
}
const CALLS = CALLERS.flatMap(callsOf)

const TEMPLATES = [
  '/',
  '/a',
  '/a/',
  '/A',
  '/{x}',
  '/a/b',
  '/a/{x}',
  '/{x}/b',
  '/{x}/{y}',
  '/a/{x}/b',
  '/**',
  '/a/**',
  '/{x}/**',
  '/a/b/**',
]
const RANDOM_CALLERS = ['shop/friend', 'shop/reader', 'fleet/trucks']
const SEGMENTS = ['/a', '/b', '/A', '/c']
const TWO = SEGMENTS.flatMap((one) => SEGMENTS.map((two) => one + two))
const RANDOM_PATHS = [
  '/',
  ...[...SEGMENTS, ...TWO, ...TWO.flatMap((two) => [`${two}/b`, `${two}/c`])].flatMap((path) => [
    path,
    `${path}/`,
  ]),
]

/** A target with endpoints, rules and forbids as they come, the same for the same number. */
function randomTarget(name: string, seed: number): string {
  let state = seed * 7919 + 17
  const next = (below: number): number => (state = (state * 48271) % 2147483647) % below
  const some = (list: readonly string[], most: number): string =>
    [...new Set(Array.from({ length: 1 + next(most) }, () => list[next(list.length)]))]
      .map((one) => `"${one}"`)
      .join(', ')
  const names = Array.from({ length: 2 + next(4) }, (_, at) => `e${at}`)
  const endpoints = names.map((one) => {
    const grpc = next(5) === 0 ? `, grpc: [${some(['a/b', 'a/*', 'a/c'], 1)}]` : ''
    return `    - { name: ${one}, paths: [${some(TEMPLATES, 3)}], methods: [${some(['GET', 'POST', 'PUT'], 2)}]${grpc} }`
  })
  const to = (): string => (next(3) === 0 ? '' : `, to: [{ endpoints: [${some(names, 2)}] }]`)
  const from = (): string => `from: [{ services: [${some(RANDOM_CALLERS, 2)}] }]`
  const forbid =
    next(2) === 0
      ? ''
      : `\n  forbid: [{ name: f, ${next(2) === 0 ? from() : 'from: [{ any: true }]'}, to: [{ endpoints: [${some(names, 1)}] }] }]`
  return `apiVersion: portcullis.dev/v1beta1
kind: ServicePolicy
metadata: { name: ${name}, namespace: shop }
spec:
  endpoints:
${endpoints.join('\n')}
  rules:
    - { name: one, ${from()}${to()} }
    - { name: two, from: [{ any: true }]${to()} }${forbid}
`
}

const CALLING = RANDOM_CALLERS.map((caller) => {
  const [namespace, name] = caller.split('/')
  return `apiVersion: portcullis.dev/v1beta1
kind: ServicePolicy
metadata: { name: ${name}, namespace: ${namespace} }
spec: { calls: [CALLS] }
`
})
const SPIKED = `apiVersion: portcullis.dev/v1beta1
kind: BaselinePolicy
metadata: { name: default }
spec:
  allow: [{ name: some, from: [{ services: [shop/reader] }], to: [{ paths: ["/c/{x}"], methods: [GET] }] }]
  forbid: [{ name: deep, from: [{ namespaces: [fleet] }], to: [{ paths: ["/a/{x}/c"] }] }]
`

/** A policy of targets whose endpoints don't tie, and of callers that name them all. */
function randomPolicy(targets: number): { readonly names: readonly string[]; readonly text: string } {
  const documents: string[] = []
  for (let seed = 0; documents.length < targets; seed++) {
    const document = randomTarget(`t${documents.length}`, seed)
    const alone = [...CALLING.map((caller) => caller.replace('CALLS', '')), document].join('---\n')
    if (loadPolicy([{ file: 'p.yaml', text: alone }], SURROUNDINGS).ok) documents.push(document)
  }
  const names = documents.map((_, at) => `shop/t${at}`)
  const calls = names.map((name) => `{ service: ${name} }`).join(', ')
  const text = [...CALLING.map((caller) => caller.replace('CALLS', calls)), SPIKED, ...documents].join(
    '---\n',
  )
  return { names, text }
}

const SURROUNDINGS = { localTrustDomain: 'cluster.local', trustDomains: [] }

let directory: string
let processes: Processes
const pki = createPki('shop.example.com')
const agents = new Map<string, Agent>()

const taken = new Set<number>()

/** One that nobody listens on, and that was not given before. */
async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  await new Promise((resolve) => server.close(resolve))
  if (address === null || typeof address === 'string') throw new Error('a TCP server has a port')
  if (taken.has(address.port)) return freePort()
  taken.add(address.port)
  return address.port
}

const typed = (type: string, fields: object): object => ({
  '@type': `type.googleapis.com/envoy.extensions.${type}`,
  ...fields,
})

/** A listener that takes nobody without a certificate. */
function listener(port: number, filters: readonly unknown[]): object {
  const file = (name: string) => ({ filename: join(directory, 'tls', name) })
  const tls = typed('transport_sockets.tls.v3.DownstreamTlsContext', {
    require_client_certificate: true,
    common_tls_context: {
      tls_certificates: [{ certificate_chain: file('svid.pem'), private_key: file('svid.key') }],
      validation_context: { trusted_ca: file('bundle.pem') },
    },
  })
  return {
    name: `inbound ${port}`,
    address: { socket_address: { address: '127.0.0.1', port_value: port } },
    filter_chains: [{ transport_socket: { name: 'tls', typed_config: tls }, filters }],
  }
}

/** Answers 200 to whom the filters let pass. */
function httpListener(port: number, filters: readonly unknown[]): object {
  const answer = { match: { prefix: '/' }, direct_response: { status: 200, body: { inline_string: 'ok' } } }
  const manager = typed('filters.network.http_connection_manager.v3.HttpConnectionManager', {
    stat_prefix: 'inbound',
    normalize_path: false,
    merge_slashes: false,
    upgrade_configs: [{ upgrade_type: 'websocket' }],
    route_config: { virtual_hosts: [{ name: 'all', domains: ['*'], routes: [answer] }] },
    http_filters: [...filters, { name: 'router', typed_config: typed('filters.http.router.v3.Router', {}) }],
  })
  return listener(port, [{ name: 'http', typed_config: manager }])
}

/** Sends back what it gets from whom the filters let pass. */
function tcpListener(port: number, filters: readonly unknown[]): object {
  const echo = { name: 'echo', typed_config: typed('filters.network.echo.v3.Echo', {}) }
  return listener(port, [...filters, echo])
}

function ask(port: number, { caller, method, path, headers }: Call): Promise<string> {
  let agent = agents.get(caller)
  if (!agent) {
    const { chainPem, keyPem } = pki.svid(caller)
    agent = new Agent({
      keepAlive: true,
      maxSockets: 4,
      ca: pki.bundlePem,
      cert: chainPem,
      key: keyPem,
      checkServerIdentity: () => undefined,
    })
    agents.set(caller, agent)
  }
  const options = {
    agent,
    host: '127.0.0.1',
    port,
    method,
    path,
    headers: { host: 'target', ...Object.fromEntries(headers) },
  }
  return new Promise((resolve) => {
    const request = httpsRequest(options, (response) => {
      response.resume()
      response.on('end', () => resolve(String(response.statusCode)))
    })
    request.on('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message))
    request.end()
  })
}

let policy: Policy
let randomPolicyLoaded: Policy
const randomPorts = new Map<string, number>()
let port: number
let tcpPort: number

/** The filters that the export gives a service. */
function filtersOf(
  of: Policy,
  id: string,
  kind: 'http_filters' | 'network_filters',
  sources: readonly PolicyDocument[],
): unknown[] {
  const service = serviceNamed(of.matrix, id)
  if (!service) throw new Error(`the policy does not name ${id}`)
  const { services, refused } = exportPolicy('envoy-rbac', of, sources, {
    only: [service],
    podLabel: 'app',
  })
  expect(refused).toEqual([])
  const filters = services[0]?.objects[0]?.[kind]
  if (!Array.isArray(filters)) throw new Error(`the export of ${id} has no ${kind}`)
  return filters
}

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'portcullis-rbac-'))
  mkdirSync(join(directory, 'logs'))
  processes = new Processes(join(directory, 'logs'))
  writeIdentity(join(directory, 'tls'), pki.svid(TARGET), pki.bundlePem)
  port = await freePort()
  tcpPort = await freePort()
  const loaded = loadPolicy([{ file: 'policy.yaml', text: policyText(port, tcpPort) }], SURROUNDINGS)
  if (!loaded.ok) throw new Error(JSON.stringify(loaded.problems))
  policy = loaded.policy
  const { names, text } = randomPolicy(12)
  const random = loadPolicy([{ file: 'random.yaml', text }], SURROUNDINGS)
  if (!random.ok) throw new Error(JSON.stringify(random.problems))
  randomPolicyLoaded = random.policy
  for (const name of names) randomPorts.set(name, await freePort())
  const listeners = [
    httpListener(port, filtersOf(policy, TARGET, 'http_filters', loaded.sources)),
    tcpListener(tcpPort, filtersOf(policy, DATABASE, 'network_filters', loaded.sources)),
    ...[...randomPorts].map(([name, at]) =>
      httpListener(at, filtersOf(random.policy, name, 'http_filters', random.sources)),
    ),
  ]
  const file = join(directory, 'envoy.yaml')
  writeFileSync(file, stringify({ static_resources: { listeners } }, { aliasDuplicateObjects: false }))
  const args = ['-c', file, '--concurrency', '1', '--disable-hot-restart', '--log-level', 'warning']
  const envoy = await processes.start('envoy', envoyBinary(), args)
  const first: Call = { caller: 'shop/friend', method: 'GET', path: '/api/items/7', headers: [] }
  for (let tries = 0; (await ask(port, first)) !== '200'; tries++) {
    processes.assertRunning(envoy)
    if (tries > 100) throw new Error('Envoy never let the first call pass')
    await sleep(50)
  }
}, 120_000)

afterAll(async () => {
  for (const agent of agents.values()) agent.destroy()
  await processes.stop()
  rmSync(directory, { recursive: true, force: true })
})

/** Whether Portcullis lets a workload's own call pass, of whom nothing else is known. */
async function allows(
  of: Policy,
  caller: string,
  call: Pick<Supposition, 'target' | 'port' | 'tcp'> & Partial<Omit<Call, 'caller'>>,
): Promise<boolean> {
  const named = { caller: spiffeIdOf(caller), via: undefined, workloadScopes: undefined, user: undefined }
  const who = supposeCaller(named, of.matrix, { claims: new Map(), roles: [] })
  if (!who.ok) throw new Error(who.problem)
  const supposed: Supposition = {
    method: 'GET',
    path: '/',
    ...call,
    header: call.headers,
    sourceIp: '127.0.0.1',
    host: 'target',
    issuer: '',
    listenerRole: 'Sidecar',
    mtls: 'Strict',
  }
  const lookups = {
    recall: (keys: typeof NOTHING_KNOWN.keys) => ({ ...NOTHING_KNOWN, keys, device: deviceInOrder(0) }),
    locate: () => NOWHERE,
    signals: false,
  }
  const { outcome } = await decideSupposed(supposed, who.value, of, lookups, 'x-service-token', 0, [])
  return outcome === 'allow'
}

test(`Envoy with the exported filters and Portcullis give the same answer to ${CALLS.length} calls`, async () => {
  const portcullis = await Promise.all(
    CALLS.map(({ caller, ...call }) => allows(policy, caller, { target: TARGET, port, ...call })),
  )
  const envoys = await Promise.all(CALLS.map(async (call) => (await ask(port, call)) === '200'))
  const differing = CALLS.flatMap(({ caller, method, path, headers }, at) =>
    portcullis[at] === envoys[at]
      ? []
      : [
          `${caller} ${method} ${path} ${headers.flat().join(' ')}: Envoy ${envoys[at]}, Portcullis ${portcullis[at]}`,
        ],
  )
  expect(differing).toEqual([])
  expect(portcullis.filter(Boolean).length).toBeGreaterThan(80)
}, 60_000)

test('what Envoy reads as another header is refused, and nothing is exported that would let it in', () => {
  const text = `apiVersion: portcullis.dev/v1beta1
kind: ServicePolicy
metadata: { name: target, namespace: shop }
spec:
  endpoints: [{ name: e, paths: [/a], methods: [GET] }]
  rules: [{ name: r, from: [{ any: true }], when: [{ key: "request.headers[host]", values: [target] }] }]
`
  const loaded = loadPolicy([{ file: 'policy.yaml', text }], SURROUNDINGS)
  if (!loaded.ok) throw new Error(JSON.stringify(loaded.problems))
  const made = exportPolicy('envoy-rbac', loaded.policy, loaded.sources, { only: undefined, podLabel: 'app' })
  expect(made.services).toEqual([])
  expect(made.refused).toHaveLength(1)
})

test('so they do for connections', async () => {
  const answers = await Promise.all(
    CALLERS.map(async (caller) => {
      const { chainPem, keyPem } = pki.svid(caller)
      const tls = {
        ca: pki.bundlePem,
        certificate: chainPem,
        key: keyPem,
        serverName: 'target',
        serverId: spiffeIdOf(TARGET),
      }
      const { status } = await callTcp({ host: '127.0.0.1', port: tcpPort, tls })
      const portcullis = await allows(policy, caller, { target: DATABASE, port: tcpPort, tcp: true })
      return { caller, envoy: status, portcullis: portcullis ? 'open' : 'closed' }
    }),
  )
  expect(answers.filter(({ envoy, portcullis }) => envoy !== portcullis)).toEqual([])
  expect(answers.filter(({ envoy }) => envoy === 'open').map(({ caller }) => caller)).toEqual([
    'shop/friend',
    'fleet/trucks',
    'elsewhere/friend',
  ])
}, 60_000)

test('so they do for policies as they come', async () => {
  const calls = [...randomPorts].flatMap(([target, at]) =>
    RANDOM_CALLERS.flatMap((caller) =>
      RANDOM_PATHS.flatMap((path) =>
        ['GET', 'POST'].map((method) => ({ target, at, call: { caller, method, path, headers: [] } })),
      ),
    ),
  )
  const portcullis = await Promise.all(
    calls.map(({ target, at, call: { caller, ...call } }) =>
      allows(randomPolicyLoaded, caller, { target, port: at, ...call }),
    ),
  )
  const envoys = await Promise.all(calls.map(async ({ at, call }) => (await ask(at, call)) === '200'))
  const differing = calls.flatMap(({ target, call: { caller, method, path } }, at) =>
    portcullis[at] === envoys[at] ? [] : [`${caller} ${target} ${method} ${path}: Envoy ${envoys[at]}`],
  )
  expect(differing).toEqual([])
  expect(portcullis.filter(Boolean).length).toBeGreaterThan(calls.length / 10)
}, 60_000)
