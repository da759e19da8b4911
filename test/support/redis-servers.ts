import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { RedisDeployment } from '../../src/adapters/redis/options.js'
import { createAuthority } from './certificate-authority.js'
import { eventually } from './eventually.js'
import { webCertificate } from './federation-server.js'

const SERVER = '/usr/bin/redis-server'
const exec = promisify(execFile)
const HOST = '127.0.0.1'
const STARTS_WITHIN_MS = 10_000
/** A master sends its replica nothing before that has acknowledged something, a second after it is online. */
const IN_STEP = /state=online,offset=[1-9]/

/** What a test that broke off has left running ends with its process. */
const leftOver = new Set<ChildProcess>()
process.once('exit', () => {
  for (const child of leftOver) child.kill('SIGKILL')
})

/** Seen from a test: a real Redis that can be stopped and started in every bad way. */
export class RedisServer {
  readonly port: number
  readonly #directory: string
  readonly #args: readonly string[]
  #process: ChildProcess | undefined

  constructor(port: number, directory: string, args: readonly string[]) {
    this.port = port
    this.#directory = directory
    this.#args = args
  }

  async start(): Promise<void> {
    const child = spawn(SERVER, this.#args, { cwd: this.#directory, stdio: 'ignore' })
    this.#process = child
    leftOver.add(child)
    await eventually(async () => {
      if (!/PONG|NOAUTH/.test(await this.cli('ping'))) throw new Error(`no Redis on port ${this.port}`)
    }, STARTS_WITHIN_MS)
  }

  /** What redis-cli prints; it gives up after 2 s. */
  async cli(...command: string[]): Promise<string> {
    const tls = this.#args.includes('--tls-port')
      ? ['--tls', '--cacert', join(this.#directory, 'ca.pem')]
      : []
    const { stdout } = await exec('redis-cli', ['-h', HOST, '-p', `${this.port}`, ...tls, ...command], {
      timeout: 2000,
      env: { ...process.env, REDISCLI_AUTH: '' },
    }).catch(() => ({ stdout: '' }))
    return stdout.trim()
  }

  hang(): void {
    this.#process?.kill('SIGSTOP')
  }

  goOn(): void {
    this.#process?.kill('SIGCONT')
  }

  async kill(): Promise<void> {
    const child = this.#process
    this.#process = undefined
    if (!child || child.exitCode !== null || child.signalCode !== null) return
    leftOver.delete(child)
    const ended = new Promise((resolve) => child.once('exit', resolve))
    child.kill('SIGKILL')
    await ended
  }
}

export type RunningRedis = {
  readonly deployment: RedisDeployment
  readonly servers: readonly RedisServer[]
  readonly tls?: { readonly ca: string }
  readonly username?: string
  readonly password?: string
  stop(): Promise<void>
}

/** One server. */
export async function startStandalone(...more: readonly string[]): Promise<RunningRedis> {
  const directory = await newDirectory()
  const server = await startServer(directory, more)
  return running({ kind: 'standalone', host: HOST, port: server.port }, directory, [server])
}

/** One server that is spoken to over TLS only, by a user who may touch nothing but `portcullis:*`. */
export async function startWithTlsAndUser(): Promise<RunningRedis> {
  const directory = await newDirectory()
  const authority = createAuthority({ name: 'redis' })
  const certificate = webCertificate(authority)
  const ca = authority.certificatePem
  await writeFile(join(directory, 'ca.pem'), ca)
  await writeFile(join(directory, 'cert.pem'), certificate.certificatePem)
  await writeFile(join(directory, 'key.pem'), certificate.keyPem)
  await chmod(join(directory, 'key.pem'), 0o600)
  await writeFile(
    join(directory, 'users.acl'),
    [
      'user default off',
      'user portcullis on >p4ss:w/rd ~portcullis:* &portcullis:* -@all +eval +evalsha +get +set +exists +pttl +pexpireat +hgetall +hget +hscan +hset +hdel +del +time +info +publish +subscribe +ping +wait',
      '',
    ].join('\n'),
  )
  const port = await freePort()
  const args = [
    '--port',
    '0',
    '--tls-port',
    `${port}`,
    '--tls-cert-file',
    'cert.pem',
    '--tls-key-file',
    'key.pem',
  ]
  const tls = [...args, '--tls-ca-cert-file', 'ca.pem', '--tls-auth-clients', 'no', '--aclfile', 'users.acl']
  const server = new RedisServer(port, directory, [...common(), ...tls])
  await server.start()
  return {
    ...running({ kind: 'standalone', host: HOST, port }, directory, [server]),
    tls: { ca },
    username: 'portcullis',
    password: 'p4ss:w/rd',
  }
}

/** A master, its replica and one sentinel that suffices to fail over. The servers: master, replica, sentinel. */
export async function startSentinel(): Promise<RunningRedis> {
  const directory = await newDirectory()
  const master = await startServer(directory, [])
  const replica = await startServer(directory, ['--replicaof', HOST, `${master.port}`])
  const port = await freePort()
  await writeFile(
    join(directory, 'sentinel.conf'),
    [
      `port ${port}`,
      `bind ${HOST}`,
      `sentinel monitor state ${HOST} ${master.port} 1`,
      'sentinel down-after-milliseconds state 1000',
      'sentinel failover-timeout state 3000',
      '',
    ].join('\n'),
  )
  const sentinel = new RedisServer(port, directory, ['sentinel.conf', '--sentinel'])
  await sentinel.start()
  await eventually(async () => {
    if (!IN_STEP.test(await master.cli('info', 'replication'))) throw new Error('the replica is not in step')
    if (!(await sentinel.cli('sentinel', 'replicas', 'state')).includes(`${replica.port}`)) {
      throw new Error('the sentinel has not found the replica')
    }
  }, 20_000)
  const deployment: RedisDeployment = { kind: 'sentinel', sentinels: [{ host: HOST, port }], name: 'state' }
  return running(deployment, directory, [master, replica, sentinel])
}

/** Three masters, then their three replicas. */
export async function startCluster(): Promise<RunningRedis> {
  const directory = await newDirectory()
  const servers: RedisServer[] = []
  for (let n = 0; n < 6; n++) {
    const file = `nodes-${n}.conf`
    servers.push(
      await startServer(directory, [
        '--cluster-enabled',
        'yes',
        '--cluster-config-file',
        file,
        '--cluster-node-timeout',
        '1000',
        '--cluster-replica-validity-factor',
        '0',
      ]),
    )
  }
  const nodes = servers.map(({ port }) => `${HOST}:${port}`)
  await exec('redis-cli', ['--cluster', 'create', ...nodes, '--cluster-replicas', '1', '--cluster-yes'], {
    timeout: 20_000,
  })
  await eventually(async () => {
    for (const server of servers) {
      if (!(await server.cli('cluster', 'info')).includes('cluster_state:ok')) throw new Error('no cluster')
    }
  }, STARTS_WITHIN_MS)
  await eventually(async () => {
    for (const server of servers) {
      const replication = await server.cli('info', 'replication')
      if (!IN_STEP.test(replication) && !replication.includes('role:slave'))
        throw new Error('replicas not in step')
    }
  }, STARTS_WITHIN_MS)
  const deployment: RedisDeployment = {
    kind: 'cluster',
    nodes: servers.map(({ port }) => ({ host: HOST, port })),
  }
  return running(deployment, directory, servers)
}

function common(): string[] {
  return [
    '--bind',
    HOST,
    '--save',
    '',
    '--appendonly',
    'no',
    '--daemonize',
    'no',
    '--repl-diskless-sync-delay',
    '0',
  ]
}

async function startServer(directory: string, more: readonly string[]): Promise<RedisServer> {
  const port = await freePort()
  const files = [
    '--dbfilename',
    `${port}.rdb`,
    '--appenddirname',
    `aof-${port}`,
    '--enable-debug-command',
    'local',
  ]
  const server = new RedisServer(port, directory, [...common(), '--port', `${port}`, ...files, ...more])
  await server.start()
  return server
}

function running(
  deployment: RedisDeployment,
  directory: string,
  servers: readonly RedisServer[],
): RunningRedis {
  return {
    deployment,
    servers,
    stop: async () => {
      await Promise.all(servers.map((server) => server.kill()))
      await rm(directory, { recursive: true, force: true })
    },
  }
}

async function newDirectory(): Promise<string> {
  if (!existsSync(SERVER)) throw new Error(`no ${SERVER}: apt-get install redis-server`)
  return mkdtemp(join(tmpdir(), 'portcullis-redis-'))
}

/** Below the ephemeral ports and with room for the cluster's bus, which is 10,000 higher. */
async function freePort(): Promise<number> {
  for (;;) {
    const port = 12_000 + Math.floor(Math.random() * 10_000)
    if ((await isFree(port)) && (await isFree(port + 10_000))) return port
  }
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer()
    server.once('error', () => resolve(false))
    server.listen(port, HOST, () => server.close(() => resolve(true)))
  })
}
