import { MAX_DEPTH, WIRE, type ProtobufReader } from './protobuf-reader.js'

/**
 * What is known of a message whose content nobody asks for: its fields by number. It is walked all the same, so
 * that nothing is accepted which a full decoder would refuse or read otherwise.
 */
export type Definition = ReadonlyArray<
  'number' | 'double' | 'text' | 'bytes' | (() => Definition) | undefined
>

const WIRE_OF = { number: WIRE.varint, double: WIRE.fixed64, text: WIRE.bytes, bytes: WIRE.bytes } as const

/** Checks the embedded message under the cursor. */
export function checkMessage(reader: ProtobufReader, definition: Definition, depth = 0): void {
  if (depth > MAX_DEPTH) return reader.fail(`nested deeper than ${MAX_DEPTH} messages`)
  const outer = reader.enter()
  while (reader.pos < reader.end) {
    const tag = reader.tag()
    const kind = definition[tag >>> 3]
    const wire = tag & 7
    if (kind === undefined) reader.skip(wire)
    else if (wire !== (typeof kind === 'function' ? WIRE.bytes : WIRE_OF[kind]))
      reader.fail('wrong wire type')
    else if (typeof kind === 'function') checkMessage(reader, kind(), depth + 1)
    else if (kind === 'text') reader.skipText()
    else reader.skip(wire)
  }
  reader.leave(outer)
}

const textMap = (): Definition => [undefined, 'text', 'text']
const structFields = (): Definition => [undefined, 'text', () => value]
const list = (): Definition => [undefined, () => value]
const struct = (): Definition => [undefined, structFields]
const value: Definition = [undefined, 'number', 'double', 'text', 'number', struct, list]
const any = (): Definition => [undefined, 'text', 'bytes']

export const TEXT_MAP_ENTRY: Definition = textMap()
export const TIMESTAMP: Definition = [undefined, 'number', 'number']
export const PIPE: Definition = [undefined, 'text', 'number']
export const INTERNAL_ADDRESS: Definition = [undefined, 'text', 'text']
export const METADATA: Definition = [
  undefined,
  () => [undefined, 'text', struct],
  () => [undefined, 'text', any],
]
