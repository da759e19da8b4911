import { type Static, Type } from '@sinclair/typebox'
import { parseInstantMs } from '../grants/instant.js'
import { Fields, Words } from '../schema/fields.js'
import { EMPTY_RECORD, latestOf, numberOf, type StateOp, type StateRecord } from '../state/record.js'

export const OWNERSHIPS = ['Corporate', 'Personal'] as const
export type Ownership = (typeof OWNERSHIPS)[number]

const text = (description: string) =>
  Type.Optional(
    Type.String({
      maxLength: 128,
      pattern: '^[^\\p{Cc}\\p{Cf}\\p{Zl}\\p{Zp}]*$',
      description,
      expected: 'text without control and invisible characters',
    }),
  )

/** What the inventory says of one device. Source: REQUIREMENTS D1. */
export const DeviceReportSchema = Fields({
  managed: Type.Boolean({ description: "It is under the organisation's management." }),
  osPatched: Type.Boolean({ description: 'Its operating system has the updates that it needs.' }),
  diskEncrypted: Type.Boolean({ description: 'Its disk is encrypted.' }),
  firewall: Type.Boolean({ description: 'Its firewall is on.' }),
  antivirus: Type.Boolean({ description: 'Its protection against malware is on.' }),
  jailbroken: Type.Boolean({ description: 'Its own protection was broken open.' }),
  ownership: Type.Optional(
    Words(OWNERSHIPS, {
      description: 'Whose it is; a managed device counts as Corporate where nobody says.',
    }),
  ),
  compliant: Type.Optional(
    Type.Boolean({
      description: 'It meets the rules of its management, as of `lastSeen`; absent: as before.',
    }),
  ),
  lastSeen: Type.Optional(
    Type.String({
      pattern:
        '^\\d{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\\d|3[01])T(?:[01]\\d|2[0-3]):[0-5]\\d:[0-5]\\d(?:\\.\\d{1,9})?(?:Z|[+-](?:[01]\\d|2[0-3]):[0-5]\\d)$',
      maxLength: 40,
      description: 'When its management last heard of it, RFC 3339; default now.',
      expected: 'a time such as 2026-03-01T12:00:00Z',
    }),
  ),
  platform: text('For people, for example macOS 15.'),
  model: text('For people.'),
  owner: text('For people: whose it is.'),
})
export type DeviceReport = Static<typeof DeviceReportSchema>

/** How long what is known of a device is kept after the last that was told of it. */
export const DEVICE_KEPT_MS = 400 * 24 * 3_600_000

/** A time later than now by more than this is not believed. */
const CLOCK_SKEW_MS = 60_000

/**
 * Fields of a device's record. `latest` fields hold 1 where something is wrong (and since when, as `1@` and
 * milliseconds, where it was so before) and 0 where it isn't: of two reports at one time the greater text stays, so
 * the worse one, fact by fact.
 */
export const RECORD = {
  unmanaged: 'm',
  osNotPatched: 'os',
  diskNotEncrypted: 'de',
  firewallOff: 'fw',
  antivirusOff: 'av',
  jailbroken: 'jb',
  /** `Corporate`, `Personal`, or empty where the report doesn't say. */
  ownership: 'ow',
  notCompliant: 'nc',
  /** 1, 2, 3: LOW, MEDIUM, HIGH. */
  externalLevel: 'xl',
  /** When its management last heard of it, milliseconds; what the newest report says. */
  seen: 'sn',
  /** `max`: reports up to this time are void. */
  forgotten: 'gone',
} as const

export const EXTERNAL_LEVELS = ['LOW', 'MEDIUM', 'HIGH'] as const
export type ExternalLevel = (typeof EXTERNAL_LEVELS)[number]

/**
 * What a report made now changes; it replaces the one before, whatever the order in which they come. Only of
 * compliance it says what was so at `lastSeen`, so that an older inspection doesn't undo a newer signal. `record` is
 * the device's: what was wrong there already is so since then, and a device that was forgotten is known again, also
 * where that was by a clock that is ahead.
 */
export function reportOps(
  report: DeviceReport,
  nowMs: number,
  record: StateRecord = EMPTY_RECORD,
): StateOp[] {
  const forgottenMs = forgottenMsOf(record)
  const atMs = Math.max(nowMs, forgottenMs + 1)
  const seenMs = Math.min(lastSeenMs(report, nowMs), nowMs)
  const fact = (field: string, wrong: boolean): StateOp => [
    'latest',
    field,
    atMs,
    wrongText(wrong, sinceMs(record, field, forgottenMs), atMs),
  ]
  return [
    fact(RECORD.unmanaged, !report.managed),
    fact(RECORD.osNotPatched, !report.osPatched),
    fact(RECORD.diskNotEncrypted, !report.diskEncrypted),
    fact(RECORD.firewallOff, !report.firewall),
    fact(RECORD.antivirusOff, !report.antivirus),
    fact(RECORD.jailbroken, report.jailbroken),
    ['latest', RECORD.ownership, atMs, report.ownership ?? ''],
    ['latest', RECORD.seen, atMs, String(seenMs)],
    ...(report.compliant === undefined ? [] : complianceOps(report.compliant, seenMs, record)),
  ]
}

function wrongText(wrong: boolean, beganMs: number | undefined, atMs: number): string {
  if (!wrong) return '0'
  return beganMs === undefined || beganMs >= atMs ? '1' : `1@${beganMs}`
}

/** Since when something is wrong, milliseconds; undefined where it isn't, or was told by `voidMs`. */
export function sinceMs(record: StateRecord, field: string, voidMs = -Infinity): number | undefined {
  const told = latestOf(record, field)
  if (!told || told.atMs <= voidMs || told.text === '0') return undefined
  const began = /^1@(\d{1,16})$/.exec(told.text)?.[1]
  return began === undefined ? told.atMs : Number(began)
}

/** Reports up to then are void; -Infinity where the device never left the inventory. */
export function forgottenMsOf(record: StateRecord): number {
  return numberOf(record, RECORD.forgotten) ?? -Infinity
}

/** Whether the inventory has the device. */
export function isReported(record: StateRecord): boolean {
  const report = latestOf(record, RECORD.unmanaged)
  return report !== undefined && report.atMs > forgottenMsOf(record)
}

/** What the newest report says; undefined where that is no time, or nobody reported. */
export function seenMsOf(record: StateRecord): number | undefined {
  const seen = Number(latestOf(record, RECORD.seen)?.text)
  return Number.isFinite(seen) ? seen : undefined
}

/** What was told of the device's compliance at a time; `record` as for `reportOps`. */
export function complianceOps(
  compliant: boolean,
  atMs: number,
  record: StateRecord = EMPTY_RECORD,
): StateOp[] {
  const beganMs = sinceMs(record, RECORD.notCompliant)
  return [['latest', RECORD.notCompliant, atMs, wrongText(!compliant, beganMs, atMs)]]
}

/** The risk that somebody else finds in the device; it counts until another level is told. */
export function riskLevelOps(level: ExternalLevel, atMs: number): StateOp[] {
  return [['latest', RECORD.externalLevel, atMs, String(EXTERNAL_LEVELS.indexOf(level) + 1)]]
}

/** The device leaves the inventory: what was reported by now is void. Compliance and risk level stay. */
export function forgetOps(nowMs: number, record: StateRecord = EMPTY_RECORD): StateOp[] {
  // A report by a clock that is ahead is void too.
  return [['max', RECORD.forgotten, Math.max(nowMs, latestOf(record, RECORD.unmanaged)?.atMs ?? nowMs)]]
}

/** Milliseconds since the epoch; `atMs` where the report doesn't say, NaN for a day that the calendar doesn't have. */
export function lastSeenMs({ lastSeen }: Pick<DeviceReport, 'lastSeen'>, atMs: number): number {
  return lastSeen === undefined ? atMs : (parseInstantMs(lastSeen) ?? Number.NaN)
}

/** Why a time of a report can't be; undefined where it can. For the report's own time and for `lastSeen`. */
export function checkReportTime(atMs: number, nowMs: number): string | undefined {
  if (!Number.isFinite(atMs)) return 'is no day of the calendar'
  if (atMs <= nowMs + CLOCK_SKEW_MS) return undefined
  return `is later than now by more than ${CLOCK_SKEW_MS / 1000} s`
}
