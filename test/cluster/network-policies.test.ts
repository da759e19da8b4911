import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { stringify } from 'yaml'
import { REPOSITORY } from '../../demo/lay.js'
import { NODE_IMAGE } from './support/images.js'
import { apply, getJson, kubectl, type Pod, until } from './support/kubectl.js'
import { refuseExisting, removeNamespaces, restricted } from './support/own-namespaces.js'
import { reach } from './support/reach.js'

/** components/example-network-policies among pods that listen: what must not connect doesn't. */
const SHOP = 'portcullis-network-policies'
const MONITORING = 'monitoring'
const NAMESPACES = [SHOP, MONITORING] as const
const PORTS = [8080, 9090, 5432, 6379] as const

const PODS = {
  'api-server': SHOP,
  database: SHOP,
  redis: SHOP,
  gateway: SHOP,
  stranger: SHOP,
  prometheus: MONITORING,
} as const
type Name = keyof typeof PODS

const addresses = new Map<string, string>()
let isOurs = false
let directory = ''

/** Listens on every port, so that nothing but a policy keeps a connection out. */
function listening(name: string, namespace: string): object {
  const program = `for (const port of ${JSON.stringify(PORTS)}) require('node:net').createServer((socket) => socket.end()).listen(port); process.on('SIGTERM', () => process.exit())`
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, namespace, labels: { app: name } },
    spec: {
      terminationGracePeriodSeconds: 1,
      automountServiceAccountToken: false,
      securityContext: { runAsNonRoot: true, runAsUser: 65532, seccompProfile: { type: 'RuntimeDefault' } },
      containers: [
        {
          name: 'listening',
          image: NODE_IMAGE,
          imagePullPolicy: 'IfNotPresent',
          command: ['/usr/local/bin/node', '-e', program],
          readinessProbe: { tcpSocket: { port: PORTS[0] }, periodSeconds: 1 },
          securityContext: { allowPrivilegeEscalation: false, capabilities: { drop: ['ALL'] } },
        },
      ],
    },
  }
}

beforeAll(async () => {
  await refuseExisting(NAMESPACES)
  isOurs = true
  await apply(...NAMESPACES.map((name) => restricted(name)))
  await until('service accounts', 30_000, async () => {
    for (const name of NAMESPACES) await kubectl(['get', 'serviceaccount', 'default', '-n', name])
    return true
  })
  await apply(...Object.entries(PODS).map(([name, namespace]) => listening(name, namespace)))
  for (const name of NAMESPACES) {
    await kubectl(['wait', '-n', name, '--for=condition=Ready', 'pod', '--all', '--timeout=90s'])
    const { items } = await getJson<{ items: readonly Pod[] }>(['pods', '-n', name])
    for (const { metadata, status } of items) addresses.set(metadata.name, status.podIP ?? '')
  }
}, 180_000)

afterAll(async () => {
  if (directory) rmSync(directory, { recursive: true, force: true })
  if (isOurs) await removeNamespaces(NAMESPACES)
}, 90_000)

function connects(from: Name, to: Name, port: number): Promise<string> {
  return reach({ namespace: PODS[from], pod: from, container: 'listening' }, addresses.get(to) ?? '', port)
}

test('without the policies everything connects', async () => {
  expect(await connects('stranger', 'api-server', 8080)).toBe('open')
  expect(await connects('stranger', 'database', 5432)).toBe('open')
  expect(await connects('api-server', 'gateway', 8080)).toBe('open')
}, 30_000)

test('the component applies', async () => {
  mkdirSync(join(REPOSITORY, '.cache'), { recursive: true })
  directory = mkdtempSync(join(REPOSITORY, '.cache/policies-'))
  const kustomization = {
    apiVersion: 'kustomize.config.k8s.io/v1beta1',
    kind: 'Kustomization',
    namespace: SHOP,
    components: ['../../k8s/components/example-network-policies'],
  }
  writeFileSync(join(directory, 'kustomization.yaml'), stringify(kustomization))
  await kubectl(['apply', '--server-side', '--validate=strict', '-k', directory])
  await until('the policies to be enforced', 30_000, async () => {
    const strangers = await connects('stranger', 'api-server', 8080)
    return strangers === 'closed' && (await connects('stranger', 'database', 5432)) === 'closed'
  })
}, 60_000)

test.each<{ from: Name; to: Name; port: number; is: 'open' | 'closed' }>([
  { from: 'stranger', to: 'api-server', port: 8080, is: 'closed' },
  { from: 'database', to: 'api-server', port: 8080, is: 'closed' },
  { from: 'gateway', to: 'api-server', port: 9090, is: 'closed' },
  { from: 'prometheus', to: 'api-server', port: 9090, is: 'closed' },
  { from: 'stranger', to: 'database', port: 5432, is: 'closed' },
  { from: 'gateway', to: 'database', port: 5432, is: 'closed' },
  { from: 'prometheus', to: 'database', port: 5432, is: 'closed' },
  { from: 'api-server', to: 'database', port: 6379, is: 'closed' },
  { from: 'api-server', to: 'redis', port: 5432, is: 'closed' },
  { from: 'api-server', to: 'gateway', port: 8080, is: 'closed' },
  { from: 'api-server', to: 'prometheus', port: 8080, is: 'closed' },
  { from: 'database', to: 'redis', port: 6379, is: 'closed' },
  { from: 'gateway', to: 'api-server', port: 8080, is: 'open' },
  { from: 'prometheus', to: 'api-server', port: 8080, is: 'open' },
  { from: 'api-server', to: 'database', port: 5432, is: 'open' },
  { from: 'api-server', to: 'redis', port: 6379, is: 'open' },
])(
  '$from to $to on $port: $is',
  async ({ from, to, port, is }) => {
    expect(await connects(from, to, port)).toBe(is)
  },
  15_000,
)

test('names are still found', async () => {
  const program = `require('node:dns').lookup('kubernetes.default.svc.cluster.local', (error) => console.log(error ? error.code : 'found'))`
  const { stdout } = await kubectl([
    'exec',
    '-n',
    SHOP,
    'api-server',
    '--',
    '/usr/local/bin/node',
    '-e',
    program,
  ])
  expect(stdout.trim()).toBe('found')
}, 20_000)
