/** What a record may hold. `Raw` is written as it is, for what no writer would write. */
export type Written =
  string | number | boolean | Raw | readonly Written[] | { readonly [key: string]: Written }

export class Raw {
  readonly bytes: Buffer
  constructor(...bytes: number[]) {
    this.bytes = Buffer.from(bytes)
  }
}

const MARKER = Buffer.from('\xab\xcd\xefMaxMind.com', 'latin1')

export type DatabaseOptions = {
  readonly ipVersion?: 4 | 6
  readonly metadata?: Readonly<Record<string, Written>>
}

/**
 * A database in MaxMind format with records of 24 bits. Networks are `[bits, record]`: the leading bits of the address
 * as `0` and `1`. A record's pointers count from its own data section. Source: MaxMind DB file format 2.0.
 */
export function writeDatabase(
  networks: readonly (readonly [bits: string, record: Written])[],
  { ipVersion = 4, metadata = {} }: DatabaseOptions = {},
): Buffer {
  type Node = [Node | number | undefined, Node | number | undefined]
  const root: Node = [undefined, undefined]
  const nodes: Node[] = [root]
  const records: Buffer[] = []
  for (const [bits, record] of networks) {
    let node = root
    const sides = Array.from(bits, (bit) => (bit === '1' ? 1 : 0))
    const last = sides.pop() ?? 0
    for (const side of sides) {
      let next = node[side]
      if (typeof next !== 'object') {
        next = [undefined, undefined]
        nodes.push(next)
        node[side] = next
      }
      node = next
    }
    node[last] = records.reduce((sum, { length }) => sum + length, 0)
    records.push(encode(record))
  }
  const tree = Buffer.alloc(nodes.length * 6)
  nodes.forEach((node, index) =>
    node.forEach((to, side) => {
      const value =
        to === undefined ? nodes.length : typeof to === 'number' ? nodes.length + 16 + to : nodes.indexOf(to)
      tree.writeUIntBE(value, index * 6 + side * 3, 3)
    }),
  )
  const about = {
    node_count: nodes.length,
    record_size: 24,
    ip_version: ipVersion,
    database_type: 'Test',
    languages: [],
    binary_format_major_version: 2,
    binary_format_minor_version: 0,
    build_epoch: 1,
    description: {},
    ...metadata,
  }
  return Buffer.concat([tree, Buffer.alloc(16), ...records, MARKER, encode(about)])
}

function encode(value: Written): Buffer {
  if (value instanceof Raw) return value.bytes
  if (typeof value === 'boolean') return Buffer.from([value ? 1 : 0, 7])
  if (typeof value === 'string') return Buffer.concat([head(2, Buffer.byteLength(value)), Buffer.from(value)])
  if (typeof value === 'number') {
    if (Number.isInteger(value) && value >= 0) {
      const bytes = Buffer.alloc(4)
      bytes.writeUInt32BE(value)
      return Buffer.concat([head(6, 4), bytes])
    }
    const bytes = Buffer.alloc(8)
    bytes.writeDoubleBE(value)
    return Buffer.concat([head(3, 8), bytes])
  }
  if (isList(value)) return Buffer.concat([Buffer.from([value.length, 4]), ...value.map(encode)])
  const fields = Object.entries(value)
  return Buffer.concat([
    head(7, fields.length),
    ...fields.flatMap(([key, inner]) => [encode(key), encode(inner)]),
  ])
}

function isList(value: Written): value is readonly Written[] {
  return Array.isArray(value)
}

/** Sizes below 285 only. */
function head(type: number, size: number): Buffer {
  return size < 29 ? Buffer.from([(type << 5) | size]) : Buffer.from([(type << 5) | 29, size - 29])
}
