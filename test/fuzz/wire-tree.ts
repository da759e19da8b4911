import type { Random } from './random.js'

/** One field of a message as it stands on the wire; an embedded message that mutations enter has `fields`. */
type Field = { number: number; wire: number; payload: Buffer; fields?: Field[] | undefined; padded?: boolean }

/** The embedded messages of a CheckRequest that mutations enter, by field number. */
type Shape = { readonly [number: number]: Shape }
const LEAF: Shape = {}
const STRUCT: Shape = { 1: { 2: LEAF } }
const PEER: Shape = { 1: { 1: LEAF, 2: LEAF, 3: LEAF }, 3: LEAF }
const METADATA: Shape = { 1: { 2: STRUCT }, 2: { 2: LEAF } }
const CHECK_REQUEST: Shape = {
  1: {
    1: PEER,
    2: PEER,
    4: { 1: LEAF, 2: { 3: LEAF, 13: { 1: LEAF } } },
    10: LEAF,
    11: METADATA,
    12: LEAF,
    13: METADATA,
  },
}

/** Changes some fields of a well-formed CheckRequest while its framing stays right, mostly. */
export function mutateTree(message: Buffer, random: Random): Buffer {
  const fields = parse(message, CHECK_REQUEST)
  for (let count = 1 + random.below(3); count > 0; count--) mutateOne(fields, random)
  return serialise(fields)
}

function mutateOne(fields: Field[], random: Random): void {
  const inner = fields.filter((field) => field.fields !== undefined)
  if (inner.length > 0 && random.chance(75)) return mutateOne(random.pick(inner).fields ?? [], random)
  const at = fields.length === 0 ? 0 : random.below(fields.length)
  const field = fields[at]
  switch (random.below(field ? 9 : 1)) {
    case 0:
      fields.splice(at, 0, unknown(random))
      break
    case 1:
      fields.push({ ...field! })
      break
    case 2:
      fields.reverse()
      break
    case 3:
      fields.splice(at, 1)
      break
    case 4:
      field!.wire = random.pick([0, 1, 2, 3, 4, 5, 6, 7])
      break
    case 5:
      field!.number = 1 + random.below(16)
      break
    case 6:
      field!.padded = true
      break
    case 7:
      field!.fields = undefined
      field!.payload = random.bytes(random.below(12))
      break
    default:
      field!.fields = undefined
      field!.payload = Buffer.from(random.pick(TEXTS))
  }
}

const TEXTS: readonly (string | Buffer)[] = [
  '',
  'é',
  '\0',
  '__proto',
  'x'.repeat(200),
  '日本'.repeat(40),
  Buffer.from([0xff]),
  Buffer.from([0xed, 0xa0, 0x80]),
  Buffer.from([0xc0, 0xaf]),
  Buffer.from(`${'y'.repeat(150)}\xff`, 'latin1'),
]

function unknown(random: Random): Field {
  const number = random.pick([6, 9, 14, 15, 16, 100, 2047, 2048, 536_870_911])
  const wire = random.pick([0, 1, 2, 3, 5])
  const content = {
    0: varint(random.below(2 ** 31)),
    1: random.bytes(8),
    2: random.bytes(random.below(20)),
    3: Buffer.concat([Buffer.from([0x08, 1]), varint(((number << 3) | 4) >>> 0)]),
    5: random.bytes(4),
  }
  return { number, wire, payload: content[wire as keyof typeof content] }
}

function parse(message: Buffer, shape: Shape): Field[] {
  const fields: Field[] = []
  let at = 0
  const read = (): number => {
    let value = 0
    for (let shift = 0; ; shift += 7) {
      const byte = message[at++]
      if (byte === undefined) throw new Error('not well-formed')
      value += (byte & 0x7f) * 2 ** shift
      if (byte < 0x80) return value
    }
  }
  while (at < message.length) {
    const tag = read()
    const number = Math.floor(tag / 8)
    const wire = tag % 8
    const start = at
    if (wire === 0) read()
    else if (wire === 1) at += 8
    else if (wire === 5) at += 4
    if (wire !== 2) {
      fields.push({ number, wire, payload: message.subarray(start, at) })
      continue
    }
    const length = read()
    const payload = message.subarray(at, at + length)
    at += length
    const inner = shape[number]
    fields.push({ number, wire, payload, fields: inner && parse(payload, inner) })
  }
  return fields
}

function serialise(fields: readonly Field[]): Buffer {
  return Buffer.concat(
    fields.flatMap((field) => {
      const payload = field.fields ? serialise(field.fields) : field.payload
      const tag = varint(field.number * 8 + field.wire)
      if (field.wire !== 2) return [tag, payload]
      return [tag, varint(payload.length, field.padded), payload]
    }),
  )
}

/** `padded`: one byte longer than needed, which every decoder takes. */
function varint(value: number, padded = false): Buffer {
  const bytes: number[] = []
  let rest = value
  do {
    bytes.push((rest % 128) + 128)
    rest = Math.floor(rest / 128)
  } while (rest > 0)
  if (padded) bytes.push(0)
  else bytes[bytes.length - 1]! -= 128
  return Buffer.from(bytes)
}
