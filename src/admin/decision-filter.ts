import type { DecisionsQuery } from './schemas/decisions.js'

export type DecisionEvent = Readonly<Record<string, unknown>>

/** A security event of a decision; undefined for lines of another kind. */
export function readDecision(line: string): DecisionEvent | undefined {
  const value: unknown = JSON.parse(line)
  if (typeof value !== 'object' || value === null) return undefined
  const event: DecisionEvent = { ...value }
  return typeof event['decisionId'] === 'string' ? event : undefined
}

/** Whether an event is what was asked for; what is not asked about doesn't matter. */
export function isWanted(event: DecisionEvent, query: DecisionsQuery): boolean {
  const { user, caller, target, decision, reason } = query
  return (
    (user === undefined || event['userId'] === user) &&
    (caller === undefined || event['callerService'] === caller || event['workloadId'] === caller) &&
    (target === undefined || event['targetService'] === target) &&
    (decision === undefined || event['decision'] === decision) &&
    (reason === undefined || event['decisionReason'] === reason)
  )
}
