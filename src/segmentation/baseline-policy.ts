import { type Static, Type } from '@sinclair/typebox'
import {
  ApiVersionSchema,
  ClusterMetadataSchema,
  FromSchema,
  ModeSchema,
  RequirementSchema,
  RuleNameSchema,
  ToTargetsSchema,
  words,
} from './vocabulary.js'
import { ConditionSchema } from './when/condition.js'

const AllowSchema = Type.Object(
  {
    name: RuleNameSchema,
    from: Type.Array(FromSchema, { minItems: 1, description: 'Elements OR.' }),
    to: Type.Optional(
      Type.Array(ToTargetsSchema, { minItems: 1, description: 'Elements OR; default: everything.' }),
    ),
    when: Type.Optional(Type.Array(ConditionSchema, { description: 'All must hold.' })),
    grantScopes: Type.Optional(
      Type.Array(Type.String(), { description: 'Workload scopes of a caller without a service token.' }),
    ),
  },
  { additionalProperties: false },
)

const ForbidSchema = Type.Object(
  {
    name: RuleNameSchema,
    from: Type.Optional(
      Type.Array(FromSchema, { minItems: 1, description: 'Elements OR; default: everyone.' }),
    ),
    to: Type.Optional(
      Type.Array(ToTargetsSchema, { minItems: 1, description: 'Elements OR; default: everything.' }),
    ),
    when: Type.Optional(Type.Array(ConditionSchema, { description: 'All must hold.' })),
    message: Type.Optional(
      Type.String({ maxLength: 1024, description: 'Why, for those who read the event.' }),
    ),
    mode: Type.Optional(ModeSchema),
  },
  { additionalProperties: false },
)

/** The platform team's: defaults, allow and forbid for every service. Source: FORMATS 1. */
export const BaselinePolicySchema = Type.Object(
  {
    apiVersion: ApiVersionSchema,
    kind: words(['BaselinePolicy'], 'For every service, before its own document.'),
    metadata: ClusterMetadataSchema,
    spec: Type.Object(
      {
        defaults: Type.Optional(
          Type.Object(
            { mode: Type.Optional(ModeSchema), require: Type.Optional(RequirementSchema) },
            { additionalProperties: false, description: 'Also for services that no document names.' },
          ),
        ),
        allow: Type.Optional(
          Type.Array(AllowSchema, { description: 'Stands for calls, consent and endpoint.' }),
        ),
        forbid: Type.Optional(Type.Array(ForbidSchema, { description: 'Wins over everything.' })),
      },
      { additionalProperties: false },
    ),
  },
  { additionalProperties: false },
)

export type BaselinePolicy = Static<typeof BaselinePolicySchema>
