import type { AccessLogEntry } from '../ext-authz/access-log-reader.js'
import type { CheckParts } from '../ext-authz/check.js'
import { GivenDecisions } from '../decision/given-decisions.js'
import { andThen } from '../identity/eventually.js'
import type { Asker } from '../request/listener.js'
import { type Alert, AlertDedupe, alertOf } from '../risk/alerts.js'
import { volumeOps } from '../risk/factors/data-volume.js'
import { failureOps } from '../risk/factors/failed-attempts.js'
import type { RiskPolicy } from '../risk/risk-policy.js'
import type { Decision } from '../decision/decision.js'
import { AccessAlerts } from '../data/access-alert.js'
import { observing, RuleUses } from '../grants/rule-use.js'
import type { StateOp } from '../state/record.js'
import type { StateStore } from '../state/store.js'
import type { SubjectKeys } from '../state/subjects.js'

export type FeedbackParts = {
  readonly store: Pick<StateStore, 'note' | 'commit' | 'read' | 'documents'>
  readonly risk: () => RiskPolicy
  readonly alert: (alert: Alert) => void
  /** The same for what has another form: one line of JSON. */
  readonly tell: (line: string) => void
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
export function openFeedback({ store, risk, alert, tell, accessLogs, nowMs }: FeedbackParts): Feedback {
  const dedupe = new AlertDedupe()
  const accesses = new AccessAlerts()
  const ruleUses = new RuleUses()
  store.note([observing(nowMs())])
  const given = accessLogs ? new GivenDecisions<SubjectKeys>() : undefined
  return {
    given,
    learn: (decision, decisionId, asker, atMs) => {
      const found = alertOf(decision, decisionId, risk().alerts, dedupe, atMs)
      if (found) alert(found)
      const access = accesses.about(decision, decisionId, risk().alerts.windowMs, atMs)
      if (access !== undefined) tell(access)
      const ruleUse = ruleUses.noted(decision, atMs)
      if (ruleUse) store.note([ruleUse])
      const { lessons, subjects } = decision
      if (given && subjects && decision.outcome === 'allow') {
        given.remember(decisionId, asker.spiffeId, subjects, atMs)
      }
      if (!lessons) return undefined
      if (lessons.noted.length > 0) store.note(lessons.noted)
      writeDown(decision, store, atMs)
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

/** For people who list what is quarantined and what was ended; the records alone decide. */
function writeDown(
  { lessons, user, workload, message, target }: Decision,
  { documents }: Pick<StateStore, 'documents'>,
  atMs: number,
): void {
  const reason = `${message} (at ${target ?? 'an unknown target'})`.slice(0, REASON_UNITS)
  if (lessons?.quarantined !== undefined && workload) {
    const entry = { workload: workload.spiffeId.text, by: BY_RISK, reason, sinceMs: atMs }
    void documents.put('quarantine', lessons.quarantined, JSON.stringify(entry))
  }
  if (lessons?.ended !== undefined && user) {
    const { issuer, subject, sessionId } = user
    const ended = {
      issuer,
      subject,
      ...(sessionId !== undefined && { sessionId }),
      endedAtMs: atMs,
      endedBy: BY_RISK,
      reason,
    }
    void documents.put('sessions', lessons.ended, JSON.stringify(ended))
  }
}

const BY_RISK = 'risk'
const REASON_UNITS = 500

/** What the target itself refused, or failed at. Source: REQUIREMENTS R9. */
function isFailure({ deniedByAuthz, responseCode }: AccessLogEntry): boolean {
  return !deniedByAuthz && (responseCode === 401 || responseCode === 403 || responseCode >= 500)
}
