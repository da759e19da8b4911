import { complianceOps, riskLevelOps } from '../device/device-report.js'
import { isJsonObject, type JsonObject } from '../identity/strict-json.js'
import type { ClaimMapping } from '../identity/user-claims.js'
import type { StateDelta, StateOp, StateRecord } from '../state/record.js'
import { claimsChangeOps } from './claims-change.js'
import { type EventName, isOpening } from './event-type.js'
import type { SecurityEvent } from './parse-set.js'
import {
  ACCOUNT,
  ACTIVE,
  CERTIFICATES_BEFORE,
  ENDED,
  ENDED_WITHOUT_DEVICE,
  ENDED_WITHOUT_SESSION,
  FACTORS_RESET,
  FACTORS_RESET_WITHOUT_SESSION,
  NARROWED,
  REFRESH_NEEDED_WITHOUT_SESSION,
  SERIAL,
} from './signal-fields.js'
import type { Named } from './subject-identifier.js'
import { bareSerial } from './told.js'

const DAY_MS = 24 * 3_600_000
/** How long what was told of somebody is kept after the event. */
const KEPT_MS = 400 * DAY_MS
/** That an account is disabled lasts until it is enabled. */
const KEPT_LONG_MS = 3650 * DAY_MS
/** Revoked serial numbers of one workload; more revoke all certificates that began before. */
const MOST_SERIALS = 32

/** What an event needs beside itself. */
export type EffectContext = {
  /** How the claims of an issuer's tokens are read. */
  readonly mappingOf: (issuer: string) => ClaimMapping
  /** The records of the subject, where the event asks for them: `needsRecords`. */
  readonly recordOf: (key: string) => StateRecord
  readonly nowMs: number
}

/** Whether the effect depends on what is known of the subject: how many entries its record has already. */
export function needsRecords({ name }: SecurityEvent): boolean {
  return name === 'token-claims-change' || name === 'credential-change'
}

/** What an opaque identifier by itself is, in this event. */
export function bareSubject({ name, payload }: SecurityEvent): 'session' | 'device' {
  const device = name === 'device-compliance-change' || payload['principal'] === 'DEVICE'
  return device ? 'device' : 'session'
}

/**
 * The changes of the subject's records that an event makes: the same ones however often it comes, in any order with
 * others. What gives back counts from now at the latest, so that it never outdoes a later event that takes away. Undefined where none of the records is of a kind that this event could change.
 */
export function effectOf(
  told: SecurityEvent,
  subject: readonly Named[],
  context: EffectContext,
): readonly StateDelta[] | undefined {
  const event = isOpening(told.name, told.payload) ? notAhead(told, context.nowMs) : told
  const effect = event.name && EFFECTS[event.name]
  if (!effect || subject.length === 0) return []
  const deltas: StateDelta[] = []
  let applies = false
  for (const named of subject) {
    const ops = effect(event, named, subject, context)
    if (ops === undefined) continue
    applies = true
    if (ops.length > 0) deltas.push({ key: named.key, ops, expiresAtMs: event.atMs + keptMs(event) })
  }
  return applies ? deltas : undefined
}

/**
 * Nothing happened after its SET was issued, in the second that it says, or later than now. What says so counts from the
 * beginning of that second, as what takes away in it may be told in whole seconds; repeated later, from no later time.
 */
function notAhead(event: SecurityEvent, nowMs: number): SecurityEvent {
  const issuedMs = wholeSecond(event.issuedAtMs)
  if (event.atMs <= Math.min(issuedMs + 999, nowMs)) return event
  return { ...event, atMs: Math.min(issuedMs, wholeSecond(nowMs)) }
}

function wholeSecond(ms: number): number {
  return Math.floor(ms / 1000) * 1000
}

function keptMs({ name }: SecurityEvent): number {
  return name === 'account-disabled' || name === 'account-purged' ? KEPT_LONG_MS : KEPT_MS
}

/** Undefined: the event is not about records of this kind. */
type Effect = (
  event: SecurityEvent,
  named: Named,
  subject: readonly Named[],
  context: EffectContext,
) => readonly StateOp[] | undefined

const NOTHING: readonly StateOp[] = []

/**
 * A subject with a session is that session, for what is about sessions, claims and factors. A user's tokens that name no
 * session may be of that one.
 */
function isWider(named: Named, subject: readonly Named[]): boolean {
  return named.kind !== 'session' && subject.some(({ kind }) => kind === 'session')
}

const endSessions: Effect = ({ atMs }, named, subject) => {
  if (named.kind === 'workload') return undefined
  if (isWider(named, subject)) {
    return named.kind === 'user' ? [['max', ENDED_WITHOUT_SESSION, atMs]] : undefined
  }
  // A user on one device: that device, and where tokens don't say which one they are on.
  const onDevice = named.kind === 'user' && subject.some(({ kind }) => kind === 'device')
  return [['max', onDevice ? ENDED_WITHOUT_DEVICE : ENDED, atMs]]
}

const endAccount: Effect = ({ atMs }, { kind }) => (kind === 'user' ? [['max', ENDED, atMs]] : undefined)

const account =
  (state: string): Effect =>
  ({ atMs }, { kind }) =>
    kind === 'user' ? [['latest', ACCOUNT, atMs, state]] : undefined

const changeClaims: Effect = ({ payload: { claims }, atMs }, named, subject, { mappingOf, recordOf }) => {
  if (named.kind === 'workload' || named.kind === 'device' || !isJsonObject(claims)) return undefined
  if (isWider(named, subject)) return [['max', REFRESH_NEEDED_WITHOUT_SESSION, atMs]]
  return claimsChangeOps(claims, mappingOf(named.issuer), recordOf(named.key), atMs)
}

/** What the user shows from before the event was shown with something that is no longer so. */
function resetFactors(atMs: number, named: Named, subject: readonly Named[]): readonly StateOp[] | undefined {
  if (named.kind !== 'user' && named.kind !== 'session') return undefined
  return [
    ['max', isWider(named, subject) ? FACTORS_RESET_WITHOUT_SESSION : FACTORS_RESET, atMs],
    ['max', NARROWED, atMs],
  ]
}

const changeCredential: Effect = ({ payload, atMs }, named, subject, { recordOf }) => {
  const change = payload['change_type']
  if (named.kind !== 'workload') return change === 'create' ? NOTHING : resetFactors(atMs, named, subject)
  const revoked = payload['credential_type'] === 'x509' && (change === 'revoke' || change === 'delete')
  return revoked ? revokeCertificates(payload['x509_serial'], recordOf(named.key), atMs) : NOTHING
}

function revokeCertificates(serial: unknown, record: StateRecord, atMs: number): readonly StateOp[] {
  const all: readonly StateOp[] = [['max', CERTIFICATES_BEFORE, atMs]]
  const serials = typeof serial === 'string' ? serialsOf(serial) : []
  const known = [...record.keys()].filter((field) => field.startsWith(SERIAL))
  const after = new Set([...known, ...serials.map((hex) => SERIAL + hex)])
  if (serials.length === 0 || after.size > MOST_SERIALS) return all
  return serials.map((hex) => ['max', SERIAL + hex, atMs])
}

/** The serial number in hex, with or without colons; digits alone may be decimal, so they are taken as both. */
function serialsOf(text: string): readonly string[] {
  const hex = text.replaceAll(':', '').replace(/^0x/i, '')
  if (!/^[0-9a-f]{1,64}$/i.test(hex)) return []
  const decimal = /^[0-9]{1,49}$/.test(text) ? [BigInt(text).toString(16)] : []
  return [bareSerial(hex), ...decimal]
}

const changeAssurance: Effect = ({ payload, atMs }, named, subject) =>
  named.kind !== 'user' && named.kind !== 'session'
    ? undefined
    : isIncrease(payload)
      ? NOTHING
      : resetFactors(atMs, named, subject)

/** Levels that end in numbers can be compared; of others only the transmitter knows. */
function isIncrease(payload: JsonObject): boolean {
  const direction = payload['change_direction']
  if (direction !== undefined) return direction === 'increase'
  const [before, now] = [payload['previous_level'], payload['current_level']].map(numberAtEnd)
  return before !== undefined && now !== undefined && now > before
}

function numberAtEnd(level: unknown): number | undefined {
  const digits = typeof level === 'string' ? /[0-9]{1,3}$/.exec(level)?.[0] : undefined
  return digits === undefined ? undefined : Number(digits)
}

const changeCompliance: Effect = ({ payload, atMs }, { kind }) =>
  kind === 'device' ? complianceOps(payload['current_status'] === 'compliant', atMs) : undefined

const RISK_OF: ReadonlyMap<string, Named['kind']> = new Map([
  ['USER', 'user'],
  ['DEVICE', 'device'],
  ['SESSION', 'session'],
  ['APPLICATION', 'workload'],
])

/** `principal` says whose risk it is where the subject names several; principals of other kinds are nobody here. */
const changeRisk: Effect = ({ payload, atMs }, { kind }, subject) => {
  const principal = payload['principal']
  if (typeof principal !== 'string') return undefined
  if (NOBODYS_RISK.has(principal)) return NOTHING
  // A workload is told by its own identifier, whatever the transmitter calls it.
  const alone = kind === 'workload' && subject.length === 1
  if (kind !== RISK_OF.get(principal) && !alone) return undefined
  const level = payload['current_level']
  return level === 'LOW' || level === 'MEDIUM' || level === 'HIGH' ? riskLevelOps(level, atMs) : undefined
}

const NOBODYS_RISK: ReadonlySet<string> = new Set(['TENANT', 'ORG_UNIT', 'GROUP'])

const EFFECTS: Readonly<Partial<Record<EventName, Effect>>> = {
  'session-revoked': endSessions,
  'token-claims-change': changeClaims,
  'credential-change': changeCredential,
  'assurance-level-change': changeAssurance,
  'device-compliance-change': changeCompliance,
  'risk-level-change': changeRisk,
  'account-disabled': account('disabled'),
  'account-purged': account('purged'),
  'account-enabled': account(ACTIVE),
  'account-credential-change-required': endAccount,
  'credential-compromise': endAccount,
  'identifier-changed': endAccount,
  'identifier-recycled': endAccount,
  'sessions-revoked': endAccount,
}
