import { type ProtobufReader, WIRE } from './protobuf-reader.js'

/** The wire type of each field of a message, by number; undefined for one that doesn't exist. */
export type Wires = readonly (number | undefined)[]

/** `- v b d`: field 1 is a varint, field 2 delimited, field 3 eight bytes; there is no field 0. */
export function wires(kinds: string): Wires {
  const wireOf: Readonly<Record<string, number>> = { v: WIRE.varint, d: WIRE.fixed64, b: WIRE.bytes }
  return kinds.split(' ').map((kind) => wireOf[kind])
}

/** Whether a known field follows. An unknown one is stepped over, one of another wire type is a failure. */
export function expects(reader: ProtobufReader, wire: Wires, tag: number): boolean {
  const expected = wire[tag >>> 3]
  if (expected === (tag & 7)) return true
  if (expected === undefined) reader.skip(tag & 7)
  else reader.fail('wrong wire type')
  return false
}

/** A varint that a double holds exactly. */
export function readNumber(reader: ProtobufReader): number {
  let value = 0
  let unit = 1
  for (let at = 0; at < 8 && reader.pos < reader.end; at++) {
    const byte = reader.bytes[reader.pos++] ?? 0
    value += (byte & 0x7f) * unit
    if (byte < 0x80) {
      if (value > Number.MAX_SAFE_INTEGER) reader.fail('number out of range')
      return value
    }
    unit *= 128
  }
  reader.fail('number out of range')
  return 0
}

const MAP_ENTRY = wires('- b b')

/** Enters the value of a map's entry where its key is `name`, whichever of both comes first. */
export function enterMapEntry(reader: ProtobufReader, name: Buffer, readValue: () => void): void {
  const outer = reader.enter()
  const end = reader.end
  let seen = 0
  let isIt = false
  let start = end
  let stop = end
  while (reader.pos < reader.end) {
    const tag = reader.tag()
    if (!expects(reader, MAP_ENTRY, tag)) continue
    const field = tag >>> 3
    seen = reader.once(seen, field)
    const length = reader.length()
    if (field === 1) isIt = isAt(reader, name, length)
    else {
      start = reader.pos
      stop = start + length
    }
    reader.pos += length
  }
  if (isIt && reader.problem === undefined) {
    reader.pos = start
    reader.end = stop
    readValue()
    if (reader.problem !== undefined) return
    reader.pos = end
    reader.end = end
  }
  reader.leave(outer)
}

function isAt({ bytes, pos }: ProtobufReader, name: Buffer, length: number): boolean {
  if (length !== name.length) return false
  for (let at = 0; at < length; at++) if (bytes[pos + at] !== name[at]) return false
  return true
}
