import type { CheckParts } from '../ext-authz/check.js'
import { type Alert, AlertDedupe, alertOf } from '../risk/alerts.js'
import type { RiskPolicy } from '../risk/risk-policy.js'
import type { StateStore } from '../state/store.js'

export type FeedbackParts = {
  readonly store: Pick<StateStore, 'note' | 'commit'>
  readonly risk: () => RiskPolicy
  readonly alert: (alert: Alert) => void
}

/** Keeps what decisions teach, and tells of those that are risky. */
export function openFeedback({ store, risk, alert }: FeedbackParts): Pick<CheckParts, 'learn'> {
  const dedupe = new AlertDedupe()
  return {
    learn: (decision, decisionId, _asker, nowMs) => {
      const found = alertOf(decision, decisionId, risk().alerts, dedupe, nowMs)
      if (found) alert(found)
      const { lessons } = decision
      if (!lessons) return undefined
      if (lessons.noted.length > 0) store.note(lessons.noted)
      // The caller is refused either way; a commit that fails is tried again by the store.
      return lessons.committed.length > 0 ? store.commit(lessons.committed).then(() => undefined) : undefined
    },
  }
}
