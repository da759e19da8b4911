import { type Static, Type } from '@sinclair/typebox'
import { GRANT_STATES, GrantRequestSchema } from '../../grants/grant.js'
import { Fields, Words } from '../../schema/fields.js'
import {
  CursorSchema,
  IssuerSchema,
  PersonSchema,
  ReasonSchema,
  ServiceIdSchema,
  ShortTextSchema,
  SubjectSchema,
  TimeSchema,
  limitSchema,
} from './terms.js'

export const GrantIdSchema = Type.String({
  pattern: '^[A-Za-z0-9_-]{1,64}$',
  description: 'id of the grant.',
  expected: 'the id of a grant',
})

export const GrantsQuerySchema = Fields({
  state: Type.Optional(Words(GRANT_STATES)),
  issuer: Type.Optional(IssuerSchema),
  subject: Type.Optional(SubjectSchema),
  service: Type.Optional(ServiceIdSchema),
  limit: Type.Optional(limitSchema(100, 1000)),
  cursor: Type.Optional(CursorSchema),
})

/** A grant with what became of it. Texts of times are RFC 3339. */
export const GrantAnswerSchema = Fields(
  {
    id: GrantIdSchema,
    state: Words(GRANT_STATES),
    subject: Fields({ issuer: IssuerSchema, subject: SubjectSchema }),
    service: ServiceIdSchema,
    endpoints: Type.Optional(Type.Array(Type.String(), { description: 'Absent: every one.' })),
    operations: Type.Array(Words(['Read', 'Write', 'Download'])),
    roles: Type.Optional(Type.Array(Type.String(), { description: 'Grant-only roles that it makes count.' })),
    requester: PersonSchema,
    approver: Type.Optional(Type.String({ description: 'Absent: break-glass.' })),
    breakGlass: Type.Boolean(),
    ticket: Type.Optional(ShortTextSchema),
    reason: ReasonSchema,
    createdAt: TimeSchema,
    expiresAt: TimeSchema,
    maxUses: Type.Optional(Type.Integer({ minimum: 1 })),
    uses: Type.Optional(Type.Integer({ minimum: 0, description: 'Absent: nobody knows any more.' })),
    lastUsedAt: Type.Optional(TimeSchema),
    revoked: Type.Optional(Fields({ at: TimeSchema, by: PersonSchema, reason: ReasonSchema })),
  },
  { title: 'Grant' },
)
export type GrantAnswer = Static<typeof GrantAnswerSchema>
export type GrantsQuery = Static<typeof GrantsQuerySchema>

export const GrantPageSchema = Fields({
  grants: Type.Array(GrantAnswerSchema),
  next: Type.Optional(CursorSchema),
})
export type GrantPage = Static<typeof GrantPageSchema>

/** As GrantRequestSchema; the subject's issuer may be left out. */
export const CreateGrantSchema = Fields({
  ...GrantRequestSchema.properties,
  subject: Fields(
    { issuer: Type.Optional(IssuerSchema), subject: SubjectSchema },
    { description: 'Who gets it.' },
  ),
})

export const RevokeSchema = Fields({ reason: ReasonSchema })

export const ReviewQuerySchema = Fields({
  days: Type.Optional(
    Type.Integer({
      minimum: 1,
      maximum: 3650,
      default: 30,
      description: 'What was not used for so long is unused. Default 30.',
    }),
  ),
  format: Type.Optional(Words(['json', 'csv', 'table'], { default: 'json', description: 'Default json.' })),
})
