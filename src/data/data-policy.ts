import type { DataAudit, RuleSource } from '../decision/decision.js'
import type { Endpoint } from '../segmentation/matrix.js'

/** What a role may do with the data, and what that needs beside the role. */
export type AccessRule = {
  readonly role: string
  readonly operations: readonly Endpoint['operation'][]
  readonly needsApproval: boolean
  readonly needsMfa: boolean
  readonly source: RuleSource
}

/** One compiled DataPolicy. */
export type DataPolicy = {
  /** The classification, for example `confidential`. */
  readonly name: string
  readonly source: RuleSource
  /** Once there is one, every call needs a user that one lets pass. */
  readonly access: readonly AccessRule[]
  readonly hasAccessRules: boolean
  readonly audit: DataAudit & {
    /** How long stored events are kept; undefined: for ever. */
    readonly retentionMs: number | undefined
    /** Stored events are to be encrypted. */
    readonly encrypted: boolean
    /** How long one content key serves; undefined: as whoever stores them says. */
    readonly keyRotationMs: number | undefined
  }
}

/** By name. */
export type DataPolicies = ReadonlyMap<string, DataPolicy>

/** Those that ask for encrypted events, to be warned of where no sink encrypts. */
export function namesToEncrypt(policies: DataPolicies): readonly string[] {
  return [...policies.values()].filter(({ audit }) => audit.encrypted).map(({ name }) => name)
}
