import { EMPTY_RECORD, type StateOp, type StateRecord } from '../state/record.js'
import { anomalousBehaviour } from './factors/anomalous-behaviour.js'
import { dataVolume } from './factors/data-volume.js'
import { devicePosture } from './factors/device-posture.js'
import { failedAttempts } from './factors/failed-attempts.js'
import { fanOut } from './factors/fan-out.js'
import { impossibleTravel } from './factors/impossible-travel.js'
import { lateralMovement } from './factors/lateral-movement.js'
import { maliciousIp } from './factors/malicious-ip.js'
import { newDevice } from './factors/new-device.js'
import { sensitiveAccess } from './factors/sensitive-access.js'
import { tokenReplay } from './factors/token-replay.js'
import { unusualTime } from './factors/unusual-time.js'
import type { Finding, Found } from './finding.js'
import type { RiskPolicy } from './risk-policy.js'
import type { Sighting } from './sighting.js'

/** What the risk of a subject is made of. */
export type RiskScore = {
  /** 0..100. */
  readonly score: number
  readonly findings: readonly Finding[]
  /** What this call adds to the subject's record; empty for a call that shows nothing new. */
  readonly ops: readonly StateOp[]
}

export const NO_RISK: RiskScore = { score: 0, findings: [], ops: [] }

/**
 * The risk of a user on this call. `address` is the record of the client's address, whose failed attempts count too
 * where strangers come from. Source: REQUIREMENTS R1.
 */
export function scoreUser(
  record: StateRecord,
  sighting: Sighting,
  policy: RiskPolicy,
  address: StateRecord = EMPTY_RECORD,
): RiskScore {
  const { nowMs } = sighting
  const findings: Finding[] = []
  const ops: StateOp[] = []
  take(impossibleTravel(record, sighting, policy), findings, ops)
  take(newDevice(record, sighting, policy), findings, ops)
  take(anomalousBehaviour(record, sighting, policy), findings, ops)
  take(maliciousIp(record, sighting, policy), findings, ops)
  const atAddress = failuresOf(address, policy, nowMs)
  add(worse(failuresOf(record, policy, nowMs), atAddress && { ...atAddress, shared: true }), findings)
  add(unusualTime(sighting, policy), findings)
  add(sensitiveAccess(sighting, policy), findings)
  add(dataVolume(record, policy, nowMs), findings)
  add(tokenReplay(record, policy, nowMs), findings)
  add(devicePosture(sighting.device, policy.devicePosture.tiers), findings)
  return { score: total(findings), findings, ops }
}

/** The risk of a workload, whoever it calls. */
export function scoreWorkload(record: StateRecord, policy: RiskPolicy, nowMs: number): RiskScore {
  if (record.size === 0) return NO_RISK
  const findings: Finding[] = []
  add(lateralMovement(record, policy, nowMs), findings)
  add(fanOut(record, policy, nowMs), findings)
  add(failuresOf(record, policy, nowMs), findings)
  add(tokenReplay(record, policy, nowMs), findings)
  add(dataVolume(record, policy, nowMs), findings)
  return findings.length === 0 ? NO_RISK : { score: total(findings), findings, ops: [] }
}

/** When the newest of what has a beginning began, milliseconds since the epoch. */
export function beganMs(findings: readonly Finding[]): number | undefined {
  let latest: number | undefined
  for (const finding of findings) {
    if (finding.beganMs !== undefined && !(latest !== undefined && latest >= finding.beganMs)) {
      latest = finding.beganMs
    }
  }
  return latest
}

function failuresOf(record: StateRecord, policy: RiskPolicy, nowMs: number): Finding | undefined {
  return record.size === 0 ? undefined : failedAttempts(record, policy.failedAttempts, nowMs)
}

function worse(a: Finding | undefined, b: Finding | undefined): Finding | undefined {
  return a && b ? (b.points > a.points ? b : a) : (a ?? b)
}

function take({ finding, ops: more }: Found, findings: Finding[], ops: StateOp[]): void {
  add(finding, findings)
  if (more.length > 0) ops.push(...more)
}

function add(finding: Finding | undefined, findings: Finding[]): void {
  if (finding) findings.push(finding)
}

/** The sum of the points, at most 100. */
export function total(findings: readonly Finding[]): number {
  let sum = 0
  for (const { points } of findings) sum += points
  return Math.min(100, sum)
}
