import type { Refusal } from '../decision/decision.js'
import { latestOf, type StateOp, type StateRecord } from '../state/record.js'
import type { RiskPolicy } from './risk-policy.js'
import type { RiskScore } from './score.js'

/** Until when a workload is refused everywhere, milliseconds since the epoch; 0 once it was lifted: `latest`. */
const QUARANTINED_UNTIL = 'qu'

export type WorkloadVerdict = {
  readonly refusal: Refusal | undefined
  /** The workload is to be refused by every target on every replica. */
  readonly quarantine: boolean
}

const KEEP: WorkloadVerdict = { refusal: undefined, quarantine: false }

/** A workload in quarantine is refused in every mode, whatever it asks for. */
export function quarantineOf(record: StateRecord, nowMs: number): Refusal | undefined {
  const untilMs = quarantinedUntilMs(record)
  if (untilMs === undefined || nowMs >= untilMs) return undefined
  const message = `the workload is quarantined until ${new Date(untilMs).toISOString()}`
  return { reason: 'quarantined', message }
}

/**
 * A workload is never challenged: a risk too high refuses it. Only what was computed here, without levels that others
 * told, quarantines it. Source: REQUIREMENTS D7, R1.
 */
export function judgeWorkload(
  { score, findings }: RiskScore,
  policy: RiskPolicy,
  computed = score,
): WorkloadVerdict {
  const { denyAbove, quarantineAbove } = policy.workload
  if (score <= denyAbove) return KEEP
  const why = findings.map(({ factor, points }) => `${factor} ${points}`).join(', ')
  const message = `the workload's risk of ${score} is too high (${why})`
  return { refusal: { reason: 'risk-too-high', message }, quarantine: computed > quarantineAbove }
}

/** The last time that has a date. */
const LATEST_MS = 8.64e15

/** Undefined for a workload that never was; a time that has passed for one that was. */
export function quarantinedUntilMs(record: StateRecord): number | undefined {
  const stored = latestOf(record, QUARANTINED_UNTIL)
  const untilMs = Number(stored?.text)
  return Number.isFinite(untilMs) ? Math.min(untilMs, LATEST_MS) : undefined
}

/** What was decided last counts; of two decisions of one millisecond the longer one. */
export function quarantineOps(untilMs: number, nowMs: number): readonly StateOp[] {
  return [['latest', QUARANTINED_UNTIL, nowMs, String(Math.ceil(untilMs))]]
}

/** Ends a quarantine and forgets what led to it, so that the next call does not begin it anew. */
export function liftQuarantineOps(record: StateRecord, nowMs: number): readonly StateOp[] {
  const learned = [...record.keys()].filter((field) => field !== QUARANTINED_UNTIL)
  // A quarantine by a clock that is ahead is lifted too.
  const atMs = Math.max(nowMs, (latestOf(record, QUARANTINED_UNTIL)?.atMs ?? 0) + 1)
  return [...learned.map((field) => ['drop', field] as const), ['latest', QUARANTINED_UNTIL, atMs, '0']]
}
