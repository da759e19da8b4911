/**
 * A strict reader of DER (X.690), for certificates. It copies nothing: every element is a view of the bytes it
 * was read from. There is no recursion here: the caller descends as far as its grammar goes, so nesting in
 * hostile bytes costs nothing.
 */

/** One element: `content` without, `whole` with its header. */
export type DerElement = { readonly tag: number; readonly content: Buffer; readonly whole: Buffer }

/**
 * The bytes are not the DER that the grammar wants. It never leaves a `parse…` function: those catch it and
 * answer with a problem.
 */
export class DerError extends Error {
  override readonly name = 'DerError'
}

export const TAG = {
  boolean: 0x01,
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  null: 0x05,
  objectIdentifier: 0x06,
  utf8String: 0x0c,
  numericString: 0x12,
  printableString: 0x13,
  teletexString: 0x14,
  ia5String: 0x16,
  utcTime: 0x17,
  generalizedTime: 0x18,
  visibleString: 0x1a,
  universalString: 0x1c,
  bmpString: 0x1e,
  sequence: 0x30,
  set: 0x31,
} as const

/** Context-specific tags: `[n]` as a primitive and as a constructed element. */
export const contextTag = (n: number): number => 0x80 | n
export const contextConstructedTag = (n: number): number => 0xa0 | n

/** The one element that fills all the bytes. */
export function readWhole(bytes: Buffer, tag: number, what: string): DerElement {
  const element = readAt(bytes, 0, what)
  if (element.whole.length !== bytes.length) throw new DerError(`${what}: bytes after its end`)
  return expectTag(element, tag, what)
}

/** The element at the beginning of the bytes, whatever follows it. */
export function readFirst(bytes: Buffer, what: string): DerElement {
  return readAt(bytes, 0, what)
}

/** Structures that follow each other; undefined when the bytes are anything else. */
export function splitDer(bytes: Buffer): Buffer[] | undefined {
  const parts: Buffer[] = []
  try {
    for (let at = 0; at < bytes.length;) {
      const { whole } = expectTag(readAt(bytes, at, 'structure'), TAG.sequence, 'structure')
      parts.push(whole)
      at += whole.length
    }
  } catch (error) {
    if (error instanceof DerError) return undefined
    throw error
  }
  return parts
}

/** The elements that a constructed element holds, in order. */
export function readChildren(parent: DerElement, what: string): DerElement[] {
  const children: DerElement[] = []
  for (let at = 0; at < parent.content.length;) {
    const child = readAt(parent.content, at, what)
    children.push(child)
    at += child.whole.length
  }
  return children
}

export function expectTag(element: DerElement | undefined, tag: number, what: string): DerElement {
  if (element === undefined) throw new DerError(`${what}: missing`)
  if (element.tag !== tag) throw new DerError(`${what}: unexpected type`)
  return element
}

/** A SEQUENCE's elements, handed out in order; `end` makes sure that none is left. */
export class DerFields {
  readonly #what: string
  readonly #children: DerElement[]
  #at = 0

  constructor(parent: DerElement, what: string) {
    this.#what = what
    this.#children = readChildren(parent, what)
  }

  /** The next element, which must have this tag. */
  next(tag: number, what: string): DerElement {
    const element = expectTag(this.#children[this.#at], tag, what)
    this.#at += 1
    return element
  }

  /** The next element whatever it is. */
  any(what: string): DerElement {
    const element = this.#children[this.#at]
    if (element === undefined) throw new DerError(`${what}: missing`)
    this.#at += 1
    return element
  }

  /** The next element if it has this tag. */
  optional(tag: number): DerElement | undefined {
    const element = this.#children[this.#at]
    if (element?.tag !== tag) return undefined
    this.#at += 1
    return element
  }

  end(): void {
    if (this.#at < this.#children.length) throw new DerError(`${this.#what}: more than its grammar allows`)
  }
}

/** TRUE is 0xff and FALSE is 0x00, nothing else. */
export function readBoolean(element: DerElement, what: string): boolean {
  const { content } = expectTag(element, TAG.boolean, what)
  if (content.length !== 1 || (content[0] !== 0 && content[0] !== 0xff)) {
    throw new DerError(`${what}: not a boolean`)
  }
  return content[0] === 0xff
}

/** The content of an INTEGER in two's complement, with no byte more than it needs. */
export function readInteger(element: DerElement, what: string): Buffer {
  const { content } = element
  const [first, second] = content
  if (first === undefined) throw new DerError(`${what}: empty integer`)
  if (second !== undefined && ((first === 0 && second < 0x80) || (first === 0xff && second >= 0x80))) {
    throw new DerError(`${what}: integer with a superfluous byte`)
  }
  return content
}

/** A whole number from 0 to 2^31 - 1. */
export function readSmallInteger(element: DerElement, what: string): number {
  const content = readInteger(element, what)
  if (content.length > 4 || content[0]! >= 0x80) throw new DerError(`${what}: number out of range`)
  return content.reduce((sum, byte) => sum * 256 + byte, 0)
}

/** A positive integer's magnitude, without the zero byte that carries its sign. */
export function readPositiveInteger(element: DerElement, what: string): Buffer {
  const content = readInteger(element, what)
  if (content[0]! >= 0x80 || (content.length === 1 && content[0] === 0)) {
    throw new DerError(`${what}: not a positive integer`)
  }
  return content[0] === 0 ? content.subarray(1) : content
}

/** The bytes of a BIT STRING that is made of whole bytes. */
export function readOctetsOfBitString(element: DerElement, what: string): Buffer {
  if (element.content[0] !== 0) throw new DerError(`${what}: not a whole number of bytes`)
  return element.content.subarray(1)
}

/** Named bits 0 to 15 of a BIT STRING: bit n of the answer is bit n of the list. */
export function readNamedBits(element: DerElement, what: string): number {
  const unused = element.content[0]
  const bytes = element.content.subarray(1)
  if (unused === undefined || unused > 7 || bytes.length > 2 || (bytes.length === 0 && unused !== 0)) {
    throw new DerError(`${what}: not a list of bits`)
  }
  const last = bytes[bytes.length - 1]
  if (last !== undefined && (last & ((1 << unused) - 1)) !== 0)
    throw new DerError(`${what}: unused bits are set`)
  let bits = 0
  for (let bit = 0; bit < bytes.length * 8; bit += 1) {
    if ((bytes[bit >> 3]! & (0x80 >> (bit & 7))) !== 0) bits |= 1 << bit
  }
  return bits
}

/** An OBJECT IDENTIFIER in dotted form. Limits: 64 bytes. */
export function readObjectIdentifier(content: Buffer, what: string): string {
  if (content.length === 0 || content.length > 64 || content[content.length - 1]! >= 0x80) {
    throw new DerError(`${what}: not an object identifier`)
  }
  const arcs: string[] = []
  for (let at = 0; at < content.length;) {
    if (content[at] === 0x80) throw new DerError(`${what}: object identifier with a superfluous byte`)
    let end = at
    while (content[end]! >= 0x80) end += 1
    const arc = readArc(content.subarray(at, end + 1))
    if (at === 0) {
      const root = arc < 40 ? 0 : arc < 80 ? 1 : 2
      arcs.push(String(root), String(typeof arc === 'bigint' ? arc - BigInt(root * 40) : arc - root * 40))
    } else {
      arcs.push(String(arc))
    }
    at = end + 1
  }
  return arcs.join('.')
}

/** Seven bytes hold 49 bits, which a number still counts exactly. */
function readArc(bytes: Buffer): number | bigint {
  return bytes.length <= 7
    ? bytes.reduce((arc, byte) => arc * 128 + (byte & 0x7f), 0)
    : bytes.reduce((arc, byte) => (arc << 7n) | BigInt(byte & 0x7f), 0n)
}

/** UTCTime `YYMMDDHHMMSSZ` (1950 to 2049) or GeneralizedTime `YYYYMMDDHHMMSSZ`, in ms. Source: RFC 5280 4.1.2.5. */
export function readTime(element: DerElement, what: string): number {
  const text = element.content.toString('latin1')
  const digits =
    element.tag === TAG.utcTime && /^\d{12}Z$/.test(text)
      ? (text < '5' ? '20' : '19') + text
      : element.tag === TAG.generalizedTime && /^\d{14}Z$/.test(text)
        ? text
        : undefined
  if (digits === undefined) throw new DerError(`${what}: not a time in UTC with seconds`)
  const iso = `${digits.slice(0, 4)}-${digits.slice(4, 6)}-${digits.slice(6, 8)}T${digits.slice(8, 10)}:${digits.slice(10, 12)}:${digits.slice(12, 14)}.000Z`
  const atMs = Date.parse(iso)
  if (Number.isNaN(atMs) || new Date(atMs).toISOString() !== iso) throw new DerError(`${what}: no such time`)
  return atMs
}

function readAt(bytes: Buffer, at: number, what: string): DerElement {
  const tag = bytes[at]
  const first = bytes[at + 1]
  if (tag === undefined || first === undefined) throw new DerError(`${what}: cut short`)
  if ((tag & 0x1f) === 0x1f) throw new DerError(`${what}: tag number over 30`)
  let length = first
  let header = 2
  if (first >= 0x80) {
    const count = first & 0x7f
    if (count === 0 || count > 3) throw new DerError(`${what}: indefinite or excessive length`)
    header += count
    if (at + header > bytes.length) throw new DerError(`${what}: cut short`)
    length = bytes.readUIntBE(at + 2, count)
    if (length < 0x80 || length < 2 ** (8 * (count - 1)))
      throw new DerError(`${what}: length in more bytes than needed`)
  }
  const end = at + header + length
  if (end > bytes.length) throw new DerError(`${what}: cut short`)
  return { tag, content: bytes.subarray(at + header, end), whole: bytes.subarray(at, end) }
}
