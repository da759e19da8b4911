import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { connect as connectTls } from 'node:tls'
import { setTimeout as sleep } from 'node:timers/promises'
import { stringify } from 'yaml'
import { envoyBinary } from '../demo/envoy-binary.js'
import type { Processes, Running } from '../demo/processes.js'
import { exportPolicy } from '../src/lifecycle/export/export.js'
import { serviceNamed } from '../src/lifecycle/export/access-of.js'
import { loadPolicy } from '../src/policy/load-policy.js'
import { H2Connection } from './h2-connection.js'
import type { Sender } from './load.js'
import type { Scene } from './scene.js'

const PATH = '/api/items'
const READY_TRIES = 200

/** One Envoy in front of an application, with a listener for each way to decide. */
export type EnvoyMesh = {
  readonly envoy: Running
  /** A connection of the scene's caller to the listener of that name. */
  readonly connect: (listener: string, userToken?: string) => Promise<Sender>
}

/** `filters`: the HTTP filters before the router, by listener. `asked`: addresses of gRPC servers, by cluster. */
export async function startEnvoys(
  processes: Processes,
  folder: string,
  scene: Scene,
  filters: ReadonlyMap<string, readonly unknown[]>,
  asked: ReadonlyMap<string, string>,
): Promise<EnvoyMesh> {
  const own = scene.issue(scene.target)
  const caller = scene.issue(scene.caller)
  mkdirSync(join(folder, 'tls'))
  const file = (name: string, text: string): { filename: string } => {
    writeFileSync(join(folder, 'tls', name), text)
    return { filename: join(folder, 'tls', name) }
  }
  const tls = typed('transport_sockets.tls.v3.DownstreamTlsContext', {
    require_client_certificate: true,
    common_tls_context: {
      tls_params: { tls_minimum_protocol_version: 'TLSv1_3' },
      alpn_protocols: ['h2'],
      tls_certificates: [
        { certificate_chain: file('svid.pem', own.chainPem), private_key: file('svid.key', own.keyPem) },
      ],
      validation_context: { trusted_ca: file('bundle.pem', scene.bundlePem) },
    },
  })
  const application = await freePort()
  const ports = new Map<string, number>()
  for (const name of filters.keys()) ports.set(name, await freePort())
  const answer = { match: { prefix: '/' }, direct_response: { status: 200, body: { inline_string: 'ok' } } }
  const upstream = await startEnvoy(processes, folder, 'application', {
    listeners: [listener('application', application, answer, [])],
  })
  const envoy = await startEnvoy(processes, folder, 'envoy', {
    listeners: [...filters].map(([name, before]) =>
      listener(
        name,
        ports.get(name) ?? 0,
        { match: { prefix: '/' }, route: { cluster: 'application', timeout: '0s' } },
        before,
        { name: 'tls', typed_config: tls },
      ),
    ),
    clusters: [
      cluster('application', `127.0.0.1:${application}`),
      ...[...asked].map(([name, address]) => cluster(name, address)),
    ],
  })
  const connect = (name: string, userToken?: string): Promise<Sender> =>
    connectTo(ports.get(name) ?? 0, caller, scene.bundlePem, userToken)
  for (const name of filters.keys()) {
    await untilAllowed(
      () => connect(name, scene.userToken),
      name,
      () => processes.assertRunning(envoy, upstream),
    )
  }
  return { envoy, connect }
}

/** The filter that lets Envoy decide by itself as the policy says. Throws when the policy can't be said so. */
export function rbacFilters(policyFolder: string, target: string): readonly unknown[] {
  const files = readdirSync(policyFolder).map((name) => ({
    file: name,
    text: readFileSync(join(policyFolder, name), 'utf8'),
  }))
  const loaded = loadPolicy(files, { localTrustDomain: 'cluster.local', trustDomains: [] })
  if (!loaded.ok) throw new Error(JSON.stringify(loaded.problems.slice(0, 3)))
  const service = serviceNamed(loaded.policy.matrix, target)
  if (!service) throw new Error(`the policy does not name ${target}`)
  const options = { only: [service], podLabel: 'app' }
  const { services, refused } = exportPolicy('envoy-rbac', loaded.policy, loaded.sources, options)
  const filters = services[0]?.objects[0]?.['http_filters']
  if (!Array.isArray(filters)) throw new Error(`no filter of ${target}: ${JSON.stringify(refused)}`)
  return filters
}

/** The filter that asks a gRPC server about each request, as envoy/sidecar.yaml has it. */
export function askingFilter(clusterName: string): unknown {
  const filter = typed('filters.http.ext_authz.v3.ExtAuthz', {
    transport_api_version: 'V3',
    grpc_service: { envoy_grpc: { cluster_name: clusterName }, timeout: '5s' },
    failure_mode_allow: false,
    include_peer_certificate: true,
    include_tls_session: true,
    validate_mutations: true,
  })
  return { name: 'envoy.filters.http.ext_authz', typed_config: filter }
}

/** Microseconds of CPU that all threads of a process have used. */
export function cpuUsOf(pid: number): number {
  let ns = 0
  for (const thread of readdirSync(`/proc/${pid}/task`)) {
    ns += Number(readFileSync(`/proc/${pid}/task/${thread}/schedstat`, 'utf8').split(' ')[0])
  }
  return ns / 1000
}

function typed(type: string, fields: object): object {
  return { '@type': `type.googleapis.com/envoy.extensions.${type}`, ...fields }
}

function listener(
  name: string,
  port: number,
  route: object,
  filters: readonly unknown[],
  transport_socket?: object,
): object {
  const connections = typed('filters.network.http_connection_manager.v3.HttpConnectionManager', {
    stat_prefix: name,
    normalize_path: false,
    merge_slashes: false,
    route_config: { virtual_hosts: [{ name: 'all', domains: ['*'], routes: [route] }] },
    http_filters: [...filters, { name: 'router', typed_config: typed('filters.http.router.v3.Router', {}) }],
  })
  return {
    name,
    address: { socket_address: { address: '127.0.0.1', port_value: port } },
    filter_chains: [
      {
        ...(transport_socket && { transport_socket }),
        filters: [{ name: 'http', typed_config: connections }],
      },
    ],
  }
}

function cluster(name: string, address: string): object {
  const at = address.lastIndexOf(':')
  const socket_address = { address: address.slice(0, at), port_value: Number(address.slice(at + 1)) }
  return {
    name,
    type: 'STATIC',
    connect_timeout: '1s',
    circuit_breakers: { thresholds: [{ max_pending_requests: 4096, max_requests: 4096 }] },
    typed_extension_protocol_options: {
      'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': typed(
        'upstreams.http.v3.HttpProtocolOptions',
        { explicit_http_config: { http2_protocol_options: {} } },
      ),
    },
    load_assignment: {
      cluster_name: name,
      endpoints: [{ lb_endpoints: [{ endpoint: { address: { socket_address } } }] }],
    },
  }
}

function startEnvoy(
  processes: Processes,
  folder: string,
  name: string,
  static_resources: object,
): Promise<Running> {
  const file = join(folder, `${name}.yaml`)
  writeFileSync(file, stringify({ static_resources }, { aliasDuplicateObjects: false }))
  const args = ['-c', file, '--concurrency', '1', '--disable-hot-restart', '--log-level', 'warning']
  return processes.start(name, envoyBinary(), args)
}

/** A loopback port that nobody listened on a moment ago. */
async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  await new Promise((resolve) => server.close(resolve))
  if (address === null || typeof address === 'string') throw new Error('a TCP server has a port')
  return address.port
}

async function connectTo(
  port: number,
  caller: { readonly chainPem: string; readonly keyPem: string },
  bundlePem: string,
  userToken: string | undefined,
): Promise<Sender> {
  const socket = connectTls({
    host: '127.0.0.1',
    port,
    ca: bundlePem,
    cert: caller.chainPem,
    key: caller.keyPem,
    ALPNProtocols: ['h2'],
    // It is named by a SPIFFE ID.
    checkServerIdentity: () => undefined,
  })
  await new Promise<void>((resolve, reject) => {
    socket.once('secureConnect', resolve)
    socket.once('error', reject)
  })
  socket.setNoDelay()
  const connection = new H2Connection(socket, [
    [':method', 'GET'],
    [':scheme', 'https'],
    [':path', PATH],
    [':authority', 'items.shop.svc.cluster.local'],
    ['accept', 'application/json'],
    ['user-agent', 'bench'],
    ...(userToken === undefined ? [] : ([['authorization', `Bearer ${userToken}`]] as const)),
  ])
  return {
    send: (message, done) =>
      connection.send(message, (answer) => done(!answer ? 'failed' : answer.ok ? 'allowed' : 'refused')),
    close: () => connection.close(),
  }
}

async function untilAllowed(open: () => Promise<Sender>, name: string, check: () => void): Promise<void> {
  for (let tries = 0; ; tries++) {
    check()
    const outcome = await open().then(
      (connection) =>
        new Promise<string>((resolve) => connection.send(Buffer.alloc(0), resolve)).finally(() =>
          connection.close(),
        ),
      (error: unknown) => String(error),
    )
    if (outcome === 'allowed') return
    if (tries > READY_TRIES) throw new Error(`${name} never let the first call pass: ${outcome}`)
    await sleep(50)
  }
}
