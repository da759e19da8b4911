import type { Refusal } from '../decision/decision.js'
import type { RefusalReason } from '../decision/reason.js'
import { readDateMs, readTexts } from './claims.js'
import type { DpopProofs } from './dpop.js'
import { readEnvoyUser, type EnvoyIssuer } from './envoy-user.js'
import { andThen, type Eventually } from './eventually.js'
import type { UserEvidence, Verified } from './identify.js'
import { mediaTypeOf, type Algorithm, type Jwt } from './jwt.js'
import type { KeySource } from './key-source.js'
import type { UserPrincipal } from './principal.js'
import {
  checkSender,
  readSenderBinding,
  type SenderBinding,
  type SenderConstraint,
} from './sender-binding.js'
import {
  issuerByName,
  verifyToken,
  type NormalisedClaims,
  type TokenKind,
  type TokenVerdict,
} from './signed-token.js'
import type { JsonObject } from './strict-json.js'
import { readUserPrincipal, type ClaimMapping } from './user-claims.js'
import type { VerdictCache } from './verdict-cache.js'

/** What one issuer's users may claim here, whoever verified the signature. Source: FORMATS 2 `userTokens.issuers`. */
export type UserTokenTerms = {
  readonly audiences: readonly string[]
  readonly mapping: ClaimMapping
  readonly senderConstraint: SenderConstraint
}

/** One issuer whose tokens are verified here. */
export type UserTokenIssuer = UserTokenTerms & {
  readonly keys: KeySource
  /** Its allow-list; a token's algorithm must also fit the key. */
  readonly algorithms: readonly Algorithm[]
  /** Only `typ: at+jwt` is taken. Source: RFC 9068. */
  readonly requireAccessTokenType: boolean
}

export type UserTokenRules = {
  /** By the exact `iss`. */
  readonly issuers: ReadonlyMap<string, UserTokenIssuer>
  /** Issuers whose tokens Envoy verifies, by the exact `iss`; none of them is among `issuers`. */
  readonly envoyIssuers: ReadonlyMap<string, EnvoyIssuer>
  readonly dpop: DpopProofs
  /** How far an issuer's clock may differ, for `exp`, `nbf` and `iat`. */
  readonly clockSkewMs: number
  readonly verdicts: VerdictCache<TokenVerdict<UserTokenClaims>>
}

export type UserTokenClaims = {
  /** The answer while the token is in its time: one object, so that a hit allocates nothing. */
  readonly verified: { readonly ok: true; readonly value: UserPrincipal }
  readonly expiresAtMs: number
  readonly notBeforeMs: number
  readonly sender: SenderBinding
}

const ACCESS_TOKEN_TYPE = 'at+jwt'
const TYPES = new Set(['', 'jwt', ACCESS_TOKEN_TYPE])
const SCHEME = /^(bearer|dpop) /i

type Credential = { readonly scheme: 'bearer' | 'dpop'; readonly token: string }

/**
 * Verifies a user by the `authorization` header, one Bearer or DPoP token of a configured issuer, or by what Envoy
 * verified for an issuer where that is configured. Another scheme, a list or odd blanks are a credential that is
 * present and unusable, so they are refused and never passed over. Source: FORMATS 2, REQUIREMENTS I7 to I10.
 */
export function userTokenVerifier(
  rules: UserTokenRules,
): (evidence: UserEvidence, nowMs: number) => Eventually<Verified<UserPrincipal | undefined>> {
  const kind: TokenKind<UserTokenIssuer, UserTokenClaims> = {
    name: 'user-token',
    issuerOf: issuerByName(rules.issuers),
    refuseHeader,
    normalise: (jwt, issuer) => readUserToken(jwt.claims, issuer),
  }
  return (evidence, nowMs) => {
    const { authorization } = evidence
    let credential: Credential | undefined
    if (authorization !== undefined) {
      credential = readCredential(authorization)
      if (!credential) return NO_TOKEN
    }
    if (rules.envoyIssuers.size > 0) {
      const token = credential?.token
      const known = token !== undefined && rules.verdicts.get(token, nowMs) !== undefined
      const answer = readEnvoyUser(evidence.request.jwtMetadata, rules.envoyIssuers, token, known)
      if (answer.found === 'refused') return answer
      if (answer.found === 'user') {
        const read = readUserToken(answer.claims, answer.issuer)
        if (!read.ok) return refuse(read.reason ?? 'user-token-malformed', read.problem)
        return checkCall(rules, read.value, credential, evidence, nowMs)
      }
    }
    if (!credential) return NOBODY
    return andThen(verifyToken(kind, rules.verdicts, credential.token, nowMs), (verdict) =>
      verdict.ok ? checkCall(rules, verdict.value, credential, evidence, nowMs) : verdict,
    )
  }
}

function readCredential(authorization: string): Credential | undefined {
  const scheme = SCHEME.exec(authorization)?.[1]
  if (scheme === undefined) return undefined
  // Which characters a token may have is asked once, when it is parsed; a remembered text was.
  const token = authorization.slice(scheme.length + 1)
  return { scheme: scheme.toLowerCase() === 'dpop' ? 'dpop' : 'bearer', token }
}

/** What a right token must still hold to on every call: its time and its sender. */
function checkCall(
  rules: UserTokenRules,
  claims: UserTokenClaims,
  credential: Credential | undefined,
  { request, listener, workload }: UserEvidence,
  nowMs: number,
): Eventually<Verified<UserPrincipal>> {
  const { sender } = claims
  const refusal =
    checkUserTokenTime(claims, rules.clockSkewMs, nowMs) ??
    checkSender(sender, credential?.scheme ?? 'bearer', workload)
  if (refusal) return { ok: false, refusal }
  const { keyThumbprint } = sender
  const { http } = request
  if (!sender.enforced || keyThumbprint === undefined || !credential || !http) return claims.verified
  const use = { token: credential.token, keyThumbprint, http, listener }
  return andThen(rules.dpop.verify(use, nowMs), (wrong) =>
    wrong ? { ok: false, refusal: wrong } : claims.verified,
  )
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

/** Reads the claims of a token whose signature is right: audience, sender, times, then the user. */
export function readUserToken(claims: JsonObject, issuer: UserTokenTerms): NormalisedClaims<UserTokenClaims> {
  const audiences = readTexts(claims, 'aud')
  if (audiences === 'wrong') return { ok: false, problem: '`aud` is not text or a list of texts' }
  if (!audiences?.some((audience) => issuer.audiences.includes(audience))) {
    return { ok: false, reason: 'user-token-audience', problem: 'it is meant for another audience' }
  }
  const sender = readSenderBinding(claims, issuer.senderConstraint)
  if (!sender.ok) return sender
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
    sender: sender.binding,
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

const NOBODY = { ok: true, value: undefined } as const
const NO_TOKEN = refuse('user-token-malformed', 'the authorization header is not one Bearer or DPoP token')

function refuse(reason: RefusalReason, message: string): { readonly ok: false; readonly refusal: Refusal } {
  return { ok: false, refusal: { reason, message } }
}
