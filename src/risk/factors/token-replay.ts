import type { StateOp, StateRecord } from '../../state/record.js'
import { eventOp, type Finding, liveEvent } from '../finding.js'
import type { RiskPolicy } from '../risk-policy.js'

/** A one-time token that came again, by the workload that brought it. Counts until the score expires. Source: REQUIREMENTS R1. */
export function tokenReplay(record: StateRecord, policy: RiskPolicy, nowMs: number): Finding | undefined {
  return liveEvent(record, 'token-replay', policy.tokenReplay.points, policy.expireAfterMs, nowMs)
}

export function replayOp(nowMs: number): StateOp {
  return eventOp('token-replay', nowMs)
}
