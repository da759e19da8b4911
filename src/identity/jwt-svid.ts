import type { Refusal } from '../decision/decision.js'
import type { RefusalReason } from '../decision/reason.js'
import { readDateMs, readText, readTexts } from './claims.js'
import { andThen, type Eventually } from './eventually.js'
import type { JwtSvidVerifier, TokenHolder, Verified } from './identify.js'
import { mediaTypeOf, parseJwt, type Jwt } from './jwt.js'
import type { KeySource } from './key-source.js'
import type { WorkloadPrincipal } from './principal.js'
import { namesTarget, NOT_ONE_AUDIENCE, SERVICE_TOKEN_SKEW_MS, singleAudience } from './service-token.js'
import { verifyToken, type NormalisedClaims, type TokenKind, type TokenVerdict } from './signed-token.js'
import { parseSpiffeId, type SpiffeId } from './spiffe-id.js'
import type { VerdictCache } from './verdict-cache.js'

export type JwtSvidRules = {
  /** JWT authorities of one trust domain, never of several together; undefined: it has none. */
  readonly authorities: (trustDomain: string) => KeySource | undefined
  /** Whether tokens of that `iss` are users'. */
  readonly isUserIssuer: (issuer: string) => boolean
  /** Whether a verdict stands on this text as a user's token: then it need not be read again. */
  readonly isKnownUserToken: (token: string, nowMs: number) => boolean
  /** From now to `exp`: most JWT-SVIDs have no `iat`. */
  readonly maxLifetimeMs: number
  readonly verdicts: VerdictCache<TokenVerdict<JwtSvidClaims>>
}

export type JwtSvidClaims = {
  readonly subject: SpiffeId
  readonly audience: string
  readonly expiresAtMs: number
  readonly notBeforeMs: number
}

const BEARER = /^bearer ([A-Za-z0-9._-]+)$/i
const HEADER_MEMBERS = new Set(['alg', 'kid', 'typ'])
const TYPES = new Set(['', 'jwt', 'jose'])

/**
 * Verifies JWT-SVIDs in `authorization: Bearer`. One is told from a user's token by what it says: its `sub` is a
 * SPIFFE ID and its `iss`, if any, is no configured issuer of users. Signature by the trust domain's own JWT
 * authorities; one single audience, the target. Source: JWT-SVID 2 to 5, FORMATS 2, REQUIREMENTS I5.
 */
export function jwtSvidVerifier(rules: JwtSvidRules): JwtSvidVerifier {
  const kind: TokenKind<{ readonly keys: KeySource }, JwtSvidClaims> = {
    name: 'service-token',
    issuerOf: ({ claims: { sub } }) => {
      const subject = typeof sub === 'string' ? parseSpiffeId(sub) : undefined
      const keys = subject?.ok ? rules.authorities(subject.id.trustDomain) : undefined
      return keys && { keys }
    },
    refuseHeader,
    normalise: ({ claims }) => readJwtSvid(claims),
  }
  return {
    claims: (authorization, nowMs) => {
      const token = BEARER.exec(authorization)?.[1]
      if (token === undefined || rules.isKnownUserToken(token, nowMs)) return false
      return rules.verdicts.get(token, nowMs) !== undefined || isJwtSvid(token, rules)
    },
    verify: (authorization, holder, nowMs) => {
      const token = BEARER.exec(authorization)?.[1] ?? ''
      return andThen(
        verifyToken(kind, rules.verdicts, token, nowMs),
        (verdict): Eventually<Verified<WorkloadPrincipal>> => {
          if (!verdict.ok) return verdict
          const refusal = check(verdict.value, holder, rules.maxLifetimeMs, nowMs)
          if (refusal) return { ok: false, refusal }
          return {
            ok: true,
            value: holder.workload ?? { spiffeId: verdict.value.subject, verifiedBy: 'jwt-svid' },
          }
        },
      )
    },
  }
}

function isJwtSvid(token: string, { isUserIssuer }: JwtSvidRules): boolean {
  const parsed = parseJwt(token)
  if (!parsed.ok) return false
  const { iss, sub } = parsed.jwt.claims
  if (typeof iss === 'string' && isUserIssuer(iss)) return false
  return typeof sub === 'string' && sub.startsWith('spiffe://')
}

function refuseHeader(jwt: Jwt): Refusal | undefined {
  if (jwt.algorithm === 'EdDSA') {
    return refuse('service-token-signature', 'its algorithm is not one of JWT-SVIDs')
  }
  if (!TYPES.has(mediaTypeOf(jwt))) {
    return refuse('service-token-malformed', 'its `typ` is that of another kind of token')
  }
  return Object.keys(jwt.header).every((name) => HEADER_MEMBERS.has(name))
    ? undefined
    : refuse('service-token-malformed', 'its header says more than a JWT-SVID may')
}

function readJwtSvid(claims: Jwt['claims']): NormalisedClaims<JwtSvidClaims> {
  const sub = readText(claims, 'sub', 2048)
  const subject = sub !== undefined && sub !== 'wrong' ? parseSpiffeId(sub.text) : undefined
  if (!subject?.ok || subject.id.path === '') {
    return { ok: false, problem: '`sub` is not the SPIFFE ID of a workload' }
  }
  const audiences = readTexts(claims, 'aud')
  if (audiences === 'wrong') return { ok: false, problem: '`aud` is not text or a list of texts' }
  const audience = singleAudience(audiences)
  if (audience === undefined) return NOT_ONE_AUDIENCE
  const expiresAtMs = readDateMs(claims, 'exp')
  const issuedAtMs = readDateMs(claims, 'iat') ?? 0
  const notBeforeMs = readDateMs(claims, 'nbf') ?? 0
  if (expiresAtMs === undefined) return { ok: false, problem: '`exp` is missing' }
  if (expiresAtMs === 'wrong' || issuedAtMs === 'wrong' || notBeforeMs === 'wrong') {
    return { ok: false, problem: '`exp`, `iat` or `nbf` is not a time' }
  }
  return {
    ok: true,
    expiresAtMs,
    value: { subject: subject.id, audience, expiresAtMs, notBeforeMs: Math.max(issuedAtMs, notBeforeMs) },
  }
}

function check(
  svid: JwtSvidClaims,
  holder: TokenHolder,
  maxLifetimeMs: number,
  nowMs: number,
): Refusal | undefined {
  if (nowMs >= svid.expiresAtMs) return refuse('service-token-expired', 'it has expired')
  if (svid.expiresAtMs > nowMs + maxLifetimeMs + SERVICE_TOKEN_SKEW_MS) {
    return refuse('service-token-lifetime', `it lives longer than ${maxLifetimeMs} ms from now`)
  }
  if (svid.notBeforeMs > nowMs + SERVICE_TOKEN_SKEW_MS) {
    return refuse('service-token-lifetime', '`iat` or `nbf` lies in the future')
  }
  if (!namesTarget(svid.audience, holder)) {
    return refuse('service-token-audience', 'it is meant for another service')
  }
  const { workload } = holder
  if (workload) {
    return workload.spiffeId.text === svid.subject.text
      ? undefined
      : refuse('service-token-subject', 'its `sub` is not the calling workload')
  }
  return holder.mayStandIn
    ? undefined
    : refuse('service-token-subject', 'there is no workload that it could belong to')
}

function refuse(reason: RefusalReason, message: string): Refusal {
  return { reason, message }
}
