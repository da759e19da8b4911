import { percentDecoded } from './percent-decoded.js'
import { withoutTokens } from './redact.js'
import { namesSecret } from './secret-name.js'

export const REDACTED = '[redacted]'

/** Nothing can be in a text without one of these. */
const WORTH_A_LOOK = /[\s+=%?@"]|eyJ|-----|LS0t/

/** The schemes that words in a sentence are taken for too. */
const SCHEME = /\b(?:basic|bearer|dpop|negotiate|ntlm|digest)(?:\s|\+)+\S/i
const SCHEME_IN_FRONT =
  /^["'\s]*(?:api-?key|aws4-[\w-]+|credential|gnap|hawk|hmac[\w-]*|hoba|mac|mutual|oauth|private-?token|scram-[\w-]+|sharedkey(?:lite)?|signature|token|vapid)(?:\s|\+)+\S/i
/** In front of a PEM text, plain and in base64. */
const PEM = /-----BEGIN|LS0tLS1CRUdJTi/

/**
 * Text that a caller or an issuer chose, for a record: secrets that their form or a name in it gives away are replaced
 * by `[redacted]`, in plain and in percent-encoded spelling. Undefined: the whole of it may be one. Linear in time.
 */
export function withoutCredentials(text: string): string | undefined {
  if (!WORTH_A_LOOK.test(text) || plainTexts.has(text)) return text
  const cleaned = look(text)
  if (cleaned === text && text.length <= MAX_REMEMBERED) {
    if (plainTexts.size >= MAX_PLAIN_TEXTS) plainTexts.clear()
    plainTexts.add(text)
  }
  return cleaned
}

/** Browsers, languages and accepted kinds repeat: texts in which nothing was found. Forgotten as a whole. */
const plainTexts = new Set<string>()
const MAX_PLAIN_TEXTS = 2048
/** Longest text that is remembered, UTF-16 units. */
const MAX_REMEMBERED = 256

function look(text: string): string | undefined {
  if (isCredential(text)) return undefined
  const cleaned = withoutSecretParts(text)
  if (!cleaned.includes('%')) return cleaned
  const plain = percentDecoded(cleaned)
  if (plain === undefined || isCredential(plain)) return undefined
  // Where something hides behind an encoding, the encoded text can't be cut in places.
  return plain === cleaned || withoutSecretParts(plain) === plain ? cleaned : REDACTED
}

function isCredential(text: string): boolean {
  return SCHEME.test(text) || SCHEME_IN_FRONT.test(text) || PEM.test(text)
}

/** `user:password@` in front of an authority. */
const USER_INFO = /([/\\]{2})[^/\\@\s]*@/g
const QUERY = /\?([^\s<>"']*)/g
/** A member of a JSON object whose value is no object. */
const MEMBER = /"([^"\\]*)"\s*:\s*("(?:[^"\\]|\\.)*"?|[^\s,{}[\]"]+)/g
/** A word, and what it is set to. */
const PAIR = /([^&\s;,<>"'?#{}()|=]+)(?:=("[^"]*"?|'[^']*'?|[^&\s;,<>"'?#{}()|]*))?/g

function withoutSecretParts(text: string): string {
  let cleaned = withoutTokens(text)
  if (cleaned.includes('@')) cleaned = cleaned.replace(USER_INFO, '$1')
  if (cleaned.includes('?')) cleaned = cleaned.replace(QUERY, cleanQuery)
  if (cleaned.includes('":') || cleaned.includes('" ')) cleaned = cleaned.replace(MEMBER, cleanMember)
  return cleaned.includes('=') ? cleaned.replace(PAIR, cleanPair) : cleaned
}

/** What stands without a name may itself be the secret. Names are looked at with the other pairs. */
function cleanQuery(_: string, query: string): string {
  const pairs = query.split('&').map((pair) => (pair === '' || pair.includes('=') ? pair : REDACTED))
  return `?${pairs.join('&')}`
}

function cleanMember(member: string, name: string): string {
  return namesSecret(name) ? `"${name}":"${REDACTED}"` : member
}

function cleanPair(pair: string, name: string, value: string | undefined): string {
  return value !== undefined && value !== '' && namesSecret(name) ? `${name}=${REDACTED}` : pair
}
