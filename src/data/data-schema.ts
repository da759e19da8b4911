import { type Static, Type } from '@sinclair/typebox'
import { Fields, Words } from '../schema/fields.js'
import { DurationSchema } from '../schema/units.js'
import { ApiVersionSchema, ClusterMetadataSchema, words } from '../segmentation/vocabulary.js'

export const OPERATIONS = ['Read', 'Write', 'Download'] as const

const AccessSchema = Fields({
  role: Type.String({
    minLength: 1,
    maxLength: 128,
    description: "One of the user's roles, exact.",
  }),
  operations: Type.Array(Words(OPERATIONS), {
    minItems: 1,
    maxItems: OPERATIONS.length,
    description: 'What the role may do. An operation that is not known counts as Write.',
  }),
  approval: Type.Optional(
    Words(['None', 'Required'], { description: 'Required: only while a grant to the user is live.' }),
  ),
  mfa: Type.Optional(
    Words(['None', 'Required'], { description: 'Required: the token shows several factors.' }),
  ),
})

const AuditSchema = Fields({
  level: Type.Optional(
    Words(['Metadata', 'Full'], {
      description: 'Metadata (default): who did what. Full: all that is known of it.',
    }),
  ),
  retention: Type.Optional(
    Type.String({ ...DurationSchema, description: 'For whoever keeps the events, for example 7y.' }),
  ),
  alert: Type.Optional(Type.Boolean({ description: 'Every access is told at once.' })),
  encryption: Type.Optional(
    Fields({
      atRest: Words(['A256GCM'], { description: 'Of the stored events.' }),
      keyRotation: Type.Optional(DurationSchema),
    }),
  ),
})

/** A classification of data: who may do what with it, and what is recorded. Source: FORMATS 1, REQUIREMENTS D4. */
export const DataPolicySchema = Fields({
  apiVersion: ApiVersionSchema,
  kind: words(['DataPolicy'], 'A classification of data, which endpoints name in `dataPolicy`.'),
  metadata: ClusterMetadataSchema,
  spec: Fields({
    access: Type.Optional(
      Type.Array(AccessSchema, {
        minItems: 1,
        maxItems: 256,
        description: 'Who may do what; without it everybody whom the matrix lets pass.',
      }),
    ),
    audit: Type.Optional(AuditSchema),
  }),
})
export type DataPolicySpec = Static<typeof DataPolicySchema>['spec']
