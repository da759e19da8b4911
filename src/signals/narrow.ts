import type { UserPrincipal } from '../identity/principal.js'
import { isJsonObject, type JsonObject, parseStrictJson } from '../identity/strict-json.js'
import { seenTimes } from '../session/session-limits.js'
import { latestOf, numberOf, type StateRecord } from '../state/record.js'
import type { Recalled } from '../state/recall.js'
import { holdsRights } from './right-claims.js'
import { CLAIM, FACTORS_RESET, FACTORS_RESET_WITHOUT_SESSION, NARROWED } from './signal-fields.js'

type Known = Pick<Recalled, 'user' | 'session' | 'email' | 'named'>

/** The last answer for a user, and what it was made from: others keep things by the principal's identity. */
const narrowedUsers = new WeakMap<UserPrincipal, { readonly print: string; readonly user: UserPrincipal }>()

/**
 * The user as far as signals leave it: an authentication from before its factors were reset shows none, and a token
 * issued before claims changed has the new ones. Nobody gains a role, a scope or a factor. The same principal where
 * nothing applies, and the same narrowed one as long as the same applies. Source: REQUIREMENTS R10.
 */
export function narrowed(user: UserPrincipal, known: Known): UserPrincipal {
  const records = recordsOf(known)
  const toldMs = latestMs(records, [NARROWED])
  if (toldMs === undefined) return user
  const atMs = authenticatedMs(user, known.session)
  if (atMs > toldMs) return user
  const resets =
    user.sessionId === undefined ? [FACTORS_RESET, FACTORS_RESET_WITHOUT_SESSION] : [FACTORS_RESET]
  const reset = atMs <= (latestMs(records, resets) ?? -Infinity)
  const claims = newClaims(records, issuedMs(user))
  if (!reset && claims.size === 0) return user
  const print = JSON.stringify([reset, ...claims])
  const last = narrowedUsers.get(user)
  if (last?.print === print) return last.user
  const next = withClaims(reset ? withoutFactors(user) : user, claims)
  narrowedUsers.set(user, { print, user: next })
  return next
}

/** The records in which the subject of a signal may be this user, or the user's session. */
export function recordsOf({ user, session, email, named }: Known): readonly StateRecord[] {
  return session ? [user, session, email, named] : [user, email]
}

/** The latest of some `max` fields over the records. */
export function latestMs(records: readonly StateRecord[], fields: readonly string[]): number | undefined {
  let latest: number | undefined
  for (const record of records) {
    if (record.size === 0) continue
    for (const field of fields) {
      const atMs = numberOf(record, field)
      if (atMs !== undefined && (latest === undefined || atMs > latest)) latest = atMs
    }
  }
  return latest
}

/** A token that doesn't say when it was issued is older than anything. */
export function issuedMs({ claims: { iat } }: UserPrincipal): number {
  return typeof iat === 'number' ? iat * 1000 : -Infinity
}

/**
 * Nobody authenticates after the token was issued for it. Where it doesn't say when that was, a session that was seen
 * before the token was issued began then at the latest: the token was refreshed.
 */
function authenticatedMs(user: UserPrincipal, session: StateRecord | undefined): number {
  if (user.authTimeMs === undefined) {
    const firstMs = (session && seenTimes(session).firstMs) ?? Infinity
    // Most events tell their time in whole seconds.
    return Math.min(issuedMs(user), Math.floor(firstMs / 1000) * 1000)
  }
  return typeof user.claims['iat'] === 'number' ? Math.min(user.authTimeMs, issuedMs(user)) : user.authTimeMs
}

/** Values by name, as JSON, of the claims that changed after the token was issued. */
function newClaims(records: readonly StateRecord[], issuedAtMs: number): ReadonlyMap<string, string> {
  const found = new Map<string, { readonly atMs: number; readonly text: string }>()
  for (const record of records) {
    for (const field of record.keys()) {
      if (!field.startsWith(CLAIM)) continue
      const told = latestOf(record, field)
      const name = field.slice(CLAIM.length)
      if (!told || told.atMs < issuedAtMs || (found.get(name)?.atMs ?? -Infinity) >= told.atMs) continue
      found.set(name, told)
    }
  }
  return new Map([...found].toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([name, { text }]) => [name, text]))
}

function withoutFactors(user: UserPrincipal): UserPrincipal {
  const claims = copyOf(user.claims)
  for (const name of ['acr', 'amr', 'mfa_verified']) delete claims[name]
  return { ...user, mfaVerified: false, acr: undefined, amr: [], claims }
}

const TRUST = ['low', 'medium', 'high'] as const

function withClaims(user: UserPrincipal, changed: ReadonlyMap<string, string>): UserPrincipal {
  if (changed.size === 0) return user
  const claims = copyOf(user.claims)
  for (const [name, text] of changed) {
    const parsed = parseStrictJson(text)
    const value = valueOf(name, claims[name], parsed.ok ? parsed.value : undefined)
    if (value === undefined) delete claims[name]
    else claims[name] = value
  }
  const trust = claims['device_trust_level']
  return {
    ...user,
    roles: fewer(user.roles, claims, changed, 'roles'),
    scopes: fewer(user.scopes, claims, changed, 'scope'),
    amr: fewer(user.amr, claims, changed, 'amr'),
    acr: changed.has('acr') ? textOf(claims['acr']) : user.acr,
    mfaVerified: user.mfaVerified && (!changed.has('mfa_verified') || claims['mfa_verified'] === true),
    deviceTrust: changed.has('device_trust_level')
      ? TRUST.find((level) => level === trust)
      : user.deviceTrust,
    zone: changed.has('zoneinfo') ? textOf(claims['zoneinfo']) : user.zone,
    claims,
  }
}

/** What a claim is now; undefined: it is gone. */
function valueOf(name: string, before: unknown, now: unknown): unknown {
  if (now === null || now === undefined) return undefined
  // Of rights only what the token has and the new value has too stays.
  if (holdsRights(name)) return common(name, before, now)
  if (name === 'acr' || name === 'mfa_verified') return now === before ? now : undefined
  if (name === 'device_trust_level') return lowerTrust(before, now)
  // What lists say may be rights under any name, and so may a yes.
  if (Array.isArray(before) || Array.isArray(now)) return inBoth(before, now)
  if (now === true) return before === true || before === false ? before : undefined
  return isJsonObject(now) ? membersOf(before, now) : now
}

/** In the form of what was there. Objects are the same where they are written the same. */
function inBoth(before: unknown, now: unknown): unknown {
  const list: readonly unknown[] = Array.isArray(now) ? now : [now]
  const allowed = new Set(list.map((one) => JSON.stringify(one)))
  const isAllowed = (one: unknown): boolean => allowed.has(JSON.stringify(one))
  if (Array.isArray(before)) return before.filter(isAllowed)
  return before !== undefined && isAllowed(before) ? before : undefined
}

/** Each by its own name, so that nested roles are rights as well. */
function membersOf(before: unknown, now: JsonObject): JsonObject {
  const members: Record<string, unknown> = Object.create(null)
  for (const [name, inner] of Object.entries(now)) {
    const value = valueOf(name, isJsonObject(before) ? before[name] : undefined, inner)
    if (value !== undefined) members[name] = value
  }
  return members
}

/** In the form of what was there: a list, or a text. */
function common(name: string, before: unknown, now: unknown): unknown {
  const allowed = new Set(wordsOf(name, now))
  const left = wordsOf(name, before).filter((word) => allowed.has(word))
  if (Array.isArray(before)) return left
  return left.length === 0 ? undefined : left.join(' ')
}

/** Claims that hold many words in one text. Source: RFC 6749 3.3. */
const SCOPES: ReadonlySet<string> = new Set(['scope', 'scopes', 'scp'])

function wordsOf(name: string, value: unknown): readonly string[] {
  if (typeof value === 'string') return SCOPES.has(name) ? value.split(' ').filter(Boolean) : [value]
  return Array.isArray(value) ? value.filter((one) => typeof one === 'string') : []
}

/** Only a lower one counts; a token that says nothing can only be told to be of low trust. */
function lowerTrust(before: unknown, now: unknown): unknown {
  const was = TRUST.findIndex((level) => level === before)
  const is = TRUST.findIndex((level) => level === now)
  if (was < 0) return is === 0 ? 'low' : undefined
  return TRUST[Math.min(was, Math.max(0, is))]
}

function fewer(
  had: readonly string[],
  claims: JsonObject,
  changed: ReadonlyMap<string, string>,
  name: string,
): readonly string[] {
  if (!changed.has(name)) return had
  const left = new Set(wordsOf(name, claims[name]))
  return had.filter((one) => left.has(one))
}

function textOf(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined
}

function copyOf(claims: JsonObject): Record<string, unknown> {
  const copy: Record<string, unknown> = Object.create(null)
  return Object.assign(copy, claims)
}
