import { Type } from '@sinclair/typebox'
import { Fields, Words } from '../schema/fields.js'
import { DurationSchema } from '../schema/units.js'
import { path } from './fields.js'

/** Defaults of the options that only a store of type Redis has. */
export const REDIS_DEFAULTS = {
  keyPrefix: 'portcullis',
  commandTimeout: '50ms',
  flushInterval: '20ms',
  replicasToWait: 0,
} as const

/** Default of the option that only a store of type Embedded has. */
export const DEFAULT_DIRECTORY = './state'

/** Default of `onUnavailable.for` under LastKnown. */
export const DEFAULT_LAST_KNOWN = '30s'

/** A `host:port` of a Redis; the format itself is a check of its own. */
const addresses = (description: string) =>
  Type.Optional(
    Type.Array(Type.String({ minLength: 1 }), { minItems: 1, maxItems: 64, uniqueItems: true, description }),
  )

/** Options that belong to one type of store have no default here: written under the other type they are errors. */
const optionalDuration = (byDefault: string, description: string) =>
  Type.Optional(Type.String({ ...DurationSchema, description: `${description} Default ${byDefault}.` }))

const RedisTlsSchema = Fields(
  {
    ca: Type.Optional(path("PEM file of the roots, instead of the system's.")),
    certificate: Type.Optional(path('PEM file of the client certificate chain, leaf first.')),
    key: Type.Optional(path('PEM file of its private key.')),
    serverName: Type.Optional(
      Type.String({
        pattern: '^[A-Za-z0-9._-]{1,253}$',
        description: 'The name that the certificate must have, instead of the host that is connected to.',
        expected: 'a host name such as redis.shop.svc',
      }),
    ),
  },
  {
    description:
      'TLS to Redis. With `url` it needs rediss://; with `sentinels` and `cluster` its presence, even as {}, is what asks for TLS.',
  },
)

/** Where what replicas and restarts must not forget is kept. */
export const StoreSchema = Fields(
  {
    type: Words(['Embedded', 'Redis'], {
      default: 'Embedded',
      description: 'Embedded: on local disk, for one replica. Redis: shared by all replicas.',
    }),
    directory: Type.Optional(path(`Embedded: the folder of the store. Default ${DEFAULT_DIRECTORY}.`)),
    url: Type.Optional(
      Type.String({
        minLength: 1,
        description:
          'Redis, one server: redis://host:port/database, or rediss:// for TLS. Port 6379 and database 0 may be left out. No user name or password stands here.',
      }),
    ),
    sentinels: Type.Optional(
      Fields(
        {
          name: Type.String({ minLength: 1, maxLength: 256, description: "The master's name." }),
          addresses: Type.Array(Type.String({ minLength: 1 }), {
            minItems: 1,
            maxItems: 64,
            uniqueItems: true,
            description: 'host:port of each Sentinel.',
          }),
        },
        { description: 'Redis behind Sentinels: which master, and who knows where it is.' },
      ),
    ),
    cluster: addresses('Redis Cluster: host:port of some of its nodes.'),
    username: Type.Optional(
      Type.String({
        minLength: 1,
        maxLength: 256,
        description: 'Redis: the ACL user. Without it the password is that of the default user.',
      }),
    ),
    passwordFile: Type.Optional(path('Redis: a file that holds the password, and nothing else.')),
    tls: Type.Optional(RedisTlsSchema),
    keyPrefix: Type.Optional(
      Type.String({
        pattern: '^[A-Za-z0-9._:-]{1,64}$',
        description: `Redis: begins the name of every key and channel. Default ${REDIS_DEFAULTS.keyPrefix}.`,
        expected: 'at most 64 characters out of A-Z a-z 0-9 . _ : -',
      }),
    ),
    commandTimeout: optionalDuration(
      REDIS_DEFAULTS.commandTimeout,
      'Redis: how long one command may take before the store counts as unavailable.',
    ),
    flushInterval: optionalDuration(
      REDIS_DEFAULTS.flushInterval,
      'Redis: how long counters and other notes are gathered before they are written together.',
    ),
    replicasToWait: Type.Optional(
      Type.Integer({
        minimum: 0,
        maximum: 16,
        description: `Redis: how many replicas must have a one-time use or a revocation before it counts as written. Default ${REDIS_DEFAULTS.replicasToWait}.`,
      }),
    ),
    copies: Type.Integer({
      default: 200_000,
      minimum: 1,
      maximum: 10_000_000,
      description: 'Subjects whose state is held in memory at most.',
    }),
  },
  { default: {}, description: 'Sessions, risk, revocations and one-time uses.' },
)

/** What is decided while the store can't be asked. */
export const OnUnavailableSchema = Fields(
  {
    mode: Words(['Deny', 'LastKnown'], {
      default: 'Deny',
      description:
        'Deny: what needs the store is refused (state-unavailable). LastKnown: subjects with a copy in memory are decided by it for a while.',
    }),
    for: optionalDuration(DEFAULT_LAST_KNOWN, 'LastKnown: for how long; after that Deny.'),
  },
  { default: {} },
)
