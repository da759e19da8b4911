import type { Refusal } from '../decision/decision.js'
import { numberOf, type StateOp, type StateRecord } from '../state/record.js'
import type { RiskPolicy } from './risk-policy.js'
import type { RiskScore } from './score.js'

/** Until when a workload is refused everywhere, milliseconds since the epoch: `max`. */
const QUARANTINED_UNTIL = 'qu'

export type WorkloadVerdict = {
  readonly refusal: Refusal | undefined
  /** The workload is to be refused by every target on every replica. */
  readonly quarantine: boolean
}

const KEEP: WorkloadVerdict = { refusal: undefined, quarantine: false }

/** A workload in quarantine is refused in every mode, whatever it asks for. */
export function quarantineOf(record: StateRecord, nowMs: number): Refusal | undefined {
  const untilMs = numberOf(record, QUARANTINED_UNTIL)
  if (untilMs === undefined || nowMs >= untilMs) return undefined
  const message = `the workload is quarantined until ${new Date(untilMs).toISOString()}`
  return { reason: 'quarantined', message }
}

/** A workload is never challenged: a risk too high refuses it. Source: REQUIREMENTS D7, R1. */
export function judgeWorkload({ score, findings }: RiskScore, policy: RiskPolicy): WorkloadVerdict {
  const { denyAbove, quarantineAbove } = policy.workload
  if (score <= denyAbove) return KEEP
  const why = findings.map(({ factor, points }) => `${factor} ${points}`).join(', ')
  const message = `the workload's risk of ${score} is too high (${why})`
  return { refusal: { reason: 'risk-too-high', message }, quarantine: score > quarantineAbove }
}

export function quarantineOps(untilMs: number): readonly StateOp[] {
  return [['max', QUARANTINED_UNTIL, untilMs]]
}
