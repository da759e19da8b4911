import { decodeBase64url } from './base64url.js'
import { isJsonObject, parseStrictJsonBytes, type JsonObject } from './strict-json.js'

/** Signature algorithms that can be believed: asymmetric ones, each bound to one kind of key. */
export const ALGORITHMS = [
  'RS256',
  'RS384',
  'RS512',
  'PS256',
  'PS384',
  'PS512',
  'ES256',
  'ES384',
  'ES512',
  'EdDSA',
] as const
export type Algorithm = (typeof ALGORITHMS)[number]

/** Bytes of a whole compact token, where its reader sets no other limit. */
export const MAX_TOKEN_BYTES = 16 * 1024
const MAX_NAME_LENGTH = 512

/** A compact JWS whose form is right and whose signature nobody has checked. */
export type Jws = {
  readonly algorithm: Algorithm
  readonly kid: string | undefined
  readonly typ: string | undefined
  /** Every member of the header, for kinds of tokens that say more there or may say no more. */
  readonly header: JsonObject
  /** What the signature is over: header and payload as they were sent. */
  readonly signed: Buffer
  readonly payload: Buffer
  readonly signature: Buffer
}

export type Jwt = Jws & { readonly claims: JsonObject }

/** `algorithm`: the header asks for none, a symmetric or an unknown algorithm. No problem repeats the token. */
export type JwsProblem = {
  readonly ok: false
  readonly fault: 'malformed' | 'algorithm'
  readonly problem: string
}

/**
 * Parses a compact JWS strictly: three canonical base64url parts, a header object without duplicate members, an
 * allowed `alg`, nothing critical. Keys that the header brings or points to (`jwk`, `jku`, `x5c`, `x5u`) choose no key here.
 * `maxBytes`: longer ones are malformed. Source: RFC 7515, RFC 8725.
 */
export function parseJws(
  text: string,
  maxBytes = MAX_TOKEN_BYTES,
): { readonly ok: true; readonly jws: Jws } | JwsProblem {
  if (text.length > maxBytes) return malformed(`longer than ${maxBytes} bytes`)
  const [encodedHeader, encodedPayload, encodedSignature, ...rest] = text.split('.')
  if (encodedPayload === undefined || encodedSignature === undefined || rest.length > 0) {
    return malformed('not three parts joined by dots')
  }
  const headerBytes = decodeBase64url(encodedHeader ?? '')
  const payload = decodeBase64url(encodedPayload)
  const signature = decodeBase64url(encodedSignature)
  if (!headerBytes || !payload || !signature) return malformed('a part is not canonical base64url')

  const header = parseStrictJsonBytes(headerBytes)
  if (!header.ok) return malformed(`the header is not strict JSON: ${header.problem}`)
  if (!isJsonObject(header.value)) return malformed('the header is not a JSON object')
  const { alg, kid, typ, crit, b64 } = header.value
  const algorithm = ALGORITHMS.find((name) => name === alg)
  if (!algorithm) return { ok: false, fault: 'algorithm', problem: 'its algorithm is not an asymmetric one' }
  if (crit !== undefined || b64 !== undefined) return malformed('the header has `crit` or `b64`')
  if (!isName(kid)) return malformed('`kid` is not text')
  if (!isName(typ)) return malformed('`typ` is not text')
  if (signature.length === 0) return malformed('the signature is empty')
  const signed = Buffer.from(text.slice(0, text.length - encodedSignature.length - 1), 'latin1')
  return { ok: true, jws: { algorithm, kid, typ, header: header.value, signed, payload, signature } }
}

/** Parses a JWT: a JWS whose payload is a JSON object without duplicate members. Source: RFC 7519. */
export function parseJwt(
  text: string,
  maxBytes = MAX_TOKEN_BYTES,
): { readonly ok: true; readonly jwt: Jwt } | JwsProblem {
  const parsed = parseJws(text, maxBytes)
  if (!parsed.ok) return parsed
  const claims = parseStrictJsonBytes(parsed.jws.payload)
  if (!claims.ok) return malformed(`the payload is not strict JSON: ${claims.problem}`)
  if (!isJsonObject(claims.value)) return malformed('the payload is not a JSON object')
  return { ok: true, jwt: { ...parsed.jws, claims: claims.value } }
}

/** `typ` as a media type, lower-case, without `application/`; '' when absent. Source: RFC 7515 4.1.9. */
export function mediaTypeOf(jws: Jws): string {
  const typ = jws.typ?.toLowerCase() ?? ''
  return typ.startsWith('application/') ? typ.slice('application/'.length) : typ
}

function isName(value: unknown): value is string | undefined {
  return value === undefined || (typeof value === 'string' && value.length <= MAX_NAME_LENGTH)
}

function malformed(problem: string): JwsProblem {
  return { ok: false, fault: 'malformed', problem }
}
