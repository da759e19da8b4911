import { afterEach, describe, expect, test } from '@jest/globals'
import { openRedisStore } from '../../src/adapters/redis/store.js'
import { stateKey } from '../../src/state/record.js'
import type { LimitedUse, StateStore } from '../../src/state/store.js'
import { eventually } from '../support/eventually.js'
import {
  type RedisServer,
  type RunningRedis,
  startCluster,
  startSentinel,
  startStandalone,
} from '../support/redis-servers.js'
import { readFields } from './replicas.js'

const TIMEOUT_MS = 100
const BROKEN_FOR_MS = 1600
const RECOVERS_WITHIN_MS = 8000
const LIMIT = 5
const KEYS = 12

type Fault = {
  readonly name: string
  readonly start: () => Promise<RunningRedis>
  readonly break: (server: RedisServer) => unknown
  readonly mend?: (server: RedisServer) => unknown
  /** Some of what is asked meanwhile is not answered. */
  readonly refuses: boolean
  readonly losesDocuments?: boolean
  readonly replicasToWait?: number
}

const faults: Fault[] = [
  {
    name: 'hung',
    start: startStandalone,
    break: (server) => server.hang(),
    mend: (server) => server.goOn(),
    refuses: true,
  },
  {
    name: 'killed, and nothing is left of it',
    start: startStandalone,
    break: (server) => server.kill(),
    mend: (server) => server.start(),
    refuses: true,
    losesDocuments: true,
  },
  {
    name: 'flushed',
    start: startStandalone,
    break: (server) => server.cli('flushall'),
    refuses: true,
    losesDocuments: true,
  },
  {
    name: 'out of memory',
    start: startStandalone,
    break: (server) => server.cli('config', 'set', 'maxmemory', '1'),
    mend: (server) => server.cli('config', 'set', 'maxmemory', '0'),
    refuses: true,
  },
  {
    name: 'without the replica that it is to wait for',
    start: startStandalone,
    break: () => undefined,
    refuses: true,
    replicasToWait: 1,
  },
  {
    name: 'a master behind Sentinel killed',
    start: startSentinel,
    break: (server) => server.kill(),
    refuses: true,
  },
  {
    name: 'a master of a Cluster killed',
    start: startCluster,
    break: (server) => server.kill(),
    refuses: true,
  },
]

describe('limited use and documents when Redis is', () => {
  const open: StateStore[] = []
  let redis: RunningRedis | undefined

  async function replica({ deployment }: RunningRedis, id: string, replicasToWait = 0): Promise<StateStore> {
    const store = await openRedisStore({
      deployment,
      replicaId: id,
      onUnavailable: { mode: 'Deny' },
      commandTimeoutMs: TIMEOUT_MS,
      replicasToWait,
      now: () => Date.now(),
      warn: () => undefined,
    })
    open.push(store)
    return store
  }

  afterEach(async () => {
    await Promise.all(open.splice(0).map((store) => store.close(Date.now())))
    await redis?.stop()
    redis = undefined
  }, 20_000)

  test.each(faults)(
    '$name',
    async (fault) => {
      redis = await fault.start()
      const [server] = redis.servers
      if (!server) throw new Error('no server')
      const stores = [await replica(redis, 'one'), await replica(redis, 'two')]
      // Not of grants: those are void after a flush, and what is void has no use.
      const keys = Array.from({ length: KEYS }, (_, n) => stateKey('u', fault.name, `${n}`))
      const expiresAtMs = Date.now() + 3_600_000
      const consumed = new Map(keys.map((key) => [key, 0]))
      const answers = new Set<string>()
      let slowestMs = 0

      async function timed<T>(work: Promise<T>): Promise<T> {
        const began = performance.now()
        const answer = await work
        slowestMs = Math.max(slowestMs, performance.now() - began)
        return answer
      }
      async function consume(store: StateStore, key: string): Promise<void> {
        const use: LimitedUse = { key, field: 'uses', limit: LIMIT, expiresAtMs }
        const answer = await timed(store.consume(use))
        answers.add(answer)
        if (answer === 'consumed') consumed.set(key, (consumed.get(key) ?? 0) + 1)
      }

      // As it is where a call looks at a record before it uses it.
      for (const [n, key] of keys.entries()) {
        for (const store of stores) await consume(store, key)
        for (const store of stores) {
          await eventually(async () => expect(await readFields(store, key)).toEqual({ uses: 2 }))
        }
        expect(await stores[n % 2]?.documents.put('grants', key, '{"is":1}')).toBe('stored')
      }
      await new Promise((resolve) => setTimeout(resolve, 100))
      answers.clear()
      slowestMs = 0

      await fault.break(server)
      const waiting = fault.replicasToWait ? await replica(redis, 'three', fault.replicasToWait) : undefined
      for (let end = performance.now() + BROKEN_FOR_MS, n = 0; performance.now() < end; n++) {
        const key = keys[n % KEYS] ?? ''
        const store = waiting ?? stores[n % 2]
        if (!store) throw new Error('no store')
        await consume(store, key)
        answers.add(await timed(store.documents.put('grants', `new ${key}`, '{}')))
        const found = await timed(store.documents.get('grants', key))
        if (found === 'unavailable') answers.add(found)
        const page = await timed(store.documents.list('grants', undefined, 1))
        if (page === 'unavailable') answers.add(page)
        await new Promise((resolve) => setTimeout(resolve, 5))
      }
      expect(answers.has('unavailable')).toBe(fault.refuses)
      expect(slowestMs).toBeLessThan(4 * TIMEOUT_MS)

      await fault.mend?.(server)
      await eventually(() => {
        for (const store of stores) expect(store.health()).toMatchObject({ standing: 'current', pending: 0 })
      }, RECOVERS_WITHIN_MS)
      for (let n = 0; n < 2 * LIMIT; n++) {
        for (const store of stores) for (const key of keys) await consume(store, key)
      }
      for (const uses of consumed.values()) expect(uses).toBeLessThanOrEqual(LIMIT)
      for (const store of stores) {
        for (const key of keys) {
          await eventually(async () => expect(await readFields(store, key)).toEqual({ uses: LIMIT }))
          const left = fault.losesDocuments ? undefined : { text: '{"is":1}' }
          expect(await store.documents.get('grants', key)).toEqual(left)
        }
      }
    },
    60_000,
  )
})
