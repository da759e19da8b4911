import { describe, expect, test } from '@jest/globals'
import { compileRisk } from '../../../src/risk/compile-risk.js'
import { volumeOps } from '../../../src/risk/factors/data-volume.js'
import { failureOps } from '../../../src/risk/factors/failed-attempts.js'
import { distanceKm } from '../../../src/risk/factors/impossible-travel.js'
import { askedTargetOps } from '../../../src/risk/factors/fan-out.js'
import { refusedTargetOps } from '../../../src/risk/factors/lateral-movement.js'
import { minuteOfDay } from '../../../src/risk/factors/unusual-time.js'
import { eventOp } from '../../../src/risk/finding.js'
import { scoreUser, scoreWorkload } from '../../../src/risk/score.js'
import { type Sighting, userAgentKey } from '../../../src/risk/sighting.js'
import { applyOps, EMPTY_RECORD, type StateOp, type StateRecord } from '../../../src/state/record.js'
import { NOW_MS } from '../../support/facts.js'

const POLICY = compileRisk([])
const MINUTE_MS = 60_000
const HOUR_MS = 60 * MINUTE_MS
const ago = (ms: number): number => NOW_MS - ms

const BERLIN = { latitude: 52.52, longitude: 13.4, country: 'DE' }
const POTSDAM = { latitude: 52.39, longitude: 13.06, country: 'DE' }
const SYDNEY = { latitude: -33.87, longitude: 151.21, country: 'AU' }

const QUIET: Sighting = {
  nowMs: NOW_MS,
  place: undefined,
  address: undefined,
  malicious: false,
  answeredMs: undefined,
  agent: undefined,
  deviceId: undefined,
  device: undefined,
  zone: undefined,
  path: '/api/orders',
  sensitive: false,
}

/** The record after these sightings, as a store would keep it. */
function seen(...sightings: readonly Partial<Sighting>[]): StateRecord {
  let record = EMPTY_RECORD
  for (const each of sightings)
    record = applyOps(record, scoreUser(record, { ...QUIET, ...each }, POLICY).ops)
  return record
}

const found = (record: StateRecord, sighting: Partial<Sighting>): Record<string, number> =>
  Object.fromEntries(
    scoreUser(record, { ...QUIET, ...sighting }, POLICY).findings.map(({ factor, points }) => [
      factor,
      points,
    ]),
  )

type Row = {
  readonly name: string
  readonly before?: readonly Partial<Sighting>[]
  readonly now: Partial<Sighting>
  readonly factors: Record<string, number>
}

describe('impossible travel', () => {
  const berlin = (msAgo: number) => ({ place: BERLIN, nowMs: ago(msAgo) })
  test.each<Row>([
    { name: 'nothing is known of before', now: { place: SYDNEY }, factors: {} },
    { name: 'no place now', before: [berlin(90_000)], now: {}, factors: {} },
    {
      name: 'a place without coordinates',
      before: [berlin(90_000)],
      now: { place: { latitude: undefined, longitude: undefined, country: 'AU' } },
      factors: {},
    },
    {
      name: 'a clock that was set back by hours is no travel',
      before: [berlin(-3 * HOUR_MS)],
      now: { place: SYDNEY },
      factors: {},
    },
    { name: 'the next town', before: [berlin(1000)], now: { place: POTSDAM }, factors: {} },
    { name: 'a flight of a day', before: [berlin(24 * HOUR_MS)], now: { place: SYDNEY }, factors: {} },
    {
      name: 'Sydney after ninety seconds',
      before: [berlin(90_000)],
      now: { place: SYDNEY },
      factors: { 'impossible-travel': 30 },
    },
    {
      name: 'at the same moment',
      before: [berlin(0)],
      now: { place: SYDNEY },
      factors: { 'impossible-travel': 30 },
    },
    {
      name: 'replicas whose clocks differ by a second',
      before: [berlin(-1000)],
      now: { place: SYDNEY },
      factors: { 'impossible-travel': 30 },
    },
    {
      name: 'it counts on the next call from the new place too',
      before: [berlin(100_000), { place: SYDNEY, nowMs: ago(10_000) }],
      now: { place: SYDNEY },
      factors: { 'impossible-travel': 30 },
    },
    {
      name: 'and no more after an hour',
      before: [berlin(HOUR_MS + 100_000), { place: SYDNEY, nowMs: ago(HOUR_MS + 1) }],
      now: { place: SYDNEY },
      factors: {},
    },
  ])('$name', ({ before = [], now, factors }) => {
    expect(found(seen(...before), now)).toEqual(factors)
  })

  test('a place noted by a clock that was ahead is forgotten', () => {
    const record = seen({ place: BERLIN, nowMs: ago(-2 * HOUR_MS) }, { place: SYDNEY, nowMs: ago(300_000) })
    expect(found(record, { place: BERLIN })).toEqual({ 'impossible-travel': 30 })
  })

  test('who showed MFA since was asked already', () => {
    const record = seen({ place: BERLIN, nowMs: ago(90_000) })
    expect(found(record, { place: SYDNEY, answeredMs: ago(80_000) })).toEqual({})
    expect(found(record, { place: SYDNEY, answeredMs: ago(100_000) })).toEqual({ 'impossible-travel': 30 })
  })

  test('of an event from a clock that was ahead nobody knows when it began', () => {
    const record = seen({ place: BERLIN, nowMs: ago(-7_100_000) }, { place: SYDNEY, nowMs: ago(-7_200_000) })
    const { findings } = scoreUser(record, QUIET, POLICY)
    expect(findings).toEqual([{ factor: 'impossible-travel', points: 30, beganMs: undefined }])
  })

  test('a new impossible way begins anew, and the same place does not', () => {
    const record = seen({ place: BERLIN, nowMs: ago(300_000) }, { place: SYDNEY, nowMs: ago(200_000) })
    const began = (sighting: Partial<Sighting>): number | undefined =>
      scoreUser(record, { ...QUIET, ...sighting }, POLICY).findings[0]?.beganMs
    expect(began({ place: SYDNEY })).toBe(ago(200_000))
    expect(began({ place: BERLIN })).toBe(NOW_MS)
  })

  test('distances', () => {
    expect(distanceKm(BERLIN, SYDNEY)).toBeCloseTo(16_090, -2)
    expect(distanceKm(BERLIN, BERLIN)).toBe(0)
    const pole = { latitude: 90, longitude: 0, country: undefined }
    expect(distanceKm(pole, { ...pole, latitude: -90 })).toBeCloseTo(20_015, -1)
  })
})

describe('unusual time', () => {
  // NOW_MS is 21:30 in UTC.
  test.each<[string, string | undefined, boolean]>([
    ['no zone', undefined, false],
    ['no such zone', 'Mars/Olympus', false],
    ['a zone of 10,000 letters', 'x'.repeat(10_000), false],
    ['21:30 in London', 'Europe/London', false],
    ['22:30 in Berlin', 'Europe/Berlin', true],
    ['16:30 in New York', 'America/New_York', false],
    ['03:00 in India', 'Asia/Kolkata', true],
    ['08:30 in Sydney', 'Australia/Sydney', false],
  ])('%s', (_name, zone, unusual) => {
    expect(found(EMPTY_RECORD, { zone })).toEqual(unusual ? { 'unusual-time': 15 } : {})
  })

  test('an offset is asked for anew when it may have changed', () => {
    const beforeSummerTime = Date.UTC(2026, 2, 29, 0, 59)
    expect(minuteOfDay('Europe/Berlin', beforeSummerTime)).toBe(1 * 60 + 59)
    expect(minuteOfDay('Europe/Berlin', beforeSummerTime + MINUTE_MS)).toBe(3 * 60)
  })
})

describe('failed attempts', () => {
  const failing = (...msAgo: readonly number[]): StateRecord =>
    msAgo.reduce<StateRecord>(
      (record, each) => applyOps(record, failureOps(POLICY.failedAttempts, ago(each))),
      EMPTY_RECORD,
    )
  const times = (count: number, msAgo = MINUTE_MS): number[] => Array.from({ length: count }, () => msAgo)
  test.each<[string, StateRecord, number | undefined]>([
    ['none', EMPTY_RECORD, undefined],
    ['two', failing(...times(2)), undefined],
    ['three', failing(...times(3)), 5],
    ['five', failing(...times(5)), 5],
    ['six', failing(...times(6)), 15],
    ['ten', failing(...times(10)), 15],
    ['eleven', failing(...times(11)), 25],
    ['a thousand', failing(...times(1000)), 25],
    ['eleven before more than an hour', failing(...times(11, 71 * MINUTE_MS)), undefined],
    ['five of them long ago', failing(...times(5, 75 * MINUTE_MS), ...times(3)), 5],
    ['a clock set back', failing(...times(3, -MINUTE_MS)), 5],
  ])('%s', (_name, record, points) => {
    expect(found(record, {})).toEqual(points === undefined ? {} : { 'failed-attempts': points })
  })

  test('those of the address count where they are more', () => {
    const { findings } = scoreUser(failing(...times(3)), QUIET, POLICY, failing(...times(11)))
    expect(findings).toMatchObject([{ factor: 'failed-attempts', points: 25 }])
  })
})

describe('new devices and user agents', () => {
  const old = { nowMs: ago(2 * HOUR_MS) }
  test.each<Row>([
    { name: 'the first ones', now: { agent: 'a', deviceId: 'd' }, factors: {} },
    { name: 'none now', before: [{ agent: 'a', deviceId: 'd', ...old }], now: {}, factors: {} },
    {
      name: 'known ones',
      before: [{ agent: 'a', deviceId: 'd', ...old }],
      now: { agent: 'a', deviceId: 'd' },
      factors: {},
    },
    {
      name: 'others',
      before: [{ agent: 'a', deviceId: 'd', ...old }],
      now: { agent: 'b', deviceId: 'e' },
      factors: { 'new-device': 10, 'anomalous-behaviour': 10 },
    },
    {
      name: 'the old ones while the event counts',
      before: [
        { agent: 'a', ...old },
        { agent: 'b', nowMs: ago(MINUTE_MS) },
      ],
      now: { agent: 'a' },
      factors: { 'anomalous-behaviour': 10 },
    },
  ])('$name', ({ before = [], now, factors }) => {
    expect(found(seen(...before), now)).toEqual(factors)
  })

  test('a hundred of each leave sixteen', () => {
    const many = Array.from({ length: 100 }, (_, n) => ({
      agent: `a${n}`,
      deviceId: `d${n}`,
      nowMs: ago(1000 * n),
    }))
    const fields = [...seen(...many.toReversed()).keys()]
    expect(fields.filter((field) => field.startsWith('ua:'))).toHaveLength(16)
    expect(fields.filter((field) => field.startsWith('dv:'))).toHaveLength(16)
  })

  test('10 MB of user agent cost no more than 1 KiB of it', () => {
    const long = 'x'.repeat(10 * 1024 * 1024)
    expect(userAgentKey(long)).toBe(userAgentKey(long.slice(0, 1024)))
    expect(userAgentKey(long)).toHaveLength(11)
  })
})

describe('sensitive access', () => {
  test.each<[string, Partial<Sighting>, boolean]>([
    ['a raw TCP connection', { path: undefined }, false],
    ['another path', { path: '/api/orders' }, false],
    ['a path that only begins so', { path: '/api/administrator' }, false],
    ['a path below the exact one', { path: '/api/users/bulk/1' }, false],
    ['the exact one', { path: '/api/users/bulk' }, true],
    ['with a slash and capitals', { path: '/API/Users/Bulk/' }, true],
    ['the prefix itself', { path: '/api/admin' }, true],
    ['below it', { path: '/api/admin/a/b' }, true],
    ['an endpoint of high sensitivity', { sensitive: true }, true],
  ])('%s', (_name, sighting, sensitive) => {
    expect(found(EMPTY_RECORD, sighting)).toEqual(sensitive ? { 'sensitive-access': 20 } : {})
  })
})

test('another address on a threat list is another event', () => {
  const record = seen({ malicious: true, address: '5.3.0.1', nowMs: ago(MINUTE_MS) })
  const again = (address: string) =>
    scoreUser(record, { ...QUIET, malicious: true, address }, POLICY).findings
  expect(again('5.3.0.1')).toMatchObject([{ beganMs: ago(MINUTE_MS) }])
  expect(again('5.3.0.2')).toMatchObject([{ beganMs: NOW_MS }])
})

test('a workload that does everything at once still has room for its quarantine', () => {
  let record = EMPTY_RECORD
  for (let hour = 30; hour >= 0; hour--)
    record = applyOps(record, volumeOps(record, 1e6, POLICY, ago(hour * HOUR_MS)))
  for (let n = 0; n < 200; n++) {
    record = applyOps(record, askedTargetOps(record, `a${n}`, ago(MINUTE_MS)))
    record = applyOps(record, refusedTargetOps(record, `r${n}`, ago(MINUTE_MS)))
  }
  for (let minute = 120; minute >= 0; minute--) {
    record = applyOps(record, failureOps({ tiers: [], windowMs: 2 * HOUR_MS }, ago(minute * MINUTE_MS)))
  }
  record = applyOps(record, [eventOp('token-replay', NOW_MS), ['max', 'mark', NOW_MS + 1]])
  expect(record.get('mark')).toBe(NOW_MS + 1)
})

test('an address on a threat list is one event', () => {
  const first = { malicious: true, nowMs: ago(MINUTE_MS) }
  expect(found(EMPTY_RECORD, { malicious: true })).toEqual({ 'malicious-ip': 30 })
  expect(found(seen(first), {})).toEqual({ 'malicious-ip': 30 })
  expect(scoreUser(seen(first), { ...QUIET, malicious: true }, POLICY).ops).toEqual([])
})

describe('data volume', () => {
  const hours = (...megabytes: readonly number[]): StateRecord =>
    megabytes.reduce<StateRecord>(
      (record, each, index) =>
        applyOps(
          record,
          volumeOps(record, each * 1_000_000, POLICY, ago((megabytes.length - 1 - index) * HOUR_MS)),
        ),
      EMPTY_RECORD,
    )
  test.each<[string, StateRecord, boolean]>([
    ['without a history', hours(1000), false],
    ['two hours are no history', hours(1, 1, 1000), false],
    ['ten times as much', hours(1, 1, 1, 10), false],
    ['more than ten times', hours(1, 1, 1, 10.1), true],
    ['much for somebody who reads next to nothing', hours(0.001, 0.001, 0.001, 0.5), false],
  ])('%s', (_name, record, remarkable) => {
    expect(found(record, {})).toEqual(remarkable ? { 'data-volume': 20 } : {})
  })

  test.each([NaN, -5, 0])('%p bytes are nothing', (bytes) => {
    expect(volumeOps(EMPTY_RECORD, bytes, POLICY, NOW_MS)).toEqual([])
  })
})

describe('workloads', () => {
  const targets = (count: number, ops: typeof refusedTargetOps, msAgo = MINUTE_MS): StateRecord =>
    Array.from({ length: count }, (_, n) => `shop/${n}`).reduce<StateRecord>(
      (record, target) => applyOps(record, ops(record, target, ago(msAgo))),
      EMPTY_RECORD,
    )
  const one = (op: StateOp): StateRecord => applyOps(EMPTY_RECORD, [op])
  test.each<[string, StateRecord, Record<string, number>]>([
    ['nothing known', EMPTY_RECORD, {}],
    ['nine targets refused it', targets(9, refusedTargetOps), {}],
    ['ten', targets(10, refusedTargetOps), { 'lateral-movement': 30 }],
    ['fifteen', targets(15, refusedTargetOps), { 'lateral-movement': 60 }],
    ['twenty', targets(20, refusedTargetOps), { 'lateral-movement': 90 }],
    ['a thousand', targets(1000, refusedTargetOps), { 'lateral-movement': 90 }],
    ['twenty, eleven minutes ago', targets(20, refusedTargetOps, 11 * MINUTE_MS), {}],
    ['it asked 24 targets', targets(24, askedTargetOps), {}],
    ['25', targets(25, askedTargetOps), { 'fan-out': 20 }],
    ['a replayed token', one(eventOp('token-replay', ago(MINUTE_MS))), { 'token-replay': 40 }],
    ['a token replayed before an hour', one(eventOp('token-replay', ago(HOUR_MS + 1))), {}],
  ])('%s', (_name, record, factors) => {
    const { findings } = scoreWorkload(record, POLICY, NOW_MS)
    expect(Object.fromEntries(findings.map(({ factor, points }) => [factor, points]))).toEqual(factors)
  })
})

test('whatever a record holds, a score is a number from 0 to 100', () => {
  const values = [
    0,
    -1,
    1e308,
    -1e308,
    NaN,
    Infinity,
    NOW_MS,
    NOW_MS * 2,
    '',
    '|',
    'x|y',
    '5|',
    `${NOW_MS}|91,181`,
    '1|a,b',
  ]
  const fields = [
    'loc',
    'fl',
    'f:1',
    'ua:x',
    'dv:x',
    'e:travel',
    'e:agent',
    'e:volume',
    'tl',
    't:x',
    'cl',
    'c:x',
    'qu',
    'ls',
  ]
  for (const value of values) {
    const record: StateRecord = new Map(fields.map((field) => [field, value]))
    const sighting = {
      ...QUIET,
      place: SYDNEY,
      agent: 'y',
      deviceId: 'z',
      zone: 'Europe/Berlin',
      malicious: true,
      sensitive: true,
    }
    for (const { score, findings, ops } of [
      scoreUser(record, sighting, POLICY),
      scoreWorkload(record, POLICY, NOW_MS),
    ]) {
      expect(score).toBeGreaterThanOrEqual(0)
      expect(score).toBeLessThanOrEqual(100)
      for (const { points, beganMs } of findings) {
        expect(points).toBeGreaterThan(0)
        if (beganMs !== undefined) expect(beganMs).toBeLessThanOrEqual(NOW_MS)
      }
      applyOps(record, ops)
    }
  }
})

test('a user who shows nothing new is not written', () => {
  const usual = { place: BERLIN, agent: 'a', deviceId: 'd', zone: 'Europe/London' }
  const record = seen({ ...usual, nowMs: ago(20_000) })
  expect(scoreUser(record, { ...QUIET, ...usual }, POLICY)).toMatchObject({ score: 0, ops: [] })
})
