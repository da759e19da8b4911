import * as crypto from 'node:crypto'

/** The last line of a stream, or what stands before its first. */
export type ChainEnd = {
  /** Number of the line, from 1; 0: before the first. */
  readonly seq: number
  /** Base64url of its SHA-256, 43 characters. */
  readonly hash: string
}

export const CHAIN_START: ChainEnd = { seq: 0, hash: 'A'.repeat(43) }

/** A line of the log taken apart. */
export type ChainedLine = ChainEnd & {
  /** The bytes before the chain: the object without its closing brace. */
  readonly body: Buffer
}

/** Of the chain and what closes the object, in bytes: with a number of 16 digits. */
const LONGEST_CHAIN = 90
const CHAIN = /,"chain":\{"seq":([1-9]\d{0,15}),"hash":"([A-Za-z0-9_-]{43})"\}\}$/

/** Missing before Node.js 20.12; half the price of a Hash object. */
const oneShot: typeof crypto.hash | undefined = crypto.hash
const HASH_BYTES = 43
/** What stands behind a line's hash. */
const CLOSING = '"}}\n'

/**
 * Hash of line `seq`: SHA-256 of the hash before it, the line's bytes up to its chain, and its number, in base64url.
 * `body` is the object without its closing brace.
 */
export function chainHash(previousHash: string, body: string | Uint8Array, seq: number): string {
  if (typeof body !== 'string') {
    return crypto
      .createHash('sha256')
      .update(previousHash)
      .update(body)
      .update(`,"seq":${seq}`)
      .digest('base64url')
  }
  return digest(`${previousHash}${body},"seq":${seq}`)
}

/** The line that comes after `previous`, without a line feed. `body` is a JSON object without its closing brace. */
export function appendLine(previous: ChainEnd, body: string): ChainEnd & { readonly line: string } {
  const seq = previous.seq + 1
  const hash = chainHash(previous.hash, body, seq)
  return { seq, hash, line: `${body},"chain":{"seq":${seq},"hash":"${hash}"}}` }
}

/**
 * The lines that come after `previous`, each with its line feed, and the last of them. As `appendLine`, at half its
 * price: what is hashed is put together where the line will stand, the hash before it in the place of the last line's end.
 * `allocate` gives a buffer of at least so many bytes; the result is a part of it.
 */
export function appendLines(
  previous: ChainEnd,
  bodies: readonly string[],
  allocate: (bytes: number) => Buffer = (bytes) => Buffer.allocUnsafe(bytes),
): { readonly bytes: Buffer; readonly end: ChainEnd } {
  const before = HASH_BYTES + CLOSING.length
  const longest = LONGEST_CHAIN + CLOSING.length
  const bytes = allocate(bodies.reduce((sum, body) => sum + Buffer.byteLength(body) + longest, before))
  let { seq, hash } = previous
  let at = before
  for (const body of bodies) {
    seq++
    bytes.write(hash, at - HASH_BYTES, 'latin1')
    const bodyEnd = at + bytes.write(body, at)
    const hashed = bodyEnd + bytes.write(`,"seq":${seq}`, bodyEnd, 'latin1')
    const next = digest(bytes.subarray(at - HASH_BYTES, hashed))
    bytes.write(hash + CLOSING, at - before, 'latin1')
    hash = next
    at = bodyEnd + bytes.write(`,"chain":{"seq":${seq},"hash":"${hash}${CLOSING}`, bodyEnd, 'latin1')
  }
  return { bytes: bytes.subarray(before, at), end: { seq, hash } }
}

/** An event's line without its closing brace. Throws for what is no object with members: that would break the chain. */
export function bodyOf(line: string): string {
  if (line.length < 3 || line[0] !== '{' || !line.endsWith('}')) throw new Error('an event is a JSON object')
  return line.slice(0, -1)
}

/** Undefined for what does not end in a chain. `line` is without its line feed; `body` is a view of it. */
export function splitLine(line: Buffer): ChainedLine | undefined {
  const tail = line.toString('latin1', Math.max(0, line.length - LONGEST_CHAIN))
  const found = CHAIN.exec(tail)
  const [chain, seq, hash] = found ?? []
  if (chain === undefined || seq === undefined || hash === undefined) return undefined
  if (!Number.isSafeInteger(Number(seq))) return undefined
  return { body: line.subarray(0, line.length - chain.length), seq: Number(seq), hash }
}

function digest(data: string | Buffer): string {
  return oneShot
    ? oneShot('sha256', data, 'base64url')
    : crypto.createHash('sha256').update(data).digest('base64url')
}
