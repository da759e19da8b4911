import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import { type EmbeddedStore, openEmbeddedStore } from '../../../src/adapters/embedded-store/store.js'
import { deviceState } from '../../../src/device/device-state.js'
import { liveGrants } from '../../../src/grants/grant-record.js'
import { devicesPort } from '../../../src/main/admin/devices.js'
import { grantsPort } from '../../../src/main/admin/grants.js'
import { sessionsPort } from '../../../src/main/admin/sessions.js'
import { knownSessionOps } from '../../../src/session/known-sessions.js'
import { sessionOps } from '../../../src/session/session-limits.js'
import { EMPTY_RECORD } from '../../../src/state/record.js'
import type { StateStore } from '../../../src/state/store.js'
import { deviceKey, grantsKey, sessionKey, userKey } from '../../../src/state/subjects.js'
import { NOW_MS } from '../../support/facts.js'
import { aReport, policyOf } from '../device/written-policies.js'

const ISSUER = 'https://idp.example'
const LAPTOP = { issuer: ISSUER, id: 'laptop' }
const ALICE = { name: 'alice', role: 'Admin' } as const
const PAGE = { limit: 100, cursor: undefined }
const HOUR_MS = 3_600_000

let directory: string
let store: EmbeddedStore
let clock: { nowMs: number }

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'portcullis-ports-'))
  clock = { nowMs: NOW_MS }
  store = await openEmbeddedStore({
    directory,
    startedAtMs: NOW_MS,
    now: () => clock.nowMs,
    warn: () => undefined,
  })
})
afterEach(async () => {
  await store.close(clock.nowMs)
  await rm(directory, { recursive: true, force: true })
})

describe('devices', () => {
  const policy = policyOf()
  /** The port over the store, but for what is given. */
  const port = (over: Partial<Pick<StateStore, 'commit'>> = {}) =>
    devicesPort({ store: { ...partsOf(store), ...over }, policy: () => policy, nowMs: () => clock.nowMs })
  const ids = async () => {
    const page = await port().list(PAGE)
    return page.ok ? page.value.devices.map(({ id }) => id) : page
  }
  const stateOf = async () => {
    const record = await store.read(deviceKey(ISSUER, 'laptop'), clock.nowMs)
    return record === 'unavailable' ? undefined : deviceState(record, policy, clock.nowMs)
  }

  test('a store that goes away in a long list: what was taken is told', async () => {
    let commits = 0
    const commit: StateStore['commit'] = async (deltas) =>
      ++commits > 2 ? 'unavailable' : store.commit(deltas)
    const devices = Array.from({ length: 1200 }, (_, n) => ({
      issuer: ISSUER,
      id: `d${n}`,
      report: aReport(),
    }))
    const answer = await port({ commit }).putAll(devices, ALICE)
    const message = expect.stringContaining('of 1200 devices the first 1000 were taken')
    expect(answer).toMatchObject({
      ok: false,
      status: 503,
      problems: [{ code: 'state-unavailable', message }],
    })
  })

  test('the same told every night keeps the time since when it is so', async () => {
    for (let night = 0; night < 4; night++) {
      await port().putAll([{ ...LAPTOP, report: aReport({ diskEncrypted: false }) }], ALICE)
      clock.nowMs += 24 * HOUR_MS
    }
    expect((await stateOf())?.beganMs).toBe(NOW_MS)
  })

  test('one that lost its document counts still, and can be removed', async () => {
    await port().put(LAPTOP, aReport(), ALICE)
    await store.documents.remove('devices', deviceKey(ISSUER, 'laptop'))
    expect(await port().remove(LAPTOP, ALICE)).toMatchObject({ ok: true })
    expect((await stateOf())?.known).toBe(false)
    expect(await port().remove(LAPTOP, ALICE)).toMatchObject({ ok: false, status: 404 })
  })

  test('removed and reported within a millisecond, many times', async () => {
    for (let n = 0; n < 5; n++) {
      expect(await port().put(LAPTOP, aReport(), ALICE)).toMatchObject({ ok: true })
      expect(await ids()).toEqual(['laptop'])
      expect(await port().remove(LAPTOP, ALICE)).toMatchObject({ ok: true })
      expect((await stateOf())?.known).toBe(false)
      expect(await ids()).toEqual([])
    }
  })

  test('removed while it is reported: known and listed, or neither', async () => {
    for (let n = 0; n < 50; n++) {
      clock.nowMs++
      await Promise.all([port().put(LAPTOP, aReport(), ALICE), port().remove(LAPTOP, ALICE)])
      expect(await ids()).toEqual((await stateOf())?.known === true ? ['laptop'] : [])
    }
  })

  test('reported between the two steps of a removal', async () => {
    await port().put(LAPTOP, aReport(), ALICE)
    const commit: StateStore['commit'] = async (deltas) => {
      const answer = await store.commit(deltas)
      await port().put(LAPTOP, aReport({ owner: 'dana' }), ALICE)
      return answer
    }
    await port({ commit }).remove(LAPTOP, ALICE)
    expect(await stateOf()).toMatchObject({ known: true })
    expect(await ids()).toEqual(['laptop'])
  })
})

describe('sessions', () => {
  const limits = { maxDurationMs: 8 * HOUR_MS, idleTimeoutMs: HOUR_MS }
  const DANA = { issuer: ISSUER, subject: 'dana' }
  const port = () => sessionsPort({ store, limits: () => limits, nowMs: () => clock.nowMs })
  const seen = async (sessionId: string) => {
    const key = sessionKey(ISSUER, 'dana', sessionId)
    const user = await store.read(userKey(ISSUER, 'dana'), clock.nowMs)
    if (user === 'unavailable') throw new Error(user)
    const expiresAtMs = clock.nowMs + 24 * HOUR_MS
    await store.commit([
      { key, ops: sessionOps(EMPTY_RECORD, limits, clock.nowMs), expiresAtMs },
      {
        key: userKey(ISSUER, 'dana'),
        ops: knownSessionOps(user, key, sessionId, clock.nowMs),
        expiresAtMs,
      },
    ])
  }
  const listed = async () => {
    const page = await port().ofUser(DANA, PAGE)
    return page.ok ? page.value.sessions : page
  }

  test('after the end of all, every one is ended, by whom, why and when', async () => {
    await seen('s1')
    await seen('s2')
    clock.nowMs += 60_000
    await port().terminate(DANA, undefined, 'left', ALICE)
    const end = {
      state: 'ended',
      endedAt: new Date(clock.nowMs).toISOString(),
      endedBy: 'alice',
      reason: 'left',
    }
    const sessions = await listed()
    expect(sessions).toHaveLength(3)
    expect(sessions).toEqual(
      expect.arrayContaining([
        { ...DANA, ...end },
        expect.objectContaining({ ...end, sessionId: 's1' }),
        expect.objectContaining({ ...end, sessionId: 's2' }),
      ]),
    )
    clock.nowMs += 60_000
    await seen('s3')
    expect(await listed()).toEqual(
      expect.arrayContaining([expect.objectContaining({ sessionId: 's3', state: 'active' })]),
    )
  })

  test('any id that a token may have', async () => {
    const sessionId = `${'é\u202e'.repeat(200)}\u2028`
    await seen(sessionId)
    await port().terminate(DANA, sessionId, 'lost', ALICE)
    expect(await listed()).toMatchObject([{ sessionId, state: 'ended', reason: 'lost' }])
  })
})

describe('grants', () => {
  const REQUEST = {
    subject: { issuer: ISSUER, subject: 'dana' },
    service: 'clinical/records',
    operations: ['Read' as const],
    requester: 'team-lead',
    ticket: 'T-1',
    reason: 'an incident',
    duration: '1h',
  }
  /** Each replica has its own. */
  const replica = () =>
    grantsPort({
      store: { ...partsOf(store), claims: store.claims },
      limits: { maxDurationMs: 24 * HOUR_MS, breakGlassMaxDurationMs: HOUR_MS },
      checkTarget: () => undefined,
      alert: () => undefined,
      review: async () => Promise.reject(new Error('nobody asks')),
      nowMs: () => clock.nowMs,
    })

  test('of two that overlap, created at one moment on two replicas, one is refused', async () => {
    const replicas = Array.from({ length: 8 }, replica)
    const answers = await Promise.all(
      replicas.map(async (port, n) => port.create(REQUEST, ALICE, `grant-${n}`)),
    )
    expect(answers.filter(({ ok }) => ok)).toHaveLength(1)
    const codes = answers.flatMap((answer) => (answer.ok ? [] : [answer.problems[0]?.code]))
    expect(codes).toEqual(Array(7).fill('concurrent-grant'))
    const record = await store.read(grantsKey(ISSUER, 'dana'), clock.nowMs)
    expect(record !== 'unavailable' && liveGrants(record, clock.nowMs)).toHaveLength(1)
  })

  test('one after the other, each is judged by what is there: others pass, the same is refused', async () => {
    const codeOf = async (id: string, over: object) => {
      const answer = await replica().create({ ...REQUEST, ...over }, ALICE, id)
      return answer.ok ? 'created' : answer.problems[0]?.code
    }
    expect(await codeOf('one', {})).toBe('created')
    expect(await codeOf('two', {})).toBe('overlapping-grant')
    expect(await codeOf('three', { service: 'clinical/images' })).toBe('created')
  })
})

function partsOf(whole: StateStore): Pick<StateStore, 'read' | 'commit' | 'documents'> {
  return {
    read: (key, nowMs) => whole.read(key, nowMs),
    commit: (deltas) => whole.commit(deltas),
    documents: whole.documents,
  }
}
