import { randomBytes } from 'node:crypto'
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { KeyPair } from '../test/support/certificate-authority.js'
import { AuditTrail } from './audit-trail.js'
import { type Answer, callHttp, type Way } from './calls.js'
import {
  type IdentityProvider,
  type SecurityEventClaims,
  startIdentityProvider,
} from './identity-provider.js'
import { layEnvoy, layPortcullis, REPOSITORY } from './lay.js'
import { loopbackAddresses } from './loopback.js'
import { laptopOf, OWNERS } from './people.js'
import { createPki, type Pki, spiffeIdOf, tokenKeys } from './pki.js'
import { Processes, type Running } from './processes.js'
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
} from './services.js'
import { startHttpUpstream, startTcpUpstream, type Upstream } from './upstream.js'

const START_LIMIT_MS = 30_000

/** As in examples/mesh/portcullis.yaml. */
export type Administrator = 'oscar' | 'rita'
const SIGNALS_TOKEN = 'ssf/idp.token'
const adminToken = (who: Administrator): string => `admin/${who}.token`
const aToken = (): string => randomBytes(24).toString('base64url')

export type MeshOptions = {
  /** Path of the Envoy to run. */
  readonly envoy: string
  /** Directory that Portcullis reads and watches; the example's own when absent. */
  readonly policyDirectory?: string
  /** All when absent. */
  readonly services?: readonly Service[]
  /** Portcullis servers that every Envoy knows; only the first is started. */
  readonly replicas?: number
  /** How long an Envoy waits for Portcullis instead of as shipped, seconds. */
  readonly askTimeoutSeconds?: number
}

/** What scenarios call, wherever it runs. */
export type CallableMesh = {
  /** Everything made for this run, logs among it. */
  readonly directory: string
  readonly pki: Pki
  readonly identityProvider: IdentityProvider
  /** Keys that service tokens are signed with, by service. */
  readonly tokenKeys: ReadonlyMap<string, KeyPair>
  readonly trail: AuditTrail
  /** As the caller's application would: plain, to its own sidecar. */
  throughSidecar(caller: string, port?: number): Way
  /** Around the caller's sidecar, straight to the target's, with these credentials or none. */
  straightTo(target: string, credentials?: { readonly chainPem: string; readonly keyPem: string }): Way
  /** As a user would. */
  throughGateway(): Way
  /** Calls the admin API of the first Portcullis as one of those who administer. */
  administer(who: Administrator, method: string, path: string, body?: unknown): Promise<Answer>
  /** The identity provider tells Portcullis something. */
  signal(event: SecurityEventClaims): Promise<Answer>
}

/** The mesh in this machine: its addresses, its keys and its processes. */
export type Mesh = CallableMesh & {
  addressOf(name: string): string
  /** Starts Portcullis replica number `index` and returns once it takes connections. */
  startPortcullis(index: number): Promise<Running>
  /** The latest process of a replica. */
  portcullis(index: number): Running
  /** Where a replica finds its certificate, key and bundle. */
  portcullisTls(index: number): string
  /** Ends everything. Safe to call twice. */
  stop(): Promise<void>
  /** Removes `directory`. */
  forget(): void
}

/** Starts everything and returns when every Envoy has had an answer from Portcullis. Leaves nothing running when it throws. */
export async function startMesh(options: MeshOptions): Promise<Mesh> {
  const services = options.services ?? [...SERVICES, GATEWAY, CARELESS]
  const replicas = Array.from({ length: options.replicas ?? 1 }, (_, index) => `portcullis-${index + 1}`)
  const places = [...replicas, ...services.map(({ name }) => name)]
  const addresses = await loopbackAddresses(places, PORTS.inbound)
  const directory = mkdtempSync(join(tmpdir(), 'portcullis-mesh-'))
  mkdirSync(join(directory, 'logs'))
  const pki = createPki(WEB_HOST, UNLISTED_INTERMEDIATE)
  const trail = new AuditTrail()
  const processes = new Processes(join(directory, 'logs'))
  const closing: { close(): Promise<void> }[] = []
  const portcullis = new Map<number, Running>()
  const keys = new Map(TOKEN_ISSUERS.map((name) => [name, tokenKeys()]))
  const tokens = new Map(
    [adminToken('oscar'), adminToken('rita'), SIGNALS_TOKEN].map((file) => [file, aToken()]),
  )

  const addressOf = (name: string): string => {
    const address = addresses.get(name)
    if (address === undefined) throw new Error(`there is no ${name} in this mesh`)
    return address
  }

  let stopped: Promise<void> | undefined
  const stop = (): Promise<void> =>
    (stopped ??= processes
      .stop()
      .then(() => Promise.all(closing.map((one) => one.close())))
      .then(() => undefined))

  try {
    const identityProvider = await startIdentityProvider()
    closing.push(identityProvider)

    const startPortcullis = async (index: number): Promise<Running> => {
      const name = `portcullis-${index + 1}`
      const config = layPortcullis(join(directory, name), {
        address: addressOf(name),
        pki,
        keys,
        jwksUri: identityProvider.jwksUri,
        policyDirectory: options.policyDirectory ?? join(REPOSITORY, 'examples/mesh/policy'),
        tokens,
      })
      const program = join(REPOSITORY, 'dist/cli/portcullis.js')
      const running = await processes.start(name, process.execPath, [program, 'serve', '--config', config], {
        onLine: trail.read,
      })
      portcullis.set(index, running)
      await until(`${name} to listen`, async () => {
        processes.assertRunning(running)
        return await accepts(addressOf(name), PORTS.mesh)
      })
      return running
    }

    const mesh: Mesh = {
      directory,
      pki,
      identityProvider,
      tokenKeys: keys,
      trail,
      addressOf,
      throughSidecar: (caller, port = PORTS.outbound) => ({ host: addressOf(caller), port }),
      straightTo: (target, credentials) => {
        const service = services.find(({ name }) => name === target)
        if (!service) throw new Error(`there is no ${target} in this mesh`)
        return {
          host: addressOf(target),
          port: inboundPort(service),
          tls: {
            ca: pki.bundlePem,
            serverName: `${target}.shop.svc.cluster.local`,
            serverId: spiffeIdOf(service.workload),
            ...(credentials ? { certificate: credentials.chainPem, key: credentials.keyPem } : {}),
          },
        }
      },
      throughGateway: () => ({
        host: addressOf('gateway'),
        port: PORTS.inbound,
        tls: { ca: pki.web.rootPem, serverName: WEB_HOST },
      }),
      administer: (who, method, path, body) =>
        callHttp(
          { host: addressOf('portcullis-1'), port: PORTS.api },
          {
            method,
            path,
            host: addressOf('portcullis-1'),
            headers: {
              authorization: `Bearer ${tokens.get(adminToken(who))}`,
              ...(body !== undefined && { 'content-type': 'application/json' }),
            },
            ...(body !== undefined && { body: JSON.stringify(body) }),
          },
        ),
      signal: async (event) =>
        callHttp(
          { host: addressOf('portcullis-1'), port: PORTS.public },
          {
            method: 'POST',
            path: '/ssf/events',
            host: addressOf('portcullis-1'),
            headers: {
              authorization: `Bearer ${tokens.get(SIGNALS_TOKEN)}`,
              'content-type': 'application/secevent+jwt',
            },
            body: await identityProvider.securityEvent(event),
          },
        ),
      startPortcullis,
      portcullis: (index) => {
        const running = portcullis.get(index)
        if (!running) throw new Error(`replica ${index} was never started`)
        return running
      },
      portcullisTls: (index) => join(directory, `portcullis-${index + 1}`, 'tls'),
      stop,
      forget: () => rmSync(directory, { recursive: true, force: true }),
    }

    for (const service of services) {
      const upstream = await startUpstream(service, addressOf(service.name))
      if (upstream) closing.push(upstream)
    }
    await startPortcullis(0)
    await registerDevices(mesh)
    const hosts = new Map(services.map(({ name }) => [`${name}.shop.svc.cluster.local`, addressOf(name)]))
    const envoys = await Promise.all(
      services.map((service) => {
        const config = layEnvoy(join(directory, service.name), service, {
          own: addressOf(service.name),
          hosts,
          replicas: replicas.map(addressOf),
          pki,
          askTimeoutSeconds: options.askTimeoutSeconds,
        })
        const args = ['-c', config, '--concurrency', '1', '--disable-hot-restart', '--log-level', 'warning']
        return processes.start(service.name, options.envoy, args)
      }),
    )
    await Promise.all(
      services.map((service) =>
        until(`the Envoy of ${service.name} to be ready`, async () => {
          processes.assertRunning(...envoys)
          return await isAnswered(mesh, service)
        }),
      ),
    )
    return mesh
  } catch (error) {
    await stop()
    throw error
  }
}

function startUpstream({ name, upstream }: Service, host: string): Promise<Upstream> | undefined {
  if (!upstream) return undefined
  return upstream.kind === 'http'
    ? startHttpUpstream(name, host, upstream.port)
    : startTcpUpstream(host, upstream.port)
}

/** The laptops that the demo's people have. */
export async function registerDevices(mesh: CallableMesh): Promise<void> {
  const answer = await mesh.administer('oscar', 'POST', '/v1/devices', {
    reason: 'laptops handed out',
    devices: OWNERS.map((owner) => Object.assign({ id: laptopOf(owner), owner }, IN_ORDER)),
  })
  if (answer.status !== '200') throw new Error(`devices were not taken: ${answer.status} ${answer.body}`)
}

const IN_ORDER = {
  managed: true,
  ownership: 'Corporate',
  osPatched: true,
  diskEncrypted: true,
  firewall: true,
  antivirus: true,
  jailbroken: false,
}

/** Envoy says it is ready, and an HTTP service's has got a decision about some call. */
async function isAnswered(mesh: Mesh, service: Service): Promise<boolean> {
  const admin = { host: mesh.addressOf(service.name), port: PORTS.admin }
  const ready = await callHttp(admin, { method: 'GET', path: '/ready', host: 'localhost' })
  if (ready.status !== '200' || service.envoy !== 'sidecar.yaml') return ready.status === '200'
  const way = mesh.straightTo(service.name, mesh.pki.svid(service.workload))
  const answer = await callHttp(way, { method: 'GET', path: '/warm-up', host: service.name })
  return answer.decisionId !== undefined
}

/** Tries until it is so, at most `START_LIMIT_MS`. */
async function until(what: string, isSo: () => Promise<boolean>): Promise<void> {
  const end = Date.now() + START_LIMIT_MS
  while (!(await isSo())) {
    if (Date.now() > end) throw new Error(`waited ${START_LIMIT_MS / 1000} s in vain for ${what}`)
    await sleep(50)
  }
}

function accepts(host: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, host)
    socket.once('error', () => resolve(false))
    socket.once('connect', () => {
      socket.destroy()
      resolve(true)
    })
  })
}
