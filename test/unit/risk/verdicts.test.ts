import { describe, expect, test } from '@jest/globals'
import type { UserPrincipal } from '../../../src/identity/principal.js'
import { AlertDedupe, severityOf } from '../../../src/risk/alerts.js'
import { compileRisk, type RiskDocument } from '../../../src/risk/compile-risk.js'
import type { Finding } from '../../../src/risk/finding.js'
import { judgeSession } from '../../../src/risk/session-verdict.js'
import {
  judgeWorkload,
  liftQuarantineOps,
  quarantineOf,
  quarantineOps,
} from '../../../src/risk/workload-verdict.js'
import { applyOps, EMPTY_RECORD, type StateOp } from '../../../src/state/record.js'
import { aUser, NOW_MS } from '../../support/facts.js'

const POLICY = compileRisk([])
const MINUTE_MS = 60_000
const ago = (minutes: number): number => NOW_MS - minutes * MINUTE_MS
const finding = (factor: Finding['factor'], points: number, minutesAgo?: number): Finding => ({
  factor,
  points,
  beganMs: minutesAgo === undefined ? undefined : ago(minutesAgo),
})
const travel = finding('impossible-travel', 30, 5)
const device = finding('new-device', 10, 5)
const agent = finding('anomalous-behaviour', 10, 5)
const failed = finding('failed-attempts', 25, 1)
const sensitive = finding('sensitive-access', 20)
const threat = finding('malicious-ip', 30, 3)
const replay = finding('token-replay', 40, 2)
const night = finding('unusual-time', 15)
const mfaSince = (minutes: number): Partial<UserPrincipal> => ({
  mfaVerified: true,
  authTimeMs: ago(minutes),
})

describe('the verdict on a session', () => {
  test.each<[string, readonly Finding[], Partial<UserPrincipal>, string | undefined]>([
    [
      'travel, device, agent, failures and a sensitive path',
      [travel, device, agent, failed, sensitive],
      {},
      'session-terminated',
    ],
    ['the same after an MFA in between', [travel, device, agent, failed, sensitive], mfaSince(3), undefined],
    ['three events at once', [travel, threat, replay], {}, 'session-terminated'],
    [
      'three events of fewer points',
      [finding('impossible-travel', 20, 1), finding('malicious-ip', 20, 1), finding('token-replay', 20, 1)],
      {},
      'risk-too-high',
    ],
    ['one event of enough points', [travel], {}, 'step-up-required'],
    ['one event and an MFA from before', [travel], mfaSince(6), 'step-up-required'],
    [
      'one event and a later authentication without MFA',
      [travel],
      { authTimeMs: ago(1) },
      'step-up-required',
    ],
    ['one event and a later MFA', [travel], mfaSince(1), undefined],
    [
      'counts and circumstances above fifty, after an MFA since',
      [failed, sensitive, night],
      mfaSince(0.5),
      undefined,
    ],
    [
      'circumstances alone above fifty, after an old MFA',
      [finding('unusual-time', 60)],
      mfaSince(16),
      'step-up-required',
    ],
    [
      'circumstances alone above fifty, after a recent MFA',
      [finding('unusual-time', 60)],
      mfaSince(14),
      undefined,
    ],
    ['the same without MFA', [failed, sensitive, night], {}, 'step-up-required'],
    ['up to fifty', [failed, sensitive], {}, undefined],
    ['a new device and agent', [device, agent], {}, undefined],
    [
      'an authentication of the near future answers nothing yet',
      [travel],
      { mfaVerified: true, authTimeMs: NOW_MS + 59_000 },
      'step-up-required',
    ],
    [
      'failures of an address end nobody',
      [{ ...failed, shared: true }, device, agent, sensitive, night],
      {},
      'step-up-required',
    ],
    ['nothing', [], {}, undefined],
  ])('%s', (_name, findings, user, reason) => {
    const { refusal, terminate } = judgeSession(findings, aUser(user), POLICY, 15 * MINUTE_MS, NOW_MS)
    expect(refusal?.reason).toBe(reason)
    expect(terminate).toBe(reason === 'session-terminated')
  })
})

describe('the verdict on a workload', () => {
  test.each<[number, string | undefined, boolean]>([
    [70, undefined, false],
    [71, 'risk-too-high', false],
    [80, 'risk-too-high', false],
    [81, 'risk-too-high', true],
  ])('a score of %i', (score, reason, quarantine) => {
    const verdict = judgeWorkload({ score, findings: [], ops: [] }, POLICY)
    expect(verdict.refusal?.reason).toBe(reason)
    expect(verdict.quarantine).toBe(quarantine)
  })

  test('quarantine ends by itself', () => {
    const record = applyOps(EMPTY_RECORD, quarantineOps(NOW_MS + 1, NOW_MS - 1))
    expect(quarantineOf(record, NOW_MS)?.reason).toBe('quarantined')
    expect(quarantineOf(record, NOW_MS + 1)).toBeUndefined()
    expect(quarantineOf(EMPTY_RECORD, NOW_MS)).toBeUndefined()
  })

  test('quarantine is lifted with what led to it, also one by a clock that was ahead', () => {
    for (const atMs of [NOW_MS - 1, NOW_MS, NOW_MS + 3_600_000]) {
      const told: StateOp[] = [
        ['max', 'cs:0a', NOW_MS],
        ['max', 'cb', NOW_MS],
        ['latest', 'xl', NOW_MS, '3'],
      ]
      const record = applyOps(EMPTY_RECORD, [
        ...quarantineOps(NOW_MS + 60_000, atMs),
        ...told,
        ['add', 'f:1', 3],
        ['max', 'fl', NOW_MS],
      ])
      const lifted = applyOps(record, liftQuarantineOps(record, NOW_MS))
      expect(quarantineOf(lifted, NOW_MS)).toBeUndefined()
      // What others told of it stays: it is not what the workload did.
      expect([...lifted.keys()].toSorted()).toEqual(['cb', 'cs:0a', 'qt', 'xl'])
      const again = applyOps(lifted, quarantineOps(NOW_MS + 60_000, NOW_MS, lifted))
      expect(quarantineOf(again, NOW_MS)?.reason).toBe('quarantined')
    }
  })

  test('a quarantine is not shortened by another', () => {
    const long = applyOps(EMPTY_RECORD, quarantineOps(NOW_MS + 60_000, NOW_MS))
    const both = applyOps(long, quarantineOps(NOW_MS + 1000, NOW_MS + 10, long))
    expect(quarantineOf(both, NOW_MS + 59_000)?.reason).toBe('quarantined')
  })

  test('one that an earlier version wrote holds, is lifted, and is written for it', () => {
    const before = applyOps(EMPTY_RECORD, [['max', 'qu', NOW_MS + 60_000]])
    expect(quarantineOf(before, NOW_MS)?.reason).toBe('quarantined')
    expect(quarantineOf(applyOps(before, liftQuarantineOps(before, NOW_MS)), NOW_MS)).toBeUndefined()
    const now = applyOps(EMPTY_RECORD, quarantineOps(NOW_MS + 60_000, NOW_MS))
    expect(now.get('qu')).toBe(NOW_MS + 60_000)
  })

  test('a time without a date is no reason to fail', () => {
    const record = applyOps(EMPTY_RECORD, quarantineOps(Number.MAX_VALUE, NOW_MS))
    expect(quarantineOf(record, NOW_MS)?.message).toMatch(/275760/)
  })
})

describe('alerts', () => {
  test.each<[number, string | undefined]>([
    [50, undefined],
    [51, 'MEDIUM'],
    [70, 'MEDIUM'],
    [71, 'HIGH'],
  ])('a score of %i', (score, severity) => {
    expect(severityOf(score, POLICY.alerts)).toBe(severity)
  })

  test('one for a subject and severity within the window', () => {
    const dedupe = new AlertDedupe()
    const is = (subject: string, severity: 'MEDIUM' | 'HIGH', atMs: number) =>
      dedupe.isNew(subject, severity, 1000, atMs)
    expect(is('a', 'MEDIUM', 0)).toBe(true)
    expect(is('a', 'MEDIUM', 999)).toBe(false)
    expect(is('b', 'MEDIUM', 999)).toBe(true)
    expect(is('a', 'HIGH', 999)).toBe(true)
    expect(is('a', 'MEDIUM', 1500)).toBe(false)
    expect(is('a', 'HIGH', 1999)).toBe(true)
  })
})

describe('what a RiskPolicy may not say', () => {
  const document = (name: string, spec: RiskDocument['spec'], faults: string[]): RiskDocument => ({
    metadata: { name },
    spec,
    report: (pointer, message, code) => faults.push(`${name} ${pointer.join('.')} ${code}: ${message}`),
  })
  test.each<[string, readonly RiskDocument['spec'][], readonly string[]]>([
    [
      'thresholds that cross',
      [{ session: { stepUpAbove: 90 } }],
      [
        'p0 spec.session.stepUpAbove thresholds-crossed: `stepUpAbove` (90) is more than `terminateAbove` (80)',
      ],
    ],
    [
      'tiers that do not rise',
      [
        {
          factors: {
            failedAttempts: {
              tiers: [
                { above: 5, points: 10 },
                { above: 5, points: 20 },
              ],
            },
          },
        },
      ],
      [
        'p0 spec.factors.failedAttempts.tiers.1 tiers-not-rising: tiers must rise, in `above` and in `points`',
      ],
    ],
    [
      'one number twice',
      [{ expireAfter: '2h' }, { expireAfter: '3h' }],
      ['p1 spec.expireAfter duplicate-setting: `expireAfter` is set by the RiskPolicy `p0` too'],
    ],
  ])('%s', (_name, specs, expected) => {
    const faults: string[] = []
    compileRisk(specs.map((spec, index) => document(`p${index}`, spec, faults)))
    expect(faults).toEqual(expected)
  })

  test('two documents may set different numbers', () => {
    const faults: string[] = []
    const policy = compileRisk([
      document('a', { factors: { newDevice: { points: 25 } } }, faults),
      document('b', { factors: { unusualTime: { from: '08:00' } }, expireAfter: '2h' }, faults),
    ])
    expect(faults).toEqual([])
    expect(policy).toMatchObject({
      newDevice: { points: 25 },
      unusualTime: { points: 15, fromMinute: 480, toMinute: 1320 },
      expireAfterMs: 2 * 60 * MINUTE_MS,
    })
  })
})
