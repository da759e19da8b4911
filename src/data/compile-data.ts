import type { Static } from '@sinclair/typebox'
import type { RuleSource } from '../decision/decision.js'
import type { Pointer } from '../schema/problem.js'
import { parseDurationMs } from '../schema/units.js'
import type { Report } from '../segmentation/when/condition.js'
import type { AccessRule, DataPolicies, DataPolicy } from './data-policy.js'
import type { DataPolicySchema } from './data-schema.js'

/** A document that fits its schema, where its parts were written, and where its faults go. */
export type DataDocument = Pick<Static<typeof DataPolicySchema>, 'metadata' | 'spec'> & {
  readonly sourceOf: (pointer: Pointer) => RuleSource
  readonly report: Report
}

/** Compiles all DataPolicy documents. There are no built-in ones. Reports faults; then the result is never used. */
export function compileData(documents: readonly DataDocument[]): DataPolicies {
  const policies = new Map<string, DataPolicy>()
  for (const document of documents) {
    const { name } = document.metadata
    if (policies.has(name)) {
      document.report(['metadata', 'name'], `there is a DataPolicy \`${name}\` already`, 'duplicate-name')
    }
    policies.set(name, compileOne(document))
  }
  return policies
}

function compileOne({ metadata, spec, sourceOf, report }: DataDocument): DataPolicy {
  const { access = [], audit } = spec
  const seen = new Set<string>()
  for (const [index, { role, operations }] of access.entries()) {
    for (const [place, operation] of operations.entries()) {
      const pair = `${operation} ${role}`
      if (seen.has(pair)) {
        const message = `what the role \`${role}\` needs to ${operation} is said already`
        report(['spec', 'access', index, 'operations', place], message, 'duplicate-access')
      }
      seen.add(pair)
    }
  }
  return {
    name: metadata.name,
    source: sourceOf([]),
    access: access.map((rule, index) => compileAccess(rule, sourceOf(['spec', 'access', index]))),
    hasAccessRules: access.length > 0,
    audit: {
      name: metadata.name,
      level: audit?.level ?? 'Metadata',
      retention: audit?.retention,
      alert: audit?.alert ?? false,
      retentionMs: msOf(audit?.retention),
      encrypted: audit?.encryption !== undefined,
      keyRotationMs: msOf(audit?.encryption?.keyRotation),
    },
  }
}

function compileAccess(
  { role, operations, approval, mfa }: NonNullable<DataDocument['spec']['access']>[number],
  source: RuleSource,
): AccessRule {
  return { role, operations, needsApproval: approval === 'Required', needsMfa: mfa === 'Required', source }
}

function msOf(duration: string | undefined): number | undefined {
  return duration === undefined ? undefined : parseDurationMs(duration)
}
