import type { Obligation, RuleSource } from '../decision/decision.js'
import type { Endpoint } from '../segmentation/matrix.js'
import type { ExternalLevel, Ownership } from './device-report.js'

/** What can be wrong with a device, as policies name it, and as messages and the admin API do. */
export const FINDINGS = {
  unmanaged: 'unmanaged',
  osNotPatched: 'os-not-patched',
  diskNotEncrypted: 'disk-not-encrypted',
  firewallOff: 'firewall-off',
  antivirusOff: 'antivirus-off',
  jailbroken: 'jailbroken',
  notSeen: 'not-seen',
  notCompliant: 'not-compliant',
} as const
export type PostureFault = keyof typeof FINDINGS

/** How bad a device is and from where on that matters. Source: REQUIREMENTS D1, D2. */
export type PosturePolicy = {
  /** Added up, 100 at most. */
  readonly points: Readonly<Record<PostureFault, number>>
  /** What a level that somebody else tells counts as; the sum of the points or this, whichever is higher. */
  readonly externalRisk: Readonly<Record<ExternalLevel, number>>
  readonly notSeenAfterMs: number
  /** A higher score is held to `obligations`, and neither writes nor downloads. */
  readonly readOnlyAbove: number
  /** A higher score has no part in targets of high sensitivity. */
  readonly denyAbove: number
  readonly obligations: readonly Obligation[]
}

/** A class of devices and what it may. Undefined: no limit. */
export type DeviceTier = {
  readonly name: string
  readonly source: RuleSource
  readonly match: DeviceMatch
  /** `namespace/name` of targets. */
  readonly services: ReadonlySet<string> | undefined
  /** Names of DataPolicies. */
  readonly data: ReadonlySet<string> | undefined
  readonly operations: ReadonlySet<Endpoint['operation']> | undefined
  readonly mfa: Endpoint['mfa']
  readonly session: {
    readonly maxDurationMs: number | undefined
    readonly idleTimeoutMs: number | undefined
  }
  readonly obligations: readonly Obligation[]
}

/** All must hold; undefined: whatever it is. */
export type DeviceMatch = {
  readonly managed: boolean | undefined
  readonly ownership: Ownership | undefined
}

/** All DevicePolicy documents, compiled. */
export type DevicePolicy = {
  /** Whether anybody tells of devices. Without it no device is looked at. */
  readonly inventory: boolean
  /** The first one that matches is the device's. */
  readonly tiers: readonly DeviceTier[]
  readonly posture: PosturePolicy
  /** Built-in rules that nothing feeds in this configuration, and why; to be said once at start. */
  readonly inert: readonly string[]
}
