import type { Decision } from '../../decision/decision.js'
import { DecisionCounts, OWN_FAILURES } from './decision-counts.js'
import { Durations } from './durations.js'
import type { Family, Sample } from './family.js'
import { writeOpenMetrics, writePrometheus } from './exposition.js'
import { ServicePairs, type ServicePairsOptions } from './service-pairs.js'

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
  /** Counts one answered Check. `durationUs` in microseconds; `traceId` of one whose span is exported. */
  readonly observe: (decision: Decision, durationUs: number, traceId?: string) => void
  /** A name that is already taken is a bug and throws. */
  readonly register: (metric: ReadMetric) => void
  /** Everything as it is now. */
  readonly families: () => Family[]
  /** The same in the Prometheus text format, version 0.0.4. */
  readonly text: () => string
  /** And as OpenMetrics 1.0.0. */
  readonly openMetrics: () => string
}

/** Counts decisions in room that is as large on the last day as on the first. */
export function createMetrics(services: ServicePairsOptions): Metrics {
  const decided = new DecisionCounts()
  const wouldBe = new DecisionCounts()
  const pairs = new ServicePairs(services)
  const durations = new Durations()
  const registered = new Map<string, ReadMetric>()

  function observe(decision: Decision, durationUs: number, traceId?: string): void {
    const { outcome, reason, mode, wouldBe: would } = decision
    decided.count(outcome, reason, mode)
    if (would) wouldBe.count(would.outcome, would.reason, mode)
    pairs.count(decision)
    durations.observe(durationUs, traceId)
  }

  function register(metric: ReadMetric): void {
    if (registered.has(metric.name)) throw new Error(`metric ${metric.name} is registered twice`)
    registered.set(metric.name, metric)
  }

  function families(): Family[] {
    const own: Family[] = [
      {
        name: 'portcullis_decisions_total',
        help: 'Decisions by outcome, reason and mode of the target.',
        type: 'counter',
        samples: decided.samples(OWN_FAILURES),
      },
      {
        name: 'portcullis_would_be_decisions_total',
        help: 'What Enforce would have decided where the mode let pass.',
        type: 'counter',
        samples: wouldBe.samples(),
      },
      {
        name: 'portcullis_service_decisions_total',
        help: 'Decisions by calling and called service: `unknown` where no document names it, `other` for the pairs beyond `telemetry.metrics.maxServicePairs`.',
        type: 'counter',
        samples: pairs.samples(),
      },
      {
        name: 'portcullis_decision_duration_seconds',
        help: 'From the arrival of a Check to its answer.',
        type: 'histogram',
        series: [{ buckets: durations.buckets(), sum: durations.sum }],
      },
    ]
    const read = [...registered.values()].flatMap((metric): Family[] => {
      const values = metric.read()
      if (values === undefined) return []
      const { name, help, type } = metric
      return [{ name, help, type, samples: typeof values === 'number' ? [{ value: values }] : [...values] }]
    })
    return [...own, ...read]
  }

  return {
    observe,
    register,
    families,
    text: () => writePrometheus(families()),
    openMetrics: () => writeOpenMetrics(families()),
  }
}
