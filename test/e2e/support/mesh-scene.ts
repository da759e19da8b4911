import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parse } from 'yaml'
import { type Answer, callHttp, type HttpRequest, type Way } from '../../../demo/calls.js'
import { envoyBinary } from '../../../demo/envoy-binary.js'
import { REPOSITORY } from '../../../demo/lay.js'
import { createPki, type Pki, writeIdentity } from '../../../demo/pki.js'
import { Processes } from '../../../demo/processes.js'
import { renderShipped } from '../../../demo/render-shipped.js'
import type { Issued } from '../../support/certificate-authority.js'
import { runCli } from '../../support/cli.js'
import { startPortcullis, type TestPortcullis } from '../../support/portcullis.js'
import type { Bootstrap, Endpoint, Identity } from './envoy-messages.js'
import { type LoadedEnvoy, loadedEnvoy, startApplication } from './loaded-envoy.js'

export const WEB_HOST = 'shop.example.com'
/** Its certificate is of an intermediate that is in nobody's bundle. */
export const HIDDEN = 'shop/admin-service'
const POLICY = join(REPOSITORY, 'examples/mesh/policy')
/** DevicePolicies need an inventory of devices, which no overlay names. */
const LEFT_OUT = 'devices.yaml'

export type MeshScene = {
  readonly pki: Pki
  /** Answers every call with what reached it, in plaintext as behind a sidecar. */
  readonly application: Endpoint
  /** The same over mutual TLS, as the sidecar of order-service takes calls. */
  readonly orderService: Endpoint
  /** Files for an Envoy. */
  lay(name: string, svid: Issued, bundlePem?: string): Identity
  run(name: string, bootstrap: Bootstrap): Promise<LoadedEnvoy>
  /**
   * A Portcullis with `config/portcullis.yaml` of a folder of k8s/, on free ports, and the policy of the example mesh.
   * `other` takes the place of whole options.
   */
  portcullis(folder: string, svid: Issued, other?: (shipped: Shipped) => object): Promise<TestPortcullis>
  stop(): Promise<void>
}

export type Shipped = { readonly listeners: readonly Readonly<Record<string, unknown>>[] }

export async function startMeshScene(): Promise<MeshScene> {
  const envoy = envoyBinary()
  const directory = mkdtempSync(join(tmpdir(), 'portcullis-meshes-'))
  const processes = new Processes(directory)
  const pki = createPki(WEB_HOST, new Set([HIDDEN]))
  const application = await startApplication('application')
  const { chainPem: cert, keyPem: key } = pki.svid('shop/order-service')
  const orderService = await startApplication('order-service', { cert, key, ca: pki.bundlePem })
  return {
    pki,
    application: application.at,
    orderService: orderService.at,
    lay(name, svid, bundlePem = pki.bundlePem) {
      const at = join(directory, name)
      mkdirSync(at, { recursive: true })
      writeIdentity(at, svid, bundlePem)
      return { certificate: join(at, 'svid.pem'), key: join(at, 'svid.key'), bundle: join(at, 'bundle.pem') }
    },
    run: (name, bootstrap) => loadedEnvoy({ processes, envoy, directory }, name, bootstrap),
    portcullis(folder, svid, other = () => ({})) {
      const shipped = shippedConfiguration(folder)
      return startPortcullis(
        Object.fromEntries(policyFiles()),
        { ...shipped, drain: { delay: '0s', timeout: '1s' }, ...other(shipped) },
        (at) => Promise.resolve(writeIdentity(join(at, 'tls'), svid, pki.bundlePem)),
      )
    },
    async stop() {
      await processes.stop()
      await Promise.all([application.close(), orderService.close()])
      rmSync(directory, { recursive: true, force: true })
    },
  }
}

function shippedConfiguration(folder: string): Shipped {
  const text = readFileSync(join(REPOSITORY, 'k8s', folder, 'config/portcullis.yaml'), 'utf8')
  const ports = text.matchAll(/"(\[::\]:\d+)"/g)
  const names = new Map([
    ...[...ports].map(([, address]) => [address ?? '', '127.0.0.1:0'] as const),
    ['/etc/portcullis/policy', './policy'],
    ['/var/lib/portcullis', './state'],
  ])
  const shipped: Shipped = parse(renderShipped(text, { addresses: new Map(), directory: '.', names }))
  return shipped
}

function policyFiles(): [name: string, text: string][] {
  return readdirSync(POLICY)
    .filter((file) => file !== LEFT_OUT)
    .map((file) => [`policy/${file}`, readFileSync(join(POLICY, file), 'utf8')])
}

export function listenerOf({ running }: TestPortcullis, name: string): Endpoint {
  const address = running.listeners.find((each) => each.name === name)?.address
  if (address === undefined) throw new Error(`Portcullis has no listener ${name}`)
  return { host: '127.0.0.1', port: Number(address.split(':').at(-1)) }
}

export type Call = {
  readonly path: string
  readonly headers?: Readonly<Record<string, string>> | undefined
  readonly from?: Issued | undefined
}

/** One GET over TLS, with the certificate of the caller where there is one. */
export function callThrough(
  { listener }: LoadedEnvoy,
  server: Pick<NonNullable<Way['tls']>, 'ca' | 'serverName' | 'serverId'>,
  { path, headers = {}, from }: Call,
): Promise<Answer> {
  const request: HttpRequest = { method: 'GET', path, host: server.serverName, headers }
  const tls = { ...server, ...(from && { certificate: from.chainPem, key: from.keyPem }) }
  return callHttp({ ...listener, tls }, request)
}

/** What `portcullis doctor` finds in an Envoy that runs. */
export async function findingsOf({ admin }: LoadedEnvoy): Promise<readonly string[]> {
  const { stdout } = await runCli(['doctor', '-o', 'json', '--admin', admin])
  const found: { problems: { code: string; severity: string; message: string }[] } = JSON.parse(stdout)
  return found.problems.map(({ code, severity, message }) => `${severity} ${code}: ${message}`).toSorted()
}
