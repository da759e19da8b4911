import {
  createDecipheriv,
  createHash,
  createPrivateKey,
  createPublicKey,
  diffieHellman,
  type KeyObject,
} from 'node:crypto'
import { isJsonObject, parseStrictJson } from '../../identity/strict-json.js'
import { keyIdOf } from './audit-keys.js'

export type OpenedJwe =
  | { readonly ok: true; readonly text: string }
  | { readonly ok: false; readonly reason: 'no-key'; readonly keyId: string }
  | { readonly ok: false; readonly reason: 'bad'; readonly problem: string }

export type OpenJwe = (jwe: string) => OpenedJwe

export type ParsedPrivateKey =
  | { readonly ok: true; readonly keyId: string; readonly key: KeyObject }
  | { readonly ok: false; readonly problem: string }

const COMPACT = /^([A-Za-z0-9_-]{1,4096})\.\.([A-Za-z0-9_-]{16})\.([A-Za-z0-9_-]*)\.([A-Za-z0-9_-]{22})$/
/** Content keys that are remembered: one serves many lines. */
const MAX_CONTENT_KEYS = 1000

type ContentKey = { readonly ok: true; readonly key: Buffer } | Extract<OpenedJwe, { ok: false }>

/** Opens compact JWE of ECDH-ES on P-384 and A256GCM. `keys`: private keys by the thumbprint of the public one. */
export function jweOpener(keys: ReadonlyMap<string, KeyObject>): OpenJwe {
  const contentKeys = new Map<string, ContentKey>()
  const contentKeyOf = (header: string): ContentKey => {
    const known = contentKeys.get(header)
    if (known) return known
    const [oldest] = contentKeys.size < MAX_CONTENT_KEYS ? [] : contentKeys.keys()
    if (oldest !== undefined) contentKeys.delete(oldest)
    const found = agree(header, keys)
    contentKeys.set(header, found)
    return found
  }
  return (jwe) => {
    const [, header, iv, text, tag] = COMPACT.exec(jwe) ?? []
    if (header === undefined || iv === undefined || text === undefined || tag === undefined)
      return bad('no compact JWE')
    const content = contentKeyOf(header)
    if (!content.ok) return content
    const decipher = createDecipheriv('aes-256-gcm', content.key, Buffer.from(iv, 'base64url'), {
      authTagLength: 16,
    })
    decipher.setAAD(Buffer.from(header, 'latin1'))
    decipher.setAuthTag(Buffer.from(tag, 'base64url'))
    const plain = decipher.update(text, 'base64url')
    try {
      return { ok: true, text: Buffer.concat([plain, decipher.final()]).toString() }
    } catch {
      return bad('it was changed, or is not for this key')
    }
  }
}

/** Reads an EC private key on P-384 as PEM. No problem repeats anything of the text. */
export function parseRecipientKey(pem: string): ParsedPrivateKey {
  let key: KeyObject
  try {
    key = createPrivateKey(pem)
  } catch {
    return { ok: false, problem: 'it holds no private key as PEM that is not encrypted' }
  }
  if (key.asymmetricKeyType !== 'ec' || key.asymmetricKeyDetails?.namedCurve !== 'secp384r1')
    return { ok: false, problem: 'its key is not on P-384' }
  return { ok: true, keyId: keyIdOf(createPublicKey(key)), key }
}

function agree(encoded: string, keys: ReadonlyMap<string, KeyObject>): ContentKey {
  const parsed = parseStrictJson(Buffer.from(encoded, 'base64url').toString())
  const header = parsed.ok && isJsonObject(parsed.value) ? parsed.value : {}
  const { alg, enc, kid, epk } = header
  if (alg !== 'ECDH-ES' || enc !== 'A256GCM' || typeof kid !== 'string' || !isJsonObject(epk))
    return bad('its header names no ECDH-ES with A256GCM')
  // Nothing that a header may say more is understood here. Source: RFC 7516 4.1.13, RFC 7518 4.6.1.
  if ('crit' in header || 'zip' in header || 'apu' in header || 'apv' in header)
    return bad('its header holds parameters that are not known here')
  const privateKey = keys.get(kid)
  if (!privateKey) return { ok: false, reason: 'no-key', keyId: kid }
  const { kty, crv, x, y } = epk
  if (kty !== 'EC' || crv !== 'P-384' || typeof x !== 'string' || typeof y !== 'string')
    return bad('its ephemeral key is not on P-384')
  try {
    const publicKey = createPublicKey({ key: { kty, crv, x, y }, format: 'jwk' })
    return { ok: true, key: derive(diffieHellman({ privateKey, publicKey })) }
  } catch {
    return bad('its ephemeral key is no point of P-384')
  }
}

const ALGORITHM = 'A256GCM'

/** Source: RFC 7518 4.6.2; one round, as SHA-256 gives the 256 bits at once. */
function derive(shared: Buffer): Buffer {
  const info = Buffer.alloc(4 + 4 + ALGORITHM.length + 4 + 4 + 4)
  info.writeUInt32BE(1, 0)
  info.writeUInt32BE(ALGORITHM.length, 4)
  info.write(ALGORITHM, 8, 'latin1')
  info.writeUInt32BE(256, info.length - 4)
  return createHash('sha256').update(info.subarray(0, 4)).update(shared).update(info.subarray(4)).digest()
}

function bad(problem: string): Extract<OpenedJwe, { reason: 'bad' }> {
  return { ok: false, reason: 'bad', problem }
}
