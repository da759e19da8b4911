import type { JsonObject } from '../identity/strict-json.js'
import { type ClaimMapping, readUserPrincipal } from '../identity/user-claims.js'
import { MAX_NAME, MAX_TEXT, type StateOp, type StateRecord } from '../state/record.js'
import { holdsRights } from './right-claims.js'
import { CLAIM, NARROWED, REFRESH_NEEDED } from './signal-fields.js'

/** Claims of one record that can be put right; more make older tokens be refused. */
const MOST_CLAIMS = 16

/**
 * Claims that say who somebody is, when and for whom a token was issued, or how risky its bearer is. They are not put
 * right in a token that is under way; its holder has to fetch another.
 */
const NOT_PUT_RIGHT: ReadonlySet<string> = new Set([
  'iss',
  'sub',
  'aud',
  'exp',
  'nbf',
  'iat',
  'jti',
  'auth_time',
  'cnf',
  'act',
  'email',
  'email_verified',
  'sid',
  'session_id',
  'device_id',
  'client_id',
  'azp',
  'risk_score',
])

/**
 * What new values of claims leave in the record of a subject of this issuer. The claims have the issuer's names; kept
 * are those and ours. What doesn't fit, isn't of its type or is better not put right asks for newer tokens.
 * `before` bounds how many claims a record holds; two events at the same moment may each find room.
 */
export function claimsChangeOps(
  claims: JsonObject,
  mapping: ClaimMapping,
  before: StateRecord,
  atMs: number,
): readonly StateOp[] {
  const refresh: readonly StateOp[] = [['max', REFRESH_NEEDED, atMs]]
  const changed = changedClaims(claims, mapping)
  if (!changed) return refresh
  const ops: StateOp[] = [['max', NARROWED, atMs]]
  const names = new Set([...before.keys()].filter((field) => field.startsWith(CLAIM)))
  for (const [name, value] of changed) {
    const field = CLAIM + name
    const text = JSON.stringify(value)
    if (field.length > MAX_NAME || text.length > MAX_TEXT) return refresh
    names.add(field)
    ops.push(['latest', field, atMs, text])
  }
  return names.size > MOST_CLAIMS ? refresh : ops
}

/** Whether a signal only lowers what a claim of ours says. */
function isNeverMore(name: string): boolean {
  return holdsRights(name) || name === 'acr' || name === 'mfa_verified' || name === 'device_trust_level'
}

/** The claims by the issuer's names and by ours; undefined where they can't be put right. */
function changedClaims(claims: JsonObject, mapping: ClaimMapping): ReadonlyMap<string, unknown> | undefined {
  if (Object.keys(claims).some((name) => NOT_PUT_RIGHT.has(name))) return undefined
  const stated: JsonObject = Object.assign(Object.create(null), claims, { iss: 'issuer', sub: 'subject' })
  const mapped = new Map([...mapping.claims].filter(([name]) => name !== 'sub'))
  const read = readUserPrincipal(stated, { claims: mapped, roles: mapping.roles })
  if (!read.ok) return undefined
  const changed = new Map(
    Object.entries(read.principal.claims).filter(([name]) => name !== 'iss' && name !== 'sub'),
  )
  // What a name of ours is read from may be gone with all that it was in.
  for (const [name, source] of mapping.claims) {
    if (changed.has(name) || !leadsTo(claims, source)) continue
    if (name === 'sub' || NOT_PUT_RIGHT.has(name)) return undefined
    changed.set(name, null)
  }
  // What the issuer calls by a name of its own could still be asked for by that name, so it goes.
  for (const [name, source] of mapping.claims) {
    if (!isNeverMore(name) || source === name || holdsRights(source)) continue
    for (const top of changed.keys()) {
      if (source === top || source.startsWith(`${top}.`)) changed.set(top, null)
    }
  }
  return [...changed.keys()].some((name) => NOT_PUT_RIGHT.has(name)) ? undefined : changed
}

/** Whether a path, or what it leads through, is among the claims. */
function leadsTo(claims: JsonObject, path: string): boolean {
  if (path in claims) return true
  for (let dot = path.indexOf('.'); dot !== -1; dot = path.indexOf('.', dot + 1)) {
    if (path.slice(0, dot) in claims) return true
  }
  return false
}
