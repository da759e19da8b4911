import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { stringify } from 'yaml'
import { bootstrapOf, REPOSITORY, SHARED_FILES } from './lay.js'
import { GATEWAY, inboundPort, type Service, SERVICES } from './services.js'

/** Kubernetes objects of the example mesh, made from the same list of services and the same Envoy files as the demo. */

export type KubernetesObject = Readonly<Record<string, unknown>>

/** Below k8s/overlays/example-mesh, by path. */
export function exampleMeshFiles(): ReadonlyMap<string, string> {
  const services = [...SERVICES, GATEWAY]
  return new Map([
    ['services.yaml', documents(services.flatMap((service) => objectsOf(service)))],
    ...services.map((service) => [`envoy/${service.name}.yaml`, bootstrapOf(service)] as const),
    ...SHARED_FILES.map(
      (file) => [`envoy/${file}`, readFileSync(join(REPOSITORY, 'envoy', file), 'utf8')] as const,
    ),
  ])
}

const WRITTEN = '# Written by the code (`make manifests`): demo/manifests.ts.\n'

export function documents(objects: readonly KubernetesObject[]): string {
  return WRITTEN + objects.map((object) => stringify(object, { lineWidth: 0 })).join('---\n')
}

const CONTAINER_SECURITY = {
  allowPrivilegeEscalation: false,
  readOnlyRootFilesystem: true,
  capabilities: { drop: ['ALL'] },
}

/** The ConfigMap of an Envoy that believes any certificate, which nobody ships. */
export const CARELESS_CONFIGURATION = 'envoy-careless'

/** Number of a user that is nobody, for applications. */
const APPLICATION_USER = 65532
/** The user `envoy` of Envoy's image. */
const ENVOY_USER = 101

/** The workload, the service account that it is named after, and the name that others call. */
export function objectsOf(service: Service): readonly KubernetesObject[] {
  const { name, workload } = service
  const [namespace = ''] = workload.split('/')
  const metadata = { name, namespace, labels: { app: name } }
  const port = inboundPort(service)
  return [
    { apiVersion: 'v1', kind: 'ServiceAccount', metadata, automountServiceAccountToken: false },
    {
      apiVersion: 'v1',
      kind: 'Service',
      metadata,
      spec: {
        selector: { app: name },
        ports: [{ name: 'mesh', port, targetPort: 'mesh' }],
      },
    },
    {
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      metadata,
      spec: {
        replicas: 1,
        selector: { matchLabels: { app: name } },
        template: {
          metadata: { labels: { app: name } },
          spec: podOf(service, service.upstream === undefined ? undefined : echoOf(service)),
        },
      },
    },
  ]
}

/** A pod with the Envoy of a service beside an application, or alone. */
export function podOf(service: Service, application: KubernetesObject | undefined): KubernetesObject {
  const { name } = service
  const envoy = envoyOf(service)
  return {
    serviceAccountName: name,
    automountServiceAccountToken: false,
    enableServiceLinks: false,
    terminationGracePeriodSeconds: 15,
    securityContext: {
      runAsNonRoot: true,
      fsGroup: APPLICATION_USER,
      seccompProfile: { type: 'RuntimeDefault' },
    },
    // As an init container that goes on, Envoy is there before the application and until after it.
    ...(application === undefined
      ? { containers: [envoy] }
      : { initContainers: [{ ...envoy, restartPolicy: 'Always' }], containers: [application] }),
    volumes: [
      {
        name: 'envoy',
        configMap: {
          name: service.careless ? CARELESS_CONFIGURATION : 'envoy',
          items: [`${name}.yaml`, ...SHARED_FILES].map((path) => ({
            key: path.split('/').at(-1),
            path: path === `${name}.yaml` ? 'envoy.yaml' : path,
          })),
        },
      },
      { name: 'tls', secret: { secretName: `${name}-svid`, defaultMode: 0o440 } },
      ...(service.envoy === 'gateway.yaml'
        ? [{ name: 'web', secret: { secretName: `${name}-web`, defaultMode: 0o440 } }]
        : []),
      ...(application === undefined ? [] : [{ name: 'application', configMap: { name: 'application' } }]),
    ],
  }
}

function envoyOf(service: Service): KubernetesObject {
  return {
    name: 'envoy',
    image: 'envoy',
    imagePullPolicy: 'IfNotPresent',
    command: ['/usr/local/bin/envoy'],
    args: [
      '-c',
      '/etc/portcullis/envoy/envoy.yaml',
      '--concurrency',
      '1',
      '--disable-hot-restart',
      '--log-level',
      'warning',
    ],
    ports: [{ name: 'mesh', containerPort: inboundPort(service) }],
    startupProbe: { tcpSocket: { port: 'mesh' }, periodSeconds: 1, failureThreshold: 60 },
    readinessProbe: { tcpSocket: { port: 'mesh' }, periodSeconds: 5 },
    // Others forget the address first.
    lifecycle: { preStop: { sleep: { seconds: 5 } } },
    resources: { requests: { cpu: '10m', memory: '48Mi' }, limits: { memory: '256Mi' } },
    securityContext: { ...CONTAINER_SECURITY, runAsUser: ENVOY_USER, runAsGroup: ENVOY_USER },
    volumeMounts: [
      { name: 'envoy', mountPath: '/etc/portcullis/envoy', readOnly: true },
      { name: 'tls', mountPath: '/etc/portcullis/tls', readOnly: true },
      ...(service.envoy === 'gateway.yaml'
        ? [{ name: 'web', mountPath: '/etc/portcullis/web', readOnly: true }]
        : []),
    ],
  }
}

/** An application that tells its caller what reached it; demo/upstream.ts. On loopback, so nothing gets around Envoy. */
function echoOf({ name, upstream }: Service): KubernetesObject {
  const start =
    upstream?.kind === 'tcp'
      ? `startTcpUpstream('127.0.0.1', ${upstream.port})`
      : `startHttpUpstream('${name}', '127.0.0.1', ${upstream?.port})`
  return applicationRunning(
    `import * as upstream from '/application/upstream.ts'; await upstream.${start}; process.on('SIGTERM', () => process.exit())`,
  )
}

/** A container that runs a program of the ConfigMap `application`. */
export function applicationRunning(program: string): KubernetesObject {
  return {
    name: 'application',
    image: 'application',
    imagePullPolicy: 'IfNotPresent',
    command: ['/usr/local/bin/node', '--input-type=module', '--eval', program],
    resources: { requests: { cpu: '10m', memory: '48Mi' }, limits: { memory: '256Mi' } },
    securityContext: { ...CONTAINER_SECURITY, runAsUser: APPLICATION_USER, runAsGroup: APPLICATION_USER },
    volumeMounts: [{ name: 'application', mountPath: '/application', readOnly: true }],
  }
}
