import { createPublicKey, type JsonWebKey, type KeyObject } from 'node:crypto'
import { decodeBase64url } from './base64url.js'
import { ALGORITHMS, type Algorithm } from './jwt.js'
import { rsaWeakness } from './rsa-strength.js'
import { isJsonObject, parseStrictJson, type JsonObject } from './strict-json.js'

/** A public key that may verify signatures. */
export type Key = {
  readonly kid: string | undefined
  /** What it may verify: by its kind and curve, narrowed by its own `alg`. Never empty. */
  readonly algorithms: readonly Algorithm[]
  readonly key: KeyObject
  /** Bytes that each of its signatures has. */
  readonly signatureBytes: number
}

export type KeySet = {
  readonly ok: true
  /** Never empty. */
  readonly keys: readonly Key[]
  /** Keys that were left out, and why: encryption keys, unknown kinds, weak ones. */
  readonly skipped: readonly { readonly kid: string | undefined; readonly problem: string }[]
}
export type KeySetProblem = {
  readonly ok: false
  readonly problem: string
  /**
   * The keys that a set which was read, and refused, lists all the same; undefined where nothing could be read. None of
   * them is to be believed because of it, but one that is believed and not among them is withdrawn.
   */
  readonly listed?: readonly Key[]
}

export const MAX_KEY_SET_BYTES = 1024 * 1024
const MAX_KEYS = 256
const PRIVATE_MEMBERS = ['d', 'p', 'q', 'dp', 'dq', 'qi', 'oth', 'k']
const CURVES = new Map<string, { readonly algorithm: Algorithm; readonly bytes: number }>([
  ['P-256', { algorithm: 'ES256', bytes: 32 }],
  ['P-384', { algorithm: 'ES384', bytes: 48 }],
  ['P-521', { algorithm: 'ES512', bytes: 66 }],
])
const PEM_BLOCK = /-----BEGIN ([A-Z0-9 ]+)-----[^-]*-----END \1-----/g

/**
 * Parses a JWK Set, a single JWK or PEM public keys (SPKI or PKCS#1).
 * A set that holds a secret (a symmetric key, a private member) or one `kid` twice is refused whole, for such a set
 * is a mistake or an attack; a key that merely can't be used here is skipped. No usable key is a problem too.
 * Limits: 1 MiB, 256 keys. Source: RFC 7517, RFC 7518, RFC 8037, RFC 8725.
 */
export function parseKeySet(text: string): KeySet | KeySetProblem {
  if (text.length > MAX_KEY_SET_BYTES) return problem(`longer than ${MAX_KEY_SET_BYTES} bytes`)
  return text.trimStart().startsWith('{') ? parseJwks(text) : parsePem(text)
}

/**
 * The one key that a token with this `kid` and algorithm can mean. Keys of a set in which none has a name (PEM)
 * answer to every `kid`. Where several fit, none does: nothing is tried out.
 */
export function chooseKey(
  keys: readonly Key[],
  kid: string | undefined,
  algorithm: Algorithm,
): Key | undefined {
  const anyName = kid === undefined || keys.every((key) => key.kid === undefined)
  const fitting = keys.filter((key) => (anyName || key.kid === kid) && key.algorithms.includes(algorithm))
  return fitting.length === 1 ? fitting[0] : undefined
}

function parseJwks(text: string): KeySet | KeySetProblem {
  const parsed = parseStrictJson(text)
  if (!parsed.ok) return problem(`not strict JSON: ${parsed.problem}`)
  if (!isJsonObject(parsed.value)) return problem('not a JSON object')
  const list = 'keys' in parsed.value ? parsed.value['keys'] : [parsed.value]
  if (!Array.isArray(list)) return problem('`keys` is not a list')
  if (list.length > MAX_KEYS) return problem(`more than ${MAX_KEYS} keys`)
  // An issuer that has withdrawn every key says so like this.
  if (list.length === 0) return { ok: true, keys: [], skipped: [] }

  const keys: Key[] = []
  const skipped: { kid: string | undefined; problem: string }[] = []
  const names = new Set<string>()
  let refusal: string | undefined
  for (const jwk of list as unknown[]) {
    const kid = isJsonObject(jwk) ? jwk['kid'] : undefined
    const wrong = entryProblem(jwk, names)
    if (wrong !== undefined || !isJsonObject(jwk)) {
      refusal ??= wrong
      continue
    }
    const name = typeof kid === 'string' ? kid : undefined
    if (name !== undefined) names.add(name)
    const read = readJwk(jwk, name)
    if (typeof read === 'string') skipped.push({ kid: name, problem: read })
    else keys.push(read)
  }
  if (refusal !== undefined) return { ok: false, problem: refusal, listed: keys }
  const concluded = conclude(keys, skipped)
  return concluded.ok ? concluded : { ...concluded, listed: [] }
}

/** What in one entry refuses the whole set. */
function entryProblem(jwk: unknown, names: ReadonlySet<string>): string | undefined {
  if (!isJsonObject(jwk)) return 'a key is not a JSON object'
  const kid = jwk['kid']
  if (kid !== undefined && typeof kid !== 'string') return 'a `kid` is not text'
  if (kid !== undefined && names.has(kid)) return 'two keys have the same `kid`'
  if (jwk['kty'] === 'oct') return 'it holds a symmetric key'
  if (PRIVATE_MEMBERS.some((member) => member in jwk)) return 'it holds a private key'
  return undefined
}

/** Whether a JWK holds a secret, which one that is shown to others never may. */
export function holdsSecret(jwk: JsonObject): boolean {
  return jwk['kty'] === 'oct' || PRIVATE_MEMBERS.some((member) => member in jwk)
}

/** What a key says that it is not for. */
export function useProblem(jwk: JsonObject): string | undefined {
  if (jwk['use'] !== undefined && jwk['use'] !== 'sig') return 'its `use` is not `sig`'
  const operations = jwk['key_ops']
  if (operations !== undefined && !(Array.isArray(operations) && operations.includes('verify'))) {
    return 'its `key_ops` do not include `verify`'
  }
  return undefined
}

/** One public JWK as a key, or why it can't be one. */
export function readJwk(jwk: JsonObject, kid: string | undefined): Key | string {
  const otherUse = useProblem(jwk)
  if (otherUse !== undefined) return otherUse
  const alg = jwk['alg']
  const algorithm = ALGORITHMS.find((name) => name === alg)
  if (alg !== undefined && !algorithm) return 'its `alg` is not a known signature algorithm'
  const wrong = jwkParameterProblem(jwk)
  if (wrong !== undefined) return wrong
  const { kty, crv, n, e, x, y } = jwk as JsonWebKey
  const members = { kty, crv, n, e, x, y }
  const present = Object.fromEntries(Object.entries(members).filter(([, value]) => value !== undefined))
  let key: KeyObject
  try {
    key = createPublicKey({ key: present, format: 'jwk' })
  } catch {
    return 'it is not a valid public key'
  }
  return readKeyObject(key, kid, algorithm)
}

/** Strict base64url and exact coordinate lengths, which key loaders are lenient about. Source: RFC 7518 6.2, 6.3. */
function jwkParameterProblem(jwk: JsonObject): string | undefined {
  const lengthOf = (member: string): number => {
    const text = jwk[member]
    return typeof text === 'string' ? (decodeBase64url(text)?.length ?? 0) : 0
  }
  const curve = typeof jwk['crv'] === 'string' ? CURVES.get(jwk['crv']) : undefined
  switch (jwk['kty']) {
    case 'RSA':
      return lengthOf('n') > 0 && lengthOf('e') > 0 ? undefined : 'its `n` or `e` is not base64url'
    case 'EC':
      if (!curve) return 'its curve is not P-256, P-384 or P-521'
      return lengthOf('x') === curve.bytes && lengthOf('y') === curve.bytes
        ? undefined
        : 'its coordinates do not have the length of its curve'
    case 'OKP':
      if (jwk['crv'] !== 'Ed25519') return 'its curve is not Ed25519'
      return lengthOf('x') === 32 ? undefined : 'its `x` does not have 32 bytes'
    default:
      return 'its `kty` is not RSA, EC or OKP'
  }
}

function readKeyObject(key: KeyObject, kid: string | undefined, own: Algorithm | undefined): Key | string {
  const kind = kindOf(key)
  if (typeof kind === 'string') return kind
  const algorithms = own ? kind.algorithms.filter((name) => name === own) : kind.algorithms
  return algorithms.length > 0
    ? { kid, key, algorithms, signatureBytes: kind.signatureBytes }
    : 'its `alg` does not fit its kind'
}

function kindOf(
  key: KeyObject,
): { readonly algorithms: readonly Algorithm[]; readonly signatureBytes: number } | string {
  const jwk = key.asymmetricKeyType === 'rsa-pss' ? undefined : key.export({ format: 'jwk' })
  if (jwk?.kty === 'RSA') {
    const modulus = Buffer.from(jwk.n ?? '', 'base64url')
    const weakness = rsaWeakness(modulus, Buffer.from(jwk.e ?? '', 'base64url'))
    return (
      weakness ?? {
        algorithms: ALGORITHMS.filter((name) => /^[RP]S/.test(name)),
        signatureBytes: modulus.length,
      }
    )
  }
  const curve = jwk?.kty === 'EC' ? CURVES.get(jwk.crv ?? '') : undefined
  if (curve) return { algorithms: [curve.algorithm], signatureBytes: 2 * curve.bytes }
  if (jwk?.crv === 'Ed25519') return { algorithms: ['EdDSA'], signatureBytes: 64 }
  return 'its kind is not RSA, EC on P-256, P-384 or P-521, or Ed25519'
}

function parsePem(text: string): KeySet | KeySetProblem {
  const blocks = [...text.matchAll(PEM_BLOCK)]
  if (blocks.length === 0) return problem('neither a JSON Web Key Set nor PEM')
  if (blocks.length > MAX_KEYS) return problem(`more than ${MAX_KEYS} keys`)
  const keys: Key[] = []
  const skipped: { kid: string | undefined; problem: string }[] = []
  for (const [block, label] of blocks) {
    if (label?.includes('PRIVATE')) return problem('it holds a private key')
    const read = readPem(block, label ?? '')
    if (typeof read === 'string') skipped.push({ kid: undefined, problem: read })
    else keys.push(read)
  }
  return conclude(keys, skipped)
}

function readPem(block: string, label: string): Key | string {
  if (label !== 'PUBLIC KEY' && label !== 'RSA PUBLIC KEY') return 'a PEM block that is not a public key'
  let key: KeyObject
  try {
    key = createPublicKey(block)
  } catch {
    return 'it is not a valid public key'
  }
  return readKeyObject(key, undefined, undefined)
}

function conclude(keys: readonly Key[], skipped: KeySet['skipped']): KeySet | KeySetProblem {
  if (keys.length > 0) return { ok: true, keys, skipped }
  const why = skipped[0] ? `: ${skipped[0].problem}` : ''
  return problem(`no usable key${why}`)
}

function problem(text: string): KeySetProblem {
  return { ok: false, problem: text }
}
