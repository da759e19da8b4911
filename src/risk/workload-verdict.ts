import type { Refusal } from '../decision/decision.js'
import { EMPTY_RECORD, latestOf, numberOf, type StateOp, type StateRecord } from '../state/record.js'
import type { RiskPolicy } from './risk-policy.js'
import type { RiskScore } from './score.js'

/** Until when a workload is refused everywhere, milliseconds since the epoch; 0 once it was lifted: `latest`. */
const QUARANTINED_UNTIL = 'qt'
/** The same as 0.1 before lifting knew it: a number that only grew (`max`). Written too, for replicas of that version. */
const QUARANTINED_BEFORE = 'qu'
/** What others told of the workload and its certificates is nothing that it learned to deserve. */
const TOLD = /^(?:xl|cb|cs:.*)$/

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
  const decided = Number(latestOf(record, QUARANTINED_UNTIL)?.text)
  const before = numberOf(record, QUARANTINED_BEFORE)
  const untilMs = Math.max(Number.isFinite(decided) ? decided : -1, before ?? -1)
  return untilMs < 0 ? undefined : Math.min(untilMs, LATEST_MS)
}

/** What was decided last counts; of two decisions of one millisecond the longer one. It never shortens one that is there. */
export function quarantineOps(
  untilMs: number,
  nowMs: number,
  record: StateRecord = EMPTY_RECORD,
): readonly StateOp[] {
  const longerMs = Math.max(Math.ceil(untilMs), quarantinedUntilMs(record) ?? 0)
  return [
    ['latest', QUARANTINED_UNTIL, decidedAtMs(record, nowMs), String(longerMs)],
    ['max', QUARANTINED_BEFORE, longerMs],
  ]
}

/** Later than what is decided by now, also where that was by a clock that is ahead. */
function decidedAtMs(record: StateRecord, nowMs: number): number {
  return Math.max(nowMs, (latestOf(record, QUARANTINED_UNTIL)?.atMs ?? -1) + 1)
}

/** Ends a quarantine and forgets what led to it, so that the next call does not begin it anew. */
export function liftQuarantineOps(record: StateRecord, nowMs: number): readonly StateOp[] {
  const learned = [...record.keys()].filter((field) => field !== QUARANTINED_UNTIL && !TOLD.test(field))
  return [
    ...learned.map((field) => ['drop', field] as const),
    ['latest', QUARANTINED_UNTIL, decidedAtMs(record, nowMs), '0'],
  ]
}
