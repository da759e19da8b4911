import { readDateMs, readScopes, readText, readTexts, type Read } from './claims.js'
import type { UserPrincipal } from './principal.js'
import { isJsonObject, type JsonObject } from './strict-json.js'

/** How one issuer's claims become the ones that are used here. Source: FORMATS 2 `claims`, `roles`. */
export type ClaimMapping = {
  /** Used name to the issuer's name: an exact member, else a dotted path (`realm_access.roles`). */
  readonly claims: ReadonlyMap<string, string>
  /** The most roles it may assert; empty: any. */
  readonly roles: readonly string[]
}

export type ReadUserPrincipal =
  { readonly ok: true; readonly principal: UserPrincipal } | { readonly ok: false; readonly problem: string }

const DEVICE_TRUST = ['high', 'medium', 'low'] as const
const TEXTS = ['device_id', 'acr', 'zoneinfo', 'email'] as const

/**
 * Reads a user out of verified claims. A claim that is used and has the wrong type makes the token malformed, for
 * taking it for absent could open something; only `email` without `email_verified` and an `mfa_verified` that is
 * not `true` count as absent. No problem repeats a value. Source: REQUIREMENTS I7, I8, FORMATS 2.
 */
export function readUserPrincipal(raw: JsonObject, mapping: ClaimMapping): ReadUserPrincipal {
  const claims = mapClaims(raw, mapping)
  const issuer = readText(raw, 'iss')
  const subject = readText(claims, 'sub')
  if (issuer === undefined || issuer === 'wrong') return wrong('iss')
  if (subject === undefined || subject === 'wrong') return wrong('sub')

  if (claims['email_verified'] !== true) delete claims['email']
  const texts = new Map<string, string>()
  for (const name of TEXTS) {
    const read = readText(claims, name)
    if (read === 'wrong') return wrong(name)
    if (read) texts.set(name, read.text)
  }
  const sessionId = readText(claims, 'session_id') ?? readText(claims, 'sid')
  if (sessionId === 'wrong') return wrong('session_id')
  const clientId = readText(claims, 'client_id') ?? readText(claims, 'azp')
  if (clientId === 'wrong') return wrong('client_id')

  const roles = readTexts(claims, 'roles')
  if (roles === 'wrong') return wrong('roles')
  const scopes = readScopes(claims, 'scope')
  if (scopes === 'wrong') return wrong('scope')
  const amr = readTexts(claims, 'amr')
  if (amr === 'wrong') return wrong('amr')
  const authTimeMs = readDateMs(claims, 'auth_time')
  if (authTimeMs === 'wrong') return wrong('auth_time')
  const riskScore = readRiskScore(claims['risk_score'])
  if (riskScore === 'wrong') return wrong('risk_score')
  const level = claims['device_trust_level']
  const deviceTrust = DEVICE_TRUST.find((name) => name === level)
  if (level !== undefined && !deviceTrust) return wrong('device_trust_level')

  const asserted = roles?.filter((role) => mapping.roles.length === 0 || mapping.roles.includes(role)) ?? []
  if (roles) claims['roles'] = asserted
  return {
    ok: true,
    principal: {
      issuer: issuer.text,
      subject: subject.text,
      email: texts.get('email'),
      roles: asserted,
      scopes: scopes ?? [],
      clientId: clientId?.text,
      deviceId: texts.get('device_id'),
      deviceTrust,
      riskScore,
      mfaVerified: claims['mfa_verified'] === true,
      sessionId: sessionId?.text,
      acr: texts.get('acr'),
      amr: amr ?? [],
      authTimeMs,
      zone: texts.get('zoneinfo'),
      claims,
    },
  }
}

/** The token's claims with the mapped names in place; a mapped name whose source is absent is absent. */
function mapClaims(raw: JsonObject, mapping: ClaimMapping): Record<string, unknown> {
  const claims: Record<string, unknown> = Object.assign(Object.create(null), raw)
  for (const [name, source] of mapping.claims) {
    // An unverified email is absent, under whatever name it is used.
    const absent = source === 'email' && raw['email_verified'] !== true
    const value = absent ? undefined : claimAt(raw, source)
    if (value === undefined) delete claims[name]
    else claims[name] = value
  }
  return claims
}

/**
 * An exact member, else the way through nested ones; names may hold dots themselves (`resource_access.my.app.roles`),
 * so the shortest name that leads to the end counts.
 */
function claimAt(claims: JsonObject, path: string): unknown {
  if (path in claims) return claims[path]
  for (let dot = path.indexOf('.'); dot !== -1; dot = path.indexOf('.', dot + 1)) {
    const inner = claims[path.slice(0, dot)]
    const value = isJsonObject(inner) ? claimAt(inner, path.slice(dot + 1)) : undefined
    if (value !== undefined) return value
  }
  return undefined
}

function readRiskScore(value: unknown): Read<number> {
  if (value === undefined) return undefined
  return typeof value === 'number' && value >= 0 && value <= 100 ? value : 'wrong'
}

function wrong(name: string): { readonly ok: false; readonly problem: string } {
  return { ok: false, problem: `its claim \`${name}\` is missing or not of its type` }
}
