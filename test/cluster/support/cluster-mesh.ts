import { randomBytes } from 'node:crypto'
import {
  appendFileSync,
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { basename, join } from 'node:path'
import { parseDocument, stringify } from 'yaml'
import { AuditTrail } from '../../../demo/audit-trail.js'
import { callHttp, type Way } from '../../../demo/calls.js'
import { type IdentityProvider, startIdentityProvider } from '../../../demo/identity-provider.js'
import { bootstrapOf, loosen, PLACES, REPOSITORY, SHARED_FILES, withPlaces } from '../../../demo/lay.js'
import { applicationRunning, CARELESS_CONFIGURATION, objectsOf, podOf } from '../../../demo/manifests.js'
import { type CallableMesh, registerDevices } from '../../../demo/mesh.js'
import { createPki, spiffeIdOf, tokenKeys } from '../../../demo/pki.js'
import {
  CARELESS,
  GATEWAY,
  inboundPort,
  PORTS,
  type Service,
  SERVICES,
  TOKEN_ISSUERS,
  UNLISTED_INTERMEDIATE,
  WEB_HOST,
} from '../../../demo/services.js'
import { type Forward, forward } from './forward.js'
import { imageEntries } from './images.js'
import { apply, follow, type Following, getJson, kubectl, onePodOf, until } from './kubectl.js'
import { refuseExisting, removeNamespaces, restricted } from './own-namespaces.js'
import { meshSecrets, namespaceOf } from './secrets.js'

/** How long an Envoy waits for Portcullis, instead of as shipped. */
const ASK_TIMEOUT_SECONDS = secondsOf(process.env['CLUSTER_ASK_TIMEOUT_SECONDS'])

/** The suite itself says how many replicas there are. */
export const WITHOUT_AUTOSCALER = `apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: { name: portcullis, namespace: portcullis-system }
$patch: delete
`
/** checkout-service once more, as a pod that calls without end: test/cluster/programs/load.ts. */
export const LOAD: Service = { ...serviceNamed('checkout-service'), name: 'load' }
const PROGRAMS = ['load.ts', 'user.ts']

export const NAMESPACES = ['portcullis-system', 'shop', 'edge'] as const
export const PORTCULLIS = 'app.kubernetes.io/name=portcullis'

/** The demo's mesh on the cluster that KUBECONFIG names. */
export type ClusterMesh = CallableMesh & {
  /** Everything that is deployed, as kubectl takes it. */
  readonly manifests: string
  scale(replicas: number): Promise<void>
  /** Removes all of it. */
  stop(): Promise<void>
}

/** Deploys k8s/overlays/example-mesh with one replica. Refuses where its namespaces are there already. */
export async function startClusterMesh(): Promise<ClusterMesh> {
  await refuseExisting(NAMESPACES)
  const cache = join(REPOSITORY, '.cache')
  mkdirSync(cache, { recursive: true })
  const directory = mkdtempSync(join(cache, 'cluster-'))
  mkdirSync(join(directory, 'logs'))
  const pki = createPki(WEB_HOST, UNLISTED_INTERMEDIATE)
  const keys = new Map(TOKEN_ISSUERS.map((name) => [name, tokenKeys()]))
  const trail = new AuditTrail()
  const closing: (() => unknown)[] = [() => rmSync(directory, { recursive: true, force: true })]
  const token = (): string => randomBytes(24).toString('base64url')
  const adminTokens = { 'oscar.token': token(), 'rita.token': token() }
  const signalsToken = token()
  const services = [...SERVICES, GATEWAY, CARELESS, LOAD]
  const forwards = new Map<string, Forward>()

  const stop = async (): Promise<void> => {
    for (const close of closing.toReversed()) await close()
    await removeNamespaces(NAMESPACES)
  }

  try {
    const identityProvider = await startIdentityProvider()
    closing.push(() => identityProvider.close())
    const manifests = await buildManifests(directory, identityProvider)
    await apply(...NAMESPACES.map((name) => restricted(name)))
    await apply(...meshSecrets({ pki, services: [...services], tokenKeys: keys, adminTokens, signalsToken }))
    await kubectl(['apply', '--server-side', '--force-conflicts', '--validate=strict', '-f', '-'], manifests)
    await rolledOut()

    const logs = followLogs(join(directory, 'logs/portcullis-1.log'), trail)
    closing.push(() => logs.stop())
    for (const service of [...SERVICES, GATEWAY, CARELESS]) {
      const pod = (): Promise<string> => onePodOf(namespaceOf(service), `app=${service.name}`)
      forwards.set(service.name, await forward(namespaceOf(service), pod, portsOf(service)))
    }
    const portcullis = await forward(
      'portcullis-system',
      () => onePodOf('portcullis-system', PORTCULLIS),
      [PORTS.api, PORTS.public],
      { comesAndGoes: true },
    )
    for (const one of [...forwards.values(), portcullis]) closing.push(() => one.stop())

    const way = (forwarded: Forward | undefined, port: number): Way => {
      const local = forwarded?.ports.get(port)
      if (local === undefined) throw new Error(`port ${port} is not forwarded`)
      return { host: '127.0.0.1', port: local }
    }
    const mesh: ClusterMesh = {
      directory,
      manifests,
      pki,
      identityProvider,
      tokenKeys: keys,
      trail,
      throughSidecar: (caller, port = PORTS.outbound) => way(forwards.get(caller), port),
      straightTo(target, credentials) {
        const service = services.find(({ name }) => name === target)
        if (!service) throw new Error(`there is no ${target} in this mesh`)
        return {
          ...way(forwards.get(target), inboundPort(service)),
          tls: {
            ca: pki.bundlePem,
            serverName: `${target}.shop.svc.cluster.local`,
            serverId: spiffeIdOf(service.workload),
            ...(credentials ? { certificate: credentials.chainPem, key: credentials.keyPem } : {}),
          },
        }
      },
      throughGateway: () => ({
        ...way(forwards.get('gateway'), PORTS.inbound),
        tls: { ca: pki.web.rootPem, serverName: WEB_HOST },
      }),
      administer: (who, method, path, body) =>
        callHttp(way(portcullis, PORTS.api), {
          method,
          path,
          host: 'localhost',
          headers: {
            authorization: `Bearer ${adminTokens[`${who}.token`]}`,
            ...(body !== undefined && { 'content-type': 'application/json' }),
          },
          ...(body !== undefined && { body: JSON.stringify(body) }),
        }),
      signal: async (event) =>
        callHttp(way(portcullis, PORTS.public), {
          method: 'POST',
          path: '/ssf/events',
          host: 'localhost',
          headers: {
            authorization: `Bearer ${signalsToken}`,
            'content-type': 'application/secevent+jwt',
          },
          body: await identityProvider.securityEvent(event),
        }),
      scale,
      stop,
    }
    await registerDevices(mesh)
    return mesh
  } catch (error) {
    await describeWhatFailed()
    await stop()
    throw error
  }
}

/** The overlay with the images of this run, the demo's identity provider and places, and one replica. */
async function buildManifests(directory: string, identityProvider: IdentityProvider): Promise<string> {
  const jwks = await fetch(identityProvider.jwksUri)
  const configuration = parseDocument(
    withPlaces(readFileSync(join(REPOSITORY, 'examples/mesh/portcullis.yaml'), 'utf8')),
  )
  for (const at of [
    ['userTokens', 'issuers', 0],
    ['ssf', 'transmitters', 0],
  ] as const) {
    configuration.deleteIn([...at, 'jwksUri'])
    configuration.setIn([...at, 'jwksFile'], './jwks.json')
  }
  writeFileSync(join(directory, 'portcullis.yaml'), configuration.toString({ lineWidth: 0 }))
  writeFileSync(join(directory, 'jwks.json'), await jwks.text())
  writeFileSync(join(directory, 'places.csv'), PLACES)
  writeFileSync(
    join(directory, 'others.yaml'),
    [...objectsOf(CARELESS), ...loadObjects()].map((one) => stringify(one)).join('---\n'),
  )
  const inShop = [...SERVICES, LOAD].map(({ name }) => `${name}.yaml`)
  for (const one of [...SERVICES, LOAD, GATEWAY]) {
    writeFileSync(join(directory, `${one.name}.yaml`), bootstrapOf(one, ASK_TIMEOUT_SECONDS))
  }
  for (const program of PROGRAMS) {
    copyFileSync(join(REPOSITORY, 'test/cluster/programs', program), join(directory, program))
  }
  const careless = [`${CARELESS.name}.yaml`, ...SHARED_FILES].map((file) => join(directory, basename(file)))
  writeFileSync(careless[0] ?? '', bootstrapOf(CARELESS, ASK_TIMEOUT_SECONDS))
  for (const file of SHARED_FILES) {
    copyFileSync(join(REPOSITORY, 'envoy', file), join(directory, basename(file)))
  }
  loosen(careless[0] ?? '', join(directory, 'trust.yaml'))
  const kustomization = {
    apiVersion: 'kustomize.config.k8s.io/v1beta1',
    kind: 'Kustomization',
    resources: ['../../k8s/overlays/example-mesh', 'others.yaml'],
    images: imageEntries(),
    configMapGenerator: [
      {
        name: 'example-config',
        namespace: 'portcullis-system',
        behavior: 'merge',
        files: ['portcullis.yaml', 'jwks.json', 'places.csv'],
      },
      { name: 'envoy', namespace: 'shop', behavior: 'merge', files: inShop },
      { name: 'envoy', namespace: 'edge', behavior: 'merge', files: [`${GATEWAY.name}.yaml`] },
      { name: 'application', namespace: 'shop', behavior: 'merge', files: PROGRAMS },
      { name: CARELESS_CONFIGURATION, namespace: 'shop', files: careless.map((file) => basename(file)) },
    ],
    patches: [{ patch: WITHOUT_AUTOSCALER }],
  }
  writeFileSync(join(directory, 'kustomization.yaml'), stringify(kustomization))
  return (await kubectl(['kustomize', directory])).stdout
}

function secondsOf(text: string | undefined): number | undefined {
  return text === undefined ? undefined : Number(text)
}

export function serviceNamed(name: string): Service {
  const found = SERVICES.find((one) => one.name === name)
  if (!found) throw new Error(`there is no ${name} in this mesh`)
  return found
}

/** Without a Service: nobody calls it. */
export function loadObjects(): readonly object[] {
  const metadata = { name: LOAD.name, namespace: 'shop', labels: { app: LOAD.name } }
  const spec = podOf(LOAD, applicationRunning("await import('/application/load.ts')"))
  return [
    { apiVersion: 'v1', kind: 'ServiceAccount', metadata },
    {
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      metadata,
      spec: {
        replicas: 0,
        selector: { matchLabels: { app: LOAD.name } },
        template: { metadata: { labels: { app: LOAD.name } }, spec },
      },
    },
  ]
}

type Deployments = {
  readonly items: readonly { readonly metadata: { readonly name: string; readonly namespace: string } }[]
}

export async function rolledOut(): Promise<void> {
  for (const space of NAMESPACES) {
    const { items } = await getJson<Deployments>(['deployments,statefulsets', '-n', space])
    for (const { metadata, ...rest } of items) {
      const kind = 'kind' in rest ? String(rest.kind).toLowerCase() : 'deployment'
      await kubectl(['rollout', 'status', '-n', space, `${kind}/${metadata.name}`, '--timeout=120s'])
    }
  }
}

export async function scale(replicas: number): Promise<void> {
  await kubectl(['scale', '-n', 'portcullis-system', 'deployment/portcullis', `--replicas=${replicas}`])
  await kubectl(['rollout', 'status', '-n', 'portcullis-system', 'deployment/portcullis', '--timeout=120s'])
  await until(`${replicas} replicas and no other`, 60_000, async () => {
    const { items } = await getJson<{ items: readonly unknown[] }>([
      'pods',
      '-n',
      'portcullis-system',
      '-l',
      PORTCULLIS,
    ])
    return items.length === replicas
  })
}

function portsOf(service: Service): readonly number[] {
  if (service.envoy === 'sidecar.yaml') return [PORTS.inbound, PORTS.outbound, PORTS.database, PORTS.cache]
  return [inboundPort(service)]
}

function followLogs(file: string, trail: AuditTrail): Following {
  return follow(
    () => ['logs', '-n', 'portcullis-system', '-l', PORTCULLIS, '-f', '--max-log-requests=20'],
    (line) => {
      appendFileSync(file, `${line}\n`)
      trail.read(line)
    },
  )
}

/** Pods that are not ready and the last events, on standard error. */
export async function describeWhatFailed(): Promise<void> {
  for (const space of NAMESPACES) {
    const { stdout } = await kubectl(['get', 'pods', '-n', space, '-o', 'wide'])
    const events = await kubectl(['get', 'events', '-n', space, '--sort-by=.lastTimestamp'])
    process.stderr.write(`${space}\n${stdout}${events.stdout.split('\n').slice(-15).join('\n')}\n`)
  }
  const { stdout } = await kubectl(['logs', '-n', 'portcullis-system', '-l', PORTCULLIS, '--tail=20'])
  process.stderr.write(stdout)
}
