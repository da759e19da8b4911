import type { SessionLimits } from '../session/session-limits.js'
import { latestOf, numberOf, type StateRecord } from '../state/record.js'
import { type DevicePolicy, type DeviceTier, FINDINGS, type PostureFault } from './device-policy.js'
import { EXTERNAL_LEVELS, type ExternalLevel, type Ownership, RECORD } from './device-report.js'

/** Something that is wrong with a device, for example `disk-not-encrypted`, and its points. */
export type PostureFinding = { readonly finding: string; readonly points: number }

/** A user's device at the time of a call. */
export type DeviceState = {
  /** The inventory has it. */
  readonly known: boolean
  readonly managed: boolean
  /** Undefined where the inventory doesn't say, or doesn't have it. */
  readonly ownership: Ownership | undefined
  /** 0..100. */
  readonly posture: number
  /** Of more than 0 points. */
  readonly findings: readonly PostureFinding[]
  readonly tier: DeviceTier | undefined
  /** When the newest of it was told, milliseconds since the epoch; undefined where nobody told anything. */
  readonly beganMs: number | undefined
}

/** What a record says, whatever the time and the policy. */
type ToldOfDevice = {
  readonly known: boolean
  readonly ownership: Ownership | undefined
  readonly faults: readonly PostureFault[]
  readonly seenMs: number
  readonly level: ExternalLevel | undefined
  readonly beganMs: number | undefined
}

const REPORTED = [
  'unmanaged',
  'osNotPatched',
  'diskNotEncrypted',
  'firewallOff',
  'antivirusOff',
  'jailbroken',
] as const

/** A record never changes, and serves many calls. */
const read = new WeakMap<StateRecord, ToldOfDevice>()

/**
 * Posture and tier of the device with this record. A device that the inventory doesn't have is unmanaged, and nothing
 * else is held against it but what somebody told of its compliance and risk. Source: REQUIREMENTS D1, D3.
 */
export function deviceState(record: StateRecord, policy: DevicePolicy, nowMs: number): DeviceState {
  let told = read.get(record)
  if (!told) {
    told = readRecord(record)
    read.set(record, told)
  }
  const { known, ownership, faults, seenMs, level, beganMs } = told
  const { points, externalRisk, notSeenAfterMs } = policy.posture
  const findings: PostureFinding[] = []
  let sum = 0
  const find = (finding: string, of: number): void => {
    if (of > 0) findings.push({ finding, points: of })
  }
  for (const fault of faults) {
    sum += points[fault]
    find(FINDINGS[fault], points[fault])
  }
  if (known && nowMs - seenMs > notSeenAfterMs) {
    sum += points.notSeen
    find(FINDINGS.notSeen, points.notSeen)
  }
  const external = level === undefined ? 0 : externalRisk[level]
  find('external-risk', external)
  const managed = known && !faults.includes('unmanaged')
  return {
    known,
    managed,
    ownership,
    posture: Math.max(Math.min(sum, 100), external),
    findings,
    tier: tierOf(policy.tiers, managed, ownership),
    beganMs,
  }
}

function readRecord(record: StateRecord): ToldOfDevice {
  const report = latestOf(record, RECORD.unmanaged)
  const forgottenMs = numberOf(record, RECORD.forgotten) ?? -Infinity
  const known = report !== undefined && report.atMs > forgottenMs
  // A fact that is not there can't be told from a bad one.
  const faults: PostureFault[] = known
    ? REPORTED.filter((fault) => latestOf(record, RECORD[fault])?.text !== '0')
    : ['unmanaged']
  const compliance = latestOf(record, RECORD.notCompliant)
  if (compliance && compliance.text !== '0') faults.push('notCompliant')
  const level = latestOf(record, RECORD.externalLevel)
  const times = [known ? report.atMs : undefined, compliance?.atMs, level?.atMs].filter(
    (atMs) => atMs !== undefined,
  )
  return {
    known,
    ownership: known ? ownershipOf(latestOf(record, RECORD.ownership)?.text) : undefined,
    faults,
    seenMs: numberOf(record, RECORD.seen) ?? -Infinity,
    level: level && levelOf(level.text),
    beganMs: times.length === 0 ? undefined : Math.max(...times),
  }
}

function ownershipOf(text: string | undefined): Ownership | undefined {
  return text === 'Corporate' || text === 'Personal' ? text : undefined
}

/** A level that can't be read is as bad as any. */
function levelOf(text: string): ExternalLevel {
  return EXTERNAL_LEVELS[Number(text) - 1] ?? 'HIGH'
}

function tierOf(
  tiers: readonly DeviceTier[],
  managed: boolean,
  ownership: Ownership | undefined,
): DeviceTier | undefined {
  // Who manages a device without saying whose it is manages its own.
  const owned = ownership ?? (managed ? 'Corporate' : undefined)
  return tiers.find(
    ({ match }) =>
      (match.managed === undefined || match.managed === managed) &&
      (match.ownership === undefined || match.ownership === owned),
  )
}

/** The shorter of each: what the policy gives sessions, and what the device's tier does. Source: REQUIREMENTS D6. */
export function limitsOf(limits: SessionLimits, device: DeviceState | undefined): SessionLimits {
  const { maxDurationMs = Infinity, idleTimeoutMs = Infinity } = device?.tier?.session ?? {}
  if (maxDurationMs >= limits.maxDurationMs && idleTimeoutMs >= limits.idleTimeoutMs) return limits
  return {
    maxDurationMs: Math.min(maxDurationMs, limits.maxDurationMs),
    idleTimeoutMs: Math.min(idleTimeoutMs, limits.idleTimeoutMs),
  }
}
