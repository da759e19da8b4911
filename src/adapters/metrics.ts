import type { Decision } from '../decision/decision.js'
import { MODES } from '../decision/mode.js'
import { HTTP_STATUS_OF_REASON } from '../decision/reason.js'

/** One value of a metric. Labels must come from a bounded set, never from a request. */
export type Sample = { readonly labels?: Readonly<Record<string, string>>; readonly value: number }

/** A metric that is asked for its values whenever somebody scrapes. */
export type ReadMetric = {
  /** `portcullis_…`, units as suffix (`_seconds`, `_bytes`), counters end in `_total`. */
  readonly name: string
  readonly help: string
  readonly type: 'gauge' | 'counter'
  /** Nothing for what is not known yet. */
  readonly read: () => number | Iterable<Sample> | undefined
}

export type Metrics = {
  /** Counts one answered Check. `durationUs` in microseconds. */
  readonly observe: (decision: Decision, durationUs: number) => void
  /** A name that is already taken is a bug and throws. */
  readonly register: (metric: ReadMetric) => void
  /** Everything in the Prometheus text format, version 0.0.4. */
  readonly text: () => string
}

const OUTCOMES = ['allow', 'deny', 'challenge'] as const
const REASONS = ['allowed', ...Object.keys(HTTP_STATUS_OF_REASON)]
const SLOT_OF_REASON = new Map(REASONS.map((reason, at) => [reason, at]))

/** Upper bounds in microseconds; 250 µs and 1 ms tell a cached verdict from a first one. */
const BUCKETS_US = [
  50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 1_000_000,
]

/**
 * Counts decisions in arrays that are as large on the last day as on the first: every label is of a closed
 * list. Counting costs no allocation.
 */
export function createMetrics(): Metrics {
  const decided = new Float64Array(OUTCOMES.length * REASONS.length * MODES.length)
  const wouldBe = new Float64Array(decided.length)
  const durations = new Float64Array(BUCKETS_US.length + 1)
  let durationSumUs = 0
  const registered = new Map<string, ReadMetric>()

  function observe(decision: Decision, durationUs: number): void {
    count(decided, decision.outcome, decision.reason, decision.mode)
    const { wouldBe: would } = decision
    if (would) count(wouldBe, would.outcome, would.reason, decision.mode)
    let bucket = 0
    while (bucket < BUCKETS_US.length && durationUs > (BUCKETS_US[bucket] ?? 0)) bucket++
    durations[bucket] = (durations[bucket] ?? 0) + 1
    durationSumUs += durationUs
  }

  function register(metric: ReadMetric): void {
    if (registered.has(metric.name)) throw new Error(`metric ${metric.name} is registered twice`)
    registered.set(metric.name, metric)
  }

  function text(): string {
    const lines = [
      ...head(
        'portcullis_decisions_total',
        'Decisions by outcome, reason and mode of the target.',
        'counter',
      ),
      ...decisionSamples('portcullis_decisions_total', decided),
      ...head(
        'portcullis_would_be_decisions_total',
        'What Enforce would have decided where the mode let pass.',
        'counter',
      ),
      ...decisionSamples('portcullis_would_be_decisions_total', wouldBe),
      ...durationSamples(durations, durationSumUs),
    ]
    for (const { name, help, type, read } of registered.values()) {
      const values = read()
      if (values === undefined) continue
      lines.push(...head(name, help, type))
      const samples = typeof values === 'number' ? [{ value: values }] : values
      for (const { labels, value } of samples) lines.push(sample(name, labels, value))
    }
    return `${lines.join('\n')}\n`
  }

  return { observe, register, text }
}

function count(
  slots: Float64Array,
  outcome: Decision['outcome'],
  reason: string,
  mode: Decision['mode'],
): void {
  const ofReason = (SLOT_OF_REASON.get(reason) ?? 0) * OUTCOMES.length * MODES.length
  const slot = ofReason + OUTCOMES.indexOf(outcome) * MODES.length + MODES.indexOf(mode)
  slots[slot] = (slots[slot] ?? 0) + 1
}

/** Of this process, under the names that dashboards know. */
export const PROCESS_METRICS: readonly ReadMetric[] = [
  {
    name: 'process_cpu_seconds_total',
    help: 'User and system CPU time.',
    type: 'counter',
    read: () => {
      const { user, system } = process.cpuUsage()
      return (user + system) / 1e6
    },
  },
  {
    name: 'process_resident_memory_bytes',
    help: 'Resident memory.',
    type: 'gauge',
    read: () => process.memoryUsage.rss(),
  },
  {
    name: 'process_start_time_seconds',
    help: 'Start of the process, since the epoch.',
    type: 'gauge',
    read: () => performance.timeOrigin / 1000,
  },
]

/** Only what has happened: nine in ten combinations never can. */
function decisionSamples(name: string, slots: Float64Array): string[] {
  const lines: string[] = []
  slots.forEach((value, slot) => {
    if (value === 0) return
    const mode = MODES[slot % MODES.length] ?? ''
    const decision = OUTCOMES[Math.floor(slot / MODES.length) % OUTCOMES.length] ?? ''
    const reason = REASONS[Math.floor(slot / (MODES.length * OUTCOMES.length))] ?? ''
    lines.push(sample(name, { decision, reason, mode }, value))
  })
  return lines
}

function durationSamples(durations: Float64Array, sumUs: number): string[] {
  const name = 'portcullis_decision_duration_seconds'
  const lines = head(name, 'From the arrival of a Check to its answer.', 'histogram')
  let below = 0
  durations.forEach((value, bucket) => {
    below += value
    const bound = BUCKETS_US[bucket]
    lines.push(sample(`${name}_bucket`, { le: bound === undefined ? '+Inf' : String(bound / 1e6) }, below))
  })
  lines.push(sample(`${name}_sum`, undefined, sumUs / 1e6), sample(`${name}_count`, undefined, below))
  return lines
}

function head(name: string, help: string, type: string): string[] {
  return [`# HELP ${name} ${help.replaceAll('\\', '\\\\').replaceAll('\n', '\\n')}`, `# TYPE ${name} ${type}`]
}

function sample(name: string, labels: Sample['labels'], value: number): string {
  const written = Object.entries(labels ?? {}).map(([label, text]) => `${label}="${escapeLabel(text)}"`)
  return `${name}${written.length > 0 ? `{${written.join(',')}}` : ''} ${writeNumber(value)}`
}

function escapeLabel(text: string): string {
  return text.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n')
}

function writeNumber(value: number): string {
  if (value === Infinity) return '+Inf'
  return value === -Infinity ? '-Inf' : String(value)
}
