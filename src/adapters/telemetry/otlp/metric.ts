import type { ProtobufWriter } from '../../../ext-authz/protobuf-writer.js'
import { type Exemplar, type Family, type Sample, type Series, unitOf } from '../family.js'
import { message, nanosOf, writeAttributes, writeFixed64, writeHex } from './wire.js'

const CUMULATIVE = 2
/** UCUM. */
const UNITS = { seconds: 's', bytes: 'By' } as const

/** Since when counters count, and the time of the reading; milliseconds since the epoch. */
export type Period = { readonly startMs: number; readonly nowMs: number }

/** A metric as an element of ScopeMetrics. Source: opentelemetry-proto 1.5, metrics.proto. */
export function encodeMetric(family: Family, period: Period): Buffer {
  const unit = unitOf(family.name)
  return message((writer) => {
    if (family.type === 'histogram') writeHistogram(writer, family.series, period)
    else writeNumbers(writer, family.type, family.samples, period)
    if (unit !== undefined) writer.text(0x1a, UNITS[unit])
    writer.text(0x12, family.help)
    writer.text(0x0a, family.type === 'counter' ? family.name.replace(/_total$/, '') : family.name)
    writer.close(0x12, 0)
  })
}

function writeNumbers(
  writer: ProtobufWriter,
  type: 'gauge' | 'counter',
  samples: readonly Sample[],
  { startMs, nowMs }: Period,
): void {
  if (type === 'counter') writeCumulative(writer, true)
  for (const { labels, value } of samples.toReversed()) {
    const before = writer.size()
    writeAttributes(writer, 0x3a, labels ?? {})
    writer.double(value)
    writer.varint(0x21)
    writeFixed64(writer, 0x19, nanosOf(nowMs))
    if (type === 'counter') writeFixed64(writer, 0x11, nanosOf(startMs))
    writer.close(0x0a, before)
  }
  writer.close(type === 'counter' ? 0x3a : 0x2a, 0)
}

function writeHistogram(writer: ProtobufWriter, series: readonly Series[], period: Period): void {
  writeCumulative(writer, false)
  for (const each of series.toReversed()) writeSeries(writer, each, period)
  writer.close(0x4a, 0)
}

function writeSeries(
  writer: ProtobufWriter,
  { labels, buckets, sum }: Series,
  { startMs, nowMs }: Period,
): void {
  const before = writer.size()
  writeAttributes(writer, 0x4a, labels ?? {})
  for (const { exemplar } of buckets.toReversed()) if (exemplar) writeExemplar(writer, exemplar)
  const bounds = buckets.slice(0, -1).map(({ upperBound }) => upperBound)
  for (const bound of bounds.toReversed()) writer.double(bound)
  writer.varint(8 * bounds.length)
  writer.varint(0x3a)
  for (const { count } of buckets.toReversed()) writeCount(writer, count)
  writer.varint(8 * buckets.length)
  writer.varint(0x32)
  writer.double(sum)
  writer.varint(0x29)
  writeFixed64(writer, 0x21, BigInt(buckets.reduce((total, { count }) => total + count, 0)))
  writeFixed64(writer, 0x19, nanosOf(nowMs))
  writeFixed64(writer, 0x11, nanosOf(startMs))
  writer.close(0x0a, before)
}

function writeCumulative(writer: ProtobufWriter, monotonic: boolean): void {
  if (monotonic) {
    writer.varint(1)
    writer.varint(0x18)
  }
  writer.varint(CUMULATIVE)
  writer.varint(0x10)
}

const EIGHT_BYTES = Buffer.alloc(8)

function writeCount(writer: ProtobufWriter, count: number): void {
  EIGHT_BYTES.writeBigUInt64LE(BigInt(count))
  writer.raw(EIGHT_BYTES)
}

function writeExemplar(writer: ProtobufWriter, { traceId, value, atMs }: Exemplar): void {
  const before = writer.size()
  writeHex(writer, 0x2a, traceId)
  writer.double(value)
  writer.varint(0x19)
  writeFixed64(writer, 0x11, nanosOf(atMs))
  writer.close(0x42, before)
}
