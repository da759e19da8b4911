import { describe, expect, test } from '@jest/globals'
import { ProtobufMetricsSerializer, ProtobufTraceSerializer } from '@opentelemetry/otlp-transformer'
import type { Family } from '../../../../src/adapters/telemetry/family.js'
import { encodeMetric } from '../../../../src/adapters/telemetry/otlp/metric.js'
import { encodeSpan, type Span } from '../../../../src/adapters/telemetry/otlp/span.js'
import { exportRequest, speakerOf } from '../../../../src/adapters/telemetry/otlp/wire.js'
import { readMetrics, readSpans } from '../../../support/otlp.js'

const RESOURCE = { 'service.name': 'portcullis', 'host.name': 'a-host' }
const SPEAKER = speakerOf(RESOURCE, 'portcullis', '1.2.3')
const START_MS = 1_790_000_000_123

const SPAN: Span = {
  traceId: '0af7651916cd43dd8448eb211c80319c',
  spanId: 'b7ad6b7169203331',
  parentSpanId: '00f067aa0ba902b7',
  name: 'envoy.service.auth.v3.Authorization/Check',
  startMs: START_MS,
  durationUs: 1234.5,
  attributes: { text: 'é\ud800"\n', number: 300, zero: 0, yes: true, absent: undefined },
  failure: undefined,
}

/** The objects that the public SDK gives to its own serializer. */
const official = {
  resource: { attributes: RESOURCE },
  scope: { name: 'portcullis', version: '1.2.3' },
  hr: (ms: number): [number, number] => [
    Math.floor(ms / 1000),
    Math.round((ms - 1000 * Math.floor(ms / 1000)) * 1e6),
  ],
}

describe('spans', () => {
  test.each([
    { name: 'a child', span: SPAN },
    { name: 'a root', span: { ...SPAN, parentSpanId: undefined } },
    { name: 'a failure', span: { ...SPAN, failure: 'internal-error' } },
    { name: 'long texts', span: { ...SPAN, attributes: { long: 'x'.repeat(70_000) } } },
  ])("$name is read as the public serializer's own", ({ span }) => {
    const theirs = ProtobufTraceSerializer.serializeRequest([
      {
        name: span.name,
        // Of the SDK; on the wire a server is 2.
        kind: 1,
        spanContext: () => ({ traceId: span.traceId, spanId: span.spanId, traceFlags: 1 }),
        parentSpanContext: span.parentSpanId && {
          traceId: span.traceId,
          spanId: span.parentSpanId,
          traceFlags: 1,
          isRemote: true,
        },
        startTime: official.hr(span.startMs),
        endTime: official.hr(span.startMs + Math.round(span.durationUs) / 1000),
        attributes: Object.fromEntries(
          Object.entries(span.attributes).filter(([, value]) => value !== undefined),
        ),
        status: span.failure === undefined ? { code: 0 } : { code: 2, message: span.failure },
        events: [],
        links: [],
        duration: [0, 0],
        ended: true,
        resource: official.resource,
        instrumentationScope: official.scope,
        droppedAttributesCount: 0,
        droppedEventsCount: 0,
        droppedLinksCount: 0,
      },
    ] as never)
    const ours = readSpans(exportRequest(SPEAKER, [encodeSpan(span)]))
    const expected = readSpans(Buffer.from(theirs ?? []))
    const [their] = expected.spans
    const [our] = ours.spans
    // Unset is written or not.
    expect({ ...our, status: our?.status ?? { code: 0 } }).toEqual({
      ...their,
      status: span.failure === undefined ? { code: 0 } : their?.status,
      endNanos: our?.endNanos,
    })
    // Half a microsecond is the clock's; ours are whole microseconds.
    expect(Number((our?.endNanos ?? 0n) - (their?.endNanos ?? 0n))).toBeLessThanOrEqual(1000)
    expect(ours.resource).toEqual(expected.resource)
    expect(ours.scope).toEqual(expected.scope)
  })

  test('many in one request', () => {
    const spans = Array.from({ length: 2000 }, () => encodeSpan(SPAN))
    expect(readSpans(exportRequest(SPEAKER, spans)).spans).toHaveLength(2000)
  })
})

describe('metrics', () => {
  const families: Family[] = [
    {
      name: 'portcullis_decisions_total',
      help: 'Decisions.',
      type: 'counter',
      samples: [
        { labels: { decision: 'allow', reason: 'allowed' }, value: 3 },
        { labels: { decision: 'deny', reason: 'forbidden' }, value: 1e15 },
      ],
    },
    { name: 'process_resident_memory_bytes', help: 'M', type: 'gauge', samples: [{ value: -0.25 }] },
    {
      name: 'portcullis_decision_duration_seconds',
      help: 'D',
      type: 'histogram',
      series: [
        {
          sum: 0.75,
          buckets: [
            { upperBound: 0.1, count: 2, exemplar: undefined },
            {
              upperBound: 1,
              count: 5,
              exemplar: { traceId: SPAN.traceId, value: 0.5, atMs: START_MS },
            },
            { upperBound: Infinity, count: 1, exemplar: undefined },
          ],
        },
      ],
    },
  ]
  const period = { startMs: START_MS, nowMs: START_MS + 60_000 }

  test("are read as the public serializer's own", () => {
    const [startTime, endTime] = [official.hr(period.startMs), official.hr(period.nowMs)]
    const points = (samples: readonly { labels?: object; value: number }[]) =>
      samples.map(({ labels = {}, value }) => ({ startTime, endTime, attributes: labels, value }))
    const descriptor = (name: string, description: string, unit: string) => ({
      descriptor: { name, description, unit, valueType: 1, type: '', advice: {} },
      aggregationTemporality: 1,
    })
    const theirs = readMetrics(
      Buffer.from(
        ProtobufMetricsSerializer.serializeRequest({
          resource: official.resource,
          scopeMetrics: [
            {
              scope: official.scope,
              metrics: [
                {
                  ...descriptor('portcullis_decisions', 'Decisions.', ''),
                  dataPointType: 3,
                  isMonotonic: true,
                  dataPoints: points([
                    { labels: { decision: 'allow', reason: 'allowed' }, value: 3 },
                    { labels: { decision: 'deny', reason: 'forbidden' }, value: 1e15 },
                  ]),
                },
                {
                  ...descriptor('process_resident_memory_bytes', 'M', 'By'),
                  dataPointType: 2,
                  dataPoints: points([{ value: -0.25 }]),
                },
                {
                  ...descriptor('portcullis_decision_duration_seconds', 'D', 's'),
                  dataPointType: 0,
                  dataPoints: [
                    {
                      startTime,
                      endTime,
                      attributes: {},
                      value: { buckets: { boundaries: [0.1, 1], counts: [2, 5, 1] }, sum: 0.75, count: 8 },
                    },
                  ],
                },
              ],
            },
          ],
        } as never) ?? [],
      ),
    )
    const ours = readMetrics(
      exportRequest(
        SPEAKER,
        families.map((each) => encodeMetric(each, period)),
      ),
    )
    expect([...ours.keys()]).toEqual([...theirs.keys()])
    const gauge = 'process_resident_memory_bytes'
    const point = theirs.get(gauge).gauge.data_points[0]
    // A gauge has no beginning.
    delete point.start_time_unix_nano
    expect(ours.get(gauge)).toEqual({ ...theirs.get(gauge), gauge: { data_points: [point] } })
    const { unit: _, ...sum } = theirs.get('portcullis_decisions')
    expect(ours.get('portcullis_decisions')).toEqual(sum)
    const histogram = ours.get('portcullis_decision_duration_seconds')
    const [{ exemplars, ...counted }] = histogram.histogram.data_points
    expect({ ...histogram, histogram: { ...histogram.histogram, data_points: [counted] } }).toEqual(
      theirs.get('portcullis_decision_duration_seconds'),
    )
    expect(exemplars).toEqual([
      {
        time_unix_nano: `${START_MS}000000`,
        as_double: 0.5,
        trace_id: Buffer.from(SPAN.traceId, 'hex'),
      },
    ])
  })
})
