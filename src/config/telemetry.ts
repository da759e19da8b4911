import { parseDurationMs } from '../schema/units.js'
import type { EffectiveConfiguration } from './schema.js'

/** A receiver of OTLP over HTTP. */
export type CollectorConfig = {
  readonly endpoint: string
  readonly headersFile: string | undefined
  readonly caFile: string | undefined
  readonly timeoutMs: number
  readonly intervalMs: number
}

export type TelemetryConfig = {
  readonly metrics: {
    readonly maxServicePairs: number
    /** Undefined: metrics are there for Prometheus alone. */
    readonly collector: CollectorConfig | undefined
  }
  /** Undefined: no spans are made. */
  readonly traces:
    | {
        readonly collector: CollectorConfig
        /** 0..1, of calls without a trace. */
        readonly sampleRatio: number
        /** Spans that wait at most. */
        readonly buffer: number
      }
    | undefined
}

type Written = EffectiveConfiguration['telemetry']

/** `at` makes paths absolute. */
export function telemetryOf({ metrics, traces }: Written, at: (path: string) => string): TelemetryConfig {
  const collector = collectorOf(traces, at)
  const { sampleRatio, buffer } = traces
  return {
    metrics: { maxServicePairs: metrics.maxServicePairs, collector: collectorOf(metrics, at) },
    traces: collector && { collector, sampleRatio, buffer },
  }
}

function collectorOf(
  { endpoint, headersFile, caFile, timeout, interval }: Written['metrics' | 'traces'],
  at: (path: string) => string,
): CollectorConfig | undefined {
  if (endpoint === undefined) return undefined
  return {
    endpoint,
    headersFile: headersFile === undefined ? undefined : at(headersFile),
    caFile: caFile === undefined ? undefined : at(caFile),
    timeoutMs: parseDurationMs(timeout) ?? NaN,
    intervalMs: parseDurationMs(interval) ?? NaN,
  }
}

/** Level of the operational log, in its own spelling. */
export function logLevelOf({ level }: EffectiveConfiguration['log']): 'debug' | 'info' | 'warn' | 'error' {
  const levels = { Debug: 'debug', Info: 'info', Warn: 'warn', Error: 'error' } as const
  return levels[level]
}
