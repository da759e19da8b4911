import type { SessionLimits } from '../session/session-limits.js'
import { latestOf, type StateRecord } from '../state/record.js'
import { type DevicePolicy, type DeviceTier, FINDINGS, type PostureFault } from './device-policy.js'
import {
  EXTERNAL_LEVELS,
  type ExternalLevel,
  forgottenMsOf,
  isReported,
  type Ownership,
  RECORD,
  seenMsOf,
  sinceMs,
} from './device-report.js'

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
  /**
   * Since when the newest of what is wrong is so, milliseconds since the epoch: telling the same again doesn't move it.
   * Undefined where nothing is wrong, or nobody told.
   */
  readonly beganMs: number | undefined
}

/** Since when it is so; undefined where nobody told. */
type Since<What> = { readonly what: What; readonly beganMs: number | undefined }

/** What a record says, whatever the time and the policy. */
type ToldOfDevice = {
  readonly known: boolean
  readonly ownership: Ownership | undefined
  readonly faults: readonly Since<PostureFault>[]
  readonly seenMs: number
  readonly level: Since<ExternalLevel> | undefined
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
  const { known, ownership, faults, seenMs, level } = told
  const { points, externalRisk, notSeenAfterMs } = policy.posture
  const findings: PostureFinding[] = []
  let sum = 0
  let newestMs = -Infinity
  const find = (finding: string, of: number, sinceThen: number | undefined): void => {
    if (of <= 0) return
    findings.push({ finding, points: of })
    if (sinceThen !== undefined && sinceThen > newestMs) newestMs = sinceThen
  }
  for (const { what, beganMs } of faults) {
    sum += points[what]
    find(FINDINGS[what], points[what], beganMs)
  }
  if (known && nowMs - seenMs > notSeenAfterMs) {
    sum += points.notSeen
    find(FINDINGS.notSeen, points.notSeen, seenMs + notSeenAfterMs)
  }
  const external = level === undefined ? 0 : externalRisk[level.what]
  find('external-risk', external, level?.beganMs)
  const managed = known && !faults.some(({ what }) => what === 'unmanaged')
  return {
    known,
    managed,
    ownership,
    posture: Math.max(Math.min(sum, 100), external),
    findings,
    tier: tierOf(policy.tiers, managed, ownership),
    beganMs: newestMs === -Infinity ? undefined : newestMs,
  }
}

function readRecord(record: StateRecord): ToldOfDevice {
  const forgottenMs = forgottenMsOf(record)
  const known = isReported(record)
  const since = (what: PostureFault & keyof typeof RECORD): Since<PostureFault> => ({
    what,
    beganMs: sinceMs(record, RECORD[what]),
  })
  // A fact that is not there can't be told from a bad one.
  const faults = known
    ? REPORTED.filter((fault) => latestOf(record, RECORD[fault])?.text !== '0').map(since)
    : [{ what: 'unmanaged' as const, beganMs: forgottenMs === -Infinity ? undefined : forgottenMs }]
  const compliance = latestOf(record, RECORD.notCompliant)
  if (compliance && compliance.text !== '0') faults.push(since('notCompliant'))
  const level = latestOf(record, RECORD.externalLevel)
  return {
    known,
    ownership: known ? ownershipOf(latestOf(record, RECORD.ownership)?.text) : undefined,
    faults,
    seenMs: seenMsOf(record) ?? -Infinity,
    level: level && { what: levelOf(level.text), beganMs: level.atMs },
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
