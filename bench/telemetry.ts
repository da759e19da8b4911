import { openLog } from '../src/main/log.js'
import { openTelemetry, type Telemetry } from '../src/main/telemetry.js'
import { createMetrics } from '../src/adapters/telemetry/metrics.js'
import { createTracer } from '../src/adapters/telemetry/tracer.js'
import { parseTraceparent } from '../src/audit/traceparent.js'
import type { Decision } from '../src/decision/decision.js'
import { lines, machineLine, table } from './report.js'

const RUNS = 7
const CALLS = 300_000
const PAIRS = 900
const NOW_MS = 1_790_000_000_000
const TRACE = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0'

const DECISION: Decision = {
  outcome: 'allow',
  reason: 'allowed',
  message: '',
  mode: 'Enforce',
  obligations: [],
  caller: 'shop/web',
  target: 'shop/pay',
  endpoint: 'Read',
  rule: 'web-calls',
  riskScore: 10,
  revision: 'r'.repeat(64),
}

/** Microseconds a call: the median of seven runs after one that warms up. */
function cost(call: (at: number) => void): number {
  const runs = Array.from({ length: RUNS + 1 }, () => {
    const startMs = performance.now()
    for (let at = 0; at < CALLS; at++) call(at)
    return ((performance.now() - startMs) * 1000) / CALLS
  })
  return runs.slice(1).toSorted((left, right) => left - right)[Math.floor(RUNS / 2)] ?? NaN
}

function telemetry(traced: boolean): Telemetry {
  const collector = {
    endpoint: 'http://127.0.0.1:9/v1/traces',
    headersFile: undefined,
    caFile: undefined,
    timeoutMs: 1000,
    intervalMs: 3_600_000,
  }
  return openTelemetry(
    {
      metrics: { maxServicePairs: 1000, collector: undefined },
      traces: traced ? { collector, sampleRatio: 0, buffer: 1 } : undefined,
    },
    openLog(() => undefined, 'info', Date.now),
    () => true,
    Date.now,
  )
}

/** What telemetry costs a decision, beside nothing; in this process. */
export function measureTelemetry(): Promise<string> {
  const metrics = createMetrics({ most: 1000, isService: () => true })
  const pairs = Array.from({ length: PAIRS }, (_, at) => ({
    ...DECISION,
    caller: `shop/caller-${at % 30}`,
    target: `shop/target-${Math.floor(at / 30)}`,
  }))
  const off = telemetry(false)
  const on = telemetry(true)
  let bytes = 0
  const tracer = createTracer({
    sampleRatio: 0,
    add: (encode) => {
      bytes += encode().length
    },
  })
  const encoded = (at: number): void =>
    tracer.start(parseTraceparent(`${TRACE}1`))?.end(DECISION, '01920f0c47a517b3c', NOW_MS + at, 80)
  const rows: readonly (readonly [string, number])[] = [
    ['counting, one pair of services', cost(() => metrics.observe(DECISION, 80))],
    [`counting, ${PAIRS} pairs`, cost((at) => metrics.observe(pairs[at % PAIRS] ?? DECISION, 80))],
    ['tracing off', cost(() => off.follow(`${TRACE}1`, undefined, NOW_MS))],
    ['tracing on, not sampled', cost(() => on.follow(`${TRACE}0`, undefined, NOW_MS))],
    ['tracing on, sampled, span encoded', cost(encoded)],
  ]
  if (bytes === 0) throw new Error('no span was encoded')
  return Promise.resolve(
    lines(
      '## Telemetry',
      `${machineLine(`medians of ${RUNS} times ${CALLS.toLocaleString('en')} calls`)} In the process of the bench.`,
      table(
        ['', 'µs a decision'],
        rows.map(([name, us]) => [name, us.toFixed(2)]),
      ),
    ),
  )
}
