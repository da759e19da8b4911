import { randomUUID } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { hostname } from 'node:os'
import { createMetrics, type Metrics } from '../adapters/telemetry/metrics.js'
import { encodeMetric } from '../adapters/telemetry/otlp/metric.js'
import { createSpanQueue, type SpanQueue } from '../adapters/telemetry/otlp/span-queue.js'
import { exportRequest, type Speaker, speakerOf } from '../adapters/telemetry/otlp/wire.js'
import { watchEventLoop } from '../adapters/telemetry/process-metrics.js'
import { createTracer, type Tracer } from '../adapters/telemetry/tracer.js'
import { parseTraceparent, type TraceContext } from '../audit/traceparent.js'
import type { TelemetryConfig } from '../config/telemetry.js'
import type { Followed } from '../ext-authz/check.js'
import type { AccessRequest } from '../request/access-request.js'
import { openCollector } from './collector.js'
import type { LiveLog, Log } from './log.js'

export type Telemetry = {
  readonly metrics: Metrics
  /** For CheckParts: spans of sampled calls, and a line for each decision at level debug. */
  readonly follow: (
    traceparent: string | undefined,
    request: AccessRequest | undefined,
    nowMs: number,
  ) => Followed | undefined
  /** Sends what waits, for at most two seconds. */
  drain(withinMs: number): Promise<void>
  close(): void
}

/** A collector that does not answer delays the end of the process by no more. */
const LAST_WORDS_MS = 2000

/** Opens what is told to others. Throws StartFailure where files of a collector can't be used. */
export function openTelemetry(
  config: TelemetryConfig,
  log: LiveLog,
  isService: (name: string) => boolean,
  nowMs: () => number,
): Telemetry {
  const { traces } = config
  const metrics = createMetrics({ most: config.metrics.maxServicePairs, isService })
  const own = log.of('telemetry')
  const version = packageVersion()
  const resource = {
    'service.name': 'portcullis',
    'service.version': version,
    'service.instance.id': randomUUID(),
    'host.name': hostname(),
  }
  const speaker = speakerOf(resource, 'portcullis', version)
  const collector = traces && openCollector(traces.collector, 'telemetry.traces')
  const queue =
    traces &&
    collector &&
    createSpanQueue({
      post: collector.post,
      request: (spans) => exportRequest(speaker, spans),
      buffer: traces.buffer,
      intervalMs: traces.collector.intervalMs,
      random: Math.random,
      tell: own,
    })
  if (queue) registerSpans(metrics, queue)
  const tracer = traces && queue && createTracer({ sampleRatio: traces.sampleRatio, add: queue.add })
  const sender = openMetricsSender(config.metrics.collector, metrics, speaker, own, nowMs)
  const loop = watchEventLoop()
  metrics.register(loop.metric)
  metrics.register({
    name: 'portcullis_log_lines_held_back_total',
    help: 'Lines of the operational log that were counted instead of written, since the same message flooded.',
    type: 'counter',
    read: log.heldBack,
  })
  return {
    metrics,
    follow: followed(tracer, log),
    drain: async (withinMs) => {
      const limitMs = Math.min(withinMs, LAST_WORDS_MS)
      await Promise.all([queue?.drain(limitMs), sender?.drain(limitMs)])
    },
    close: () => {
      loop.close()
      sender?.close()
      collector?.close()
    },
  }
}

/** Parent-based: a call of a trace is followed as that trace is, others by the ratio. Source: W3C Trace Context 2. */
function followed(tracer: Tracer | undefined, log: LiveLog): Telemetry['follow'] {
  const decisions = log.of('decision')
  return (traceparent, request, nowMs) => {
    const isTold = log.isWritten('debug')
    if (!tracer && !isTold) return undefined
    const parent = contextOf(traceparent, request)
    const span = tracer?.start(parent)
    if (!span && !isTold) return undefined
    const traceId = span?.traceId ?? parent?.traceId
    return {
      traceparent: span?.isRoot ? `00-${span.traceId}-${span.spanId}-01` : undefined,
      traceId: span?.traceId,
      answered: (decision, decisionId, durationUs) => {
        span?.end(decision, decisionId, nowMs, durationUs)
        if (!isTold) return
        const { outcome, reason, mode, caller, target, endpoint, rule } = decision
        const place = { mode, caller, target, endpoint, rule }
        decisions('debug', 'decided', {
          decisionId,
          decision: outcome,
          reason,
          traceId,
          ...place,
          durationUs,
        })
      },
    }
  }
}

/** Envoy's own span; without it, the one that the request names. */
function contextOf(
  traceparent: string | undefined,
  request: AccessRequest | undefined,
): TraceContext | undefined {
  const own = traceparent === undefined ? undefined : parseTraceparent(traceparent)
  if (own) return own
  const header = request?.http?.headers.get('traceparent')
  return header === undefined ? undefined : parseTraceparent(header)
}

function registerSpans(metrics: Metrics, { figures }: SpanQueue): void {
  metrics.register({
    name: 'portcullis_spans_exported_total',
    help: 'Spans that the collector took.',
    type: 'counter',
    read: () => figures().exported,
  })
  metrics.register({
    name: 'portcullis_spans_dropped_total',
    help: 'Spans lost: too many waited, or the collector did not take them.',
    type: 'counter',
    read: () => figures().dropped,
  })
  metrics.register({
    name: 'portcullis_spans_waiting',
    help: 'Spans that wait for the collector.',
    type: 'gauge',
    read: () => figures().waiting,
  })
}

/** Posts all metrics once an interval; what one request missed is in the next, since counters are cumulative. */
function openMetricsSender(
  config: TelemetryConfig['metrics']['collector'],
  metrics: Metrics,
  speaker: Speaker,
  log: Log,
  nowMs: () => number,
): { drain(withinMs: number): Promise<void>; close(): void } | undefined {
  if (!config) return undefined
  const collector = openCollector(config, 'telemetry.metrics')
  const startMs = nowMs()
  let failures = 0
  let problem: string | undefined
  let sending: Promise<void> | undefined
  metrics.register({
    name: 'portcullis_metrics_export_failures_total',
    help: 'Requests with metrics that the collector did not take.',
    type: 'counter',
    read: () => failures,
  })
  const send = async (signal: AbortSignal): Promise<void> => {
    const period = { startMs, nowMs: nowMs() }
    const items = metrics
      .families()
      .filter((family) => family.type === 'histogram' || family.samples.length > 0)
      .map((family) => encodeMetric(family, period))
    const posted = await collector.post(exportRequest(speaker, items), signal)
    const failed = posted.outcome === 'taken' ? undefined : posted.problem
    if (failed !== undefined) failures++
    if (failed !== undefined && problem === undefined) {
      log('warn', 'metrics can not be delivered', { problem: failed })
    } else if (failed === undefined && problem !== undefined) log('info', 'metrics are delivered again')
    problem = failed
  }
  const never = new AbortController().signal
  const timer = setInterval(() => {
    // One that is still under way will be followed by the next.
    sending ??= send(never).finally(() => {
      sending = undefined
    })
  }, config.intervalMs).unref()
  return {
    drain: async (withinMs) => {
      clearInterval(timer)
      const limit = AbortSignal.timeout(withinMs)
      await Promise.race([send(limit), aborted(limit)])
    },
    close: () => {
      clearInterval(timer)
      collector.close()
    },
  }
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }))
}

function packageVersion(): string {
  const manifest: unknown = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'))
  const version: unknown =
    typeof manifest === 'object' && manifest !== null ? Reflect.get(manifest, 'version') : undefined
  return String(version)
}
