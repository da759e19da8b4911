import { randomBytes } from 'node:crypto'
import { rmSync } from 'node:fs'
import { mkdtemp } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createAuthority, type Authority, type Issued } from '../../test/support/certificate-authority.js'
import { toPem } from '../../test/support/certificate-writer.js'
import { type AdminClient, adminClient } from '../../test/support/admin.js'
import { JwksServer } from '../../test/support/jwks-server.js'
import { type RunningRedis, startStandalone } from '../../test/support/redis-servers.js'
import { jwksText } from '../../test/support/tokens.js'
import { Clients, SERVER_NAME } from './clients.js'
import { fillerFile, policyFile } from './documents.js'
import { Server } from './server.js'
import { Watch } from './watch.js'
import { ISSUER, SIGNAL_AUDIENCE, spiffeIdOf, World } from './world.js'

const FILLER_SERVICES = 400
/** Small, so that all caches are full soon and memory can be level. */
const CACHES = { tokens: 1000, certificates: 200 }
const COPIES = 2000

export type Stage = {
  readonly world: World
  readonly server: Server
  readonly watch: Watch
  readonly redis: RunningRedis
  readonly jwks: JwksServer
  readonly clients: Clients
  /** Of the Envoys and of the listeners. */
  readonly authority: Authority
  readonly admin: AdminClient
  readonly pushToken: string
  close(): Promise<number | null>
}

/** Redis, key server and Portcullis, each where it belongs, on loopback. */
export async function setStage(dist: string): Promise<Stage> {
  const closing: (() => unknown)[] = []
  const closeAll = async (): Promise<void> => {
    for (const close of closing.toReversed()) await close()
  }
  try {
    const directory = await mkdtemp(join(tmpdir(), 'portcullis-soak-'))
    const removeAll = (): void => rmSync(directory, { recursive: true, force: true })
    closing.push(removeAll)
    process.once('exit', removeAll)
    const world = await World.create()
    // What Redis has acknowledged it has written, so that a kill loses nothing; only a crash of the machine would.
    const redis = await startStandalone('--appendonly', 'yes', '--appendfsync', 'no')
    closing.push(() => redis.stop())
    const jwks = await JwksServer.start({ kind: 'serve', keys: world.published(world.userKey) })
    closing.push(() => jwks.close())
    const authority = createAuthority({ name: 'envoys' })
    const [adminToken, pushToken] = [secret(), secret()]
    const listener = listenerCertificate(authority)
    const files = {
      'policy/mesh.yaml': policyFile(0),
      'policy/filler.yaml': fillerFile(FILLER_SERVICES),
      'pki/bundle.pem': bundleOf(world.steadyRoot.authority, world.rotatingRoot.authority),
      'pki/steady.crl': revocationList(world, [], 0),
      'tls/ca.pem': authority.certificatePem,
      'tls/cert.pem': listener.chainPem,
      'tls/key.pem': listener.keyPem,
      'keys/web.pem': world.issuers.web.key.publicKeyPem,
      'keys/replayer.pem': world.issuers.replayer.key.publicKeyPem,
      'keys/signals.json': jwksText(world.signalKey),
      'admin.token': adminToken,
      'push.token': pushToken,
    }
    const server = await Server.start(dist, directory, files, (ports) =>
      configuration(ports, redis, jwks.url, world),
    )
    let exitCode: number | null = null
    closing.push(async () => {
      exitCode = await server.stop()
    })
    const doors = ['shop/orders', 'shop/payments', 'shop/stock', 'gateway'] as const
    const clients = new Clients(doors, authority, server.addresses)
    closing.push(() => clients.close())
    return {
      world,
      server,
      watch: new Watch(server),
      redis,
      jwks,
      clients,
      authority,
      admin: adminClient(`127.0.0.1:${server.ports.admin}`, adminToken),
      pushToken,
      close: async () => {
        await closeAll()
        return exitCode
      },
    }
  } catch (error) {
    await closeAll()
    throw error
  }
}

const secret = (): string => randomBytes(24).toString('hex')

export const bundleOf = (...roots: readonly Authority[]): string =>
  roots.map(({ certificatePem }) => certificatePem).join('')

export function listenerCertificate(authority: Authority): Issued {
  return authority.issueSvid({ spiffeId: spiffeIdOf('portcullis/server'), dnsNames: [SERVER_NAME] })
}

/** Each list tells another nextUpdate, by which it can be told which one is in force. */
export function revocationList(world: World, serials: readonly string[], number: number): string {
  const nextUpdate = new Date((revocationListEnd(number) ?? 0) * 1000)
  return toPem('X509 CRL', world.steadyRoot.authority.revoke({ serials, nextUpdate }))
}

const startedSeconds = Math.floor(Date.now() / 1000)
/** Seconds since the epoch. */
export const revocationListEnd = (number: number): number => startedSeconds + 7 * 86_400 + number

function configuration(
  ports: Server['ports'],
  { deployment }: RunningRedis,
  jwksUri: string,
  world: World,
): object {
  if (deployment.kind !== 'standalone') throw new Error('not one server')
  const tls = { certificate: './tls/cert.pem', key: './tls/key.pem', clientCa: './tls/ca.pem' }
  const { web, replayer } = world.issuers
  return {
    apiVersion: 'portcullis.dev/v1beta1',
    kind: 'Configuration',
    listeners: [
      {
        name: 'mesh',
        address: '127.0.0.1:0',
        tls: { ...tls, allowedClients: ['spiffe://cluster.local/ns/shop/sa/*'] },
      },
      {
        name: 'edge',
        address: '127.0.0.1:0',
        tls: { ...tls, allowedClients: [spiffeIdOf('edge/gateway')] },
        role: 'Gateway',
        peerIdentity: 'None',
      },
    ],
    trustDomains: { 'cluster.local': { bundle: { file: './pki/bundle.pem' } } },
    certificates: { revoked: { crls: ['./pki/steady.crl'] } },
    policy: { directory: './policy' },
    serviceTokens: {
      issuers: {
        web: { service: 'shop/web', keyFile: './keys/web.pem', scopes: web.scopes },
        replayer: { service: 'shop/replayer', keyFile: './keys/replayer.pem', scopes: replayer.scopes },
      },
    },
    userTokens: { issuers: [{ issuer: ISSUER, audiences: ['shop'], jwksUri, algorithms: ['RS256'] }] },
    jwks: { refreshInterval: '2s', cooldown: '500ms' },
    store: {
      type: 'Redis',
      url: `redis://${deployment.host}:${deployment.port}`,
      commandTimeout: '500ms',
      copies: COPIES,
    },
    onUnavailable: { mode: 'Deny' },
    // Nobody reports devices here, and unknown ones would ask for step-ups.
    deviceInventory: { enabled: false },
    caches: CACHES,
    admin: {
      listen: `127.0.0.1:${ports.admin}`,
      tokens: [{ name: 'oscar', file: './admin.token', role: 'Admin' }],
    },
    public: { listen: `127.0.0.1:${ports.public}` },
    ssf: {
      transmitters: [
        {
          issuer: ISSUER,
          audiences: [SIGNAL_AUDIENCE],
          jwksFile: './keys/signals.json',
          push: { tokenFile: './push.token' },
        },
      ],
    },
    health: { listen: `127.0.0.1:${ports.health}` },
  }
}
