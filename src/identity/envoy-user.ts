import type { Refusal } from '../decision/decision.js'
import type { RefusalReason } from '../decision/reason.js'
import type { JwtMetadata } from '../request/access-request.js'
import { parseJwt } from './jwt.js'
import { isJsonObject, type JsonObject } from './strict-json.js'
import type { UserTokenTerms } from './user-token.js'

/** An issuer whose tokens Envoy's jwt_authn filter verifies. Source: FORMATS 2 `verifiedBy: Envoy`. */
export type EnvoyIssuer = UserTokenTerms & {
  /** `payload_in_metadata` of its provider; undefined: whichever key holds a payload of this issuer. */
  readonly metadataKey: string | undefined
}

export type EnvoyUser =
  | { readonly found: 'user'; readonly claims: JsonObject; readonly issuer: EnvoyIssuer }
  /** Nothing of Envoy's; the authorization header, if there is one, is verified here. */
  | { readonly found: 'none' }
  | { readonly found: 'refused'; readonly ok: false; readonly refusal: Refusal }

const NONE: EnvoyUser = { found: 'none' }

/**
 * The one user whom Envoy verified. A token in `authorization` beside it must be the one that Envoy verified: a
 * second user would make the request ambiguous. A token of such an issuer that Envoy says nothing of is not verified
 * by anybody, so it is refused. `verifiedHere`: the token is known to be of an issuer that is verified here.
 */
export function readEnvoyUser(
  metadata: JwtMetadata | undefined,
  issuers: ReadonlyMap<string, EnvoyIssuer>,
  token: string | undefined,
  verifiedHere: boolean,
): EnvoyUser {
  const read = metadata?.payloads()
  if (read?.ok === false) return refuse('user-token-malformed', `Envoy's metadata: ${read.problem}`)
  const users = read ? usersIn(read.payloads, issuers) : []
  const [user] = users
  if (users.length > 1) return refuse('ambiguous-request', 'Envoy verified tokens of several users')
  if (token === undefined) return user ?? NONE
  if (verifiedHere) return user ? TWO_USERS : NONE
  const parsed = parseJwt(token)
  const claims = parsed.ok ? parsed.jwt.claims : undefined
  if (user) return claims && sameToken(claims, user.claims) ? user : TWO_USERS
  const issuer = claims?.['iss']
  return typeof issuer === 'string' && issuers.has(issuer)
    ? refuse('user-token-signature', 'Envoy has not verified it')
    : NONE
}

function usersIn(
  payloads: ReadonlyMap<string, JsonObject>,
  issuers: ReadonlyMap<string, EnvoyIssuer>,
): Extract<EnvoyUser, { found: 'user' }>[] {
  const users: Extract<EnvoyUser, { found: 'user' }>[] = []
  for (const [key, claims] of payloads) {
    const { iss } = claims
    const issuer = typeof iss === 'string' ? issuers.get(iss) : undefined
    if (!issuer || (issuer.metadataKey !== undefined && issuer.metadataKey !== key)) continue
    users.push({ found: 'user', claims, issuer })
  }
  return users
}

/** Claim by claim: a token that differs in one of them was verified by nobody. */
function sameToken(one: unknown, other: unknown): boolean {
  if (one === other) return true
  if (Array.isArray(one) && Array.isArray(other)) {
    return one.length === other.length && one.every((element, at) => sameToken(element, other[at]))
  }
  if (!isJsonObject(one) || !isJsonObject(other)) return false
  const names = Object.keys(one)
  return (
    names.length === Object.keys(other).length &&
    names.every((name) => Object.hasOwn(other, name) && sameToken(one[name], other[name]))
  )
}

function refuse(reason: RefusalReason, message: string): Extract<EnvoyUser, { found: 'refused' }> {
  return { found: 'refused', ok: false, refusal: { reason, message } }
}

const TWO_USERS = refuse(
  'ambiguous-request',
  'the authorization header and what Envoy verified are two tokens',
)
