import { describe, expect, test } from '@jest/globals'
import type { UserPrincipal } from '../../../src/identity/principal.js'
import {
  evaluateSession,
  sessionOps,
  sessionTimes,
  terminationOf,
  terminationOps,
} from '../../../src/session/session-limits.js'
import { applyOps, EMPTY_RECORD, type StateOp, type StateRecord } from '../../../src/state/record.js'
import { anEndpoint, aUser, NOW_MS } from '../../support/facts.js'

const MINUTE_MS = 60_000
const LIMITS = { maxDurationMs: 8 * 60 * MINUTE_MS, idleTimeoutMs: 30 * MINUTE_MS }
const ago = (minutes: number): number => NOW_MS - minutes * MINUTE_MS
const seen = (...ops: readonly StateOp[]): StateRecord => applyOps(EMPTY_RECORD, ops)
const first = (minutes: number): StateOp => ['min', 'st', ago(minutes)]
const last = (minutes: number): StateOp => ['max', 'ls', ago(minutes)]
const issued = (minutes: number): Partial<UserPrincipal> => ({ claims: { iat: ago(minutes) / 1000 } })

describe('evaluateSession', () => {
  test.each<{
    name: string
    record: StateRecord
    user?: Partial<UserPrincipal>
    sensitivity?: 'Low' | 'Medium' | 'High'
    lostBeforeMs?: number
    found: string | undefined
  }>([
    {
      name: 'authenticated nine hours ago',
      record: EMPTY_RECORD,
      user: { authTimeMs: ago(540) },
      found: 'session-expired',
    },
    { name: 'first seen nine hours ago', record: seen(first(540), last(1)), found: 'session-expired' },
    { name: 'idle for 31 minutes', record: seen(first(60), last(31)), found: 'session-idle' },
    {
      name: 'idle, and the authentication is older than the last call',
      record: seen(first(60), last(31)),
      user: { authTimeMs: ago(60) },
      found: 'session-idle',
    },
    {
      name: 'an authentication of next month does not keep it young',
      record: seen(first(540), last(1)),
      user: { authTimeMs: ago(-43_200) },
      found: 'session-expired',
    },
    {
      name: 'nor awake',
      record: seen(first(60), last(31)),
      user: { authTimeMs: ago(-43_200) },
      found: 'session-idle',
    },
    {
      name: 'unknown after a loss, to a sensitive endpoint',
      record: EMPTY_RECORD,
      user: { authTimeMs: ago(10) },
      sensitivity: 'High',
      lostBeforeMs: ago(5),
      found: 'session-expired',
    },
    {
      name: 'unknown after a loss, and the token says no time at all',
      record: EMPTY_RECORD,
      sensitivity: 'High',
      lostBeforeMs: ago(5),
      found: 'session-expired',
    },
    {
      name: 'unknown after a loss, to another endpoint',
      record: EMPTY_RECORD,
      user: { authTimeMs: ago(10) },
      lostBeforeMs: ago(5),
      found: undefined,
    },
    {
      name: 'authenticated after the loss',
      record: EMPTY_RECORD,
      user: { authTimeMs: ago(4) },
      sensitivity: 'High',
      lostBeforeMs: ago(5),
      found: undefined,
    },
    {
      name: 'issued after the loss',
      record: EMPTY_RECORD,
      user: issued(4),
      sensitivity: 'High',
      lostBeforeMs: ago(5),
      found: undefined,
    },
    {
      name: 'known after the loss',
      record: seen(first(3), last(1)),
      user: { authTimeMs: ago(10) },
      sensitivity: 'High',
      lostBeforeMs: ago(5),
      found: undefined,
    },
    { name: 'never seen', record: EMPTY_RECORD, found: undefined },
    { name: 'eight hours and idle for thirty minutes', record: seen(first(480), last(30)), found: undefined },
    {
      name: 'idle, and authenticated anew since',
      record: seen(first(600), last(200)),
      user: { authTimeMs: ago(2) },
      found: undefined,
    },
    {
      name: 'a clock set back makes nobody older',
      record: seen(['min', 'st', NOW_MS + MINUTE_MS], ['max', 'ls', NOW_MS + MINUTE_MS]),
      found: undefined,
    },
  ])('$name', ({ record, user, sensitivity, lostBeforeMs, found }) => {
    const endpoint = anEndpoint({ sensitivity: sensitivity ?? 'Medium' })
    const refusal = evaluateSession(record, aUser(user), endpoint, LIMITS, lostBeforeMs, NOW_MS)
    expect(refusal?.reason).toBe(found)
  })
})

describe('terminationOf', () => {
  const ended = seen(...terminationOps(ago(10)))
  test.each<[string, StateRecord | undefined, StateRecord, Partial<UserPrincipal>, boolean]>([
    ['a terminated session', ended, EMPTY_RECORD, {}, true],
    ['a terminated session, authenticated since', ended, EMPTY_RECORD, { authTimeMs: ago(1) }, true],
    ['without a session, authenticated before', undefined, ended, { authTimeMs: ago(11) }, true],
    ['without a session, issued before', undefined, ended, issued(10), true],
    ['without a session, a token without times', undefined, ended, {}, true],
    [
      'a session of a user whose authentications were ended',
      EMPTY_RECORD,
      ended,
      { authTimeMs: ago(11) },
      true,
    ],
    [
      'without a session, authenticated within the skew of clocks',
      undefined,
      ended,
      { authTimeMs: ago(9) },
      true,
    ],
    [
      'without a session, an authentication of next month',
      undefined,
      ended,
      { authTimeMs: ago(-43_200) },
      true,
    ],
    ['without a session, authenticated since', undefined, ended, { authTimeMs: ago(8.9) }, false],
    [
      'a refreshed token without an authentication, of a session that is older',
      seen(['min', 'st', ago(20)]),
      ended,
      issued(1),
      true,
    ],
    [
      'a token without an authentication, of a session begun since',
      seen(['min', 'st', ago(1)]),
      ended,
      issued(1),
      false,
    ],
    ['nothing was terminated', EMPTY_RECORD, EMPTY_RECORD, {}, false],
  ])('%s', (_name, session, ofUser, user, terminated) => {
    const refusal = terminationOf(session, ofUser, aUser(user), NOW_MS)
    expect(refusal?.reason).toBe(terminated ? 'session-terminated' : undefined)
  })
})

test('a short lead of clocks lets a new sign-in pass sooner', () => {
  const ended = seen(...terminationOps(NOW_MS - 6000, 5000))
  expect(terminationOf(undefined, ended, aUser({ authTimeMs: NOW_MS }), NOW_MS)).toBeUndefined()
  expect(terminationOf(undefined, ended, aUser({ authTimeMs: NOW_MS - 2000 }), NOW_MS)?.reason).toBe(
    'session-terminated',
  )
})

test('a busy session is noted every thirty seconds, or ten times in its idle timeout', () => {
  const at = (seconds: number): StateRecord => seen(['max', 'ls', NOW_MS - seconds * 1000])
  expect(sessionOps(at(29), LIMITS, NOW_MS)).toEqual([])
  expect(sessionOps(at(30), LIMITS, NOW_MS)).not.toEqual([])
  const short = { ...LIMITS, idleTimeoutMs: 10_000 }
  expect(sessionOps(at(1), short, NOW_MS)).not.toEqual([])
  expect(
    sessionTimes(applyOps(EMPTY_RECORD, sessionOps(EMPTY_RECORD, LIMITS, NOW_MS)), aUser(), NOW_MS),
  ).toEqual({
    ageMs: 0,
    idleMs: 0,
  })
})
