import { copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { stringify } from 'yaml'
import { bootstrapOf, REPOSITORY, SHARED_FILES } from '../../../demo/lay.js'
import { objectsOf } from '../../../demo/manifests.js'
import { createPki } from '../../../demo/pki.js'
import { UNLISTED_INTERMEDIATE, WEB_HOST } from '../../../demo/services.js'
import {
  describeWhatFailed,
  LOAD,
  loadObjects,
  NAMESPACES,
  rolledOut,
  serviceNamed,
  WITHOUT_AUTOSCALER,
} from './cluster-mesh.js'
import { imageEntries } from './images.js'
import { apply, kubectl } from './kubectl.js'
import { refuseExisting, removeNamespaces, restricted } from './own-namespaces.js'
import { redisSecret, svidSecret } from './secrets.js'

/** Two replicas that read custom resources, and one service with its Envoy, which `LOAD` calls. */
export type ResourceMesh = {
  /** The same with another component, and options of `policy.kubernetes`. */
  deploy(component: 'custom-resources' | 'custom-resources-namespaced', options: object): Promise<void>
  /** Removes all of it, the definitions too. */
  stop(): Promise<void>
}

export const TARGET = serviceNamed('inventory-service')
export const CALLER = serviceNamed('checkout-service')
export const KINDS = [
  'servicepolicies',
  'baselinepolicies',
  'adaptivepolicies',
  'riskpolicies',
  'devicepolicies',
  'datapolicies',
] as const

const DEFINITIONS = join(REPOSITORY, 'k8s/base/crds')
/** What lies outside of namespaces. */
const CLUSTER_WIDE = [
  ...KINDS.map((kind) => `customresourcedefinition/${kind}.portcullis.dev`),
  ...['portcullis-policy', 'portcullis-service-policies'].flatMap((name) => [
    `clusterrole/${name}`,
    `clusterrolebinding/${name}`,
  ]),
]

/** Refuses where its namespaces or the definitions are on the cluster already. */
export async function startResourceMesh(resources: readonly object[]): Promise<ResourceMesh> {
  await refuseExisting(NAMESPACES)
  const { stdout } = await kubectl(['get', ...CLUSTER_WIDE, '--ignore-not-found', '-o', 'name'])
  if (stdout.trim() !== '') throw new Error(`the cluster has ${stdout.trim().replaceAll('\n', ', ')} already`)
  const cache = join(REPOSITORY, '.cache')
  mkdirSync(cache, { recursive: true })
  const directory = mkdtempSync(join(cache, 'resources-'))

  const stop = async (): Promise<void> => {
    rmSync(directory, { recursive: true, force: true })
    await removeNamespaces(NAMESPACES)
    await kubectl(['delete', ...CLUSTER_WIDE, '--ignore-not-found', '--wait=true'])
  }
  const deploy: ResourceMesh['deploy'] = async (component, options) => {
    writeKustomization(directory, component, options)
    await kubectl(['apply', '--server-side', '--force-conflicts', '--validate=strict', '-k', directory])
    await rolledOut()
  }

  try {
    const pki = createPki(WEB_HOST, UNLISTED_INTERMEDIATE)
    const mesh = { 'portcullis.dev/mesh': 'enabled' }
    await apply(...NAMESPACES.map((name) => restricted(name, mesh)))
    await kubectl(['apply', '--server-side', '--validate=strict', '-k', DEFINITIONS])
    const named = KINDS.map((kind) => `customresourcedefinition/${kind}.portcullis.dev`)
    await kubectl(['wait', '--for=condition=Established', '--timeout=30s', ...named])
    await apply(...resources)
    await apply(
      svidSecret(
        'portcullis-system',
        'portcullis-tls',
        pki.svid('portcullis-system/portcullis'),
        pki.bundlePem,
      ),
      redisSecret('portcullis-redis', ['portcullis-redis']),
      ...[TARGET, LOAD].map(({ name, workload }) =>
        svidSecret('shop', `${name}-svid`, pki.svid(workload), pki.bundlePem),
      ),
    )
    await deploy('custom-resources', {})
    return { deploy, stop }
  } catch (error) {
    await describeWhatFailed()
    await stop()
    throw error
  }
}

function writeKustomization(directory: string, component: string, options: object): void {
  const envoy = SHARED_FILES.map((file) => basename(file))
  for (const file of SHARED_FILES)
    copyFileSync(join(REPOSITORY, 'envoy', file), join(directory, basename(file)))
  for (const one of [TARGET, LOAD]) {
    writeFileSync(join(directory, `${one.name}.yaml`), bootstrapOf(one))
    envoy.push(`${one.name}.yaml`)
  }
  copyFileSync(join(REPOSITORY, 'test/cluster/programs/load.ts'), join(directory, 'load.ts'))
  writeFileSync(
    join(directory, 'workloads.yaml'),
    [...objectsOf(TARGET), ...loadObjects()].map((one) => stringify(one)).join('---\n'),
  )
  const kustomization = {
    apiVersion: 'kustomize.config.k8s.io/v1beta1',
    kind: 'Kustomization',
    resources: ['../../k8s/overlays/redis', '../../demo', 'workloads.yaml'],
    components: [`../../k8s/components/${component}`],
    images: imageEntries(),
    configMapGenerator: [
      { name: 'envoy', namespace: 'shop', files: envoy },
      { name: 'application', namespace: 'shop', behavior: 'merge', files: ['load.ts'] },
    ],
    patches: [{ patch: WITHOUT_AUTOSCALER }, { patch: stringify(replicasWith(options)) }],
  }
  writeFileSync(join(directory, 'kustomization.yaml'), stringify(kustomization))
}

/** Two replicas, and options that are stronger than the component's file. */
function replicasWith(options: object): object {
  const env = [{ name: 'PORTCULLIS__POLICY__KUBERNETES', value: JSON.stringify({ grants: {}, ...options }) }]
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name: 'portcullis', namespace: 'portcullis-system' },
    spec: { replicas: 2, template: { spec: { containers: [{ name: 'portcullis', env }] } } },
  }
}
