import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { callHttp, callTcp, type Answer, type Way } from '../../demo/calls.js'
import { envoyBinary } from '../../demo/envoy-binary.js'
import { layEnvoy } from '../../demo/lay.js'
import { loopbackAddresses } from '../../demo/loopback.js'
import { createPki, spiffeIdOf } from '../../demo/pki.js'
import { Processes } from '../../demo/processes.js'
import { inboundPort, PORTS, type Service, SERVICES, WEB_HOST } from '../../demo/services.js'
import { startTcpUpstream, type Upstream } from '../../demo/upstream.js'
import { type GrpcListener, startGrpcListener } from '../../src/adapters/grpc/listener.js'
import type { AccessLogEntry } from '../../src/ext-authz/access-log-reader.js'
import { readCheckRequest } from '../../src/ext-authz/check-request-reader.js'
import { writeAllow, writeAllowTcp, writeDenied } from '../../src/ext-authz/write-check-response.js'
import { eventually } from '../support/eventually.js'

const PORTCULLIS = 'portcullis-system/portcullis'
const CALLER = 'shop/checkout-service'
const directory = mkdtempSync(join(tmpdir(), 'portcullis-access-log-'))
const pki = createPki(WEB_HOST)
type Heard = AccessLogEntry & { readonly from: string | undefined }
const heard: Heard[] = []
/** What the Envoys were given, in order. */
const given: string[] = []
const closing: Upstream[] = []
let processes: Processes
let addresses: ReadonlyMap<string, string>
let listener: GrpcListener

const addressOf = (name: string): string => addresses.get(name) ?? ''
const heardOf = (id: string | undefined): Heard[] => heard.filter(({ decisionId }) => decisionId === id)
const serviceOf = (name: string): Service => {
  const service = SERVICES.find((each) => each.name === name)
  if (!service) throw new Error(`there is no ${name}`)
  return service
}

/** Allows everything but /denied. */
function check(message: Buffer): Buffer {
  const read = readCheckRequest(message)
  const decisionId = `decision-${given.length}`
  given.push(decisionId)
  const metadata = { decision: 'allow', decisionId, reason: 'allowed', mode: 'Enforce' }
  if (!read.ok || read.request.http?.path === '/denied') {
    return writeDenied({
      httpStatus: 403,
      rpcCode: 7,
      message: 'no',
      headers: [],
      body: '',
      metadata: { ...metadata, decision: 'deny', reason: 'forbidden' },
    })
  }
  if (!read.request.http) return writeAllowTcp(metadata)
  return writeAllow({ set: [], remove: [], respond: [], removeQueryParameters: [], metadata })
}

async function listen(): Promise<GrpcListener> {
  const { chainPem: certificate, keyPem: key } = pki.svid(PORTCULLIS)
  const started = await startGrpcListener({
    address: { kind: 'tcp', host: addressOf('portcullis'), port: PORTS.mesh },
    tls: { certificate, key, clientCa: pki.bundlePem, allowedClients: undefined },
    check,
    accessLogs: (entry, { spiffeId }) => heard.push({ ...entry, from: spiffeId }),
    maxMessageBytes: 1024 * 1024,
    deadlineMs: 1000,
  })
  started.setServing(true)
  return started
}

/** `/404/5000` is answered with status 404 and 5000 bytes. */
async function startApplication(host: string): Promise<Upstream> {
  const server: Server = createServer((request, response) => {
    const [, status, size] = (request.url ?? '').split('/')
    request.resume()
    response.writeHead(Number(status) || 200).end('x'.repeat(Number(size) || 0))
  })
  await new Promise<void>((resolve) => server.listen(8080, host, resolve))
  return {
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}

function wayTo(name: string): Way {
  const service = serviceOf(name)
  const { chainPem: certificate, keyPem: key } = pki.svid(CALLER)
  return {
    host: addressOf(name),
    port: inboundPort(service),
    tls: {
      ca: pki.bundlePem,
      certificate,
      key,
      serverName: `${name}.shop.svc.cluster.local`,
      serverId: spiffeIdOf(service.workload),
    },
  }
}

function call(path: string, body?: string): Promise<Answer> {
  const request = { method: body === undefined ? 'GET' : 'POST', path, host: 'payment-service' }
  return callHttp(wayTo('payment-service'), body === undefined ? request : { ...request, body })
}

beforeAll(async () => {
  const envoy = envoyBinary()
  mkdirSync(join(directory, 'logs'))
  processes = new Processes(join(directory, 'logs'))
  const names = ['payment-service', 'database-service']
  addresses = await loopbackAddresses(['portcullis', ...names], PORTS.inbound)
  listener = await listen()
  closing.push(await startApplication(addressOf('payment-service')))
  closing.push(await startTcpUpstream(addressOf('database-service'), 15_432))
  const hosts = new Map(SERVICES.map(({ name }) => [`${name}.shop.svc.cluster.local`, addressOf(name)]))
  for (const name of names) {
    const own = addressOf(name)
    const replicas = [addressOf('portcullis')]
    const config = layEnvoy(join(directory, name), serviceOf(name), { own, hosts, replicas, pki })
    await processes.start(name, envoy, ['-c', config, '--concurrency', '1', '--disable-hot-restart'])
  }
  await eventually(async () => expect((await call('/200')).status).toBe('200'), 30_000)
  await eventually(async () => expect((await callTcp(wayTo('database-service'))).status).toBe('open'), 30_000)
}, 120_000)

afterAll(async () => {
  await processes.stop()
  await Promise.all(closing.map((one) => one.close()))
  await listener.close()
  rmSync(directory, { recursive: true, force: true })
}, 30_000)

test.each([
  { path: '/200/0', code: 200, responseBytes: 0 },
  { path: '/401/17', code: 401, responseBytes: 17 },
  { path: '/503/300000', code: 503, responseBytes: 300_000 },
])('a real Envoy tells what became of $path', async ({ path, code, responseBytes }) => {
  expect((await call(path, 'abc')).status).toBe(String(code))
  await eventually(() =>
    expect(heardOf(given.at(-1))).toEqual([
      {
        kind: 'http',
        decisionId: given.at(-1),
        responseCode: code,
        responseBytes,
        requestBytes: 3,
        deniedByAuthz: false,
        from: spiffeIdOf('shop/payment-service'),
      },
    ]),
  )
})

test('and of a TCP connection', async () => {
  expect((await callTcp(wayTo('database-service'))).status).toBe('open')
  await eventually(() =>
    expect(heardOf(given.at(-1))).toEqual([
      {
        kind: 'tcp',
        decisionId: given.at(-1),
        responseCode: 0,
        responseBytes: 8,
        requestBytes: 8,
        deniedByAuthz: false,
        from: spiffeIdOf('shop/database-service'),
      },
    ]),
  )
})

test('a call that was denied is not told of', async () => {
  expect((await call('/denied')).status).toBe('403')
  expect((await call('/200')).status).toBe('200')
  const [denied, allowed] = given.slice(-2)
  await eventually(() => expect(heardOf(allowed)).toHaveLength(1))
  expect(heardOf(denied)).toEqual([])
})

test('a drain is not held up by Envoys, which tell the next Portcullis', async () => {
  const startedMs = performance.now()
  await listener.drain({ delayMs: 0, timeoutMs: 20_000 })
  expect(performance.now() - startedMs).toBeLessThan(4000)
  listener = await listen()
  await eventually(async () => expect((await call('/200')).status).toBe('200'), 20_000)
  expect((await call('/404/9')).status).toBe('404')
  await eventually(() => expect(heardOf(given.at(-1))).toMatchObject([{ responseCode: 404 }]))
}, 60_000)
