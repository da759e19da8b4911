import { percentDecoded } from './percent-decoded.js'

/** Parts that speak of a secret wherever they stand, also inside a word: `csrftoken`, `JSESSIONID`. */
const PART =
  /authori[sz]ation|token|secret|passw|passphrase|passcode|passkey|credential|assertion|signature|cookie|bearer|hmac|[cx]srf|saml|sess(?:ion|id)|jwt|otp$|apikey|keyid/
/** Words that do so only as a whole; plural forms too. */
const WORDS: ReadonlySet<string> = new Set(
  'auth code dpop jti nonce otp pass pin psw pw pwd sid sig ticket'.split(' '),
)
/** A word that ends so is a key: `accesskey`. */
const KEY = /keys?$/
const NO_KEY: ReadonlySet<string> = new Set(['monkey', 'turkey', 'donkey', 'hockey', 'jockey', 'whiskey'])
/** What a code is of that anyone may know. */
const OF_PUBLIC_CODE: ReadonlySet<string> = new Set(
  'area country currency error lang language postal reason region response state status zip'.split(' '),
)
/** Words begin behind what is no letter, and with a capital: `AWSAccessKeyId` is AWS, Access, Key, Id. */
const WORD = /[A-Z]+(?![a-z])|[A-Z]?[a-z]+/g

/** A longer name is withheld without a look, UTF-16 units. */
const MAX_NAME = 256
const MAX_KNOWN = 4096
/** Names repeat, and callers choose some: bounded, and forgotten as a whole. */
const known = new Map<string, boolean>()

/**
 * Whether a header, parameter or claim holds a secret by what it is called. Percent-encoding and case do not hide it.
 * Says yes of some names too many: what is withheld wrongly costs a replay one condition, the reverse a credential.
 */
export function namesSecret(name: string): boolean {
  if (name.length > MAX_NAME) return true
  let secret = known.get(name)
  if (secret === undefined) {
    secret = speaksOfSecret(name)
    if (known.size >= MAX_KNOWN) known.clear()
    known.set(name, secret)
  }
  return secret
}

function speaksOfSecret(name: string): boolean {
  const plain = percentDecoded(name)
  if (plain === undefined) return true
  const lower = plain.toLowerCase()
  // Capitals may stand anywhere: `acceSsKeY`.
  return PART.test(lower) || [plain, lower].some((spelt) => hasSecretWord(spelt.match(WORD) ?? []))
}

function hasSecretWord(words: readonly string[]): boolean {
  const lower = words.map((word) => word.toLowerCase())
  return lower.some((word, at) => isSecret(word, lower[at - 1] ?? ''))
}

function isSecret(word: string, before: string): boolean {
  const one = word.replace(/s$/, '')
  if (one === 'code' && OF_PUBLIC_CODE.has(before)) return false
  return WORDS.has(word) || WORDS.has(one) || PART.test(one) || (KEY.test(word) && !NO_KEY.has(one))
}

/** Of Envoy: whether it sent the whole body. */
const PLAIN_HEADERS: ReadonlySet<string> = new Set(['x-envoy-auth-partial-body'])

/** `name` in lower case. */
export function isSecretHeader(name: string): boolean {
  return !PLAIN_HEADERS.has(name) && namesSecret(name)
}

/** Registered names that sound like secrets and hold none. Source: IANA's registry of JWT claims, RFC 9396 2. */
const PLAIN_CLAIMS: ReadonlySet<string> = new Set(
  'auth_time authorization_details postal_code sid token_type token_use token_introspection'.split(' '),
)

export function isSecretClaim(name: string): boolean {
  return !PLAIN_CLAIMS.has(name) && namesSecret(name)
}
