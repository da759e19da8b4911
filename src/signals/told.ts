import type { Refusal } from '../decision/decision.js'
import type { UserPrincipal } from '../identity/principal.js'
import { terminationOf } from '../session/session-limits.js'
import { EMPTY_RECORD, latestOf, numberOf, type StateRecord } from '../state/record.js'
import type { Recalled } from '../state/recall.js'
import { issuedMs, latestMs, recordsOf } from './narrow.js'
import {
  ACCOUNT,
  ACTIVE,
  CERTIFICATES_BEFORE,
  ENDED,
  ENDED_WITHOUT_DEVICE,
  ENDED_WITHOUT_SESSION,
  LEVEL,
  REFRESH_NEEDED,
  REFRESH_NEEDED_WITHOUT_SESSION,
  SERIAL,
} from './signal-fields.js'

type Known = Pick<Recalled, 'user' | 'session' | 'email' | 'named' | 'device'>

/**
 * Why a verified user may not go on, by what transmitters told of the account, of the user's sessions by e-mail address,
 * device or name, and of the claims. What ends the session's or the user's own record is `terminationOf`'s.
 */
export function accountRefusal(known: Known, user: UserPrincipal, nowMs: number): Refusal | undefined {
  if (isDisabled(known.user) || isDisabled(known.email)) return DISABLED
  const ended =
    terminationOf(known.named, EMPTY_RECORD, user, nowMs) ??
    terminationOf(known.session, upTo(endedMs(known, user)), user, nowMs)
  if (ended) return ended
  const refreshMs = latestMs(recordsOf(known), [
    REFRESH_NEEDED,
    ...(user.sessionId === undefined ? [REFRESH_NEEDED_WITHOUT_SESSION] : []),
  ])
  return refreshMs !== undefined && issuedMs(user) <= refreshMs ? OUTDATED : undefined
}

const DISABLED: Refusal = { reason: 'session-terminated', message: 'the account was disabled by its issuer' }
const OUTDATED: Refusal = {
  reason: 'user-token-expired',
  message: "its issuer has changed the user's claims since it was issued; a new token is needed",
}

function isDisabled(record: StateRecord): boolean {
  const account = latestOf(record, ACCOUNT)
  return account !== undefined && account.text !== ACTIVE
}

/**
 * Up to when authentications are over by address, by device, and where sessions on one device or one of the user's were
 * ended and this token doesn't say that it is on another one.
 */
function endedMs({ user, email, device }: Known, { deviceId, sessionId }: UserPrincipal): number | undefined {
  const own = [
    ...(deviceId === undefined ? [ENDED_WITHOUT_DEVICE] : []),
    ...(sessionId === undefined ? [ENDED_WITHOUT_SESSION] : []),
  ]
  const each = [latestMs([email, device], [ENDED]), latestMs([user, email], own)]
  const all = each.filter((atMs) => atMs !== undefined)
  return all.length === 0 ? undefined : Math.max(...all)
}

function upTo(atMs: number | undefined): StateRecord {
  return atMs === undefined ? EMPTY_RECORD : new Map([[ENDED, atMs]])
}

/**
 * Whether a transmitter revoked the workload's certificate: by its serial number, in lower-case hex, or with all that
 * began up to then.
 */
export function certificateRevoked(workload: StateRecord, serialHex: string, notBeforeMs: number): boolean {
  if (workload.size === 0) return false
  const beforeMs = numberOf(workload, CERTIFICATES_BEFORE)
  return (beforeMs !== undefined && notBeforeMs <= beforeMs) || workload.has(SERIAL + bareSerial(serialHex))
}

/** Without the zeros in front, which one writer has and another has not. */
export function bareSerial(hex: string): string {
  return hex.toLowerCase().replace(/^0+(?=.)/, '')
}

const LEVELS = ['low', 'medium', 'high'] as const

/** The risk level that a transmitter last told, while it counts, and when it began. For users, sessions, workloads. */
export function externalLevel(
  record: StateRecord,
  expireAfterMs: number,
  nowMs: number,
): { readonly level: (typeof LEVELS)[number]; readonly beganMs: number } | undefined {
  const told = latestOf(record, LEVEL)
  const level = told && LEVELS[Number(told.text) - 1]
  return told && level && nowMs - told.atMs <= expireAfterMs ? { level, beganMs: told.atMs } : undefined
}
