import { hostname } from 'node:os'
import { type EmbeddedStore, openEmbeddedStore } from '../adapters/embedded-store/store.js'
import { readFileBounded } from '../adapters/files.js'
import { serveLocalStore } from '../adapters/local-store/server.js'
import { openLocalStore } from '../adapters/local-store/store.js'
import type { RedisStoreOptions } from '../adapters/redis/options.js'
import { openRedisStore } from '../adapters/redis/store.js'
import { type AppendEntries, openEntryAppender } from '../adapters/redis/audit-stream.js'
import { openStreamAppender, type StreamAppender } from '../adapters/redis/stream-appender.js'
import type { Config } from '../config/config.js'
import type { StateStore } from '../state/store.js'
import { type Log, messageOf, StartFailure } from './log.js'

/** State of subjects, and where alerts and events can be appended. */
export type LiveState = {
  readonly store: StateStore
  /** Undefined where there is no Redis. */
  readonly append: StreamAppender['append'] | undefined
  /** Undefined likewise. */
  readonly appendEntries: AppendEntries | undefined
  close(nowMs: number): Promise<void>
}

const MAX_FILE_BYTES = 1024 * 1024

/**
 * Opens the store that the configuration names. Throws StartFailure when its directory or files can't be used. A Redis
 * that is away is no failure of the start: calls are refused until it is there. `servedAt` is the socket where
 * another process serves the embedded store (`serveState`); Redis needs none.
 */
export async function openState(
  config: Pick<Config, 'store' | 'onUnavailable'>,
  log: Log,
  servedAt?: string,
): Promise<LiveState> {
  const { store } = config
  const warn = (message: string): void => log('warn', message)
  if (store.type === 'Redis') {
    const options = await redisOptions(store, config.onUnavailable, warn)
    const appender = openStreamAppender(options)
    const entries = openEntryAppender(options)
    const shared = await openRedisStore(options)
    const { problem } = shared.health()
    if (problem !== undefined) warn(`the Redis store: ${problem}`)
    return {
      store: shared,
      append: appender.append,
      appendEntries: entries.append,
      close: async (nowMs) => {
        appender.close()
        entries.close()
        await shared.close(nowMs)
      },
    }
  }
  const own =
    servedAt === undefined
      ? await openEmbedded(store, warn)
      : await openLocalStore({
          path: servedAt,
          maxCopies: store.copies,
          onUnavailable: config.onUnavailable,
          now: Date.now,
          warn,
        })
  return { store: own, append: undefined, appendEntries: undefined, close: (nowMs) => own.close(nowMs) }
}

/** Opens the store of this process and serves it to others of this machine; undefined where all replicas share one. */
export async function serveState(
  { store }: Pick<Config, 'store'>,
  log: Log,
): Promise<{ readonly path: string; close(nowMs: number): Promise<void> } | undefined> {
  if (store.type === 'Redis') return undefined
  const warn = (message: string): void => log('warn', message)
  const own = await openEmbedded(store, warn)
  try {
    const { directory } = store
    const server = await serveLocalStore(own, { directory, now: Date.now, warn })
    return {
      path: server.path,
      close: async (nowMs) => {
        await server.close()
        await own.close(nowMs)
      },
    }
  } catch (error) {
    await own.close(Date.now())
    throw new StartFailure([`store.directory: ${messageOf(error)}`])
  }
}

async function openEmbedded(
  { directory, copies }: Exclude<Config['store'], { type: 'Redis' }>,
  warn: (message: string) => void,
): Promise<EmbeddedStore> {
  const startedAtMs = performance.timeOrigin
  try {
    return await openEmbeddedStore({ directory, startedAtMs, now: Date.now, maxCopies: copies, warn })
  } catch (error) {
    throw new StartFailure([`store.directory: ${messageOf(error)}`])
  }
}

async function redisOptions(
  store: Extract<Config['store'], { type: 'Redis' }>,
  onUnavailable: Config['onUnavailable'],
  warn: (message: string) => void,
): Promise<RedisStoreOptions> {
  const problems: string[] = []
  const textOf = async (option: string, path: string | undefined): Promise<string | undefined> => {
    if (path === undefined) return undefined
    const read = await readFileBounded(path, MAX_FILE_BYTES)
    if (read.ok) return read.bytes.toString()
    problems.push(`store.${option}: ${read.problem}`)
    return undefined
  }
  const { tls, deployment, username, keyPrefix, commandTimeoutMs, flushIntervalMs, replicasToWait } = store
  const password = (await textOf('passwordFile', store.passwordFile))?.trim()
  const material = tls && {
    ca: await textOf('tls.ca', tls.ca),
    cert: await textOf('tls.certificate', tls.certificate),
    key: await textOf('tls.key', tls.key),
    servername: tls.serverName,
  }
  if (problems.length > 0) throw new StartFailure(problems)
  return {
    deployment,
    tls: material,
    username,
    password,
    keyPrefix,
    commandTimeoutMs,
    flushEveryMs: flushIntervalMs,
    replicasToWait,
    maxCopies: store.copies,
    onUnavailable,
    replicaId: `${hostname()}:${process.pid}`,
    now: Date.now,
    warn,
  }
}
