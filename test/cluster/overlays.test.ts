import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { parseAllDocuments, stringify } from 'yaml'
import { REPOSITORY } from '../../demo/lay.js'
import { apply, kubectl } from './support/kubectl.js'
import { refuseExisting, removeNamespaces, restricted } from './support/own-namespaces.js'

/** Every overlay as the API server of a real cluster sees it: strict validation, and Pod Security's warnings. */
const NAMESPACES = ['portcullis-system', 'shop', 'edge', 'envoy-gateway-system'] as const
let isOurs = false
let known: ReadonlySet<string>

beforeAll(async () => {
  await refuseExisting(NAMESPACES)
  isOurs = true
  await apply(...NAMESPACES.map((name) => restricted(name)))
  const { stdout } = await kubectl(['api-versions'])
  known = new Set(stdout.trim().split('\n'))
}, 60_000)

afterAll(() => (isOurs ? removeNamespaces(NAMESPACES) : undefined), 90_000)

type Manifest = {
  readonly apiVersion: string
  readonly kind: string
  readonly metadata: { readonly name: string; readonly namespace?: string }
}

async function build(folder: string): Promise<readonly Manifest[]> {
  const { stdout } = await kubectl(['kustomize', join(REPOSITORY, 'k8s', folder)])
  return parseAllDocuments(stdout).map((document): Manifest => document.toJS())
}

async function tryOut(manifests: readonly Manifest[]): Promise<string> {
  const { stderr } = await kubectl(
    ['apply', '--server-side', '--validate=strict', '--dry-run=server', '--force-conflicts', '-f', '-'],
    JSON.stringify({ apiVersion: 'v1', kind: 'List', items: manifests }),
  )
  return stderr
}

const pod = (containers: readonly object[]): Manifest & { spec: object } => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name: 'wrong', namespace: 'shop' },
  spec: { containers },
})

test('an unknown field is refused', async () => {
  const wrong = pod([{ name: 'a', image: 'a', imagepolicy: 'Always' }])
  await expect(tryOut([wrong])).rejects.toThrow('imagepolicy')
})

test('a container that may be root is refused', async () => {
  await expect(tryOut([pod([{ name: 'a', image: 'a' }])])).rejects.toThrow('violates PodSecurity')
})

test.each([
  { folder: 'base', foreign: [] },
  { folder: 'overlays/embedded', foreign: [] },
  { folder: 'overlays/redis', foreign: [] },
  { folder: 'overlays/redis-cluster', foreign: [] },
  { folder: 'overlays/example-mesh', foreign: [] },
  {
    folder: 'overlays/istio',
    foreign: ['AuthorizationPolicy', 'DestinationRule', 'EnvoyFilter', 'PeerAuthentication'],
  },
  {
    folder: 'overlays/envoy-gateway',
    foreign: [
      'BackendTLSPolicy',
      'BackendTrafficPolicy',
      'ClientTrafficPolicy',
      'EnvoyProxy',
      'HTTPRoute',
      'ReferenceGrant',
      'SecurityPolicy',
    ],
  },
])(
  '$folder applies without a warning',
  async ({ folder, foreign }) => {
    const manifests = await build(folder)
    const ours = manifests.filter(({ apiVersion }) => known.has(apiVersion))
    const others = manifests.filter(({ apiVersion }) => !known.has(apiVersion)).map(({ kind }) => kind)
    expect(foreign).toEqual(expect.arrayContaining(others))
    expect(ours.map(({ kind }) => kind)).toContain('Deployment')
    expect(await tryOut(ours)).toBe('')
  },
  60_000,
)

/** overlays/redis with a component, as the API server takes it without a warning. */
async function withComponent(component: string): Promise<readonly Manifest[]> {
  mkdirSync(join(REPOSITORY, '.cache'), { recursive: true })
  const directory = mkdtempSync(join(REPOSITORY, '.cache/overlay-'))
  const kustomization = {
    apiVersion: 'kustomize.config.k8s.io/v1beta1',
    kind: 'Kustomization',
    resources: ['../../k8s/overlays/redis'],
    components: [`../../k8s/components/${component}`],
  }
  writeFileSync(join(directory, 'kustomization.yaml'), stringify(kustomization))
  try {
    const manifests = await build(join('..', relative(REPOSITORY, directory)))
    expect(await tryOut(manifests)).toBe('')
    return manifests
  } finally {
    rmSync(directory, { recursive: true })
  }
}

test('Redis on a volume applies without a warning', async () => {
  const manifests = await withComponent('redis-volume')
  const redis = manifests.find(({ kind }) => kind === 'StatefulSet')
  expect(redis).toMatchObject({ spec: { volumeClaimTemplates: [{ metadata: { name: 'data' } }] } })
}, 60_000)

test.each(['custom-resources', 'custom-resources-namespaced'])(
  '%s applies without a warning, and nothing is left of the policy in a ConfigMap',
  async (component) => {
    const manifests = await withComponent(component)
    const named = (kind: string): string[] =>
      manifests.filter((one) => one.kind === kind).map(({ metadata }) => metadata.name)
    expect(named('ConfigMap')).toEqual([expect.stringMatching(/^portcullis-config-/)])
    const deployment = manifests.find(({ kind }) => kind === 'Deployment')
    expect(JSON.stringify(deployment)).not.toContain('/etc/portcullis/policy')
    expect(JSON.stringify(deployment)).not.toContain('portcullis-policy')
    const ofEveryNamespace = named('ClusterRoleBinding').includes('portcullis-service-policies')
    expect(ofEveryNamespace).toBe(component === 'custom-resources')
    const outside = manifests.filter(
      ({ kind, metadata }) => metadata.namespace === undefined && !/^(Namespace|ClusterRole.*)$/.test(kind),
    )
    expect(outside).toEqual([])
  },
  60_000,
)

test('every container of the overlays is held to the same security', async () => {
  type Pods = { spec?: { template?: { spec: { containers: Container[]; initContainers?: Container[] } } } }
  type Container = { name: string; securityContext?: object }
  const manifests = await build('overlays/example-mesh')
  const containers = manifests.flatMap((manifest) => {
    const pods = (manifest as Pods).spec?.template?.spec
    return (pods?.containers ?? []).concat(pods?.initContainers ?? [])
  })
  expect(containers.length).toBeGreaterThan(20)
  for (const { securityContext } of containers) {
    expect(securityContext).toMatchObject({
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ['ALL'] },
    })
  }
})
