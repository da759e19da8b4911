import { describe, expect, test } from '@jest/globals'
import {
  checkReportTime,
  complianceOps,
  type DeviceReport,
  DeviceReportSchema,
  forgetOps,
  lastSeenMs,
  reportOps,
  riskLevelOps,
} from '../../../src/device/device-report.js'
import { deviceState } from '../../../src/device/device-state.js'
import { shapeFindings } from '../../../src/schema/shape.js'
import { applyOps, EMPTY_RECORD, type StateOp, type StateRecord } from '../../../src/state/record.js'
import { NOW_MS } from '../../support/facts.js'
import { aReport, policyOf } from './written-policies.js'

describe('reports that are refused', () => {
  test.each<{ name: string; report: unknown; expected: readonly string[] }>([
    {
      name: 'nothing',
      report: {},
      expected: ['managed', 'osPatched', 'diskEncrypted', 'firewall', 'antivirus', 'jailbroken'].map(
        (field) => `missing field \`${field}\` in the document`,
      ),
    },
    {
      name: 'a word for a boolean',
      report: { ...aReport(), managed: 'true' },
      expected: ['`managed` is a string, must be true or false'],
    },
    {
      name: 'an unknown field',
      report: { ...aReport(), diskEncypted: true },
      expected: ['unknown field `diskEncypted`'],
    },
    {
      name: 'an owner that is no word',
      report: { ...aReport(), ownership: 'corporate' },
      expected: ['`ownership`: `corporate` is none of Corporate, Personal; did you mean `Corporate`?'],
    },
    {
      name: 'a date without time',
      report: { ...aReport(), lastSeen: '2026-11-23' },
      expected: ['`lastSeen` is `2026-11-23`, must be a time such as 2026-03-01T12:00:00Z'],
    },
    {
      name: 'a number for a time',
      report: { ...aReport(), lastSeen: NOW_MS },
      expected: ['`lastSeen` is the number `1795469400000`, must be a string: quote it'],
    },
    {
      name: 'a text too long',
      report: { ...aReport(), model: 'x'.repeat(129) },
      expected: ['`model` is longer than 128 characters'],
    },
    {
      name: 'a text of two lines',
      report: { ...aReport(), owner: 'a\nb' },
      expected: ['`owner` is `a?b`, must be text without control and invisible characters'],
    },
    { name: 'null', report: null, expected: ['`the document` is empty, must be a map of fields'] },
  ])('$name', ({ report, expected }) => {
    expect(shapeFindings(DeviceReportSchema, report).map(({ message }) => message)).toEqual(expected)
  })

  test('a full one fits', () => {
    const report = aReport({
      ownership: 'Personal',
      compliant: true,
      lastSeen: '2026-11-23T20:00:00.5+01:00',
      platform: 'macOS 15',
      model: '',
      owner: 'Zoë',
    })
    expect(shapeFindings(DeviceReportSchema, report)).toEqual([])
  })
})

test.each([
  { name: 'from 2030', atMs: Date.UTC(2030, 0, 1), expected: 'is later than now by more than 60 s' },
  {
    name: 'a minute and a bit ahead',
    atMs: NOW_MS + 60_001,
    expected: 'is later than now by more than 60 s',
  },
  { name: 'no time', atMs: Number.NaN, expected: 'is no day of the calendar' },
  { name: 'a minute ahead', atMs: NOW_MS + 60_000, expected: undefined },
  { name: 'old', atMs: 0, expected: undefined },
])('checkReportTime: $name', ({ atMs, expected }) => {
  expect(checkReportTime(atMs, NOW_MS)).toBe(expected)
})

test.each([
  { lastSeen: '2026-02-30T00:00:00Z', expected: Number.NaN },
  { lastSeen: '2026-11-23T22:30:00+01:00', expected: NOW_MS },
  { lastSeen: undefined, expected: 7 },
])('lastSeenMs: $lastSeen', ({ lastSeen, expected }) => {
  expect(lastSeenMs(lastSeen === undefined ? {} : { lastSeen }, 7)).toBe(expected)
})

describe('what is told in any order', () => {
  const policy = policyOf()
  const MIN = 60_000
  const bad = aReport({ jailbroken: true, ownership: 'Personal' })
  const unmanaged = aReport({ managed: false })
  const compliantThen = (atMs: number) => aReport({ compliant: true, lastSeen: new Date(atMs).toISOString() })
  const words = (told: readonly (readonly StateOp[])[]) => {
    const record = told.reduce(applyOps, EMPTY_RECORD)
    const { known, posture, findings, ownership, beganMs } = deviceState(record, policy, NOW_MS)
    const wrong = findings.map(({ finding }) => finding).join(' ')
    const ago = beganMs === undefined ? 'never' : `${(NOW_MS - beganMs) / MIN} min ago`
    return `${known ? 'known' : 'unknown'} ${ownership ?? '-'} ${posture} ${wrong}`.trimEnd() + `, ${ago}`
  }

  test.each<{ name: string; told: readonly (readonly StateOp[])[]; expected: string }>([
    {
      name: 'a bad report after a good one',
      told: [reportOps(aReport(), NOW_MS - 2 * MIN), reportOps(bad, NOW_MS - MIN)],
      expected: 'known Personal 50 jailbroken, 1 min ago',
    },
    {
      name: 'a good report after a bad one; whose it is nobody says any more',
      told: [reportOps(bad, NOW_MS - 2 * MIN), reportOps(aReport(), NOW_MS - MIN)],
      expected: 'known - 0, never',
    },
    {
      name: 'of two at one time the worse, fact by fact',
      told: [reportOps(bad, NOW_MS - MIN), reportOps(unmanaged, NOW_MS - MIN)],
      expected: 'known Personal 70 unmanaged jailbroken, 1 min ago',
    },
    {
      name: 'an inspection from before a signal does not undo it',
      told: [
        complianceOps(false, NOW_MS - 2 * MIN),
        reportOps(compliantThen(NOW_MS - 3 * MIN), NOW_MS - MIN),
      ],
      expected: 'known - 60 not-compliant, 2 min ago',
    },
    {
      name: 'one from after it does',
      told: [
        complianceOps(false, NOW_MS - 3 * MIN),
        reportOps(compliantThen(NOW_MS - 2 * MIN), NOW_MS - MIN),
      ],
      expected: 'known - 0, never',
    },
    {
      name: 'a report that says nothing of compliance leaves it',
      told: [complianceOps(false, NOW_MS - 3 * MIN), reportOps(aReport(), NOW_MS - MIN)],
      expected: 'known - 60 not-compliant, 3 min ago',
    },
    {
      name: 'compliant again',
      told: [complianceOps(false, NOW_MS - 3 * MIN), complianceOps(true, NOW_MS - 2 * MIN)],
      expected: 'unknown - 20 unmanaged, never',
    },
    {
      name: 'a later level',
      told: [riskLevelOps('HIGH', NOW_MS - 3 * MIN), riskLevelOps('LOW', NOW_MS - 2 * MIN)],
      expected: 'unknown - 20 unmanaged, never',
    },
    {
      name: 'of two levels at one time the higher',
      told: [riskLevelOps('HIGH', NOW_MS - MIN), riskLevelOps('MEDIUM', NOW_MS - MIN)],
      expected: 'unknown - 80 unmanaged external-risk, 1 min ago',
    },
    {
      name: 'a device that left is unknown',
      told: [reportOps(bad, NOW_MS - 2 * MIN), forgetOps(NOW_MS - MIN)],
      expected: 'unknown - 20 unmanaged, 1 min ago',
    },
    {
      name: 'and stays what signals said of it',
      told: [
        reportOps(bad, NOW_MS - 2 * MIN),
        forgetOps(NOW_MS - MIN),
        complianceOps(false, NOW_MS - 3 * MIN),
      ],
      expected: 'unknown - 80 unmanaged not-compliant, 1 min ago',
    },
    {
      name: 'until it is reported anew',
      told: [forgetOps(NOW_MS - 2 * MIN), reportOps(aReport(), NOW_MS - MIN)],
      expected: 'known - 0, never',
    },
    {
      name: 'reported and removed at one time',
      told: [forgetOps(NOW_MS - MIN), reportOps(aReport(), NOW_MS - MIN)],
      expected: 'unknown - 20 unmanaged, 1 min ago',
    },
    {
      name: 'what the newest report says of when it was seen, also where that is earlier',
      told: [
        reportOps(aReport(), NOW_MS - 2 * MIN),
        reportOps(aReport({ lastSeen: new Date(NOW_MS - 25 * 60 * MIN).toISOString() }), NOW_MS - MIN),
      ],
      expected: 'known - 10 not-seen, 60 min ago',
    },
    {
      name: 'a time that the calendar does not have is as good as none',
      told: [reportOps(aReport({ lastSeen: '2026-02-30T00:00:00Z', compliant: true }), NOW_MS)],
      expected: 'known - 10 not-seen, never',
    },
  ])('$name', ({ told, expected }) => {
    expect(words(told)).toBe(expected)
    expect(words(told.toReversed())).toBe(expected)
    expect(words([...told, ...told])).toBe(expected)
  })
})

describe('reports that know what was told before', () => {
  const HOUR = 3_600_000
  const policy = policyOf()
  const state = (record: StateRecord) => deviceState(record, policy, NOW_MS)
  const nights = (count: number, facts: Partial<DeviceReport>, from: StateRecord = EMPTY_RECORD) => {
    let record = from
    for (let night = count; night > 0; night--) {
      record = applyOps(record, reportOps(aReport(facts), NOW_MS - night * HOUR, record))
    }
    return record
  }

  test.each<{ name: string; facts: Partial<DeviceReport> }>([
    { name: 'unmanaged', facts: { managed: false } },
    { name: 'not encrypted, not compliant', facts: { diskEncrypted: false, compliant: false } },
  ])('nightly reports of the same keep the time: $name', ({ facts }) => {
    expect(state(nights(9, facts)).beganMs).toBe(NOW_MS - 9 * HOUR)
  })

  test('something new is newer; what was mended and breaks again began anew', () => {
    const first = nights(5, { diskEncrypted: false })
    const second = applyOps(
      first,
      reportOps(aReport({ diskEncrypted: false, firewall: false }), NOW_MS - HOUR / 2, first),
    )
    expect(state(second).beganMs).toBe(NOW_MS - HOUR / 2)
    const mended = applyOps(first, reportOps(aReport(), NOW_MS - HOUR / 2, first))
    expect(state(mended)).toMatchObject({ posture: 0, beganMs: undefined })
    const again = applyOps(mended, reportOps(aReport({ diskEncrypted: false }), NOW_MS, mended))
    expect(state(again).beganMs).toBe(NOW_MS)
  })

  test('a report that nobody knew of in between changes what counts, whatever the order', () => {
    const bad = nights(5, { jailbroken: true })
    const good = reportOps(aReport(), NOW_MS - HOUR, bad)
    const worse = reportOps(aReport({ jailbroken: true }), NOW_MS - HOUR / 2, bad)
    expect(state(applyOps(applyOps(bad, worse), good)).posture).toBe(50)
    expect(state(applyOps(applyOps(bad, good), worse)).posture).toBe(50)
  })

  test('a device that left by a clock that is ahead comes back, and leaves again', () => {
    const gone = applyOps(nights(1, { jailbroken: true }), forgetOps(NOW_MS + HOUR))
    const back = applyOps(gone, reportOps(aReport({ jailbroken: true }), NOW_MS, gone))
    expect(state(back)).toMatchObject({ known: true, posture: 50, beganMs: NOW_MS + HOUR + 1 })
    expect(state(applyOps(back, forgetOps(NOW_MS, back))).known).toBe(false)
  })
})
