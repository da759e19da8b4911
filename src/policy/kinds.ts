import type { TSchema } from '@sinclair/typebox'
import { BaselinePolicySchema } from '../segmentation/baseline-policy.js'
import { ServicePolicySchema } from '../segmentation/service-policy.js'
import { RiskPolicySchema } from '../risk/risk-policy.js'
import { AdaptivePolicySchema } from '../session/adaptive-schema.js'

/** The group that all kinds of ours belong to. */
export const API_GROUP = 'portcullis.dev'

/** Schemas of whole documents, by kind. */
export const kinds: ReadonlyMap<string, TSchema> = new Map<string, TSchema>([
  ['ServicePolicy', ServicePolicySchema],
  ['BaselinePolicy', BaselinePolicySchema],
  ['AdaptivePolicy', AdaptivePolicySchema],
  ['RiskPolicy', RiskPolicySchema],
])

/** Kinds of the format that this version doesn't act on; a document of theirs is refused, never ignored. */
export const UNSUPPORTED_KINDS: ReadonlySet<string> = new Set(['DevicePolicy', 'DataPolicy'])
