import { cpSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connect } from 'node:tls'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, beforeEach, expect, test } from '@jest/globals'
import { callHttp, callTcp } from '../../demo/calls.js'
import { envoyBinary } from '../../demo/envoy-binary.js'
import { REPOSITORY } from '../../demo/lay.js'
import { type Mesh, startMesh } from '../../demo/mesh.js'
import { writeIdentity } from '../../demo/pki.js'
import { PORTS, SERVICES } from '../../demo/services.js'
import { startLoad } from './support/load.js'

const NAMES = new Set(['checkout-service', 'order-service', 'inventory-service', 'database-service'])
const REQUEST = { method: 'GET', path: '/api/stock/lamp', host: 'inventory-service' }
const CALLERS = 8
const LIMIT_MS = 30_000

let mesh: Mesh
let policy: string

beforeEach(async () => {
  policy = mkdtempSync(join(tmpdir(), 'portcullis-policy-'))
  cpSync(join(REPOSITORY, 'examples/mesh/policy'), policy, { recursive: true })
  mesh = await startMesh({
    envoy: envoyBinary(),
    policyDirectory: policy,
    services: SERVICES.filter(({ name }) => NAMES.has(name)),
    replicas: 2,
    // What is tested is that no call gets lost, which a longer wait can't hide: a stall of the machine isn't one.
    askTimeoutSeconds: 3,
  })
  const warming = startLoad(mesh.throughSidecar('checkout-service'), REQUEST, CALLERS, LIMIT_MS)
  await eventually('everything to be warm', async () => warming.count() > 300)
  await warming.stop()
}, 60_000)

afterEach(async () => {
  await mesh.stop()
  mesh.forget()
  rmSync(policy, { recursive: true, force: true })
}, 30_000)

/** Changes one document the way an editor or a mounted volume does: the new file is moved over the old one. */
function rewrite(file: string, change: (text: string) => string): void {
  const path = join(policy, file)
  const next = join(policy, `.${file}.next`)
  writeFileSync(next, change(readFileSync(path, 'utf8')))
  renameSync(next, path)
}

async function eventually(what: string, isSo: () => Promise<boolean>): Promise<void> {
  const end = Date.now() + 15_000
  while (!(await isSo())) {
    if (Date.now() > end) throw new Error(`waited in vain for ${what}`)
    await sleep(50)
  }
}

const status = async (path: string): Promise<string> =>
  (await callHttp(mesh.throughSidecar('checkout-service'), { ...REQUEST, path })).status

/** Any other status fails, with what the Envoys on the way logged about it. */
function expectOnly(statuses: ReadonlyMap<string, number>, wanted: string): void {
  const others = [...statuses.keys()].filter((each) => each !== wanted)
  expect(others.flatMap(loggedWith)).toEqual([])
  expect(Object.fromEntries(statuses)).toEqual({ [wanted]: expect.any(Number) })
  expect(statuses.get(wanted)).toBeGreaterThan(100)
}

function loggedWith(code: string): string[] {
  return ['checkout-service', 'inventory-service'].flatMap((name) =>
    readFileSync(join(mesh.directory, 'logs', `${name}.log`), 'utf8')
      .split('\n')
      .filter((line) => line.includes(`"status":${code},`))
      .map((line) => `${name}: ${line}`),
  )
}

test('Portcullis killed: Envoy denies, and asks again once there is one', async () => {
  expect(await status('/api/stock/lamp')).toBe('200')
  mesh.portcullis(0).kill('SIGKILL')
  await mesh.portcullis(0).exit
  const refused = await callHttp(mesh.throughSidecar('checkout-service'), REQUEST)
  expect(refused).toMatchObject({ status: '503', echo: undefined })
  const closed = await callTcp(mesh.throughSidecar('order-service', PORTS.database))
  expect(closed.status).toBe('closed')
  await mesh.startPortcullis(0)
  await eventually('an answer again', async () => (await status('/api/stock/lamp')) === '200')
}, 60_000)

test('a policy with an error is refused whole and the old one stays; a right one takes effect; no call fails', async () => {
  const load = startLoad(mesh.throughSidecar('checkout-service'), REQUEST, CALLERS, LIMIT_MS)
  expect(await status('/api/stock-levels')).toBe('403')
  rewrite('inventory-service.yaml', (text) => text.replace(/^ {2}endpoints:$/m, '  endpoint:'))
  rewrite('checkout-service.yaml', (text) =>
    text.replace('endpoints: [GetStock]', 'endpoints: [GetStock, Levels]'),
  )
  await sleep(1500)
  expect(await status('/api/stock-levels')).toBe('403')
  rewrite('inventory-service.yaml', (text) =>
    text.replace(
      /^ {2}endpoint:$/m,
      '  endpoints:\n    - { name: Levels, paths: [/api/stock-levels], methods: [GET] }',
    ),
  )
  await eventually('the new endpoint', async () => (await status('/api/stock-levels')) === '200')
  for (let round = 0; round < 5; round++) {
    rewrite('order-service.yaml', (text) => `${text}# round ${round}\n`)
    await sleep(200)
  }
  expectOnly(await load.stop(), '200')
}, 60_000)

test('SIGTERM while another replica is there: it drains and no call fails', async () => {
  await mesh.startPortcullis(1)
  await eventually('both replicas to be healthy', async () => (await healthyReplicas()) === 2)
  const load = startLoad(mesh.throughSidecar('checkout-service'), REQUEST, CALLERS, LIMIT_MS)
  await eventually('load', async () => load.count() > 200)
  const leaving = mesh.portcullis(0)
  leaving.kill('SIGTERM')
  await leaving.exit
  const before = load.count()
  await eventually('load on the other replica', async () => load.count() > before + 200)
  expectOnly(await load.stop(), '200')
  expect(leaving.ended()).toBe('portcullis-1 ended with exit code 0')
}, 60_000)

test("rotation of Portcullis' own certificate: new connections get the new one and no call fails", async () => {
  const load = startLoad(mesh.throughSidecar('checkout-service'), REQUEST, CALLERS, LIMIT_MS)
  const renewed = mesh.pki.renewedSvid('portcullis-system/portcullis')
  const serial = renewed.serialHex.toUpperCase()
  expect(await presentedSerial()).not.toBe(serial)
  writeIdentity(mesh.portcullisTls(0), renewed, mesh.pki.bundlePem)
  await eventually('the new certificate', async () => (await presentedSerial()) === serial)
  const before = load.count()
  await eventually('more load', async () => load.count() > before + 100)
  expectOnly(await load.stop(), '200')
}, 60_000)

/** As the sidecar of inventory-service sees them. */
async function healthyReplicas(): Promise<number> {
  const admin = { host: mesh.addressOf('inventory-service'), port: PORTS.admin }
  const { body } = await callHttp(admin, { method: 'GET', path: '/clusters', host: 'localhost' })
  return body.split('\n').filter((line) => /^portcullis::.*::health_flags::healthy$/.test(line)).length
}

/** Serial of the certificate that a new connection to Portcullis is shown. */
function presentedSerial(): Promise<string> {
  const svid = mesh.pki.svid('shop/inventory-service')
  return new Promise((resolve, reject) => {
    const socket = connect(
      {
        host: mesh.addressOf('portcullis-1'),
        port: PORTS.mesh,
        ca: mesh.pki.bundlePem,
        cert: svid.chainPem,
        key: svid.keyPem,
        ALPNProtocols: ['h2'],
        checkServerIdentity: () => undefined,
      },
      () => {
        resolve(socket.getPeerCertificate().serialNumber)
        socket.destroy()
      },
    )
    socket.once('error', reject)
  })
}
