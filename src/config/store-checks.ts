import type { Pointer } from '../schema/problem.js'
import { parseRedisUrl, parseServer } from './redis.js'
import type { EffectiveConfiguration } from './schema.js'
import { DEFAULT_DIRECTORY } from './store-schema.js'

type Tell = (pointer: Pointer, code: string, message: string, what?: 'key' | 'value') => void
type EffectiveStore = EffectiveConfiguration['store']

const REDIS_ONLY = [
  'url',
  'sentinels',
  'cluster',
  'username',
  'passwordFile',
  'tls',
  'keyPrefix',
  'commandTimeout',
  'flushInterval',
  'replicasToWait',
] as const

/** A store has what its type needs and nothing that only the other one has. */
export function checkStore({ store, onUnavailable }: EffectiveConfiguration, tell: Tell): void {
  if (store.type === 'Embedded') {
    for (const option of REDIS_ONLY) {
      if (store[option] === undefined) continue
      tell(['store', option], 'without-effect', `\`store.${option}\` is for \`store.type: Redis\``, 'key')
    }
  } else {
    if (store.directory !== undefined && store.directory !== DEFAULT_DIRECTORY) {
      tell(['store', 'directory'], 'without-effect', '`store.directory` is for `store.type: Embedded`', 'key')
    }
    checkDeployment(store, tell)
    checkAccess(store, tell)
  }
  if (onUnavailable.mode === 'Deny' && onUnavailable.for !== undefined) {
    const message = '`onUnavailable.for` says nothing under `mode: Deny`'
    tell(['onUnavailable', 'for'], 'without-effect', message, 'key')
  }
}

function checkDeployment({ url, sentinels, cluster, tls }: EffectiveStore, tell: Tell): void {
  const given = [url, sentinels, cluster].filter((source) => source !== undefined).length
  if (given === 0) {
    tell(['store'], 'redis-missing', '`store.type: Redis` needs `url`, `sentinels` or `cluster`', 'key')
  }
  if (given > 1) {
    const message = 'a store is at one of `url`, `sentinels` and `cluster`; give one'
    tell(['store'], 'redis-twice', message, 'key')
  }
  if (url !== undefined) {
    const parsed = parseRedisUrl(url)
    if (!parsed.ok) tell(['store', 'url'], parsed.code, parsed.problem)
    else if (tls && !parsed.server.tls) {
      const message = '`store.tls` says nothing beside a `url` of redis://; write rediss://'
      tell(['store', 'tls'], 'without-effect', message, 'key')
    }
  }
  sentinels?.addresses.forEach((text, index) => {
    checkServer(text, ['store', 'sentinels', 'addresses', index], tell)
  })
  cluster?.forEach((text, index) => checkServer(text, ['store', 'cluster', index], tell))
}

function checkServer(text: string, at: Pointer, tell: Tell): void {
  const parsed = parseServer(text)
  if (parsed.ok) return
  // What has an @ may hold a password.
  if (text.includes('@')) tell(at, 'secret-in-url', 'an address here must not hold a user name or password')
  else tell(at, 'wrong-address', `\`${text}\` ${parsed.problem}`)
}

function checkAccess({ username, passwordFile, tls }: EffectiveStore, tell: Tell): void {
  if (username !== undefined && passwordFile === undefined) {
    tell(['store', 'username'], 'password-missing', '`store.username` needs `passwordFile`', 'key')
  }
  if ((tls?.certificate === undefined) !== (tls?.key === undefined)) {
    const message = '`store.tls` needs `certificate` and `key` together, or neither'
    tell(['store', 'tls'], 'tls-incomplete', message, 'key')
  }
}
