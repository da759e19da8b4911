import { compileData } from '../data/compile-data.js'
import type { DataPolicies } from '../data/data-policy.js'
import { compileDevices } from '../device/compile-device.js'
import type { DevicePolicy } from '../device/device-policy.js'
import { compileRisk } from '../risk/compile-risk.js'
import type { RiskPolicy } from '../risk/risk-policy.js'
import type { Directory } from '../segmentation/directory.js'
import type { AdaptivePolicy } from '../session/adaptive-policy.js'
import { type AdaptiveDocument, compileAdaptive } from '../session/compile-adaptive.js'
import type { PolicyDocument } from './read-documents.js'

/** Where a document's parts are written, and where its faults go. */
export type Written = Pick<AdaptiveDocument, 'sourceOf' | 'report'>

type Kind = PolicyDocument['kind']
type OfKind<K extends Kind> = Pick<Extract<PolicyDocument, { kind: K }>, 'kind' | 'metadata' | 'spec'>

/** A document of any kind, without the text it was read from. */
export type WrittenDocument = { [K in Kind]: OfKind<K> & Written }[Kind]
/** And without the places of its parts. */
export type PlainDocument = { [K in Kind]: OfKind<K> }[Kind]

export function ofKind<K extends Kind>(
  documents: readonly WrittenDocument[],
  kind: K,
): Extract<WrittenDocument, { kind: K }>[] {
  return documents.filter(
    (document): document is Extract<WrittenDocument, { kind: K }> => document.kind === kind,
  )
}

export function compileClassifications(documents: readonly WrittenDocument[]): DataPolicies {
  return compileData(ofKind(documents, 'DataPolicy'))
}

/** What decides beside the matrix. The directory is that of the matrix. */
export function compileRest(
  documents: readonly WrittenDocument[],
  directory: Directory,
  hasDevices: boolean | undefined,
): { readonly adaptive: AdaptivePolicy; readonly risk: RiskPolicy; readonly device: DevicePolicy } {
  return {
    adaptive: compileAdaptive(ofKind(documents, 'AdaptivePolicy'), directory),
    risk: compileRisk(ofKind(documents, 'RiskPolicy')),
    device: compileDevices(ofKind(documents, 'DevicePolicy'), directory, hasDevices),
  }
}
