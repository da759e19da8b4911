import type { Refusal } from '../decision/decision.js'
import { readDateMs, readTexts } from './claims.js'
import { andThen, type Eventually } from './eventually.js'
import type { Verified } from './identify.js'
import { mediaTypeOf, type Algorithm, type Jwt } from './jwt.js'
import type { KeySource } from './key-source.js'
import type { UserPrincipal } from './principal.js'
import { verifyToken, type NormalisedClaims, type TokenKind, type TokenVerdict } from './signed-token.js'
import { readUserPrincipal, type ClaimMapping } from './user-claims.js'
import type { VerdictCache } from './verdict-cache.js'

/** One issuer of user tokens. Source: FORMATS 2 `userTokens.issuers`. */
export type UserTokenIssuer = {
  readonly audiences: readonly string[]
  readonly keys: KeySource
  /** Its allow-list; a token's algorithm must also fit the key. */
  readonly algorithms: readonly Algorithm[]
  readonly mapping: ClaimMapping
  /** Only `typ: at+jwt` is taken. Source: RFC 9068. */
  readonly requireAccessTokenType: boolean
  /** `None` takes a token that is bound to a key (`cnf`) from anyone; `Optional` only from its proven holder. */
  readonly senderConstraint: 'None' | 'Optional'
}

export type UserTokenRules = {
  /** By the exact `iss`. */
  readonly issuers: ReadonlyMap<string, UserTokenIssuer>
  /** How far an issuer's clock may differ, for `exp`, `nbf` and `iat`. */
  readonly clockSkewMs: number
  readonly verdicts: VerdictCache<TokenVerdict<UserTokenClaims>>
}

export type UserTokenClaims = {
  /** The answer while the token is in its time: one object, so that a hit allocates nothing. */
  readonly verified: { readonly ok: true; readonly value: UserPrincipal }
  readonly expiresAtMs: number
  readonly notBeforeMs: number
}

const ACCESS_TOKEN_TYPE = 'at+jwt'
const TYPES = new Set(['', 'jwt', ACCESS_TOKEN_TYPE])
const BEARER = /^bearer /i
const BEARER_LENGTH = 7

/**
 * Verifies the value of an `authorization` header: one Bearer token of a configured issuer. Another scheme, a list
 * or odd blanks are a credential that is present and unusable, so they are refused and never passed over.
 * Source: FORMATS 2, REQUIREMENTS I7, I8, I10.
 */
export function userTokenVerifier(
  rules: UserTokenRules,
): (authorization: string, nowMs: number) => Eventually<Verified<UserPrincipal>> {
  const kind: TokenKind<UserTokenIssuer, UserTokenClaims> = {
    name: 'user-token',
    issuers: rules.issuers,
    refuseHeader,
    normalise: readUserToken,
  }
  return (authorization, nowMs) => {
    if (!BEARER.test(authorization)) return NOT_BEARER
    const token = authorization.slice(BEARER_LENGTH)
    return andThen(verifyToken(kind, rules.verdicts, token, nowMs), (verdict) => {
      if (!verdict.ok) return verdict
      const refusal = checkUserTokenTime(verdict.value, rules.clockSkewMs, nowMs)
      return refusal ? { ok: false, refusal } : verdict.value.verified
    })
  }
}

function refuseHeader(jwt: Jwt, issuer: UserTokenIssuer): Refusal | undefined {
  if (!issuer.algorithms.includes(jwt.algorithm)) {
    return { reason: 'user-token-signature', message: 'its algorithm is not one of its issuer' }
  }
  const type = mediaTypeOf(jwt)
  if (issuer.requireAccessTokenType ? type !== ACCESS_TOKEN_TYPE : !TYPES.has(type)) {
    return { reason: 'user-token-type', message: 'its `typ` is not that of an access token' }
  }
  return undefined
}

/** Reads the claims of a token whose signature is right: audience, binding, times, then the user. */
export function readUserToken(jwt: Jwt, issuer: UserTokenIssuer): NormalisedClaims<UserTokenClaims> {
  const { claims } = jwt
  const audiences = readTexts(claims, 'aud')
  if (audiences === 'wrong') return { ok: false, problem: '`aud` is not text or a list of texts' }
  if (!audiences?.some((audience) => issuer.audiences.includes(audience))) {
    return { ok: false, reason: 'user-token-audience', problem: 'it is meant for another audience' }
  }
  if (claims['cnf'] !== undefined && issuer.senderConstraint !== 'None') {
    return {
      ok: false,
      reason: 'sender-constraint',
      problem: 'it is bound to a key that the caller did not prove',
    }
  }
  const exp = readDateMs(claims, 'exp')
  const nbf = readDateMs(claims, 'nbf') ?? 0
  const iat = readDateMs(claims, 'iat') ?? 0
  if (exp === undefined) return { ok: false, problem: '`exp` is missing' }
  if (exp === 'wrong' || nbf === 'wrong' || iat === 'wrong') {
    return { ok: false, problem: '`exp`, `nbf` or `iat` is not a time' }
  }
  const read = readUserPrincipal(claims, issuer.mapping)
  if (!read.ok) return read
  const value: UserTokenClaims = {
    verified: { ok: true, value: read.principal },
    expiresAtMs: exp,
    notBeforeMs: Math.max(nbf, iat),
  }
  return { ok: true, value, expiresAtMs: exp }
}

/** Is it in its time, clock differences granted? */
export function checkUserTokenTime(
  claims: UserTokenClaims,
  clockSkewMs: number,
  nowMs: number,
): Refusal | undefined {
  if (nowMs >= claims.expiresAtMs + clockSkewMs) {
    return { reason: 'user-token-expired', message: 'it has expired' }
  }
  if (claims.notBeforeMs > nowMs + clockSkewMs) {
    return { reason: 'user-token-not-yet-valid', message: 'it is not valid yet' }
  }
  return undefined
}

const NOT_BEARER = {
  ok: false,
  refusal: { reason: 'user-token-malformed', message: 'the authorization header is not one Bearer token' },
} as const
