import { type Static, Type } from '@sinclair/typebox'
import { MODES } from '../decision/mode.js'
import { DurationSchema } from '../schema/units.js'
import {
  ApiVersionSchema,
  ClusterMetadataSchema,
  RuleNameSchema,
  SensitivitySchema,
  ToTargetsSchema,
  words,
} from '../segmentation/vocabulary.js'
import { ConditionSchema } from '../segmentation/when/schema.js'

export const EFFECTS = ['Allow', 'StepUp', 'Deny'] as const

const RuleSchema = Type.Object(
  {
    name: RuleNameSchema,
    to: Type.Optional(
      Type.Array(ToTargetsSchema, {
        minItems: 1,
        description: 'Elements OR; default: everything. Paths ignore case and a trailing slash.',
      }),
    ),
    when: Type.Optional(Type.Array(ConditionSchema, { description: 'All must hold.' })),
    then: words(EFFECTS, 'The most severe of the rules that match wins: Deny, StepUp, Allow.'),
    factor: Type.Optional(
      Type.String({
        pattern: '^[A-Za-z0-9._:/-]{1,64}$',
        description: 'What a StepUp asks for, as `acr` or `amr` name it: mfa (default), push, biometric.',
      }),
    ),
    mode: Type.Optional(words(MODES, "Of this rule alone; default: the target's.")),
  },
  { additionalProperties: false },
)

/** When a call needs more than the matrix asks, or can't pass at all. Source: FORMATS 1. */
export const AdaptivePolicySchema = Type.Object(
  {
    apiVersion: ApiVersionSchema,
    kind: words(['AdaptivePolicy'], 'Step-up and denial by risk, state and sensitivity.'),
    metadata: ClusterMetadataSchema,
    spec: Type.Object(
      {
        rules: Type.Optional(Type.Array(RuleSchema, { description: 'All are evaluated.' })),
        session: Type.Optional(
          Type.Object(
            {
              maxDuration: Type.Optional(DurationSchema),
              idleTimeout: Type.Optional(DurationSchema),
              maxAuthAge: Type.Optional(DurationSchema),
              maxAuthAgeFrom: Type.Optional(SensitivitySchema),
            },
            { additionalProperties: false, description: 'Limits of sessions and authentications.' },
          ),
        ),
      },
      { additionalProperties: false },
    ),
  },
  { additionalProperties: false },
)
export type AdaptiveRule = Static<typeof RuleSchema>
