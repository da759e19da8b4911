import type { TargetEvidence } from './evidence.js'
import { type Callers, type Seen, total, USERS } from './seen.js'

/** A target with as many users has endpoints that more than one of them uses. */
export const MANY_USERS = 10

/** A way of a target that was seen of one user alone. */
export type SingleUser = { readonly caller: string; readonly way: string; readonly seen: Seen }

/**
 * Marks what one user alone did among many: a rule for users would open it to all of them. What a workload does on behalf
 * of users counts together with what other workloads do there.
 */
export function leaveOutSingleUsers(evidence: TargetEvidence): readonly SingleUser[] {
  const found: SingleUser[] = []
  for (const [way, callers] of waysOf(evidence)) {
    const ofWorkloads = total([...callers].flatMap(([caller, seen]) => (caller === USERS ? [] : [seen])))
    for (const [caller, seen] of callers) {
      const among = caller === USERS ? seen : ofWorkloads
      if (seen.withUser < seen.count || seen.users?.size !== 1 || among.users?.size !== 1) continue
      if (among.withUser < among.count) continue
      seen.isLeftOut = true
      found.push({ caller, way, seen })
    }
  }
  return found
}

function* waysOf({ http, webSocket, grpc, named }: TargetEvidence): Generator<readonly [string, Callers]> {
  for (const tree of [http, webSocket]) {
    for (const { template, methods } of tree.leaves()) {
      for (const [method, callers] of methods) yield [`${method} ${template}`, callers]
    }
  }
  for (const [method, callers] of grpc) yield [method, callers]
  for (const [endpoint, callers] of named) yield [`endpoint ${endpoint}`, callers]
}

/** Those that are learned. */
export function kept(callers: Callers): Callers {
  return new Map([...callers].filter(([, { isLeftOut }]) => isLeftOut !== true))
}
