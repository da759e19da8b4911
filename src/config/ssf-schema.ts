import { Type } from '@sinclair/typebox'
import { Fields, Words } from '../schema/fields.js'
import { duration, path, TrustDomainSchema } from './fields.js'
import { ALGORITHMS } from './token-schema.js'

const TransmitterSchema = Fields({
  issuer: Type.String({ minLength: 1, description: 'The exact iss of its events.' }),
  audiences: Type.Array(Type.String({ minLength: 1 }), {
    minItems: 1,
    uniqueItems: true,
    description: 'An event must be meant for one of these.',
  }),
  jwksUri: Type.Optional(
    Type.String({
      minLength: 1,
      description: 'URL of the JSON Web Key Set: https, or http on a loopback address.',
    }),
  ),
  jwksFile: Type.Optional(path('JSON Web Key Set. Watched.')),
  algorithms: Type.Array(Words(ALGORITHMS), {
    default: ['RS256', 'ES256'],
    minItems: 1,
    uniqueItems: true,
    description: 'Signature algorithms that are accepted, each only with its kind of key.',
  }),
  subjectIssuers: Type.Optional(
    Type.Array(Type.String({ minLength: 1 }), {
      uniqueItems: true,
      maxItems: 64,
      description:
        'Issuers of user tokens whose users, sessions and devices it may speak about. Default: its own issuer.',
    }),
  ),
  trustDomains: Type.Array(Type.String(TrustDomainSchema), {
    default: [],
    uniqueItems: true,
    description: 'Trust domains whose workloads it may speak about.',
  }),
  streamId: Type.Optional(
    Type.String({
      minLength: 1,
      description: 'Id of its stream: verification and status of another one are refused.',
    }),
  ),
  push: Type.Optional(
    Fields(
      {
        tokenFile: Type.Optional(path('A file that holds the bearer token which it must send.')),
      },
      { description: 'It posts events to /ssf/events of `public.listen` (RFC 8935).' },
    ),
  ),
  poll: Type.Optional(
    Fields(
      {
        url: Type.String({
          minLength: 1,
          description: 'Where its events are fetched: https, or http on a loopback address.',
        }),
        tokenFile: path('A file that holds the bearer token to send.'),
        interval: duration('10s', 'Between two polls that brought nothing.'),
      },
      { description: 'Its events are fetched (RFC 8936).' },
    ),
  ),
})

/** Shared signals: security events of identity providers and device managements. */
export const SsfSchema = Fields(
  {
    transmitters: Type.Array(TransmitterSchema, {
      default: [],
      maxItems: 64,
      description: 'Who may tell of users, sessions, devices and workloads.',
    }),
    eventMaxAge: duration('7d', 'Older events are refused.'),
    clockSkew: duration('60s', "How far a transmitter's clock may be ahead."),
  },
  { default: {}, description: 'Receiving of security events: SSF, CAEP, RISC.' },
)
