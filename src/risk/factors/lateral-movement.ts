import type { StateOp, StateRecord } from '../../state/record.js'
import type { Finding } from '../finding.js'
import type { RiskPolicy } from '../risk-policy.js'
import { tierOf } from '../tiers.js'
import { type SeenTargets, targetOps, targetsWithin } from './seen-targets.js'

/** Targets that refused the workload. */
const REFUSED: SeenTargets = { prefix: 't:', last: 'tl' }

/** One workload refused by many targets within the window. Source: REQUIREMENTS R1. */
export function lateralMovement(
  record: StateRecord,
  { lateralMovement: { tiers, windowMs } }: RiskPolicy,
  nowMs: number,
): Finding | undefined {
  const { count, lastMs } = targetsWithin(record, REFUSED, windowMs, nowMs)
  const points = tierOf(tiers, count)
  return points === 0 ? undefined : { factor: 'lateral-movement', points, beganMs: lastMs }
}

export function refusedTargetOps(record: StateRecord, target: string, nowMs: number): readonly StateOp[] {
  return targetOps(record, REFUSED, target, nowMs)
}
