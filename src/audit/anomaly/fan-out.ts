import { Baseline, type Measure } from './baseline.js'
import type { EventFacts } from './facts.js'
import { type Found, named, Tally } from './finding.js'
import type { AnomalyOptions } from './options.js'
import type { Told } from './told.js'

/** Windows with calls that must have been before a breadth is remarkable. */
const LEAST_WINDOWS = 3
/** Targets that are told apart in one window. */
export const MAX_TARGETS = 1024

export type FanOutState = {
  window: number
  /** In the order in which they were first asked for. */
  readonly targets: Set<string>
  last: string
  limit: number
  tally: Tally
  readonly baseline: Baseline
}

export function newFanOut(baseline = new Baseline()): FanOutState {
  return { window: 0, targets: new Set(), last: '', limit: Infinity, tally: new Tally(), baseline }
}

/** A subject that asks for many more different targets in a window than it did in earlier ones, refused or not. */
export function fanOut(
  state: FanOutState,
  { atMs, target, decisionId }: EventFacts,
  options: AnomalyOptions,
  told: Told,
  onFull: () => void,
): Found | undefined {
  if (target === undefined) return undefined
  const window = Math.floor(atMs / options.windowMs)
  if (window > state.window) begin(state, window, options)
  if (target === state.last) return undefined
  state.last = target
  const { targets, limit, baseline } = state
  if (targets.has(target)) return undefined
  if (targets.size >= MAX_TARGETS) {
    onFull()
    return undefined
  }
  targets.add(target)
  const count = targets.size
  if (2 * count <= limit) return undefined
  state.tally.add(decisionId)
  if (count <= limit) return undefined
  const severity = count > 3 * limit ? 'High' : 'Medium'
  if (!told.isNew('fan-out', severity, options.windowMs, atMs)) return undefined
  return {
    rule: 'fan-out',
    severity,
    atMs,
    fromMs: state.window * options.windowMs,
    observed: count,
    baseline: Math.round(baseline.mean),
    unit: 'targets',
    message: `asked for ${count} different targets since the window began; usual are ${Math.round(baseline.mean)}. The latest: ${named([...targets].toReversed())}`,
    events: state.tally,
  }
}

function begin(state: FanOutState, window: number, options: AnomalyOptions): void {
  const { times, leastTargets } = options.fanOut
  const measure: Measure = { times, floor: leastTargets, leastWindows: LEAST_WINDOWS }
  const startMs = window * options.windowMs
  if (state.targets.size > 0) state.baseline.learn(state.targets.size, measure, startMs)
  state.targets.clear()
  state.last = ''
  state.tally = new Tally()
  state.limit = state.baseline.limit(measure, startMs)
  state.window = window
}
