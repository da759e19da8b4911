import { type RedisStoreOptions } from '../../src/adapters/redis/options.js'
import { openRedisStore } from '../../src/adapters/redis/store.js'
import {
  type RunningRedis,
  startCluster,
  startSentinel,
  startStandalone,
  startWithTlsAndUser,
} from '../support/redis-servers.js'
import { describeStateStore } from './suite.js'

function describeRedis(
  name: string,
  start: () => Promise<RunningRedis>,
  more: Partial<RedisStoreOptions> = {},
): void {
  let redis: RunningRedis | undefined
  describeStateStore(name, {
    shared: true,
    start: async () => {
      redis = await start()
    },
    stop: async () => redis?.stop(),
    open: (replicaId, now) => {
      if (!redis) throw new Error('not started')
      const { deployment, tls, username, password } = redis
      // Two cores run the servers and the replicas: a slow answer is not what is tested here.
      const options = { deployment, tls, username, password, commandTimeoutMs: 1000, replicaId, now, ...more }
      return openRedisStore({ ...options, onUnavailable: { mode: 'Deny' }, warn: () => undefined })
    },
  })
}

describeRedis('Redis, one server', startStandalone)
describeRedis('Redis with TLS and an ACL user', startWithTlsAndUser)
describeRedis('Redis behind Sentinel', startSentinel)
describeRedis('Redis behind Sentinel, waiting for the replica', startSentinel, { replicasToWait: 1 })
describeRedis('Redis Cluster', startCluster)
