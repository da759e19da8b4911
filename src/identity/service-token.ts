import type { Refusal } from '../decision/decision.js'
import type { RefusalReason } from '../decision/reason.js'
import { readDateMs, readScopes, readText, readTexts } from './claims.js'
import { andThen, type Eventually } from './eventually.js'
import type { TokenHolder, VerifiedServiceToken, Verified } from './identify.js'
import { mediaTypeOf, type Jwt } from './jwt.js'
import type { KeySource } from './key-source.js'
import type { ServiceTokenPrincipal, WorkloadPrincipal } from './principal.js'
import { replayKey, type Claim, type ReplayGuard } from './replay.js'
import {
  issuerByName,
  verifyToken,
  type NormalisedClaims,
  type TokenKind,
  type TokenVerdict,
} from './signed-token.js'
import { parseSpiffeId, type SpiffeId } from './spiffe-id.js'
import type { VerdictCache } from './verdict-cache.js'

/** One entry of the registry of issuers. Source: FORMATS 2 `serviceTokens.issuers`. */
export type ServiceTokenIssuer = {
  /** `namespace/name` that the issuer stands for. */
  readonly service: string
  readonly keys: KeySource
  /** The most it may claim: exact scopes, or `payments:*` for all that begin with `payments:`. */
  readonly scopes: readonly string[]
}

export type ServiceTokenRules = {
  /** By the exact `iss`. */
  readonly issuers: ReadonlyMap<string, ServiceTokenIssuer>
  /** From `iat` to `exp`. */
  readonly maxLifetimeMs: number
  /** The local one: names the identity that a token without `sub` stands in for on Permissive listeners. */
  readonly trustDomain: string
  readonly replay: ReplayGuard
  readonly verdicts: VerdictCache<TokenVerdict<ServiceTokenClaims>>
}

/** What a token with a right signature says, whoever brings it and whenever. */
export type ServiceTokenClaims = {
  readonly principal: ServiceTokenPrincipal
  readonly audience: string
  /** An identity of a workload, where the token names one. */
  readonly subject: SpiffeId | undefined
  readonly notBeforeMs: number
  readonly claim: Claim
}

/** How far an issuer's clock may run ahead, in milliseconds. `exp` has no such grace. */
export const SERVICE_TOKEN_SKEW_MS = 5_000
const MAX_JTI_LENGTH = 256
const TYPES = new Set(['', 'jwt', 'jose'])

/**
 * Verifies tokens of `x-service-token`: form, issuer, signature (remembered), then lifetime, audience and holder,
 * and last the one use of the `jti`, so that a refused call burns nothing. Source: FORMATS 2, REQUIREMENTS I5.
 */
export function serviceTokenVerifier(
  rules: ServiceTokenRules,
): (token: string, holder: TokenHolder, nowMs: number) => Eventually<Verified<VerifiedServiceToken>> {
  const kind: TokenKind<ServiceTokenIssuer, ServiceTokenClaims> = {
    name: 'service-token',
    issuerOf: issuerByName(rules.issuers),
    refuseHeader: (jwt) =>
      TYPES.has(mediaTypeOf(jwt))
        ? undefined
        : { reason: 'service-token-malformed', message: 'its `typ` is that of another kind of token' },
    normalise: readServiceToken,
  }
  return (token, holder, nowMs) =>
    andThen(verifyToken(kind, rules.verdicts, token, nowMs), (verdict) => {
      if (!verdict.ok) return verdict
      const claims = verdict.value
      const refusal =
        checkServiceTokenTime(claims, rules.maxLifetimeMs, nowMs) ?? checkAudience(claims, holder)
      if (refusal) return { ok: false, refusal }
      const bound = bind(claims, holder, rules.trustDomain)
      if (!bound.ok) return bound
      return andThen(rules.replay.claim(claims.claim, nowMs), (answer) => {
        const used = REPLAY_REFUSALS[answer]
        return used
          ? { ok: false, refusal: used }
          : { ok: true, value: { token: claims.principal, workload: bound.value } }
      })
    })
}

/** Reads the claims of a token whose signature is right; scopes are cut to what the issuer may claim. */
export function readServiceToken(jwt: Jwt, issuer: ServiceTokenIssuer): NormalisedClaims<ServiceTokenClaims> {
  const { claims } = jwt
  const iss = readText(claims, 'iss')
  if (iss === undefined || iss === 'wrong') return claimProblem('`iss` is not text')
  const jti = readText(claims, 'jti', MAX_JTI_LENGTH)
  if (jti === undefined || jti === 'wrong') {
    return claimProblem(`\`jti\` is not text of 1 to ${MAX_JTI_LENGTH} characters`)
  }
  const issuedAtMs = readDateMs(claims, 'iat')
  const expiresAtMs = readDateMs(claims, 'exp')
  const notBeforeMs = readDateMs(claims, 'nbf')
  if (issuedAtMs === undefined || expiresAtMs === undefined) return claimProblem('`iat` or `exp` is missing')
  if (issuedAtMs === 'wrong' || expiresAtMs === 'wrong' || notBeforeMs === 'wrong') {
    return claimProblem('`iat`, `exp` or `nbf` is not a time')
  }
  const audiences = readTexts(claims, 'aud')
  if (audiences === 'wrong') return claimProblem('`aud` is not text or a list of texts')
  const audience = singleAudience(audiences)
  if (audience === undefined) return NOT_ONE_AUDIENCE
  const sub = readText(claims, 'sub', 2048)
  if (sub === 'wrong') return claimProblem('`sub` is not text')
  const subject = sub && parseSpiffeId(sub.text)
  if (subject && !subject.ok) return claimProblem('`sub` is not a SPIFFE ID')
  if (claims['scopes'] !== undefined && claims['scope'] !== undefined) {
    return claimProblem('it has both `scopes` and `scope`')
  }
  const claimed = readScopes(claims, claims['scopes'] === undefined ? 'scope' : 'scopes') ?? []
  if (claimed === 'wrong') return claimProblem('its scopes are not a list of scopes')
  const scopes = [...new Set(claimed)].filter((scope) => mayClaim(issuer.scopes, scope))
  return {
    ok: true,
    expiresAtMs,
    value: {
      principal: { issuer: iss.text, service: issuer.service, scopes, jti: jti.text },
      audience,
      subject: subject?.id,
      notBeforeMs: notBeforeMs ?? 0,
      claim: { key: replayKey(iss.text, jti.text), issuedAtMs, expiresAtMs },
    },
  }
}

/** A token for several would be good at each of them. */
export function singleAudience(audiences: readonly string[] | undefined): string | undefined {
  return audiences?.length === 1 ? audiences[0] : undefined
}

export const NOT_ONE_AUDIENCE = {
  ok: false,
  reason: 'service-token-audience',
  problem: '`aud` is not one single audience',
} as const

function mayClaim(patterns: readonly string[], scope: string): boolean {
  return patterns.some((pattern) =>
    pattern.endsWith('*') ? scope.startsWith(pattern.slice(0, -1)) : scope === pattern,
  )
}

/** A time of issue in the future would stretch the lifetime, so it is refused as one. */
export function checkServiceTokenTime(
  claims: ServiceTokenClaims,
  maxLifetimeMs: number,
  nowMs: number,
): Refusal | undefined {
  const { issuedAtMs, expiresAtMs } = claims.claim
  if (expiresAtMs <= issuedAtMs) return refuse('service-token-lifetime', '`exp` is not after `iat`')
  if (expiresAtMs - issuedAtMs > maxLifetimeMs) {
    return refuse('service-token-lifetime', `it lives longer than ${maxLifetimeMs} ms`)
  }
  if (nowMs >= expiresAtMs) return refuse('service-token-expired', 'it has expired')
  if (Math.max(issuedAtMs, claims.notBeforeMs) > nowMs + SERVICE_TOKEN_SKEW_MS) {
    return refuse('service-token-lifetime', '`iat` or `nbf` lies in the future')
  }
  return undefined
}

/** The target as `namespace/name`, as its SPIFFE ID, or by its bare name within the issuer's own namespace. */
function checkAudience(
  { audience, principal }: ServiceTokenClaims,
  holder: TokenHolder,
): Refusal | undefined {
  const bare = !audience.includes('/')
  return namesTarget(bare ? `${namespaceOf(principal.service)}/${audience}` : audience, holder)
    ? undefined
    : refuse('service-token-audience', 'it is meant for another service')
}

/** Does an audience name the target, as `namespace/name` or as one of its SPIFFE IDs? */
export function namesTarget(
  audience: string,
  { target, serviceOf }: Pick<TokenHolder, 'target' | 'serviceOf'>,
): boolean {
  if (!audience.startsWith('spiffe://')) return target.id !== undefined && audience === target.id
  if (audience === target.spiffeId?.text) return true
  const parsed = parseSpiffeId(audience)
  return parsed.ok && target.id !== undefined && serviceOf(parsed.id) === target.id
}

function namespaceOf(service: string): string {
  return service.slice(0, service.indexOf('/'))
}

/** The workload that brings the token must be the issuer's service; without one the token may stand in for it. */
function bind(
  claims: ServiceTokenClaims,
  holder: TokenHolder,
  trustDomain: string,
): Verified<WorkloadPrincipal> {
  const { service } = claims.principal
  const { workload, serviceOf } = holder
  if (!workload && !holder.mayStandIn) return subjectRefusal('there is no workload that it could belong to')
  if (workload && serviceOf(workload.spiffeId) !== service) {
    return subjectRefusal(`its issuer stands for ${service}, and the caller is not that service`)
  }
  if (claims.subject && serviceOf(claims.subject) !== service) {
    return subjectRefusal(`its \`sub\` is not an identity of ${service}`)
  }
  if (workload) return { ok: true, value: workload }
  const spiffeId = claims.subject ?? defaultIdentity(service, trustDomain)
  if (!spiffeId || serviceOf(spiffeId) !== service) {
    return subjectRefusal(`it has no \`sub\`, and ${service} does not have its default identity`)
  }
  return { ok: true, value: { spiffeId, verifiedBy: 'service-token' } }
}

/** The identity that a service has unless its policy says otherwise. Source: FORMATS 1 `serviceAccounts`. */
function defaultIdentity(service: string, trustDomain: string): SpiffeId | undefined {
  const namespace = namespaceOf(service)
  const parsed = parseSpiffeId(
    `spiffe://${trustDomain}/ns/${namespace}/sa/${service.slice(namespace.length + 1)}`,
  )
  return parsed.ok ? parsed.id : undefined
}

function subjectRefusal(message: string): { readonly ok: false; readonly refusal: Refusal } {
  return { ok: false, refusal: refuse('service-token-subject', message) }
}

function refuse(reason: RefusalReason, message: string): Refusal {
  return { reason, message }
}

function claimProblem(problem: string): { readonly ok: false; readonly problem: string } {
  return { ok: false, problem }
}

const REPLAY_REFUSALS = {
  first: undefined,
  replayed: refuse('service-token-replayed', 'it was used before'),
  'before-start': {
    reason: 'service-token-replayed',
    message:
      'it was issued before this server started, which can not know whether it was used; a new token will do',
    blameless: true,
  },
  unavailable: refuse('state-unavailable', 'whether it was used before can not be told now'),
} as const
