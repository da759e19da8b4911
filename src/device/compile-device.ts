import type { Directory } from '../segmentation/directory.js'
import { compilePosture } from './compile-posture.js'
import { compileTiers, type DeviceDocument } from './compile-tiers.js'
import type { DevicePolicy } from './device-policy.js'

export type { DeviceDocument } from './compile-tiers.js'

/** What only a tier has. */
const OF_TIERS = ['match', 'services', 'data', 'mfa', 'session', 'operations', 'obligations'] as const

/**
 * Compiles all DevicePolicy documents. Each adds a tier, or sets posture, which only one may; one named `default`
 * replaces the built-in tiers. `hasInventory` is undefined where there is no configuration to ask: then documents
 * speak for it. Reports faults; then the result is never used. The directory is the one of the matrix.
 */
export function compileDevices(
  documents: readonly DeviceDocument[],
  directory: Directory,
  hasInventory: boolean | undefined,
): DevicePolicy {
  const names = new Set<string>()
  let postureBy: DeviceDocument | undefined
  for (const document of documents) {
    const { metadata, spec, report } = document
    if (names.has(metadata.name)) {
      const message = `there is a DevicePolicy \`${metadata.name}\` already`
      report(['metadata', 'name'], message, 'duplicate-name')
    }
    names.add(metadata.name)
    if (hasInventory === false) {
      const message = 'a DevicePolicy needs an inventory of devices: `deviceInventory` in portcullis.yaml'
      report(['metadata', 'name'], message, 'condition-no-source')
    }
    checkTier(document)
    if (!spec.posture) continue
    if (postureBy) {
      const message = `\`posture\` is set by the DevicePolicy \`${postureBy.metadata.name}\` too`
      report(['spec', 'posture'], message, 'duplicate-posture')
    }
    postureBy = document
  }
  return {
    inventory: hasInventory ?? documents.length > 0,
    tiers: compileTiers(documents, directory),
    posture: compilePosture(postureBy?.spec.posture, postureBy?.report),
    inert: hasInventory === false ? [INERT] : [],
  }
}

const INERT =
  'the built-in device tiers and posture never apply: no inventory of devices is kept (`deviceInventory` in portcullis.yaml)'

/** A document says something, and only of a tier what tiers have. */
function checkTier({ spec, report }: DeviceDocument): void {
  if (spec.tier !== undefined) return
  const stray = OF_TIERS.filter((field) => spec[field] !== undefined)
  for (const field of stray) {
    report(['spec', field], `\`${field}\` belongs to a tier, and there is no \`tier\``, 'without-tier')
  }
  if (!spec.posture && stray.length === 0) {
    report(['spec'], 'a DevicePolicy says nothing without `tier` or `posture`', 'empty-device-policy')
  }
}
