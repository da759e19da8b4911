import { type Static, type TSchema, Type } from '@sinclair/typebox'
import { Fields, Words } from '../schema/fields.js'
import { matchesShape } from '../schema/shape.js'
import { DurationSchema } from '../schema/units.js'

const OPERATIONS = ['Read', 'Write', 'Download'] as const

/** Control and format characters, lone surrogates, line breaks: what makes one text look like another or break a line. */
const UNSEEN = '\\p{Cc}\\p{Cf}\\p{Cs}\\p{Zl}\\p{Zp}'
const line = (maxLength: number, description: string) =>
  Type.String({
    minLength: 1,
    maxLength,
    pattern: `^[^${UNSEEN}\\s](?:[^${UNSEEN}]*[^${UNSEEN}\\s])?$`,
    expected: 'one line of text without control characters and without blanks around it',
    description,
  })

const person = (description: string) => line(128, description)
const listOf = <T extends TSchema>(item: T, maxItems: number, description: string) =>
  Type.Array(item, { minItems: 1, maxItems, uniqueItems: true, description })

const SubjectSchema = Fields(
  {
    issuer: line(1024, "`iss` of the user's tokens."),
    subject: line(1024, "`sub` of the user's tokens."),
  },
  { description: 'Who gets it.' },
)
const scope = {
  service: Type.String({
    pattern: '^[a-z0-9]([-a-z0-9]*[a-z0-9])?/[a-z0-9]([-.a-z0-9]*[a-z0-9])?$',
    maxLength: 317,
    expected: 'a service as namespace/name',
    description: 'The target, as namespace/name.',
  }),
  endpoints: Type.Optional(
    listOf(line(253, 'Name of an endpoint.'), 32, 'Of the service; default: every one.'),
  ),
  operations: listOf(Words(OPERATIONS), OPERATIONS.length, 'What may be done.'),
  roles: Type.Optional(
    listOf(line(128, 'A role.'), 16, 'Grant-only roles that count while the grant is live.'),
  ),
}
const maxUses = Type.Optional(
  Type.Integer({
    minimum: 1,
    maximum: 10_000,
    description: 'Calls that may pass by it; default: any number.',
  }),
)
const ticket = line(128, 'Where it was asked for.')
const reason = line(500, 'What it is needed for.')
const instant = (description: string) =>
  Type.String({ maxLength: 40, expected: 'a time such as 2026-03-01T12:00:00Z', description })

/** What an administrator asks for. Exactly one of `expiresAt` and `duration`; see `createGrant` for the other rules. */
export const GrantRequestSchema = Fields({
  subject: SubjectSchema,
  ...scope,
  requester: person('Who asks for it: neither the subject nor the approver.'),
  approver: Type.Optional(
    person('Who approves: the caller of the API, whom it must name where it is given.'),
  ),
  ticket: Type.Optional(ticket),
  reason,
  expiresAt: Type.Optional(instant('When it ends, RFC 3339 with a zone.')),
  duration: Type.Optional(DurationSchema),
  maxUses,
  breakGlass: Type.Optional(
    Type.Boolean({ description: 'An emergency: nobody approves, and it alerts at once.' }),
  ),
})
export type GrantRequest = Static<typeof GrantRequestSchema>

/** A grant as it is stored and shown. Times are milliseconds since the epoch. */
export const GrantSchema = Fields({
  id: Type.String({ pattern: '^[A-Za-z0-9_-]{1,64}$' }),
  subject: SubjectSchema,
  ...scope,
  requester: person('Who asked for it.'),
  approver: Type.Optional(person('Who approved; nobody where it is break-glass.')),
  breakGlass: Type.Boolean(),
  ticket: Type.Optional(ticket),
  reason,
  createdAtMs: Type.Integer(),
  expiresAtMs: Type.Integer(),
  maxUses,
  revoked: Type.Optional(
    Fields({ atMs: Type.Integer(), by: person('Who revoked it.'), reason: line(500, 'Why.') }),
  ),
  finalUse: Type.Optional(
    Fields(
      { uses: Type.Integer({ minimum: 0 }), lastUsedAtMs: Type.Optional(Type.Integer()) },
      { description: 'Set once the record that counts its uses is gone.' },
    ),
  ),
})
export type Grant = Static<typeof GrantSchema>

/** A stored grant; undefined for what is none. */
export function readGrant(text: string): Grant | undefined {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    return undefined
  }
  return matchesShape(GrantSchema, value) ? value : undefined
}

/** How often a grant was used; undefined: nobody knows any more. */
export type GrantUse = { readonly uses: number; readonly lastUsedMs: number | undefined }

export const GRANT_STATES = ['live', 'expired', 'revoked', 'exhausted'] as const
export type GrantState = (typeof GRANT_STATES)[number]

/** A revoked grant stays so when it would have ended anyway. */
export function grantState(grant: Grant, use: GrantUse | undefined, nowMs: number): GrantState {
  if (grant.revoked) return 'revoked'
  if (nowMs >= grant.expiresAtMs) return 'expired'
  return grant.maxUses !== undefined && use !== undefined && use.uses >= grant.maxUses ? 'exhausted' : 'live'
}
