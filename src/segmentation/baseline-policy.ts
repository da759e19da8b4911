import { type Static, Type } from '@sinclair/typebox'
import { forbidSchema, permitSchema } from './rule-schema.js'
import {
  ApiVersionSchema,
  ClusterMetadataSchema,
  ModeSchema,
  oneOrMore,
  RequirementSchema,
  ToTargetsSchema,
  words,
} from './vocabulary.js'

const TO_WHAT = 'Elements OR; default: everything.'

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
        grantOnlyRoles: Type.Optional(
          oneOrMore(
            'Roles of users that count only while a grant of them is live: nobody has them for good.',
          ),
        ),
        allow: Type.Optional(
          Type.Array(permitSchema(ToTargetsSchema, TO_WHAT), {
            description: 'Stands for calls, consent and endpoint.',
          }),
        ),
        forbid: Type.Optional(
          Type.Array(forbidSchema(ToTargetsSchema, TO_WHAT), { description: 'Wins over everything.' }),
        ),
      },
      { additionalProperties: false },
    ),
  },
  { additionalProperties: false },
)

export type BaselinePolicy = Static<typeof BaselinePolicySchema>
