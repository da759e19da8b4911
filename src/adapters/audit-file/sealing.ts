import { createCipheriv, createHash, diffieHellman, generateKeyPairSync } from 'node:crypto'
import type { Recipient } from '../../audit/chain/audit-keys.js'

/** What a content key serves: one file of one stream, for one recipient, for a time. */
export type SealedPlace = {
  readonly recipient: Recipient
  /** Number of the file's first line. */
  readonly firstSeq: number
  /** How long one content key serves. */
  readonly rotationMs: number
  readonly nowMs: number
}

type ContentKey = Omit<SealedPlace, 'rotationMs' | 'nowMs'> & {
  readonly key: Buffer
  /** The protected header, encoded. */
  readonly header: string
  readonly sinceMs: number
  used: number
}

/** Events under one content key at most: far below what its counter and GCM allow. */
const MOST_EVENTS = 2 ** 31
const IV_BYTES = 12

/**
 * Encrypts lines of one stream as compact JWE: ECDH-ES on P-384 to the recipient, A256GCM. The ephemeral key is made
 * here and its private half forgotten at once, so that this process can't open what it wrote. A content key serves many
 * lines, each with the next number as its IV; it is never kept over a restart, so no number comes twice.
 */
export class Sealing {
  #current: ContentKey | undefined

  /** The JWE of a line. */
  seal(line: string, place: SealedPlace): string {
    const current = this.#current
    const isGood =
      current !== undefined &&
      current.recipient.keyId === place.recipient.keyId &&
      current.firstSeq === place.firstSeq &&
      current.used < MOST_EVENTS &&
      place.nowMs - current.sinceMs < place.rotationMs
    const content = isGood ? current : agree(place)
    this.#current = content
    const iv = Buffer.alloc(IV_BYTES)
    iv.writeUIntBE(content.used++, IV_BYTES - 6, 6)
    const cipher = createCipheriv('aes-256-gcm', content.key, iv)
    cipher.setAAD(Buffer.from(content.header, 'latin1'))
    const text = cipher.update(line, 'utf8', 'base64url') + cipher.final('base64url')
    return `${content.header}..${iv.toString('base64url')}.${text}.${cipher.getAuthTag().toString('base64url')}`
  }
}

function agree({ recipient, firstSeq, nowMs }: SealedPlace): ContentKey {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-384' })
  const { crv, kty, x, y } = publicKey.export({ format: 'jwk' })
  const header = {
    alg: 'ECDH-ES',
    enc: 'A256GCM',
    kid: recipient.keyId,
    epk: { kty, crv, x, y },
    typ: 'portcullis-audit',
  }
  return {
    recipient,
    firstSeq,
    key: contentKey(diffieHellman({ privateKey, publicKey: recipient.publicKey })),
    header: Buffer.from(JSON.stringify(header)).toString('base64url'),
    sinceMs: nowMs,
    used: 0,
  }
}

/** Concat KDF of RFC 7518 4.6.2 for A256GCM, without PartyUInfo and PartyVInfo: one round gives the 256 bits. */
function contentKey(shared: Buffer): Buffer {
  return createHash('sha256')
    .update(uint32(1))
    .update(shared)
    .update(uint32('A256GCM'.length))
    .update('A256GCM')
    .update(uint32(0))
    .update(uint32(0))
    .update(uint32(256))
    .digest()
}

function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(value)
  return bytes
}
