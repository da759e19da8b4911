import { createCipheriv, createDecipheriv, createHash, randomBytes, timingSafeEqual } from 'node:crypto'

/** AES-256 key of a spool, with the name by which its files say that they are encrypted with it. */
export type SpoolKey = { readonly bytes: Buffer; readonly id: Buffer }

/**
 * What stands before the content: MAGIC, a byte that says how, and then `Plain`: SHA-256 of name and content;
 * `Encrypted`: key id, IV and tag of A256GCM, which covers the name as well, so that no file can pass for another.
 */
const MAGIC = Buffer.from('PCSPOOL1')
const PLAIN = 0
const ENCRYPTED = 1
const [KEY_ID_BYTES, IV_BYTES, TAG_BYTES, HASH_BYTES] = [8, 12, 16, 32]
const HOW_AT = MAGIC.length
const CONTENT_AT = HOW_AT + 1
/** As much of a file as `howWritten` needs. */
export const HEAD_BYTES = CONTENT_AT + KEY_ID_BYTES

/** Undefined: not 64 hexadecimal digits. */
export function spoolKeyOf(text: string): SpoolKey | undefined {
  const hex = text.trim()
  if (!/^[0-9A-Fa-f]{64}$/.test(hex)) return undefined
  const bytes = Buffer.from(hex, 'hex')
  const id = createHash('sha256').update('portcullis-spool-key').update(bytes).digest()
  return { bytes, id: id.subarray(0, KEY_ID_BYTES) }
}

/** The bytes of a spool file of that name. A new random IV each time: one key serves 2^32 files. */
export function sealed(name: string, content: Buffer, key: SpoolKey | undefined): Buffer {
  if (!key) return Buffer.concat([MAGIC, Buffer.from([PLAIN]), hashOf(name, content), content])
  const iv = randomBytes(IV_BYTES)
  const cipher = createCipheriv('aes-256-gcm', key.bytes, iv)
  cipher.setAAD(Buffer.from(name))
  const encrypted = Buffer.concat([cipher.update(content), cipher.final()])
  return Buffer.concat([MAGIC, Buffer.from([ENCRYPTED]), key.id, iv, cipher.getAuthTag(), encrypted])
}

/** What was sealed under that name; undefined where the bytes are damaged, or the key is another one. */
export function unsealed(name: string, file: Buffer, key: SpoolKey | undefined): Buffer | undefined {
  const how = howWritten(file, key)
  if (how === 'plain') {
    const content = file.subarray(CONTENT_AT + HASH_BYTES)
    const hash = file.subarray(CONTENT_AT, CONTENT_AT + HASH_BYTES)
    return hash.length === HASH_BYTES && timingSafeEqual(hash, hashOf(name, content)) ? content : undefined
  }
  const tagAt = HEAD_BYTES + IV_BYTES
  if (how !== 'encrypted' || !key || file.length < tagAt + TAG_BYTES) return undefined
  const decipher = createDecipheriv('aes-256-gcm', key.bytes, file.subarray(HEAD_BYTES, tagAt))
  decipher.setAAD(Buffer.from(name))
  decipher.setAuthTag(file.subarray(tagAt, tagAt + TAG_BYTES))
  try {
    return Buffer.concat([decipher.update(file.subarray(tagAt + TAG_BYTES)), decipher.final()])
  } catch {
    return undefined
  }
}

/** By the first HEAD_BYTES of a file. `other-key`: it can't be opened with this one, or with none. */
export function howWritten(
  head: Buffer,
  key: SpoolKey | undefined,
): 'plain' | 'encrypted' | 'other-key' | 'damaged' {
  if (!head.subarray(0, HOW_AT).equals(MAGIC)) return 'damaged'
  if (head[HOW_AT] === PLAIN) return 'plain'
  if (head[HOW_AT] !== ENCRYPTED || head.length < HEAD_BYTES) return 'damaged'
  return key?.id.equals(head.subarray(CONTENT_AT, HEAD_BYTES)) ? 'encrypted' : 'other-key'
}

function hashOf(name: string, content: Buffer): Buffer {
  return createHash('sha256').update(name).update('\0').update(content).digest()
}
