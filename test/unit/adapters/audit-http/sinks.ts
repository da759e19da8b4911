import { createPoster, type PostOptions } from '../../../../src/adapters/audit-http/post.js'
import { createHttpSink, type HttpSinkOptions } from '../../../../src/adapters/audit-http/sink.js'
import type { AuditEvent, EventSink } from '../../../../src/audit/event-sink.js'
import { Collector } from '../../../support/collector.js'

const open: EventSink[] = []
const collectors: Collector[] = []

export type Told = { readonly level: string; readonly message: string; readonly fields: unknown }

/** A sink with short waits, ended after the test. */
export function sinkTo(
  url: string,
  over: Partial<HttpSinkOptions> & { readonly post?: Partial<PostOptions> } = {},
): Omit<EventSink, 'take'> & {
  readonly take: (event: AuditEvent) => undefined
  readonly told: readonly Told[]
} {
  const told: Told[] = []
  const { post, ...options } = over
  const sink = createHttpSink({
    name: 'Http 0',
    render: ({ line }) => line,
    buffer: 10_000,
    flushIntervalMs: 5,
    batchEvents: 1000,
    batchBytes: 1024 * 1024,
    poster: createPoster({ url, timeoutMs: 2000, nowMs: Date.now, ...post }),
    spool: undefined,
    backoff: { firstMs: 10, mostMs: 40 },
    spoolAgainMs: 20,
    random: () => 1,
    tell: (level, message, fields) => told.push({ level, message, fields }),
    ...options,
  })
  open.push(sink)
  const take = (each: AuditEvent): undefined => {
    void sink.take(each)
  }
  return { ...sink, take, told }
}

export async function collect(...args: ConstructorParameters<typeof Collector>): Promise<Collector> {
  const collector = new Collector(...args)
  await collector.open()
  collectors.push(collector)
  return collector
}

/** For `afterEach`. */
export async function endAll(): Promise<void> {
  await Promise.all(open.splice(0).map(async (sink) => sink.drain(0)))
  await Promise.all(collectors.splice(0).map(async (collector) => collector.close()))
}

export const event = (n: number, over: Partial<AuditEvent> = {}): AuditEvent => ({
  line: `{"n":${n}}`,
  classification: undefined,
  atMs: 0,
  ...over,
})

/** Numbers of the events in what was posted. */
export const numbersIn = (records: readonly unknown[]): unknown[] =>
  records.map((record) => (typeof record === 'object' && record !== null ? Reflect.get(record, 'n') : record))

export const upTo = (last: number): number[] => Array.from({ length: last }, (_, index) => index + 1)
