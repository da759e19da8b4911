import type { AccessLogEntry } from '../ext-authz/access-log-reader.js'
import type { CheckParts } from '../ext-authz/check.js'
import { GivenDecisions } from '../decision/given-decisions.js'
import { andThen } from '../identity/eventually.js'
import type { Asker } from '../request/listener.js'
import { type Alert, AlertDedupe, alertOf } from '../risk/alerts.js'
import { volumeOps } from '../risk/factors/data-volume.js'
import { failureOps } from '../risk/factors/failed-attempts.js'
import type { RiskPolicy } from '../risk/risk-policy.js'
import type { StateOp } from '../state/record.js'
import type { StateStore } from '../state/store.js'
import type { SubjectKeys } from '../state/subjects.js'

export type FeedbackParts = {
  readonly store: Pick<StateStore, 'note' | 'commit' | 'read'>
  readonly risk: () => RiskPolicy
  readonly alert: (alert: Alert) => void
  /** Envoys tell what became of the calls that were let pass. */
  readonly accessLogs: boolean
  readonly nowMs: () => number
}

export type Feedback = Pick<CheckParts, 'learn'> & {
  /** Takes what an Envoy tells of a call; undefined where nobody is listened to. */
  readonly accessLogs: ((entry: AccessLogEntry, asker: Asker) => void) | undefined
  /** Decisions that Envoys were given and haven't told about. */
  readonly given: GivenDecisions<SubjectKeys> | undefined
}

const KEPT_MS = 30 * 24 * 3_600_000

/** Keeps what decisions teach and what came of them, and tells of those that are risky. */
export function openFeedback({ store, risk, alert, accessLogs, nowMs }: FeedbackParts): Feedback {
  const dedupe = new AlertDedupe()
  const given = accessLogs ? new GivenDecisions<SubjectKeys>() : undefined
  return {
    given,
    learn: (decision, decisionId, asker, atMs) => {
      const found = alertOf(decision, decisionId, risk().alerts, dedupe, atMs)
      if (found) alert(found)
      const { lessons, subjects } = decision
      if (given && subjects && decision.outcome === 'allow') {
        given.remember(decisionId, asker.spiffeId, subjects, atMs)
      }
      if (!lessons) return undefined
      if (lessons.noted.length > 0) store.note(lessons.noted)
      // The caller is refused either way; a commit that fails is tried again by the store.
      return lessons.committed.length > 0 ? store.commit(lessons.committed).then(() => undefined) : undefined
    },
    accessLogs:
      given &&
      ((entry, asker) => {
        const atMs = nowMs()
        const subjects = given.take(entry.decisionId, asker.spiffeId, atMs)
        if (typeof subjects === 'string') return
        const key = subjects.user ?? subjects.workload ?? subjects.address
        if (key === undefined) return
        const failed = isFailure(entry) ? failureOps(risk().failedAttempts, atMs) : []
        void andThen(store.read(key, atMs), (record) => {
          const volume = record === 'unavailable' ? [] : volumeOps(record, entry.responseBytes, risk(), atMs)
          const ops: readonly StateOp[] = [...failed, ...volume]
          if (ops.length > 0) store.note([{ key, ops, expiresAtMs: atMs + KEPT_MS }])
        })
      }),
  }
}

/** What the target itself refused, or failed at. Source: REQUIREMENTS R9. */
function isFailure({ deniedByAuthz, responseCode }: AccessLogEntry): boolean {
  return !deniedByAuthz && (responseCode === 401 || responseCode === 403 || responseCode >= 500)
}
