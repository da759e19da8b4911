import { parseDurationMs } from '../schema/units.js'
import { parseRedisUrl, parseServer, type ServerAddress } from './redis.js'
import type { EffectiveConfiguration } from './schema.js'
import { DEFAULT_DIRECTORY, DEFAULT_LAST_KNOWN, REDIS_DEFAULTS } from './store-schema.js'

type EffectiveStore = EffectiveConfiguration['store']

export type RedisDeployment =
  | { readonly kind: 'standalone'; readonly host: string; readonly port: number; readonly db: number }
  | { readonly kind: 'sentinel'; readonly name: string; readonly sentinels: readonly ServerAddress[] }
  | { readonly kind: 'cluster'; readonly nodes: readonly ServerAddress[] }

/** Files of TLS to Redis; undefined ones: the system's roots, no client certificate, the host's own name. */
export type RedisTlsFiles = {
  readonly ca: string | undefined
  readonly certificate: string | undefined
  readonly key: string | undefined
  readonly serverName: string | undefined
}

/** Where state is kept. `copies`: subjects held in memory at most. */
export type StoreConfig =
  | { readonly type: 'Embedded'; readonly directory: string; readonly copies: number }
  | {
      readonly type: 'Redis'
      readonly deployment: RedisDeployment
      /** Undefined: plaintext. */
      readonly tls: RedisTlsFiles | undefined
      /** Undefined: the default user. */
      readonly username: string | undefined
      readonly passwordFile: string | undefined
      readonly keyPrefix: string
      readonly commandTimeoutMs: number
      readonly flushIntervalMs: number
      readonly replicasToWait: number
      readonly copies: number
    }

export type OnUnavailableConfig =
  { readonly mode: 'Deny' } | { readonly mode: 'LastKnown'; readonly forMs: number }

/** `at` makes paths absolute. Throws on what the checks refuse. */
export function storeOf(store: EffectiveStore, at: (path: string) => string): StoreConfig {
  const { type, copies } = store
  if (type === 'Embedded') return { type, directory: at(store.directory ?? DEFAULT_DIRECTORY), copies }
  const { keyPrefix, commandTimeout, flushInterval, replicasToWait } = { ...REDIS_DEFAULTS, ...store }
  const { username, passwordFile } = store
  return {
    type,
    ...deploymentOf(store, at),
    username,
    passwordFile: passwordFile === undefined ? undefined : at(passwordFile),
    keyPrefix,
    commandTimeoutMs: ms(commandTimeout),
    flushIntervalMs: ms(flushInterval),
    replicasToWait,
    copies,
  }
}

export function onUnavailableOf({
  mode,
  for: period = DEFAULT_LAST_KNOWN,
}: EffectiveConfiguration['onUnavailable']): OnUnavailableConfig {
  return mode === 'Deny' ? { mode } : { mode, forMs: ms(period) }
}

function deploymentOf(
  { url, sentinels, cluster, tls }: EffectiveStore,
  at: (path: string) => string,
): { deployment: RedisDeployment; tls: RedisTlsFiles | undefined } {
  const absolute = (path: string | undefined): string | undefined =>
    path === undefined ? undefined : at(path)
  const files: RedisTlsFiles = {
    ca: absolute(tls?.ca),
    certificate: absolute(tls?.certificate),
    key: absolute(tls?.key),
    serverName: tls?.serverName,
  }
  const ifAsked = tls && files
  if (url !== undefined) {
    const parsed = parseRedisUrl(url)
    if (!parsed.ok) throw new Error(`a store's URL that ${parsed.problem} passed the checks`)
    const { host, port, database } = parsed.server
    return {
      deployment: { kind: 'standalone', host, port, db: database },
      tls: parsed.server.tls ? files : undefined,
    }
  }
  if (sentinels) {
    const { name, addresses } = sentinels
    return { deployment: { kind: 'sentinel', name, sentinels: addresses.map(serverOf) }, tls: ifAsked }
  }
  return { deployment: { kind: 'cluster', nodes: (cluster ?? []).map(serverOf) }, tls: ifAsked }
}

function serverOf(text: string): ServerAddress {
  const parsed = parseServer(text)
  if (!parsed.ok) throw new Error(`an address that ${parsed.problem} passed the checks`)
  return parsed.server
}

function ms(text: string): number {
  return parseDurationMs(text) ?? NaN
}
