import type { TSchema } from '@sinclair/typebox'
import { BaselinePolicySchema } from '../segmentation/baseline-policy.js'
import { ServicePolicySchema } from '../segmentation/service-policy.js'
import { RiskPolicySchema } from '../risk/risk-policy.js'
import { AdaptivePolicySchema } from '../session/adaptive-schema.js'
import { DataPolicySchema } from '../data/data-schema.js'
import { DevicePolicySchema } from '../device/device-schema.js'

/** The group that all kinds of ours belong to. */
export const API_GROUP = 'portcullis.dev'

/** Schemas of whole documents, by kind. */
export const kinds: ReadonlyMap<string, TSchema> = new Map<string, TSchema>([
  ['ServicePolicy', ServicePolicySchema],
  ['BaselinePolicy', BaselinePolicySchema],
  ['AdaptivePolicy', AdaptivePolicySchema],
  ['RiskPolicy', RiskPolicySchema],
  ['DevicePolicy', DevicePolicySchema],
  ['DataPolicy', DataPolicySchema],
])
