import type { Decision, Lessons } from '../decision/decision.js'
import type { RefusalReason } from '../decision/reason.js'
import { knownSessionOps } from '../session/known-sessions.js'
import {
  sessionKeptUntilMs,
  type SessionLimits,
  sessionOps,
  terminationOps,
} from '../session/session-limits.js'
import { grantUsed } from '../grants/grant-use.js'
import { EMPTY_RECORD, type StateDelta, type StateOp } from '../state/record.js'
import type { Recalled } from '../state/recall.js'
import type { Assessment } from './assess.js'
import { failureOps } from './factors/failed-attempts.js'
import { askedTargetOps } from './factors/fan-out.js'
import { refusedTargetOps } from './factors/lateral-movement.js'
import { replayOp } from './factors/token-replay.js'
import type { RiskPolicy } from './risk-policy.js'
import { quarantineOps } from './workload-verdict.js'

const DAY_MS = 24 * 3_600_000
/** How long a subject is known after it was last seen. */
const KEPT_MS = 30 * DAY_MS
const ADDRESS_KEPT_MS = DAY_MS

/** Refusals that say nothing of the caller's intent: Portcullis' own, and those that state and risk gave already. */
const NO_ATTEMPT: ReadonlySet<RefusalReason> = new Set([
  'overloaded',
  'internal-error',
  'state-unavailable',
  'not-ready',
  'session-terminated',
  'session-expired',
  'session-idle',
  'certificate-revoked',
  'risk-too-high',
  'quarantined',
  'no-credentials',
])

export type Learned = Pick<
  Decision,
  'outcome' | 'reason' | 'blameless' | 'target' | 'user' | 'mode' | 'grants'
>

/**
 * What a decided call teaches about its subjects. A failed attempt counts against the verified user, else the workload,
 * else the address; what a mode let pass counts against nobody. Source: FORMATS 2.
 */
export function lessonsOf(
  decision: Learned,
  known: Recalled,
  { assessment, lacksEdge }: { readonly assessment: Assessment | undefined; readonly lacksEdge: boolean },
  policy: RiskPolicy,
  limits: SessionLimits,
  nowMs: number,
): Lessons | undefined {
  const { keys } = known
  const noted: StateDelta[] = []
  const committed: StateDelta[] = []
  const note = (key: string | undefined, ops: readonly StateOp[], keptMs: number): void => {
    if (key !== undefined && ops.length > 0) noted.push({ key, ops, expiresAtMs: nowMs + keptMs })
  }
  const failed = isAttempt(decision)
  const userOps = assessment?.user.ops ?? []
  note(
    keys.user,
    failed && keys.user !== undefined ? [...userOps, ...failureOps(policy.failedAttempts, nowMs)] : userOps,
    KEPT_MS,
  )
  if (keys.workload !== undefined) {
    note(
      keys.workload,
      workloadOps(decision, known, failed && keys.user === undefined, lacksEdge, policy, nowMs),
      KEPT_MS,
    )
  } else if (failed && keys.user === undefined) {
    note(keys.address, failureOps(policy.failedAttempts, nowMs), ADDRESS_KEPT_MS)
  }
  if (decision.outcome === 'allow' && decision.mode === 'Enforce') {
    for (const grant of decision.grants ?? []) {
      if (keys.grants !== undefined) noted.push(grantUsed(keys.grants, grant, nowMs))
    }
  }
  const keptUntilMs = sessionKeptUntilMs(limits, nowMs)
  if (decision.outcome === 'allow' && keys.session !== undefined) {
    const ops = sessionOps(known.session ?? EMPTY_RECORD, limits, nowMs)
    if (ops.length > 0) {
      noted.push({ key: keys.session, ops, expiresAtMs: keptUntilMs })
      const { sessionId } = decision.user ?? {}
      if (sessionId !== undefined) {
        note(keys.user, knownSessionOps(known.user, keys.session, sessionId, nowMs), KEPT_MS)
      }
    }
  }
  const toEnd = keys.session ?? keys.user
  let ended: string | undefined
  let quarantined: string | undefined
  if (assessment?.terminate && decision.reason === 'session-terminated' && toEnd !== undefined) {
    ended = toEnd
    committed.push({ key: ended, ops: terminationOps(nowMs), expiresAtMs: keptUntilMs })
  }
  if (assessment?.quarantine && decision.outcome === 'deny' && keys.workload !== undefined) {
    const untilMs = nowMs + policy.workload.quarantineForMs
    quarantined = keys.workload
    committed.push({
      key: quarantined,
      ops: quarantineOps(untilMs, nowMs, known.workload),
      expiresAtMs: nowMs + KEPT_MS,
    })
  }
  return noted.length === 0 && committed.length === 0 ? undefined : { noted, committed, ended, quarantined }
}

/** A verified user whose token is out of date was told so by a signal, which the client can't know yet. */
function isAttempt({
  outcome,
  reason,
  blameless,
  user,
}: Pick<Learned, 'outcome' | 'reason' | 'blameless' | 'user'>): boolean {
  if (blameless) return false
  if (outcome !== 'deny' || reason === 'allowed' || NO_ATTEMPT.has(reason)) return false
  return reason !== 'user-token-expired' || user === undefined
}

function workloadOps(
  { outcome, reason, blameless, target, user }: Learned,
  { workload }: Recalled,
  failed: boolean,
  lacksEdge: boolean,
  policy: RiskPolicy,
  nowMs: number,
): readonly StateOp[] {
  const ops: StateOp[] = failed ? [...failureOps(policy.failedAttempts, nowMs)] : []
  if (reason === 'service-token-replayed' && !blameless) ops.push(replayOp(nowMs))
  if (target === undefined) return ops
  ops.push(...askedTargetOps(workload, target, nowMs))
  if (lacksEdge && isAttempt({ outcome, reason, blameless, user }))
    ops.push(...refusedTargetOps(workload, target, nowMs))
  return ops
}
