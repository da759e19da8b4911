import { type Attributes, message, nanosOf, writeAttributes, writeFixed64, writeHex } from './wire.js'

export type Span = {
  /** 32 and 16 hexadecimal digits. */
  readonly traceId: string
  readonly spanId: string
  /** In another process; undefined: the trace begins here. */
  readonly parentSpanId: string | undefined
  readonly name: string
  /** Milliseconds since the epoch. */
  readonly startMs: number
  readonly durationUs: number
  readonly attributes: Attributes
  /** What failed in the server itself; undefined: nothing. */
  readonly failure: string | undefined
}

const KIND_SERVER = 2
const STATUS_ERROR = 2
/** Sampled; whether the parent is in another process is known, and it is. */
const FLAGS = { root: Buffer.from([0x01, 0x01, 0, 0]), child: Buffer.from([0x01, 0x03, 0, 0]) }
const FLAGS_TAG = (16 << 3) | 5

/** A span as an element of ScopeSpans. Source: opentelemetry-proto 1.5, trace.proto. */
export function encodeSpan(span: Span): Buffer {
  return message((writer) => {
    writer.raw(span.parentSpanId === undefined ? FLAGS.root : FLAGS.child)
    writer.varint(FLAGS_TAG)
    if (span.failure !== undefined) {
      const before = writer.size()
      writer.varint(STATUS_ERROR)
      writer.varint(0x18)
      writer.text(0x12, span.failure)
      writer.close(0x7a, before)
    }
    writeAttributes(writer, 0x4a, span.attributes)
    writeFixed64(writer, 0x41, nanosOf(span.startMs + span.durationUs / 1000))
    writeFixed64(writer, 0x39, nanosOf(span.startMs))
    writer.varint(KIND_SERVER)
    writer.varint(0x30)
    writer.text(0x2a, span.name)
    if (span.parentSpanId !== undefined) writeHex(writer, 0x22, span.parentSpanId)
    writeHex(writer, 0x12, span.spanId)
    writeHex(writer, 0x0a, span.traceId)
    writer.close(0x12, 0)
  })
}
