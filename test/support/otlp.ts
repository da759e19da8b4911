import { createServer, type IncomingHttpHeaders } from 'node:http'
import { fileURLToPath } from 'node:url'
import * as protoLoader from '@grpc/proto-loader'

const definition = protoLoader.loadSync(
  fileURLToPath(new URL('../../proto/opentelemetry/otlp.proto', import.meta.url)),
  { keepCase: true, longs: String, bytes: Buffer, defaults: false, oneofs: false },
)

function methodOf(service: string): protoLoader.MethodDefinition<object, object> {
  const found = definition[`opentelemetry.proto.${service}`]
  if (!found || 'format' in found || !found['Export']) throw new Error(`otlp.proto has no ${service}`)
  return found['Export']
}
const TRACES = methodOf('TraceService')
const METRICS = methodOf('MetricsService')

export type ReadSpan = {
  readonly traceId: string
  readonly spanId: string
  readonly parentSpanId: string | undefined
  readonly traceState: string | undefined
  readonly name: string
  readonly kind: number
  readonly startNanos: bigint
  readonly endNanos: bigint
  readonly attributes: Readonly<Record<string, unknown>>
  readonly status: { readonly code?: number; readonly message?: string } | undefined
  readonly flags: number
}

type Json = ReturnType<typeof JSON.parse>

function attributesOf(list: Json): Record<string, unknown> {
  return Object.fromEntries((list ?? []).map(({ key, value }: Json) => [key, Object.values(value ?? {})[0]]))
}

/** What a collector reads out of an ExportTraceServiceRequest. */
export function readSpans(body: Buffer): {
  resource: Record<string, unknown>
  scope: Json
  spans: ReadSpan[]
} {
  const request: Json = TRACES.requestDeserialize(body)
  const [resourceSpans, second] = request.resource_spans
  const [scopeSpans, otherScope] = resourceSpans.scope_spans
  if (second || otherScope) throw new Error('more than one resource or scope')
  return {
    resource: attributesOf(resourceSpans.resource.attributes),
    scope: scopeSpans.scope,
    spans: (scopeSpans.spans ?? []).map((span: Json) => ({
      traceId: span.trace_id.toString('hex'),
      spanId: span.span_id.toString('hex'),
      parentSpanId: span.parent_span_id?.toString('hex') || undefined,
      traceState: span.trace_state,
      name: span.name,
      kind: span.kind,
      startNanos: BigInt(span.start_time_unix_nano),
      endNanos: BigInt(span.end_time_unix_nano),
      attributes: attributesOf(span.attributes),
      status: span.status,
      flags: span.flags,
    })),
  }
}

/** The metrics of an ExportMetricsServiceRequest, by name. */
export function readMetrics(body: Buffer): Map<string, Json> {
  const request: Json = METRICS.requestDeserialize(body)
  const metrics = request.resource_metrics[0].scope_metrics[0].metrics
  return new Map(metrics.map((metric: Json) => [metric.name, metric]))
}

/** An ExportTraceServiceResponse of a collector that did not want some. */
export function partialSuccess(rejected: number): Buffer {
  return TRACES.responseSerialize({ partial_success: { rejected_spans: rejected, error_message: 'no' } })
}

export type Collector = {
  readonly url: string
  readonly requests: { readonly path: string; readonly headers: IncomingHttpHeaders; readonly body: Buffer }[]
  readonly spans: () => ReadSpan[]
  /** How it answers from now on; undefined: never. */
  answer:
    { readonly status: number; readonly body?: Buffer; readonly headers?: Record<string, string> } | undefined
  close(): Promise<void>
}

/** A collector on this machine that keeps what it gets. */
export async function startCollector(): Promise<Collector> {
  const requests: Collector['requests'] = []
  const server = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      requests.push({ path: request.url ?? '', headers: request.headers, body: Buffer.concat(chunks) })
      const { answer } = collector
      if (answer) response.writeHead(answer.status, answer.headers).end(answer.body)
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  const port = typeof address === 'object' && address ? address.port : 0
  const collector: Collector = {
    url: `http://127.0.0.1:${port}`,
    requests,
    spans: () =>
      requests.filter(({ path }) => path === '/v1/traces').flatMap(({ body }) => readSpans(body).spans),
    answer: { status: 200 },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
  return collector
}
