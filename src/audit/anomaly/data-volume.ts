import { Baseline, type Measure } from './baseline.js'
import type { EventFacts } from './facts.js'
import { type Found, type Severity, Tally } from './finding.js'
import type { AnomalyOptions } from './options.js'
import type { Told } from './told.js'

/** Windows with calls that must have been before one is remarkable. */
const LEAST_WINDOWS = 6

export type VolumeState = {
  /** Number of the window that is counted: milliseconds since the epoch over its length. */
  window: number
  readonly calls: Series
  readonly accesses: Series
}

type Series = { count: number; limit: number; tally: Tally | undefined; readonly baseline: Baseline }

export function newVolume(calls = new Baseline(), accesses = new Baseline()): VolumeState {
  return { window: 0, calls: newSeries(calls), accesses: newSeries(accesses) }
}

function newSeries(baseline: Baseline): Series {
  return { count: 0, limit: Infinity, tally: undefined, baseline }
}

/**
 * A window in which a subject is let pass far more often than is usual for it, or reads far more classified data.
 * Windows without a call say nothing of what is usual, so that a job that runs once a day is measured by its own runs.
 */
export function dataVolume(
  state: VolumeState,
  facts: EventFacts,
  options: AnomalyOptions,
  told: Told,
): Found | undefined {
  if (!facts.allowed) return undefined
  const window = Math.floor(facts.atMs / options.windowMs)
  if (window > state.window) begin(state, window, options)
  const isAccess =
    facts.classification !== undefined && (facts.operation === 'Read' || facts.operation === 'Download')
  const byAccess = isAccess
    ? noted(state.accesses, 'accesses', state.window, facts, options, told)
    : undefined
  return noted(state.calls, 'calls', state.window, facts, options, told) ?? byAccess
}

function begin(state: VolumeState, window: number, options: AnomalyOptions): void {
  const startMs = window * options.windowMs
  for (const unit of ['calls', 'accesses'] as const) {
    const series = state[unit]
    const measure = measureOf(unit, options)
    if (series.count > 0) series.baseline.learn(series.count, measure, startMs)
    series.count = 0
    series.tally = undefined
    series.limit = series.baseline.limit(measure, startMs)
  }
  state.window = window
}

function measureOf(unit: 'calls' | 'accesses', { dataVolume: options }: AnomalyOptions): Measure {
  const { times, leastCalls, leastAccesses } = options
  return { times, floor: unit === 'calls' ? leastCalls : leastAccesses, leastWindows: LEAST_WINDOWS }
}

function noted(
  series: Series,
  unit: 'calls' | 'accesses',
  window: number,
  { atMs, decisionId }: EventFacts,
  options: AnomalyOptions,
  told: Told,
): Found | undefined {
  const count = ++series.count
  const { limit, baseline } = series
  // Events are named once half of what is remarkable is reached: those before are as ever.
  if (2 * count <= limit) return undefined
  const events = (series.tally ??= new Tally())
  events.add(decisionId)
  if (count <= limit) return undefined
  const severity = severityOf(unit, count / limit)
  if (!told.isNew('data-volume', severity, options.windowMs, atMs)) return undefined
  const what = unit === 'calls' ? 'calls were let pass' : 'times classified data was read'
  return {
    rule: 'data-volume',
    severity,
    atMs,
    fromMs: window * options.windowMs,
    observed: count,
    baseline: Math.round(baseline.mean),
    unit,
    message: `${count} ${what} since the window began; usual are ${Math.round(baseline.mean)}`,
    events,
  }
}

function severityOf(unit: 'calls' | 'accesses', overLimit: number): Severity {
  const [once, far] = unit === 'calls' ? (['Medium', 'High'] as const) : (['High', 'Critical'] as const)
  return overLimit >= 5 ? far : once
}
