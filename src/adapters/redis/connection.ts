import { Cluster, Redis, type RedisOptions } from 'ioredis'
import type { RedisStoreOptions } from './options.js'
import type { Script } from './scripts.js'

export type Client = Redis | Cluster
type Argument = string | number | Buffer
type Settings = Omit<RedisOptions, 'replyMapping' | 'enableOfflineQueue'>

const CONNECT_MS = 1000
/** Commands without an answer are forgotten then; whoever waits for one has given up long before. */
const COMMAND_BACKSTOP_MS = 2000
const LONGEST_RETRY_MS = 500

/** The connection for commands. It goes on connecting by itself, and refuses commands while it has none. */
export function connect(options: RedisStoreOptions): Client {
  const { deployment } = options
  const retry = (times: number): number => Math.min(50 * times, LONGEST_RETRY_MS)
  if (deployment.kind !== 'cluster') {
    return new Redis({
      ...shared(options),
      ...place(options),
      enableOfflineQueue: false,
      retryStrategy: retry,
    })
  }
  return new Cluster([...deployment.nodes], {
    redisOptions: shared(options),
    enableOfflineQueue: false,
    clusterRetryStrategy: retry,
    maxRedirections: 4,
    retryDelayOnFailover: 50,
    retryDelayOnClusterDown: 50,
    slotsRefreshInterval: 1000,
    slotsRefreshTimeout: 500,
    // Certificates name the address that the node goes by.
    dnsLookup: (address, callback) => callback(null, address),
  })
}

/** A connection for messages, to some master. It doesn't connect again: what it missed meanwhile is not known. */
export function connectSubscriber(options: RedisStoreOptions, client: Client): Redis | undefined {
  const basis: Settings = { ...shared(options), autoResubscribe: false }
  if (!(client instanceof Cluster)) {
    return new Redis({ ...basis, ...place(options), retryStrategy: () => null })
  }
  const nodes = client.nodes('master')
  const node = nodes[Math.floor((performance.now() * 1000) % Math.max(1, nodes.length))]
  if (!node) return undefined
  const { host, port } = node.options
  return new Redis({ ...basis, host: host ?? '127.0.0.1', port: port ?? 6379, retryStrategy: () => null })
}

/** Gives up connections that are there but lead nowhere; one that is being made is left alone. */
export function reconnect(client: Client): void {
  if (client.status === 'end') void client.connect().catch(() => undefined)
  else if (client instanceof Cluster) for (const node of client.nodes('master')) node.disconnect()
  else if (client.status === 'ready') client.disconnect(true)
}

/** Every server that may be written to. */
export function masters(client: Client): readonly Redis[] {
  return client instanceof Cluster ? client.nodes('master') : [client]
}

function shared({ tls, username, password }: RedisStoreOptions): Settings {
  return {
    ...(username === undefined ? {} : { username }),
    ...(password === undefined ? {} : { password }),
    ...(tls ? { tls: { ...tls } } : {}),
    protocol: 2,
    disableClientInfo: true,
    connectTimeout: CONNECT_MS,
    commandTimeout: COMMAND_BACKSTOP_MS,
    maxRetriesPerRequest: 0,
    autoResendUnfulfilledCommands: false,
    // After a failover the old master is a replica: another connection finds the new one.
    reconnectOnError: (error) => (error.message.startsWith('READONLY') ? 1 : false),
  }
}

function place({ deployment, tls }: RedisStoreOptions): Settings {
  if (deployment.kind === 'standalone') {
    return { host: deployment.host, port: deployment.port, db: deployment.db ?? 0 }
  }
  if (deployment.kind === 'cluster') return {}
  return {
    sentinels: deployment.sentinels.map(({ host, port }) => ({ host, port })),
    name: deployment.name,
    ...(deployment.sentinelUsername === undefined ? {} : { sentinelUsername: deployment.sentinelUsername }),
    ...(deployment.sentinelPassword === undefined ? {} : { sentinelPassword: deployment.sentinelPassword }),
    ...(tls ? { enableTLSForSentinelMode: true, sentinelTLS: { ...tls } } : {}),
    sentinelCommandTimeout: CONNECT_MS,
    sentinelRetryStrategy: (times) => Math.min(50 * times, LONGEST_RETRY_MS),
    failoverDetector: true,
  }
}

/** Runs a script by its name, or as a whole where the server doesn't know it. Rejects like any command. */
export async function run(
  client: Client,
  script: Script,
  keys: readonly string[],
  args: readonly Argument[],
): Promise<unknown> {
  try {
    return await client.callBuffer('evalsha', [script.sha, keys.length, ...keys, ...args])
  } catch (error) {
    if (!isUnknownScript(error)) throw error
    return await client.callBuffer('eval', [script.lua, keys.length, ...keys, ...args])
  }
}

/**
 * Runs a script, then waits on the same connection until so many replicas have what it wrote. Rejects when they are
 * fewer after `waitMs`.
 */
export async function runReplicated(
  client: Client,
  script: Script,
  keys: readonly string[],
  args: readonly Argument[],
  { replicas, waitMs }: { readonly replicas: number; readonly waitMs: number },
): Promise<unknown> {
  if (replicas === 0) return run(client, script, keys, args)
  for (const text of [script.sha, script.lua]) {
    const pipeline = client.pipeline()
    pipeline.callBuffer(text === script.sha ? 'evalsha' : 'eval', [text, keys.length, ...keys, ...args])
    pipeline.wait(replicas, Math.max(1, waitMs))
    const [ran, waited] = (await pipeline.exec()) ?? []
    if (isUnknownScript(ran?.[0])) continue
    if (ran?.[0]) throw ran[0]
    if (waited?.[0]) throw waited[0]
    const has = Number(waited?.[1])
    if (has < replicas) throw new Error(`${has} of ${replicas} replicas have the change`)
    return ran?.[1]
  }
  throw new Error('the server does not keep scripts')
}

function isUnknownScript(error: unknown): boolean {
  return error instanceof Error && error.message.startsWith('NOSCRIPT')
}

/** What it comes to, or 'late' after so long. */
export async function within<T>(promise: Promise<T>, ms: number): Promise<T | 'late'> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<'late'>((resolve) => {
    timer = setTimeout(() => resolve('late'), ms)
  })
  try {
    return await Promise.race([promise, late])
  } finally {
    clearTimeout(timer)
  }
}
