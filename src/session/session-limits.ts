import type { Refusal } from '../decision/decision.js'
import type { UserPrincipal } from '../identity/principal.js'
import type { Endpoint } from '../segmentation/matrix.js'
import { numberOf, type StateOp, type StateRecord } from '../state/record.js'

/** How long sessions may last. Source: REQUIREMENTS D6, FORMATS 1 AdaptivePolicy `session`. */
export type SessionLimits = {
  readonly maxDurationMs: number
  readonly idleTimeoutMs: number
}

/** What is known of a session at the time of a call, milliseconds; undefined where nobody can tell. */
export type SessionTimes = {
  /** Since the user authenticated, or, where the token does not say, since the session was first seen. */
  readonly ageMs: number | undefined
  /** Since its last call that passed. */
  readonly idleMs: number | undefined
}

/** When the session was first seen: `min`. */
const FIRST_SEEN = 'st'
/** When a call of it last passed: `max`. */
const LAST_SEEN = 'ls'
/** When it was terminated: `max`. */
const TERMINATED = 'x'

/** A call is noted as the last one when the noted one is older than this, or than a tenth of the idle timeout. */
const REFRESH_MS = 30_000
/** A terminated session is remembered this long beyond its longest duration. */
const TERMINATED_FOR_MS = 30 * 24 * 3_600_000
/** An `auth_time` later than now by more than this is not believed. */
const CLOCK_SKEW_MS = 60_000

export function sessionTimes(record: StateRecord, user: UserPrincipal, nowMs: number): SessionTimes {
  const beganMs = believedMs(user, nowMs) ?? numberOf(record, FIRST_SEEN)
  return {
    ageMs: beganMs === undefined ? undefined : Math.max(0, nowMs - beganMs),
    idleMs: idleMs(record, user, nowMs),
  }
}

/** When the user authenticated; undefined where the token doesn't say, or says what can't be yet. */
function believedMs({ authTimeMs }: UserPrincipal, nowMs: number): number | undefined {
  return authTimeMs === undefined || authTimeMs > nowMs + CLOCK_SKEW_MS ? undefined : authTimeMs
}

/** An authentication after the last call begins the session anew. */
function idleMs(record: StateRecord, user: UserPrincipal, nowMs: number): number | undefined {
  const lastMs = numberOf(record, LAST_SEEN)
  if (lastMs === undefined) return undefined
  return Math.max(0, nowMs - Math.max(lastMs, believedMs(user, nowMs) ?? -Infinity))
}

/**
 * Whether the session was terminated. `session` is the record of the session that the token names; without one,
 * the user's record ended every authentication up to its time.
 */
export function terminationOf(
  session: StateRecord | undefined,
  ofUser: StateRecord,
  user: UserPrincipal,
  nowMs: number,
): Refusal | undefined {
  if (session && numberOf(session, TERMINATED) !== undefined) return TERMINATED_REFUSAL
  const endedMs = numberOf(ofUser, TERMINATED)
  if (endedMs === undefined) return undefined
  return authenticatedMs(user, nowMs, session) <= endedMs ? TERMINATED_REFUSAL : undefined
}

const TERMINATED_REFUSAL: Refusal = {
  reason: 'session-terminated',
  message: 'the session was terminated; the user has to sign in anew',
}

/**
 * The token's authentication; else its issue, or when its session was first seen, if that is earlier: a refreshed token
 * of a session is as old as the session. A token that names neither is older than anything.
 */
function authenticatedMs(user: UserPrincipal, nowMs: number, session?: StateRecord): number {
  if (user.authTimeMs !== undefined) return believedMs(user, nowMs) ?? -Infinity
  const issuedAt = user.claims['iat']
  const issuedMs = typeof issuedAt === 'number' ? issuedAt * 1000 : -Infinity
  // Tokens tell whole seconds: one issued in the second in which its session was first seen is not older than it.
  const firstMs = session && numberOf(session, FIRST_SEEN)
  return Math.min(issuedMs, firstMs === undefined ? Infinity : Math.floor(firstMs / 1000) * 1000)
}

/**
 * Whether a session is over by its limits. `lostBeforeMs`: what was known of sessions from before then is lost, so a
 * session that nothing is known of, authenticated before, can't be told from a terminated one; endpoints of high
 * sensitivity refuse it. Source: REQUIREMENTS D6, R6.
 */
export function evaluateSession(
  session: StateRecord,
  user: UserPrincipal,
  endpoint: Endpoint | undefined,
  limits: SessionLimits,
  lostBeforeMs: number | undefined,
  nowMs: number,
): Refusal | undefined {
  const { ageMs, idleMs: idle } = sessionTimes(session, user, nowMs)
  if (ageMs !== undefined && ageMs > limits.maxDurationMs) {
    return expired(`the session is older than ${seconds(limits.maxDurationMs)} s`)
  }
  if (idle !== undefined && idle > limits.idleTimeoutMs) {
    const message = `the session was idle for more than ${seconds(limits.idleTimeoutMs)} s`
    return { reason: 'session-idle', message }
  }
  if (isUnknown(session, user, lostBeforeMs, nowMs) && endpoint?.sensitivity === 'High') {
    return expired('what was known of this session was lost; the user has to sign in anew')
  }
  return undefined
}

function isUnknown(
  session: StateRecord,
  user: UserPrincipal,
  lostBeforeMs: number | undefined,
  nowMs: number,
): boolean {
  return lostBeforeMs !== undefined && session.size === 0 && authenticatedMs(user, nowMs) < lostBeforeMs
}

function expired(message: string): Refusal {
  return { reason: 'session-expired', message }
}

function seconds(ms: number): number {
  return Math.floor(ms / 1000)
}

/** What a call that passes leaves in the session's record; nothing where it says enough already. */
export function sessionOps(session: StateRecord, limits: SessionLimits, nowMs: number): readonly StateOp[] {
  const lastMs = numberOf(session, LAST_SEEN)
  const refreshMs = Math.min(REFRESH_MS, limits.idleTimeoutMs / 10)
  if (lastMs !== undefined && nowMs - lastMs < refreshMs) return NOTHING
  return [
    ['min', FIRST_SEEN, nowMs],
    ['max', LAST_SEEN, nowMs],
  ]
}

const NOTHING: readonly StateOp[] = []

/**
 * Ends a session, or every authentication of a user up to now, by clocks that may be ahead. Whoever signs in anew within
 * that lead is refused still, so a person who ends sessions by hand takes a short one.
 */
export function terminationOps(nowMs: number, clockAheadMs = CLOCK_SKEW_MS): readonly StateOp[] {
  return [['max', TERMINATED, nowMs + clockAheadMs]]
}

/** When it was ended, milliseconds since the epoch; of a user's record, up to when authentications are over. */
export function endedAtMs(record: StateRecord): number | undefined {
  return numberOf(record, TERMINATED)
}

/** When a session was first seen and when a call of it last passed. */
export function seenTimes(session: StateRecord): {
  readonly firstMs: number | undefined
  readonly lastMs: number | undefined
} {
  return { firstMs: numberOf(session, FIRST_SEEN), lastMs: numberOf(session, LAST_SEEN) }
}

/** How long the record of a session is kept, milliseconds since the epoch. */
export function sessionKeptUntilMs(limits: SessionLimits, nowMs: number): number {
  return nowMs + limits.maxDurationMs + TERMINATED_FOR_MS
}
