import { ProtobufWriter } from '../../../ext-authz/protobuf-writer.js'

/** What an attribute may be: text, a whole number from 0, or a yes or no. Undefined ones are left out. */
export type Attributes = Readonly<Record<string, string | number | boolean | undefined>>

const WRITER = new ProtobufWriter()

/** One message, written from its end to its beginning: last field first. */
export function message(write: (writer: ProtobufWriter) => void): Buffer {
  WRITER.clear()
  write(WRITER)
  return WRITER.take()
}

/** Adds attributes as KeyValue messages under a tag; as they follow in the object. */
export function writeAttributes(writer: ProtobufWriter, tag: number, attributes: Attributes): void {
  const entries = Object.entries(attributes)
  for (let at = entries.length - 1; at >= 0; at--) {
    const [key, value] = entries[at] ?? ['', undefined]
    if (value === undefined) continue
    const before = writer.size()
    writeValue(writer, value)
    writer.close(0x12, before)
    writer.text(0x0a, key)
    writer.close(tag, before)
  }
}

/** The content of an AnyValue. */
function writeValue(writer: ProtobufWriter, value: string | number | boolean): void {
  if (typeof value === 'string') return writer.text(0x0a, value)
  writer.varint(Number(value))
  writer.varint(typeof value === 'boolean' ? 0x10 : 0x18)
}

const EIGHT_BYTES = Buffer.alloc(8)

/** A field of type fixed64. */
export function writeFixed64(writer: ProtobufWriter, tag: number, value: bigint): void {
  EIGHT_BYTES.writeBigUInt64LE(value)
  writer.raw(EIGHT_BYTES)
  writer.varint(tag)
}

/** Bytes given in hexadecimal. */
export function writeHex(writer: ProtobufWriter, tag: number, hex: string): void {
  const bytes = Buffer.from(hex, 'hex')
  writer.raw(bytes)
  writer.varint(bytes.length)
  writer.varint(tag)
}

/** Nanoseconds since the epoch. */
export function nanosOf(ms: number): bigint {
  return BigInt(Math.round(ms * 1000)) * 1000n
}

/** A field that holds a message, made of parts that are encoded already. */
export function embedded(tag: number, ...parts: readonly Uint8Array[]): Buffer {
  const length = parts.reduce((sum, part) => sum + part.length, 0)
  const opening = message((writer) => {
    writer.varint(length)
    writer.varint(tag)
  })
  return Buffer.concat([opening, ...parts])
}

/** Who speaks: the Resource, and the scope of everything it tells. */
export type Speaker = { readonly resource: Buffer; readonly scope: Buffer }

export function speakerOf(resource: Attributes, name: string, version: string): Speaker {
  return {
    resource: embedded(
      0x0a,
      message((writer) => writeAttributes(writer, 0x0a, resource)),
    ),
    scope: embedded(
      0x0a,
      message((writer) => {
        writer.text(0x12, version)
        writer.text(0x0a, name)
      }),
    ),
  }
}

/** A whole export request; spans and metrics have the same layers. Source: opentelemetry-proto 1.5, collector services. */
export function exportRequest({ resource, scope }: Speaker, items: readonly Buffer[]): Buffer {
  return embedded(0x0a, resource, embedded(0x12, scope, ...items))
}
