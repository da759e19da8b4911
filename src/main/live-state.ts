import { hostname } from 'node:os'
import { openEmbeddedStore } from '../adapters/embedded-store/store.js'
import { readFileBounded } from '../adapters/files.js'
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
 * that is away is no failure of the start: calls are refused until it is there.
 */
export async function openState(
  config: Pick<Config, 'store' | 'onUnavailable'>,
  log: Log,
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
  const { directory, copies } = store
  const startedAtMs = performance.timeOrigin
  try {
    const own = await openEmbeddedStore({ directory, startedAtMs, now: Date.now, maxCopies: copies, warn })
    return { store: own, append: undefined, appendEntries: undefined, close: (nowMs) => own.close(nowMs) }
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
