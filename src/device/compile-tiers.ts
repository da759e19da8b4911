import type { RuleSource } from '../decision/decision.js'
import type { Pointer } from '../schema/problem.js'
import { parseDurationMs } from '../schema/units.js'
import type { Directory } from '../segmentation/directory.js'
import type { Report } from '../segmentation/when/condition.js'
import type { DeviceMatch, DeviceTier } from './device-policy.js'
import type { DevicePolicyDocument } from './device-schema.js'

/** A document that fits its schema, where its parts were written, and where its faults go. */
export type DeviceDocument = Pick<DevicePolicyDocument, 'metadata' | 'spec'> & {
  readonly sourceOf: (pointer: Pointer) => RuleSource
  readonly report: Report
}

const HOUR_MS = 3_600_000

/** Every device is of one of them. Source: REQUIREMENTS D3. */
const BUILT_IN: readonly DeviceTier[] = [
  builtIn('managed-corporate', { managed: true, ownership: 'Corporate' }, 8),
  builtIn('managed-personal', { managed: true, ownership: 'Personal' }, 4),
  builtIn('unmanaged', { managed: false, ownership: undefined }, 1),
]

function builtIn(name: string, match: DeviceMatch, hours: number): DeviceTier {
  return {
    name,
    source: 'built-in',
    match,
    services: undefined,
    data: undefined,
    operations: undefined,
    mfa: 'None',
    session: { maxDurationMs: hours * HOUR_MS, idleTimeoutMs: undefined },
    obligations: [],
  }
}

/**
 * The tiers in the order in which they are tried: written ones, those that ask for more before those that ask for less,
 * then the built-in ones that nobody wrote anew, unless a document `default` replaces them.
 */
export function compileTiers(documents: readonly DeviceDocument[], directory: Directory): DeviceTier[] {
  const written: DeviceTier[] = []
  /** The first tier of each match. */
  const matches = new Map<string, DeviceTier>()
  for (const document of documents) {
    const { spec, report } = document
    if (spec.tier === undefined) continue
    const tier = compileTier(document, spec.tier, directory)
    if (written.some(({ name }) => name === tier.name)) {
      report(['spec', 'tier'], `there is a device tier \`${tier.name}\` already`, 'duplicate-name')
      continue
    }
    written.push(tier)
    const rival = [...matches.values()].find((other) => isTie(tier.match, other.match))
    if (rival) {
      const at = ['spec', spec.match ? 'match' : 'tier']
      report(at, `one device can match this tier and \`${rival.name}\` equally well`, 'tier-overlap')
    }
    const key = JSON.stringify([tier.match.managed, tier.match.ownership])
    if (!matches.has(key)) matches.set(key, tier)
  }
  written.sort((a, b) => fieldsOf(b.match) - fieldsOf(a.match))
  const replaced = documents.find(({ metadata }) => metadata.name === 'default')
  if (!replaced) {
    return [...written, ...BUILT_IN.filter(({ name }) => !written.some((tier) => tier.name === name))]
  }
  if (written.length === 0) {
    const message =
      '`default` replaces the built-in device tiers, and no document has one: all would be refused'
    replaced.report(['metadata', 'name'], message, 'no-tier')
  }
  return written
}

function compileTier(
  { spec, sourceOf, report }: DeviceDocument,
  name: string,
  directory: Directory,
): DeviceTier {
  const { match, services, data, operations, mfa = 'None', session = {}, obligations = [] } = spec
  services?.forEach((service, index) =>
    directory.resolve(service, undefined, ['spec', 'services', index], report),
  )
  data?.forEach((policy, index) => directory.resolveDataPolicy(policy, ['spec', 'data', index], report))
  // Whoever writes a built-in tier anew says what differs.
  const namesake = BUILT_IN.find((tier) => tier.name === name)
  return {
    name,
    source: sourceOf(['spec', 'tier']),
    match: match ? { managed: match.managed, ownership: match.ownership } : (namesake?.match ?? ANY),
    services: services && new Set(services),
    data: data && new Set(data),
    operations: operations && new Set(operations),
    mfa,
    session: {
      maxDurationMs: msOf(session.maxDuration) ?? namesake?.session.maxDurationMs,
      idleTimeoutMs: msOf(session.idleTimeout),
    },
    obligations: [...new Set(obligations)],
  }
}

const ANY: DeviceMatch = { managed: undefined, ownership: undefined }

function msOf(duration: string | undefined): number | undefined {
  return duration === undefined ? undefined : parseDurationMs(duration)
}

function fieldsOf({ managed, ownership }: DeviceMatch): number {
  return Number(managed !== undefined) + Number(ownership !== undefined)
}

/** Both match some device, and neither asks for more. */
function isTie(a: DeviceMatch, b: DeviceMatch): boolean {
  const agree = <T>(left: T | undefined, right: T | undefined): boolean =>
    left === undefined || right === undefined || left === right
  return fieldsOf(a) === fieldsOf(b) && agree(a.managed, b.managed) && agree(a.ownership, b.ownership)
}
