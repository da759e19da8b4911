import { Type } from '@sinclair/typebox'
import { DurationSchema } from '../../schema/units.js'

/** Text of a person that ends up on one line of a table or an event. */
const LINE = '^[^\\p{Cc}\\p{Cf}\\p{Zl}\\p{Zp}]*$'

const line = (longest: number, description: string) =>
  Type.String({
    minLength: 1,
    maxLength: longest,
    pattern: LINE,
    description,
    expected: 'text without control and invisible characters',
  })

export const IssuerSchema = line(
  2048,
  'iss of the user tokens; may be left out where only one is configured.',
)
export const SubjectSchema = line(1024, 'sub of the user.')
/** Whatever a token may say, since what it says must be endable: all but control characters. */
export const SessionIdSchema = Type.String({
  minLength: 1,
  maxLength: 1024,
  pattern: '^\\P{Cc}*$',
  description: 'session_id or sid of the session, as the token has it.',
  expected: 'text without control characters',
})
export const DeviceIdSchema = line(256, 'device_id, as tokens name it.')
export const ReasonSchema = line(500, 'Why; recorded with the event.')
export const PersonSchema = line(256, 'Name of a person.')
export const ShortTextSchema = line(256, 'Text of one line.')

export const ServiceIdSchema = Type.String({
  pattern: '^[a-z0-9](?:[-a-z0-9]*[a-z0-9])?/[a-z0-9](?:[-.a-z0-9]*[a-z0-9])?$',
  maxLength: 317,
  description: 'A service, namespace/name.',
  expected: 'a service as namespace/name, such as shop/payment',
})

export const WorkloadSchema = Type.String({
  pattern: String.raw`^spiffe://[a-z0-9._-]{1,255}(?:/(?!\.{1,2}(?:/|$))[A-Za-z0-9._-]+)+$`,
  maxLength: 2048,
  description: 'SPIFFE ID of a workload.',
  expected: 'the SPIFFE ID of one workload, such as spiffe://cluster.local/ns/shop/sa/api',
})

/** Whether the calendar has the day is not checked here: `parseInstantMs` says. */
export const TimeSchema = Type.String({
  pattern:
    '^\\d{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\\d|3[01])T(?:[01]\\d|2[0-3]):[0-5]\\d:[0-5]\\d(?:\\.\\d{1,9})?(?:Z|[+-](?:[01]\\d|2[0-3]):[0-5]\\d)$',
  maxLength: 40,
  description: 'A time, RFC 3339.',
  expected: 'a time such as 2026-03-01T12:00:00Z',
})

export const LengthSchema = Type.String({ ...DurationSchema, maxLength: 20 })

export const RevisionSchema = Type.String({ description: 'Content hash of the policy.' })

export const CursorSchema = Type.String({
  minLength: 1,
  maxLength: 1024,
  pattern: '^[A-Za-z0-9._~-]+$',
  description: '`next` of the page before.',
  expected: 'what `next` of the page before said',
})

export const limitSchema = (byDefault: number, maximum: number) =>
  Type.Integer({
    minimum: 1,
    maximum,
    default: byDefault,
    description: `How many at most. Default ${byDefault}.`,
  })
