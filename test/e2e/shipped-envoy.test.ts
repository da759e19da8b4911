import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { parse, stringify } from 'yaml'
import { envoyBinary } from '../../demo/envoy-binary.js'
import { REPOSITORY } from '../../demo/lay.js'
import { createPki, writeIdentity } from '../../demo/pki.js'
import { renderShipped } from '../../demo/render-shipped.js'

const SHIPPED = join(REPOSITORY, 'envoy')
const files = readdirSync(SHIPPED, { recursive: true, encoding: 'utf8' }).filter((file) =>
  file.endsWith('.yaml'),
)
const bootstraps = files.filter((file) => !file.includes('/'))
const resources = files.filter((file) => file.includes('/'))

let envoy: string
let directory: string

/** The shipped tree with throwaway certificates, as it would lie under /etc/portcullis. */
beforeAll(() => {
  envoy = envoyBinary()
  directory = mkdtempSync(join(tmpdir(), 'portcullis-shipped-'))
  const pki = createPki('shop.example.com')
  writeIdentity(join(directory, 'tls'), pki.svid('shop/payment-service'), pki.bundlePem)
  mkdirSync(join(directory, 'web'))
  writeFileSync(join(directory, 'web/tls.crt'), pki.web.chainPem)
  writeFileSync(join(directory, 'web/tls.key'), pki.web.keyPem)
  for (const file of files) {
    const laid = join(directory, 'envoy', file)
    mkdirSync(dirname(laid), { recursive: true })
    const text = readFileSync(join(SHIPPED, file), 'utf8')
    writeFileSync(laid, renderShipped(text, { addresses: new Map(), directory }))
  }
}, 120_000)

afterAll(() => rmSync(directory, { recursive: true, force: true }))

function validate(file: string): { readonly status: number | null; readonly output: string } {
  const { status, stderr, stdout } = spawnSync(envoy, ['--mode', 'validate', '-c', file], {
    encoding: 'utf8',
    timeout: 20_000,
  })
  return { status, output: stdout + stderr }
}

test('validation notices what is wrong', () => {
  const wrong = join(directory, 'wrong.yaml')
  const text = readFileSync(join(directory, 'envoy/sidecar.yaml'), 'utf8')
  writeFileSync(wrong, text.replace('include_peer_certificate', 'include_peer_certificates'))
  expect(validate(wrong)).toMatchObject({
    status: 1,
    output: expect.stringContaining('include_peer_certificates'),
  })
})

test.each(bootstraps)('Envoy loads envoy/%s', (file) => {
  expect(validate(join(directory, 'envoy', file))).toMatchObject({
    status: 0,
    output: expect.stringContaining('OK'),
  })
})

test.each(resources.filter((file) => file.startsWith('sds/') || file === 'mesh/clusters.yaml'))(
  'Envoy takes the resources of envoy/%s',
  (file) => {
    const parsed: { resources: Record<string, unknown>[] } = parse(
      readFileSync(join(directory, 'envoy', file), 'utf8'),
    )
    const untyped = parsed.resources.map((resource) =>
      Object.fromEntries(Object.entries(resource).filter(([field]) => field !== '@type')),
    )
    const kind = file.startsWith('sds/') ? 'secrets' : 'clusters'
    const bootstrap = join(directory, `only-${file.replace('/', '-')}`)
    writeFileSync(
      bootstrap,
      stringify({ node: { id: 'any', cluster: 'any' }, static_resources: { [kind]: untyped } }),
    )
    expect(validate(bootstrap)).toMatchObject({ status: 0, output: expect.stringContaining('OK') })
  },
)

/** envoy/mesh/routes.yaml alone in a listener, with the clusters that it leads to. */
function bootstrapOf(routes: string): string {
  const resourcesOf = (text: string): Record<string, unknown>[] =>
    parse(text).resources.map((resource: object) =>
      Object.fromEntries(Object.entries(resource).filter(([field]) => field !== '@type')),
    )
  const [routeConfig] = resourcesOf(routes)
  const clusters = resourcesOf(readFileSync(join(directory, 'envoy/mesh/clusters.yaml'), 'utf8'))
  const typed = (name: string, type: string, fields: object) => ({
    name,
    typed_config: { '@type': `type.googleapis.com/envoy.extensions.filters.${type}`, ...fields },
  })
  const manager = typed('manager', 'network.http_connection_manager.v3.HttpConnectionManager', {
    stat_prefix: 'routes',
    route_config: { ...routeConfig, validate_clusters: true },
    http_filters: [typed('router', 'http.router.v3.Router', {})],
  })
  const address = { socket_address: { address: '127.0.0.1', port_value: 0 } }
  const listeners = [{ name: 'routes', address, filter_chains: [{ filters: [manager] }] }]
  return stringify({ node: { id: 'any', cluster: 'any' }, static_resources: { listeners, clusters } })
}

test('Envoy takes the routes of envoy/mesh/routes.yaml, and each leads to a cluster', () => {
  const routes = readFileSync(join(directory, 'envoy/mesh/routes.yaml'), 'utf8')
  expect(parse(routes).resources).toHaveLength(1)
  const file = join(directory, 'only-routes.yaml')
  const outcome = (text: string): ReturnType<typeof validate> => {
    writeFileSync(file, bootstrapOf(text))
    return validate(file)
  }
  expect(outcome(routes.replace('cluster: order-service', 'cluster: order-servic'))).toMatchObject({
    status: 1,
    output: expect.stringContaining("unknown cluster 'order-servic'"),
  })
  expect(outcome(routes)).toMatchObject({ status: 0, output: expect.stringContaining('OK') })
})

test('every HTTP service has a cluster and a route', () => {
  const resourcesOf = (file: string): { name: string; virtual_hosts?: { name: string }[] }[] =>
    parse(readFileSync(join(SHIPPED, file), 'utf8')).resources
  const clusters = resourcesOf('mesh/clusters.yaml').map(({ name }) => name)
  const routed = resourcesOf('mesh/routes.yaml').flatMap(({ virtual_hosts: hosts = [] }) =>
    hosts.map(({ name }) => name),
  )
  expect(clusters.filter((name) => !/^(database|cache)-/.test(name))).toEqual(routed)
})
