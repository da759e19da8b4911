import type { StateOp, StateRecord } from '../../state/record.js'
import type { Finding } from '../finding.js'
import type { RiskPolicy } from '../risk-policy.js'
import { type SeenTargets, targetOps, targetsWithin } from './seen-targets.js'

/** Targets that the workload asked for, refused or not. */
const ASKED: SeenTargets = { prefix: 'c:', last: 'cl' }

/** One workload that asks for more targets within the window than any should. Source: REQUIREMENTS R1. */
export function fanOut(
  record: StateRecord,
  { fanOut: { points, targets, windowMs } }: RiskPolicy,
  nowMs: number,
): Finding | undefined {
  if (points === 0) return undefined
  const { count, lastMs } = targetsWithin(record, ASKED, windowMs, nowMs)
  return count > targets ? { factor: 'fan-out', points, beganMs: lastMs } : undefined
}

export function askedTargetOps(record: StateRecord, target: string, nowMs: number): readonly StateOp[] {
  return targetOps(record, ASKED, target, nowMs)
}
