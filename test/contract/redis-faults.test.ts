import { afterEach, describe, expect, test } from '@jest/globals'
import { openRedisStore } from '../../src/adapters/redis/store.js'
import type { RedisStoreOptions } from '../../src/adapters/redis/options.js'
import type { Claim, ClaimAnswer } from '../../src/identity/replay.js'
import { type StateDelta, type StateOp, stateKey } from '../../src/state/record.js'
import type { Standing, StateStore } from '../../src/state/store.js'
import { eventually } from '../support/eventually.js'
import {
  type RedisServer,
  type RunningRedis,
  startCluster,
  startSentinel,
  startStandalone,
} from '../support/redis-servers.js'

const TIMEOUT_MS = 100
const BROKEN_FOR_MS = 1600
const RECOVERS_WITHIN_MS = 8000
const HOUR_MS = 3_600_000
const KEPT = ['--appendonly', 'yes', '--appendfsync', 'always']
let subjects = 0

const subject = (): string => stateKey('s', 'https://idp.example', `fault-${subjects++}`)
const change = (key: string, ...ops: StateOp[]): StateDelta => ({
  key,
  ops,
  expiresAtMs: Date.now() + HOUR_MS,
})
const credential = (): Claim => ({
  key: subject().slice(2),
  issuedAtMs: Date.now(),
  expiresAtMs: Date.now() + 30_000,
})
const claim = (store: StateStore, used = credential()): ClaimAnswer | Promise<ClaimAnswer> =>
  store.claims.claim(used, Date.now())
const fields = async (store: StateStore, key: string): Promise<unknown> => {
  const answer = await store.read(key, Date.now())
  return answer === 'unavailable' ? answer : Object.fromEntries(answer)
}

type Fault = {
  readonly name: string
  readonly start: () => Promise<RunningRedis>
  readonly break: (server: RedisServer) => unknown
  readonly mend?: (server: RedisServer) => unknown
  /** How the two stand at the end of the fault, by what they are to do without the store. */
  readonly deny?: Standing
  readonly lastKnown?: Standing
  /** A commit made while it is broken. */
  readonly commit: 'committed' | 'unavailable'
  readonly loses?: boolean
  readonly brokenForMs?: number
}

const faults: Fault[] = [
  {
    name: 'hung',
    start: startStandalone,
    break: (server) => server.hang(),
    mend: (server) => server.goOn(),
    deny: 'unavailable',
    lastKnown: 'last-known',
    commit: 'unavailable',
  },
  {
    name: 'killed, and nothing is left of it',
    start: startStandalone,
    break: (server) => server.kill(),
    mend: (server) => server.start(),
    deny: 'unavailable',
    lastKnown: 'last-known',
    commit: 'unavailable',
    loses: true,
  },
  {
    name: 'killed, and its file is kept',
    start: () => startStandalone(...KEPT),
    break: (server) => server.kill(),
    mend: (server) => server.start(),
    deny: 'unavailable',
    lastKnown: 'last-known',
    commit: 'unavailable',
  },
  {
    name: 'restarted at once',
    start: () => startStandalone(...KEPT),
    break: async (server) => {
      await server.kill()
      await server.start()
    },
    commit: 'committed',
  },
  {
    name: 'flushed',
    start: startStandalone,
    break: (server) => server.cli('flushall'),
    commit: 'committed',
    loses: true,
  },
  {
    name: 'slow (DEBUG SLEEP)',
    start: startStandalone,
    break: async (server) => {
      void server.cli('debug', 'sleep', '1.8')
      await new Promise((resolve) => setTimeout(resolve, 100))
    },
    deny: 'unavailable',
    lastKnown: 'last-known',
    commit: 'unavailable',
  },
  {
    name: 'paused (CLIENT PAUSE)',
    start: startStandalone,
    break: (server) => server.cli('client', 'pause', '1900', 'all'),
    deny: 'unavailable',
    lastKnown: 'last-known',
    commit: 'unavailable',
  },
  {
    name: 'out of memory',
    start: startStandalone,
    break: (server) => server.cli('config', 'set', 'maxmemory', '1'),
    mend: (server) => server.cli('config', 'set', 'maxmemory', '0'),
    deny: 'current',
    lastKnown: 'current',
    commit: 'unavailable',
  },
  {
    name: 'without the replicas that it must have',
    start: startStandalone,
    break: (server) => server.cli('config', 'set', 'min-replicas-to-write', '1'),
    mend: (server) => server.cli('config', 'set', 'min-replicas-to-write', '0'),
    deny: 'current',
    lastKnown: 'current',
    commit: 'unavailable',
  },
  {
    name: 'made read-only',
    start: startStandalone,
    break: (server) => server.cli('replicaof', '127.0.0.1', '1'),
    mend: (server) => server.cli('replicaof', 'no', 'one'),
    commit: 'unavailable',
  },
  {
    name: 'a master behind Sentinel killed',
    start: startSentinel,
    break: (server) => server.kill(),
    commit: 'unavailable',
  },
  {
    name: 'a master behind Sentinel hung, and back as a replica',
    start: startSentinel,
    break: (server) => server.hang(),
    mend: (server) => server.goOn(),
    commit: 'unavailable',
    brokenForMs: 4000,
  },
  {
    name: 'a master of a Cluster killed',
    start: startCluster,
    break: (server) => server.kill(),
    commit: 'unavailable',
  },
]

describe('the Redis store when Redis is', () => {
  const open: StateStore[] = []
  let redis: RunningRedis | undefined
  const slowest = new Map<string, number>()

  async function replica(
    { deployment }: RunningRedis,
    replicaId: string,
    onUnavailable: RedisStoreOptions['onUnavailable'],
  ): Promise<StateStore> {
    const store = await openRedisStore({
      deployment,
      replicaId,
      onUnavailable,
      commandTimeoutMs: TIMEOUT_MS,
      now: () => Date.now(),
      warn: () => undefined,
    })
    open.push(store)
    return store
  }

  async function timed<T>(what: string, answer: T | Promise<T>): Promise<T> {
    const began = performance.now()
    const got = await answer
    slowest.set(what, Math.max(slowest.get(what) ?? 0, performance.now() - began))
    return got
  }

  afterEach(async () => {
    slowest.clear()
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
      const lastKnown = await replica(redis, 'one', { mode: 'LastKnown', forMs: 60_000 })
      const deny = await replica(redis, 'two', { mode: 'Deny' })
      // In a Cluster some of them lie on the server that breaks.
      const keys = Array.from({ length: 12 }, subject)
      const used = Array.from({ length: 12 }, credential)
      for (const key of keys) {
        expect(await lastKnown.commit([change(key, ['max', 'terminatedAt', 7])])).toBe('committed')
        await eventually(async () => expect(await fields(deny, key)).toEqual({ terminatedAt: 7 }))
        expect(await fields(lastKnown, key)).toEqual({ terminatedAt: 7 })
      }
      await eventually(async () => expect(await claim(deny)).toBe('first'))
      for (const one of used) expect(await claim(lastKnown, one)).toBe('first')
      // As it would be with tokens in use; replication takes a moment.
      await new Promise((resolve) => setTimeout(resolve, 100))

      await fault.break(server)
      const end = performance.now() + (fault.brokenForMs ?? BROKEN_FOR_MS)
      const commits = keys.map((key) => lastKnown.commit([change(key, ['max', 'quarantinedAt', 9])]))
      const committed = await timed('commit', Promise.all(commits))
      if (fault.commit === 'unavailable') expect(committed).toContain('unavailable')
      const wrong: unknown[] = []
      for (let n = 0; performance.now() < end; n++) {
        const key = keys[n % 12] ?? ''
        for (const store of [lastKnown, deny]) {
          const known = await timed('read', fields(store, key))
          if (known !== 'unavailable' && !(known as { terminatedAt?: number }).terminatedAt) wrong.push(known)
          await timed('read of a stranger', store.read(subject(), Date.now()))
          const again = await timed('claim', claim(store, used[n % 12]))
          if (again === 'first') wrong.push(again)
        }
        await new Promise((resolve) => setTimeout(resolve, 5))
      }
      expect(wrong).toEqual([])
      if (fault.deny) expect(deny.health().standing).toBe(fault.deny)
      if (fault.lastKnown) expect(lastKnown.health().standing).toBe(fault.lastKnown)
      for (const [what, ms] of slowest)
        expect({ what, isSlow: ms > 3 * TIMEOUT_MS, ms }).toMatchObject({ isSlow: false })

      await fault.mend?.(server)
      const mendedAt = performance.now()
      await eventually(() => {
        for (const store of [lastKnown, deny])
          expect(store.health()).toMatchObject({ standing: 'current', pending: 0 })
      }, RECOVERS_WITHIN_MS)
      const recoveredMs = Math.round(performance.now() - mendedAt)
      for (const key of keys) {
        for (const store of [lastKnown, deny]) {
          const is = { terminatedAt: 7, quarantinedAt: 9 }
          await eventually(async () => expect(await fields(store, key)).toEqual(is), 2000)
        }
      }
      for (const one of used) {
        for (const store of [lastKnown, deny]) expect(await claim(store, one)).not.toBe('first')
      }
      await eventually(async () => expect(await claim(deny)).toBe('first'), 5000)
      for (const { health } of [lastKnown, deny]) {
        const before = health().lostBeforeMs
        if (fault.loses) expect(Math.abs(Date.now() - (before ?? 0))).toBeLessThan(20_000)
        else expect(before).toBeUndefined()
      }
      if (process.env['FAULT_TIMES']) console.log(fault.name, { recoveredMs }, Object.fromEntries(slowest))
    },
    60_000,
  )

  test('that answers, but whose beats fail, is asked about strangers for as long as no change can be missed', async () => {
    redis = await startStandalone()
    const [server] = redis.servers
    if (!server) throw new Error('no server')
    const writing = await replica(redis, 'one', { mode: 'LastKnown', forMs: 60_000 })
    const asking = await replica(redis, 'two', { mode: 'LastKnown', forMs: 60_000 })
    const key = subject()
    expect(await writing.commit([change(key, ['max', 'terminatedAt', 7])])).toBe('committed')
    await eventually(async () => expect(await claim(asking)).toBe('first'))
    await server.cli('acl', 'setuser', 'default', '-publish')
    await eventually(() => expect(asking.health().standing).toBe('last-known'))
    expect(await fields(asking, key)).toEqual({ terminatedAt: 7 })
    expect(await claim(asking)).toBe('first')
    await new Promise((resolve) => setTimeout(resolve, 1100))
    expect(await fields(asking, key)).toEqual({ terminatedAt: 7 })
    expect(await fields(asking, subject())).toBe('unavailable')
    expect(await claim(asking)).toBe('unavailable')
  }, 30_000)

  test('flushed, grants are void: nobody could see or revoke them any more', async () => {
    redis = await startStandalone()
    const [server] = redis.servers
    if (!server) throw new Error('no server')
    const stores = [
      await replica(redis, 'one', { mode: 'Deny' }),
      await replica(redis, 'two', { mode: 'LastKnown', forMs: 60_000 }),
    ]
    const [granted, other] = [stateKey('g', 'issuer', 'dora'), subject()]
    for (const store of stores) {
      await store.commit([
        change(granted, ['latest', 'g:1', Date.now(), '{}']),
        change(other, ['max', 'x', 1]),
      ])
      expect(await fields(store, other)).toEqual({ x: 1 })
      expect(Object.keys(Object(await fields(store, granted)))).toEqual(['g:1'])
    }
    await server.cli('flushall')
    for (const store of stores) {
      await eventually(async () => {
        expect(await fields(store, granted)).toEqual({})
        expect(await fields(store, other)).toEqual({ x: 1 })
      }, RECOVERS_WITHIN_MS)
    }
  }, 30_000)
})
