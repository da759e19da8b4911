import type { Refusal } from '../decision/decision.js'
import type { RefusalReason } from '../decision/reason.js'
import type { Eventually } from './eventually.js'
import { parseJwt, type Jwt } from './jwt.js'
import type { KeySource } from './key-source.js'
import { verifySignature } from './signature.js'
import { VerdictCache, type VerdictCacheLimits } from './verdict-cache.js'

/** What the bytes and the keys alone say about a token; time, binding and replay are asked on every call. */
export type TokenVerdict<T> =
  | { readonly ok: true; readonly value: T; readonly expiresAtMs: number }
  | { readonly ok: false; readonly refusal: Refusal; readonly keep: boolean }

/** A peer's claims that can't be used, for example `` `jti` is missing ``. Never repeats a value. */
export type ClaimProblem = {
  readonly ok: false
  /** Default: the kind's `-malformed`. */
  readonly reason?: RefusalReason
  readonly problem: string
}
export type NormalisedClaims<T> =
  { readonly ok: true; readonly value: T; readonly expiresAtMs: number } | ClaimProblem

/** One kind of token: who may issue it and how its claims are read. */
export type TokenKind<I extends { readonly keys: KeySource }, T> = {
  readonly name: 'service-token' | 'user-token'
  /** By its claims alone: nothing is tried out. */
  readonly issuerOf: (jwt: Jwt) => I | undefined
  /** Refuses by the header, before a key is looked for. */
  readonly refuseHeader: (jwt: Jwt, issuer: I) => Refusal | undefined
  /** Reads the claims of a token whose signature is right. */
  readonly normalise: (jwt: Jwt, issuer: I) => NormalisedClaims<T>
}

/** Milliseconds that a refused signature is remembered under the same keys, and a right one beyond its `exp`. */
const REMEMBERED_MS = 300_000

/** Verdicts on one kind of token, by its exact text. Sizes: at most about 16 KiB a token are held. */
export function tokenVerdicts<T>(limits: VerdictCacheLimits): VerdictCache<TokenVerdict<T>> {
  return new VerdictCache<TokenVerdict<T>>(limits, (verdict, nowMs) => {
    if (verdict.ok) return { space: 'accepted', untilMs: verdict.expiresAtMs + REMEMBERED_MS }
    return verdict.keep ? { space: 'refused', untilMs: nowMs + REMEMBERED_MS } : undefined
  })
}

/**
 * Verifies form, issuer, algorithm and signature of a token, once per text and generation of its issuer's keys. Answers at once
 * for a text seen before; the form is checked at once too, so what can't be a token costs no wait.
 */
export function verifyToken<I extends { readonly keys: KeySource }, T>(
  kind: TokenKind<I, T>,
  verdicts: VerdictCache<TokenVerdict<T>>,
  text: string,
  nowMs: number,
): Eventually<TokenVerdict<T>> {
  const known = verdicts.get(text, nowMs)
  if (known) return known
  const parsed = parseJwt(text)
  if (!parsed.ok) {
    return refused(`${kind.name}-${parsed.fault === 'algorithm' ? 'signature' : 'malformed'}`, parsed.problem)
  }
  const { jwt } = parsed
  const issuer = kind.issuerOf(jwt)
  if (!issuer) return refused(`${kind.name}-issuer`, 'its issuer is not configured')
  const refusal = kind.refuseHeader(jwt, issuer)
  if (refusal) return { ok: false, refusal, keep: false }
  const verify = async (): Promise<TokenVerdict<T>> => verifyParsed(kind, jwt, issuer)
  return verdicts.verify(text, issuer.keys, nowMs, verify) ?? TOO_MANY
}

async function verifyParsed<I extends { readonly keys: KeySource }, T>(
  kind: TokenKind<I, T>,
  jwt: Jwt,
  issuer: I,
): Promise<TokenVerdict<T>> {
  const answer = await issuer.keys.find(jwt.kid, jwt.algorithm)
  if (answer.found === 'unavailable') return refused('state-unavailable', answer.message)
  if (answer.found === 'none') {
    // Not kept: the key may be there after the next refresh.
    return refused(`${kind.name}-signature`, 'its issuer has no key of that name for that algorithm')
  }
  if (!(await verifySignature(jwt, answer.key))) {
    return { ...refused(`${kind.name}-signature`, 'its signature is wrong'), keep: true }
  }
  const claims = kind.normalise(jwt, issuer)
  if (claims.ok) return claims
  return { ...refused(claims.reason ?? `${kind.name}-malformed`, claims.problem), keep: true }
}

/** The issuer that a token names in `iss`. */
export function issuerByName<I>(issuers: ReadonlyMap<string, I>): (jwt: Jwt) => I | undefined {
  return ({ claims: { iss } }) => (typeof iss === 'string' ? issuers.get(iss) : undefined)
}

function refused(
  reason: RefusalReason,
  message: string,
): { readonly ok: false; readonly refusal: Refusal; readonly keep: false } {
  return { ok: false, refusal: { reason, message }, keep: false }
}

const TOO_MANY = refused('overloaded', 'too many tokens are being verified')
