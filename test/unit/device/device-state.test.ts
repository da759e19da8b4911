import { describe, expect, test } from '@jest/globals'
import { complianceOps, type DeviceReport, RECORD, riskLevelOps } from '../../../src/device/device-report.js'
import { deviceState, limitsOf } from '../../../src/device/device-state.js'
import { applyOps, EMPTY_RECORD, type StateRecord } from '../../../src/state/record.js'
import { NOW_MS } from '../../support/facts.js'
import { policyOf, recordOf } from './written-policies.js'

const HOUR_MS = 3_600_000
const told = (report: Partial<DeviceReport>) => recordOf(report, NOW_MS)
const seen = (ms: number) => told({ lastSeen: new Date(ms).toISOString() })

describe('posture', () => {
  const policy = policyOf()
  test.each<{ name: string; record: StateRecord; posture: number; findings: string }>([
    { name: 'a device that nobody knows', record: EMPTY_RECORD, posture: 20, findings: 'unmanaged 20' },
    { name: 'nothing is wrong', record: told({}), posture: 0, findings: '' },
    { name: 'unmanaged', record: told({ managed: false }), posture: 20, findings: 'unmanaged 20' },
    { name: 'not patched', record: told({ osPatched: false }), posture: 30, findings: 'os-not-patched 30' },
    {
      name: 'not encrypted',
      record: told({ diskEncrypted: false }),
      posture: 25,
      findings: 'disk-not-encrypted 25',
    },
    { name: 'no firewall', record: told({ firewall: false }), posture: 10, findings: 'firewall-off 10' },
    { name: 'no antivirus', record: told({ antivirus: false }), posture: 15, findings: 'antivirus-off 15' },
    { name: 'jailbroken', record: told({ jailbroken: true }), posture: 50, findings: 'jailbroken 50' },
    { name: 'seen a day ago', record: seen(NOW_MS - 24 * HOUR_MS), posture: 0, findings: '' },
    { name: 'and longer', record: seen(NOW_MS - 24 * HOUR_MS - 1), posture: 10, findings: 'not-seen 10' },
    {
      name: 'not compliant',
      record: told({ compliant: false }),
      posture: 60,
      findings: 'not-compliant 60',
    },
    {
      name: 'everything of D1: 160, capped',
      record: recordOf(
        {
          managed: false,
          osPatched: false,
          diskEncrypted: false,
          firewall: false,
          antivirus: false,
          jailbroken: true,
        },
        NOW_MS - 25 * HOUR_MS,
      ),
      posture: 100,
      findings:
        'unmanaged 20, os-not-patched 30, disk-not-encrypted 25, firewall-off 10, antivirus-off 15, jailbroken 50, not-seen 10',
    },
    {
      name: 'a sum of three',
      record: told({ managed: false, osPatched: false, firewall: false }),
      posture: 60,
      findings: 'unmanaged 20, os-not-patched 30, firewall-off 10',
    },
    {
      name: 'a level above the sum',
      record: applyOps(told({ osPatched: false }), riskLevelOps('MEDIUM', NOW_MS)),
      posture: 55,
      findings: 'os-not-patched 30, external-risk 55',
    },
    {
      name: 'a level below the sum',
      record: applyOps(told({ jailbroken: true, osPatched: false }), riskLevelOps('MEDIUM', NOW_MS)),
      posture: 80,
      findings: 'os-not-patched 30, jailbroken 50, external-risk 55',
    },
    {
      name: 'HIGH of a device that nobody knows',
      record: applyOps(EMPTY_RECORD, riskLevelOps('HIGH', NOW_MS)),
      posture: 80,
      findings: 'unmanaged 20, external-risk 80',
    },
    {
      name: 'LOW says nothing',
      record: applyOps(told({}), riskLevelOps('LOW', NOW_MS)),
      posture: 0,
      findings: '',
    },
    {
      name: 'a level that nobody can read',
      record: applyOps(told({}), [['latest', RECORD.externalLevel, NOW_MS, 'x']]),
      posture: 80,
      findings: 'external-risk 80',
    },
    {
      name: 'a fact that is gone',
      record: applyOps(told({}), [['drop', RECORD.diskNotEncrypted]]),
      posture: 25,
      findings: 'disk-not-encrypted 25',
    },
  ])('$name: $posture', ({ record, posture, findings }) => {
    const state = deviceState(record, policy, NOW_MS)
    expect(state.posture).toBe(posture)
    expect(state.findings.map((found) => `${found.finding} ${found.points}`).join(', ')).toBe(findings)
  })

  test('a policy changes points, levels and times', () => {
    const own = policyOf([
      'numbers',
      '{ posture: { points: { jailbroken: 100, firewallOff: 0 }, externalRisk: { medium: 90, high: 95 }, notSeenAfter: 1h } }',
    ])
    const postureOf = (record: StateRecord) => deviceState(record, own, NOW_MS).posture
    expect(postureOf(told({ jailbroken: true }))).toBe(100)
    expect(deviceState(told({ firewall: false }), own, NOW_MS).findings).toEqual([])
    expect(postureOf(applyOps(told({}), riskLevelOps('MEDIUM', NOW_MS)))).toBe(90)
    expect(postureOf(seen(NOW_MS - HOUR_MS - 1))).toBe(10)
    expect(postureOf(told({ managed: false }))).toBe(20)
  })
})

describe('tiers', () => {
  const unmanaged = { managed: false, ownership: 'Corporate' } as const
  const own = policyOf(
    ['a', '{ tier: ours, match: { ownership: Corporate } }'],
    ['b', '{ tier: unmanaged-personal, match: { managed: false, ownership: Personal } }'],
  )
  const only = policyOf(['default', '{ tier: managed-personal }'])
  test.each<{
    name: string
    record: StateRecord
    policy: ReturnType<typeof policyOf>
    tier: string | undefined
  }>([
    { name: 'nobody knows it', record: EMPTY_RECORD, policy: policyOf(), tier: 'unmanaged' },
    {
      name: 'signals alone do not manage it',
      record: applyOps(EMPTY_RECORD, complianceOps(true, NOW_MS)),
      policy: policyOf(),
      tier: 'unmanaged',
    },
    { name: 'unmanaged', record: told(unmanaged), policy: policyOf(), tier: 'unmanaged' },
    { name: 'managed', record: told({}), policy: policyOf(), tier: 'managed-corporate' },
    {
      name: 'Corporate',
      record: told({ ownership: 'Corporate' }),
      policy: policyOf(),
      tier: 'managed-corporate',
    },
    {
      name: 'Personal',
      record: told({ ownership: 'Personal' }),
      policy: policyOf(),
      tier: 'managed-personal',
    },
    { name: 'a written tier goes first', record: told({}), policy: own, tier: 'ours' },
    { name: 'of an unmanaged device too', record: told(unmanaged), policy: own, tier: 'ours' },
    { name: 'whose nobody knows', record: told({ managed: false }), policy: own, tier: 'unmanaged' },
    {
      name: 'the one that asks for more',
      record: told({ managed: false, ownership: 'Personal' }),
      policy: own,
      tier: 'unmanaged-personal',
    },
    { name: 'else a built-in one', record: EMPTY_RECORD, policy: own, tier: 'unmanaged' },
    { name: 'none is left', record: told({}), policy: only, tier: undefined },
    {
      name: 'by the match of the built-in one',
      record: told({ ownership: 'Personal' }),
      policy: only,
      tier: 'managed-personal',
    },
  ])('$name: $tier', ({ record, policy, tier }) => {
    expect(deviceState(record, policy, NOW_MS).tier?.name).toBe(tier)
  })
})

describe('limitsOf', () => {
  const limits = { maxDurationMs: 8 * HOUR_MS, idleTimeoutMs: HOUR_MS / 2 }
  const short = policyOf(['t', '{ tier: unmanaged, session: { idleTimeout: 5m } }'])
  test.each<{
    name: string
    record: StateRecord | undefined
    policy: ReturnType<typeof policyOf>
    expected: object
  }>([
    { name: 'no inventory', record: undefined, policy: policyOf(), expected: limits },
    { name: 'corporate', record: told({}), policy: policyOf(), expected: limits },
    {
      name: 'personal',
      record: told({ ownership: 'Personal' }),
      policy: policyOf(),
      expected: { ...limits, maxDurationMs: 4 * HOUR_MS },
    },
    {
      name: 'unmanaged',
      record: EMPTY_RECORD,
      policy: policyOf(),
      expected: { ...limits, maxDurationMs: HOUR_MS },
    },
    {
      name: 'a built-in tier written anew keeps its longest duration',
      record: EMPTY_RECORD,
      policy: short,
      expected: { maxDurationMs: HOUR_MS, idleTimeoutMs: 300_000 },
    },
  ])('$name', ({ record, policy, expected }) => {
    expect(limitsOf(limits, record && deviceState(record, policy, NOW_MS))).toEqual(expected)
  })

  test('a tier never lengthens a session', () => {
    const tight = { maxDurationMs: 60_000, idleTimeoutMs: 1000 }
    expect(limitsOf(tight, deviceState(EMPTY_RECORD, short, NOW_MS))).toBe(tight)
  })
})
