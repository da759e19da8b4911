import type { JwtMetadata } from '../request/access-request.js'
import { ProtobufReader, WIRE } from './protobuf-reader.js'

/** Name under which Envoy's jwt_authn filter keeps what it verified. */
const NAMESPACE = 'envoy.filters.http.jwt_authn'
/** The filter's struct on the wire; a token's own limit is 16 KiB. */
export const MAX_JWT_METADATA_BYTES = 64 * 1024

type JsonObject = Readonly<Record<string, unknown>>
type Payloads = ReturnType<JwtMetadata['payloads']>

/**
 * The metadata of one CheckRequest as a place in its bytes, whose form and depth were checked already. Read strictly when
 * somebody asks: a key that occurs twice, a value of two kinds or of none, or a number that is not finite is a problem,
 * for decoders pick different meanings there. Source: SPECS 1.2, google.protobuf.Struct.
 */
export class WireJwtMetadata implements JwtMetadata {
  private readonly place: { readonly bytes: Buffer; readonly start: number; readonly end: number }

  constructor(place: WireJwtMetadata['place']) {
    this.place = place
  }

  payloads(): Payloads {
    const reader = new ProtobufReader(this.place.bytes)
    reader.pos = this.place.start
    reader.end = this.place.end
    const found = readFilter(reader)
    if (reader.problem !== undefined) return { ok: false, problem: reader.problem }
    const payloads = new Map<string, JsonObject>()
    for (const [key, value] of Object.entries(found)) if (isObject(value)) payloads.set(key, value)
    return { ok: true, payloads }
  }
}

const delimited = (field: number): number => (field << 3) | WIRE.bytes

/** The struct of the filter, empty where there is none. */
function readFilter(reader: ProtobufReader): JsonObject {
  let found: JsonObject | undefined
  const outer = reader.enter()
  while (reader.pos < reader.end) {
    const tag = reader.tag()
    if (tag !== delimited(1)) {
      reader.skip(tag & 7)
      continue
    }
    const struct = readFilterEntry(reader)
    if (struct && found) reader.fail(`${NAMESPACE} occurs twice`)
    found ??= struct
  }
  reader.leave(outer)
  return found ?? {}
}

function readFilterEntry(reader: ProtobufReader): JsonObject | undefined {
  const outer = reader.enter()
  let key = ''
  let start = -1
  let seen = 0
  while (reader.pos < reader.end) {
    const tag = reader.tag()
    if (tag === delimited(1)) {
      seen = reader.once(seen, 1)
      key = reader.text()
    } else if (tag === delimited(2)) {
      seen = reader.once(seen, 2)
      start = reader.pos
      reader.skip(WIRE.bytes)
    } else reader.skip(tag & 7)
  }
  const end = reader.pos
  let struct: JsonObject | undefined
  if (key === NAMESPACE && start !== -1 && reader.problem === undefined) {
    if (end - start > MAX_JWT_METADATA_BYTES) reader.fail(`longer than ${MAX_JWT_METADATA_BYTES} bytes`)
    else {
      reader.pos = start
      struct = readStruct(reader)
      if (reader.problem === undefined) reader.pos = end
    }
  }
  reader.leave(outer)
  return struct
}

function readStruct(reader: ProtobufReader): JsonObject {
  const struct: Record<string, unknown> = Object.create(null)
  const outer = reader.enter()
  while (reader.pos < reader.end) {
    const tag = reader.tag()
    if (tag === delimited(1)) readField(reader, struct)
    else reader.skip(tag & 7)
  }
  reader.leave(outer)
  return struct
}

function readField(reader: ProtobufReader, struct: Record<string, unknown>): void {
  const outer = reader.enter()
  let key = ''
  let value: unknown
  let seen = 0
  while (reader.pos < reader.end) {
    const tag = reader.tag()
    if (tag === delimited(1)) {
      seen = reader.once(seen, 1)
      key = reader.text()
    } else if (tag === delimited(2)) {
      seen = reader.once(seen, 2)
      value = readValue(reader)
    } else reader.skip(tag & 7)
  }
  reader.leave(outer)
  if (key in struct) reader.fail('a member occurs twice')
  struct[key] = value
}

function readList(reader: ProtobufReader): unknown[] {
  const list: unknown[] = []
  const outer = reader.enter()
  while (reader.pos < reader.end) {
    const tag = reader.tag()
    if (tag === delimited(1)) list.push(readValue(reader))
    else reader.skip(tag & 7)
  }
  reader.leave(outer)
  return list
}

/** One of six kinds, exactly one. */
function readValue(reader: ProtobufReader): unknown {
  const outer = reader.enter()
  let value: unknown
  let kinds = 0
  while (reader.pos < reader.end) {
    const tag = reader.tag()
    if (tag >>> 3 > 6) {
      reader.skip(tag & 7)
      continue
    }
    kinds += 1
    switch (tag >>> 3) {
      case 1:
        reader.skipVarint()
        value = null
        break
      case 2:
        value = readDouble(reader)
        break
      case 3:
        value = reader.text()
        break
      case 4:
        value = reader.uint32() !== 0
        break
      case 5:
        value = readStruct(reader)
        break
      default:
        value = readList(reader)
    }
  }
  reader.leave(outer)
  if (kinds !== 1) reader.fail('a value that is not of one kind')
  return value
}

function readDouble(reader: ProtobufReader): number {
  const start = reader.pos
  reader.skip(WIRE.fixed64)
  const value = reader.problem === undefined ? reader.bytes.readDoubleLE(start) : 0
  if (!Number.isFinite(value)) reader.fail('a number that is not finite')
  return value
}

function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
