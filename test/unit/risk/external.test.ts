import { describe, expect, test } from '@jest/globals'
import { compileRisk } from '../../../src/risk/compile-risk.js'
import { effectiveRisk } from '../../../src/risk/effective-risk.js'
import { highest, withExternal } from '../../../src/risk/external.js'
import { NO_RISK } from '../../../src/risk/score.js'
import { judgeWorkload } from '../../../src/risk/workload-verdict.js'
import { levelOps } from '../../../src/signals/level-ops.js'
import { applyOps, EMPTY_RECORD } from '../../../src/state/record.js'
import { aUser, NOW_MS } from '../../support/facts.js'

const POLICY = compileRisk([])
const HOUR_MS = 3_600_000
const told = (level: 'LOW' | 'MEDIUM' | 'HIGH', atMs = NOW_MS) =>
  applyOps(EMPTY_RECORD, levelOps(level, atMs))

test.each([
  ['nobody told anything', [EMPTY_RECORD, undefined], undefined],
  ['low is no risk', [told('LOW')], undefined],
  ['medium', [told('MEDIUM')], 55],
  ['high', [told('HIGH')], 80],
  ['the highest of several', [told('MEDIUM'), told('HIGH', NOW_MS - 1), undefined], 80],
  ['one of yesterday has expired', [told('HIGH', NOW_MS - 24 * HOUR_MS - 1)], undefined],
  ['one of a day ago has not', [told('HIGH', NOW_MS - 24 * HOUR_MS)], 80],
])('%s', (_name, records, points) => {
  expect(highest(records, POLICY.external, NOW_MS)?.points).toBe(points)
})

test('of equal levels the newest began last, so a step-up has to be newer', () => {
  const found = highest([told('HIGH', NOW_MS - 9), told('HIGH', NOW_MS - 2)], POLICY.external, NOW_MS)
  expect(found?.beganMs).toBe(NOW_MS - 2)
})

describe('effective risk', () => {
  const level = { factor: 'external-level', points: 80, beganMs: NOW_MS } as const

  test('is the highest, never the sum', () => {
    const ofUser = {
      score: 40,
      findings: [{ factor: 'new-device', points: 40, beganMs: 1 }],
      ops: [],
    } as const
    const risk = effectiveRisk(aUser({ riskScore: 30 }), POLICY.signals, ofUser, NO_RISK, level)
    expect(risk.score).toBe(80)
    expect(risk.factors.map(({ factor }) => factor)).toEqual(['token-claim', 'external-level', 'new-device'])
    expect(risk.sources).toContainEqual({ score: 80, beganMs: NOW_MS })
  })

  test('of a workload refuses it and quarantines nobody', () => {
    const risk = withExternal({ score: 10, findings: [], ops: [] }, { ...level, points: 90 })
    expect(judgeWorkload(risk, POLICY, 10)).toMatchObject({
      refusal: { reason: 'risk-too-high' },
      quarantine: false,
    })
  })
})
