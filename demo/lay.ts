import { generateKeyPairSync } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { isSeq, parseDocument } from 'yaml'
import type { KeyPair } from '../test/support/certificate-authority.js'
import { type Pki, writeIdentity } from './pki.js'
import { renderShipped, SHIPPED_DIRECTORY, type Substitutions } from './render-shipped.js'
import { PORTS, type Service } from './services.js'

export const REPOSITORY = fileURLToPath(new URL('..', import.meta.url))

const PORTCULLIS_HOST = 'portcullis-headless.portcullis-system.svc.cluster.local'
const PORTCULLIS_WORKLOAD = 'portcullis-system/portcullis'

/** Files of envoy/ beside the bootstraps, the same for every Envoy. */
export const SHARED_FILES = ['mesh/clusters.yaml', 'mesh/routes.yaml', 'sds/identity.yaml', 'sds/trust.yaml']

/** The service that a shipped bootstrap was written for. */
const WRITTEN_FOR: Readonly<Record<Service['envoy'], string>> = {
  'sidecar.yaml': 'payment-service',
  'sidecar-tcp.yaml': 'database-service',
  'gateway.yaml': 'gateway',
}

export type PortcullisInstance = {
  readonly address: string
  readonly pki: Pki
  /** Keys of service token issuers, by service. */
  readonly keys: ReadonlyMap<string, KeyPair>
  readonly jwksUri: string
  readonly policyDirectory: string
  /** Bearer tokens by file: of those who administer, and of the identity provider. */
  readonly tokens: ReadonlyMap<string, string>
}

/** Lays examples/mesh/portcullis.yaml with everything it names. Returns the configuration's path. */
export function layPortcullis(directory: string, instance: PortcullisInstance): string {
  const { address, pki, keys, jwksUri, policyDirectory, tokens } = instance
  writeIdentity(join(directory, 'tls'), pki.svid(PORTCULLIS_WORKLOAD), pki.bundlePem)
  for (const [service, { publicKey }] of keys) {
    write(join(directory, 'keys', `${service}.pem`), publicKey.export({ format: 'pem', type: 'spki' }))
  }
  for (const [file, token] of tokens) write(join(directory, file), `${token}\n`)
  layAuditKey(join(directory, 'keys'))
  const names = new Map([
    [`[::]:${PORTS.mesh}`, `${address}:${PORTS.mesh}`],
    [`[::]:${PORTS.edge}`, `${address}:${PORTS.edge}`],
    [`[::]:${PORTS.health}`, `${address}:${PORTS.health}`],
    [`[::]:${PORTS.public}`, `${address}:${PORTS.public}`],
    [`127.0.0.1:${PORTS.api}`, `${address}:${PORTS.api}`],
    ['https://idp.example/jwks.json', jwksUri],
    ['./policy', policyDirectory],
  ])
  const example = readFileSync(join(REPOSITORY, 'examples/mesh/portcullis.yaml'), 'utf8')
  const config = join(directory, 'portcullis.yaml')
  write(config, withPlaces(renderShipped(example, { addresses: new Map(), directory, names })))
  write(join(directory, 'places.csv'), PLACES)
  return config
}

/** A key for the chain of the audit log; one that is started again goes on with its own. */
function layAuditKey(directory: string): void {
  if (existsSync(join(directory, 'audit.key'))) return
  const { privateKey, publicKey } = generateKeyPairSync('ed25519')
  write(join(directory, 'audit.key'), privateKey.export({ format: 'pem', type: 'pkcs8' }))
  write(join(directory, 'audit.pem'), publicKey.export({ format: 'pem', type: 'spki' }))
}

/** Where the addresses of the demo's users are: ranges that are for documentation alone. */
export const PLACES = `cidr,country,latitude,longitude
192.0.2.0/24,DE,52.52,13.40
198.51.100.0/24,AU,-33.87,151.21
`

/** As behind a load balancer that tells where users come from: loopback has neither. */
export function withPlaces(configuration: string): string {
  const document = parseDocument(configuration)
  const listeners = document.get('listeners')
  if (!isSeq(listeners)) throw new Error('the configuration has no listeners')
  const edge = listeners.items.findIndex((_, at) => listeners.getIn([at, 'name']) === 'edge')
  document.setIn(['listeners', edge, 'trustedHops'], 1)
  document.setIn(['geo', 'table'], './places.csv')
  return document.toString({ lineWidth: 0 })
}

export type EnvoyInstance = {
  /** Address of the Envoy and of its application. */
  readonly own: string
  /** Addresses of the mesh by host name. */
  readonly hosts: ReadonlyMap<string, string>
  /** Addresses of Portcullis. */
  readonly replicas: readonly string[]
  readonly pki: Pki
  /** How long Envoy waits for Portcullis instead of as shipped, seconds. */
  readonly askTimeoutSeconds?: number | undefined
}

/** Lays envoy/ for one service, and its identity. Returns the bootstrap's path. */
export function layEnvoy(directory: string, service: Service, instance: EnvoyInstance): string {
  const { own, hosts, replicas, pki } = instance
  writeIdentity(join(directory, 'tls'), pki.svid(service.workload), pki.bundlePem)
  write(join(directory, 'web/tls.crt'), pki.web.chainPem)
  write(join(directory, 'web/tls.key'), pki.web.keyPem)
  const [firstReplica = '', ...moreReplicas] = replicas
  const addresses = new Map([...hosts, ['127.0.0.1', own], ['0.0.0.0', own], [PORTCULLIS_HOST, firstReplica]])
  const shared: Substitutions = { addresses, directory }
  for (const file of SHARED_FILES) write(join(directory, 'envoy', file), renderShipped(shipped(file), shared))
  const bootstrap = renderShipped(shipped(service.envoy), {
    ...shared,
    ports: service.ports ?? new Map(),
    names: namesOf(service),
  })
  const config = join(directory, 'envoy', service.envoy)
  write(config, withReplicas(withPatience(bootstrap, instance.askTimeoutSeconds), moreReplicas))
  if (service.careless) loosen(config, join(directory, 'envoy/sds/trust.yaml'))
  return config
}

/** The shipped bootstrap with a service's names and ports, for a place where its paths and addresses hold as they are. */
export function bootstrapOf(service: Service, askTimeoutSeconds?: number): string {
  const bootstrap = renderShipped(shipped(service.envoy), {
    addresses: new Map(),
    directory: SHIPPED_DIRECTORY,
    ports: service.ports ?? new Map(),
    names: namesOf(service),
  })
  return withPatience(bootstrap, askTimeoutSeconds)
}

function shipped(file: string): string {
  return readFileSync(join(REPOSITORY, 'envoy', file), 'utf8')
}

function namesOf(service: Service): ReadonlyMap<string, string> {
  const written = WRITTEN_FOR[service.envoy]
  return new Map([
    [written, service.name],
    ...(service.envoy === 'sidecar.yaml' ? [[`shop/${written}`, service.workload] as const] : []),
  ])
}

/** Both times that bound one question to Portcullis; connecting keeps its own. */
function withPatience(bootstrap: string, seconds: number | undefined): string {
  return seconds === undefined
    ? bootstrap
    : bootstrap.replaceAll(/(?<=\btimeout: |max_interval: )0\.25s/g, `${seconds}s`)
}

/** A headless Service's name has as many addresses as there are replicas. Loopback has no names, so all are written out. */
function withReplicas(bootstrap: string, replicas: readonly string[]): string {
  if (replicas.length === 0) return bootstrap
  const document = parseDocument(bootstrap)
  const clusters = document.getIn(['static_resources', 'clusters'])
  if (!isSeq(clusters)) throw new Error('the bootstrap has no clusters')
  const index = clusters.items.findIndex((_, at) => clusters.getIn([at, 'name']) === 'portcullis')
  for (const address of replicas) {
    const endpoint = { endpoint: { address: { socket_address: { address, port_value: PORTS.mesh } } } }
    clusters.addIn([index, 'load_assignment', 'endpoints', 0, 'lb_endpoints'], document.createNode(endpoint))
  }
  return document.toString({ lineWidth: 0 })
}

/** Makes an Envoy believe any client certificate, or none. */
export function loosen(bootstrap: string, trust: string): void {
  const tls = ['static_resources', 'listeners', 0, 'filter_chains', 0, 'transport_socket', 'typed_config']
  change(bootstrap, [...tls, 'require_client_certificate'], false)
  change(trust, ['resources', 0, 'validation_context', 'trust_chain_verification'], 'ACCEPT_UNTRUSTED')
}

function change(file: string, path: readonly (string | number)[], value: string | boolean): void {
  const document = parseDocument(readFileSync(file, 'utf8'))
  document.setIn(path, value)
  writeFileSync(file, document.toString({ lineWidth: 0 }))
}

function write(file: string, text: string | Buffer): void {
  mkdirSync(dirname(file), { recursive: true })
  writeFileSync(file, text, { mode: 0o600 })
}
