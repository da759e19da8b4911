import { Type } from '@sinclair/typebox'
import { Fields, Words } from '../schema/fields.js'
import { SpiffeIdSchema, duration, path } from './fields.js'

const NameSchema = Type.String({
  pattern: '^[A-Za-z0-9._@-]{1,64}$',
  description: 'Whose it is: the name in events and grants.',
  expected: 'a name of at most 64 characters out of A-Z a-z 0-9 . _ @ -, such as alice@shop.example',
})

const RoleSchema = Words(['Admin', 'Reader'], { description: 'Reader: reads only.' })

const TokenSchema = Fields({
  name: NameSchema,
  file: path('File of the token, at least 32 characters, of this person alone. Watched.'),
  role: RoleSchema,
})

const ClientSchema = Fields({
  name: NameSchema,
  identity: Type.String({ ...SpiffeIdSchema, description: "The SPIFFE ID in the client's certificate." }),
  role: RoleSchema,
})

/** The HTTP API for people and their tools. Source: FORMATS 2, 6. */
export const AdminSchema = Fields(
  {
    listen: Type.String({
      default: '',
      description: 'IP address and port of the admin API; "" switches it off. Beyond loopback it needs tls.',
    }),
    tokens: Type.Array(TokenSchema, {
      default: [],
      maxItems: 256,
      description: 'Who may call by bearer token.',
    }),
    clients: Type.Array(ClientSchema, {
      default: [],
      maxItems: 256,
      description: 'Who may call by client certificate; needs tls.clientCa.',
    }),
    tls: Type.Optional(
      Fields(
        {
          certificate: path('PEM file of the certificate chain, leaf first. Watched.'),
          key: path('PEM file of its private key. Watched.'),
          clientCa: Type.Optional(
            path('PEM file of the roots that client certificates must lead to. Watched.'),
          ),
        },
        { description: 'TLS 1.3. Without it, plaintext.' },
      ),
    ),
  },
  { default: {}, description: 'The admin API.' },
)

/** What is known of users' devices. */
export const DeviceInventorySchema = Fields(
  {
    enabled: Type.Optional(
      Type.Boolean({
        description:
          'Whether devices are looked up. Default: where something can report them, the admin API or a transmitter of signals.',
      }),
    ),
  },
  { default: {}, description: 'The inventory of devices.' },
)

export const GrantsSchema = Fields(
  {
    maxDuration: duration('24h', 'The longest that a grant may last.'),
    breakGlassMaxDuration: duration('1h', 'The longest that a grant without approver may last.'),
  },
  { default: {}, description: 'Just-in-time grants.' },
)
