import { MAX_DEPTH, WIRE, type ProtobufReader } from './protobuf-reader.js'

/**
 * What is known of a message whose content nobody asks for. It is walked all the same, so that nothing is accepted
 * which a full decoder would refuse or read otherwise.
 */
export type Definition = {
  /** By field number. */
  readonly fields: ReadonlyArray<
    'int64' | 'int32' | 'double' | 'text' | 'bytes' | (() => Definition) | undefined
  >
  /** A field that must occur: the value of a map's entry, where it is a message. Every serialiser writes it. */
  readonly required?: number
}

const WIRE_OF = {
  int64: WIRE.varint,
  int32: WIRE.varint,
  double: WIRE.fixed64,
  text: WIRE.bytes,
  bytes: WIRE.bytes,
} as const

/** Checks the embedded message under the cursor. */
export function checkMessage(reader: ProtobufReader, { fields, required = 0 }: Definition, depth = 0): void {
  if (depth > MAX_DEPTH) return reader.fail(`nested deeper than ${MAX_DEPTH} messages`)
  const outer = reader.enter()
  let missing = required !== 0
  while (reader.pos < reader.end) {
    const tag = reader.tag()
    const kind = fields[tag >>> 3]
    const wire = tag & 7
    if (tag >>> 3 === required) missing = false
    if (kind === undefined) reader.skip(wire)
    else if (wire !== (typeof kind === 'function' ? WIRE.bytes : WIRE_OF[kind]))
      reader.fail('wrong wire type')
    else if (typeof kind === 'function') checkMessage(reader, kind(), depth + 1)
    else if (kind === 'text') reader.skipText()
    else if (kind === 'int32') reader.skipInt32()
    else reader.skip(wire)
  }
  if (missing) reader.fail('a map entry without its value')
  reader.leave(outer)
}

const value: Definition = {
  fields: [undefined, 'int32', 'double', 'text', 'int32', () => struct, () => list],
}
const structEntry: Definition = { fields: [undefined, 'text', () => value], required: 2 }
const struct: Definition = { fields: [undefined, () => structEntry] }
const list: Definition = { fields: [undefined, () => value] }
const any: Definition = { fields: [undefined, 'text', 'bytes'] }
const structMapEntry: Definition = { fields: [undefined, 'text', () => struct], required: 2 }
const anyMapEntry: Definition = { fields: [undefined, 'text', () => any], required: 2 }

export const TEXT_MAP_ENTRY: Definition = { fields: [undefined, 'text', 'text'] }
export const TIMESTAMP: Definition = { fields: [undefined, 'int64', 'int32'] }
export const PIPE: Definition = { fields: [undefined, 'text', 'int32'] }
export const INTERNAL_ADDRESS: Definition = { fields: [undefined, 'text', 'text'] }
export const METADATA: Definition = { fields: [undefined, () => structMapEntry, () => anyMapEntry] }
