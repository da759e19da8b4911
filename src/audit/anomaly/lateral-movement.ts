import { Baseline } from './baseline.js'
import type { EventFacts } from './facts.js'
import { type Found, named, type Severity, Tally } from './finding.js'
import type { AnomalyOptions } from './options.js'
import type { Told } from './told.js'

/** Reasons that say that the caller has no business there; an expired token or a store that is away says nothing. */
const NO_BUSINESS: ReadonlySet<string> = new Set([
  'caller-unknown',
  'call-not-allowed',
  'endpoint-not-exposed',
  'rule-not-matched',
  'scope-missing',
  'forbidden',
  'target-unknown',
  'asker-not-allowed',
  'data-policy',
  'grant-required',
  'approval-required',
])

/** Targets that are remembered at once; more don't make it worse. */
const MAX_TARGETS = 256
/** Times `targets`: from here on nothing that was learned makes it usual. */
const NEVER_USUAL = 4
/** How far what is learned as usual may rise at once. */
const RISE = 3

export type LateralState = {
  /** When each target refused last, in that order. */
  readonly refused: Map<string, number>
  /** The stretch of time whose breadth is learned. */
  sinceMs: number
  most: number
  tally: Tally
  readonly baseline: Baseline
}

export function newLateral(baseline = new Baseline()): LateralState {
  return { refused: new Map(), sinceMs: 0, most: 0, tally: new Tally(), baseline }
}

export function isMovement({ refusedFor, target }: EventFacts): boolean {
  return refusedFor !== undefined && target !== undefined && NO_BUSINESS.has(refusedFor)
}

/** One subject refused by many different targets within the window, and by more than usual. */
export function lateralMovement(
  state: LateralState,
  { atMs, target = '', decisionId }: EventFacts,
  { lateralMovement: { targets, windowMs } }: AnomalyOptions,
  told: Told,
): Found | undefined {
  if (atMs - state.sinceMs > windowMs) {
    if (state.most > 0)
      state.baseline.learn(state.most, { times: RISE, floor: targets, leastWindows: 0 }, atMs)
    state.sinceMs = atMs
    state.most = 0
    state.tally = new Tally()
  }
  const { refused, baseline } = state
  refused.delete(target)
  refused.set(target, atMs)
  for (const [name, refusedMs] of refused) {
    if (atMs - refusedMs <= windowMs && refused.size <= MAX_TARGETS) break
    refused.delete(name)
  }
  state.tally.add(decisionId)
  const count = refused.size
  if (count > state.most) state.most = count
  // One below, as `targets` itself is remarkable.
  const usual = baseline.limit({ times: 1, floor: targets - 1, leastWindows: 0 }, atMs)
  if (count <= Math.min(usual, NEVER_USUAL * targets - 1)) return undefined
  const severity = severityOf(count / targets)
  if (!told.isNew('lateral-movement', severity, windowMs, atMs)) return undefined
  return {
    rule: 'lateral-movement',
    severity,
    atMs,
    fromMs: Math.min(atMs, state.sinceMs, ...refused.values()),
    observed: count,
    baseline: Math.round(baseline.mean),
    unit: 'targets',
    message: `refused by ${count} different targets: ${named(refused.keys())}`,
    events: state.tally,
  }
}

function severityOf(times: number): Severity {
  if (times >= NEVER_USUAL) return 'Critical'
  return times >= 2 ? 'High' : 'Medium'
}
