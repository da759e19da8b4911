import { latestOf, type StateRecord } from '../state/record.js'
import {
  EXTERNAL_LEVELS,
  type ExternalLevel,
  forgottenMsOf,
  isReported,
  type Ownership,
  RECORD,
  seenMsOf,
} from './device-report.js'

/** The newest facts as they were told, for people; undefined: nobody told, or the device left the inventory. */
export type DeviceFacts = {
  readonly managed: boolean | undefined
  readonly osPatched: boolean | undefined
  readonly diskEncrypted: boolean | undefined
  readonly firewall: boolean | undefined
  readonly antivirus: boolean | undefined
  readonly jailbroken: boolean | undefined
  readonly compliant: boolean | undefined
  readonly ownership: Ownership | undefined
  readonly externalLevel: ExternalLevel | undefined
  /** Milliseconds since the epoch. */
  readonly seenMs: number | undefined
}

export function deviceFacts(record: StateRecord): DeviceFacts {
  const forgottenMs = forgottenMsOf(record)
  const told = (field: string): string | undefined => {
    const latest = latestOf(record, field)
    return latest && latest.atMs > forgottenMs ? latest.text : undefined
  }
  const isWrong = (field: string): boolean | undefined => {
    const text = told(field)
    return text === undefined ? undefined : text !== '0'
  }
  const isRight = (field: string): boolean | undefined => {
    const wrong = isWrong(field)
    return wrong === undefined ? undefined : !wrong
  }
  const owned = told(RECORD.ownership)
  const compliance = latestOf(record, RECORD.notCompliant)
  const level = latestOf(record, RECORD.externalLevel)
  return {
    managed: isRight(RECORD.unmanaged),
    osPatched: isRight(RECORD.osNotPatched),
    diskEncrypted: isRight(RECORD.diskNotEncrypted),
    firewall: isRight(RECORD.firewallOff),
    antivirus: isRight(RECORD.antivirusOff),
    jailbroken: isWrong(RECORD.jailbroken),
    // These two stay when a device leaves the inventory.
    compliant: compliance && compliance.text === '0',
    externalLevel: level && (EXTERNAL_LEVELS[Number(level.text) - 1] ?? 'HIGH'),
    ownership: owned === 'Corporate' || owned === 'Personal' ? owned : undefined,
    seenMs: isReported(record) ? seenMsOf(record) : undefined,
  }
}
