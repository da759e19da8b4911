import { jsonText } from '../json-text.js'
import { SCHEMA_VERSION } from '../security-event.js'
import { formatTimestamp } from '../timestamp.js'
import type { ChainEnd } from './chain-line.js'

/** Bytes at the end of a file that were no whole line when the log was opened again. */
export type TornEnd = {
  readonly bytes: number
  /** Base64url of their SHA-256, without the line feed that ends them now. */
  readonly hash: string
}

export type Opened = {
  readonly atMs: number
  readonly stream: string
  /** `new`: the stream begins. */
  readonly reason: 'new' | 'rotation' | 'start'
  readonly previous: ChainEnd
  readonly torn?: TornEnd | undefined
}

export type Checkpoint = {
  readonly atMs: number
  readonly stream: string
  /** The line before it. */
  readonly covered: number
  readonly reason: 'interval' | 'rotation' | 'close'
  /** The last known line of other streams: in the default one of all, in the others of the default one. */
  readonly streams?: ReadonlyMap<string, ChainEnd> | undefined
}

export type RemovedFile = {
  /** Its name, without a folder. */
  readonly file: string
  readonly firstSeq: number
  readonly lastSeq: number
  readonly lastHash: string
}

export type Retention = {
  readonly atMs: number
  readonly stream: string
  readonly removed: readonly RemovedFile[]
}

/** Who signs lines of the log. */
export type LogSigner = {
  /** RFC 7638 thumbprint of the public key. */
  readonly keyId: string
  /** Ed25519 over the UTF-8 bytes of the text, in base64url. */
  readonly sign: (text: string) => string
}

const NAME_LIMIT = 256
const SIGNED = /,"keyId":"([A-Za-z0-9_-]{43})","signature":"([A-Za-z0-9_-]{86})"$/
const SIGNATURE_LENGTH = ',"signature":"'.length + 86 + 1
const LONGEST_SIGNED = 200
/** An `audit-opened` as this writes it: nothing that an event holds can look so, since its type stands there. */
const OPENED =
  /^\{"schemaVersion":"[^"]{1,16}","timestamp":"[^"]{20,32}","eventType":"audit-opened","stream":"[^"]{1,80}","reason":"[a-z]{1,16}","previousSeq":(0|[1-9]\d{0,15}),"previousHash":"([A-Za-z0-9_-]{43})"/
const LONGEST_OPENED = 400

/*
 * Every function below gives the body of a line: one JSON object without its closing brace, as the chain takes it.
 */

export function openedBody({ atMs, stream, reason, previous, torn }: Opened): string {
  return (
    begin(atMs, 'audit-opened', stream) +
    `,"reason":"${reason}","previousSeq":${previous.seq},"previousHash":"${previous.hash}"` +
    (torn ? `,"tornBytes":${torn.bytes},"tornHash":"${torn.hash}"` : '')
  )
}

export function checkpointBody({ atMs, stream, covered, reason, streams }: Checkpoint): string {
  const known = [...(streams ?? [])].map(
    ([name, { seq, hash }]) => `"${jsonText(name, NAME_LIMIT)}":{"seq":${seq},"hash":"${hash}"}`,
  )
  return (
    begin(atMs, 'audit-checkpoint', stream) +
    `,"covered":${covered},"reason":"${reason}"` +
    (streams ? `,"streams":{${known.join(',')}}` : '')
  )
}

export function retentionBody({ atMs, stream, removed }: Retention): string {
  const files = removed.map(
    ({ file, firstSeq, lastSeq, lastHash }) =>
      `{"file":"${jsonText(file, NAME_LIMIT)}","firstSeq":${firstSeq},"lastSeq":${lastSeq},"lastHash":"${lastHash}"}`,
  )
  return `${begin(atMs, 'audit-retention', stream)},"removed":[${files.join(',')}]`
}

/** An encrypted event; without a classification where it has none. */
export function encryptedBody(classification: string | undefined, jwe: string): string {
  return classification === undefined
    ? `{"jwe":"${jwe}"`
    : `{"classification":"${jsonText(classification, NAME_LIMIT)}","jwe":"${jwe}"`
}

/** `body` with who signs it and the signature, the last member before the chain. */
export function signedBody(body: string, previousHash: string, { keyId, sign }: LogSigner): string {
  const named = `${body},"keyId":"${keyId}"`
  return `${named},"signature":"${sign(signedText(previousHash, named))}"`
}

/** What a signature is over. `unsigned` is the line up to its signature, its key's name included. */
export function signedText(previousHash: string, unsigned: string): string {
  return `portcullis-audit-v1\n${previousHash}\n${unsigned}`
}

export type Signature = { readonly keyId: string; readonly signature: string; readonly unsigned: Buffer }

/** Undefined: the body is not signed. */
export function signatureOf(body: Buffer): Signature | undefined {
  const tail = body.toString('latin1', Math.max(0, body.length - LONGEST_SIGNED))
  const [, keyId, signature] = SIGNED.exec(tail) ?? []
  if (keyId === undefined || signature === undefined) return undefined
  return { keyId, signature, unsigned: body.subarray(0, body.length - SIGNATURE_LENGTH) }
}

/** What an `audit-opened` says of the line before it. Undefined: another line. */
export function previousOf(body: Buffer): ChainEnd | undefined {
  const [, seq, hash] = OPENED.exec(body.toString('latin1', 0, LONGEST_OPENED)) ?? []
  return seq === undefined || hash === undefined ? undefined : { seq: Number(seq), hash }
}

function begin(atMs: number, eventType: string, stream: string): string {
  return (
    `{"schemaVersion":"${SCHEMA_VERSION}","timestamp":"${formatTimestamp(atMs)}","eventType":"${eventType}"` +
    `,"stream":"${jsonText(stream, NAME_LIMIT)}"`
  )
}
