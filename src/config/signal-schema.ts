import { Type } from '@sinclair/typebox'
import { Fields, Words } from '../schema/fields.js'
import { DurationSchema } from '../schema/units.js'
import { path } from './fields.js'
import { HEADER_NAME } from './token-schema.js'

/** Defaults of the options that only one type of alert sink has. */
export const WEBHOOK_DEFAULTS = { timeout: '5s', retries: 5 } as const
export const STREAM_DEFAULTS = { stream: 'portcullis:alerts', maxLength: 10_000 } as const

/** Where a client is on earth: exactly one source. */
export const GeoSchema = Fields(
  {
    mmdb: Type.Optional(
      path('A database in MaxMind format, in the layout of MaxMind or ip-location-db. Watched.'),
    ),
    table: Type.Optional(path('A table of lines `cidr,country,latitude,longitude`. Watched.')),
    header: Type.Optional(
      Type.String({
        pattern: `^${HEADER_NAME}$`,
        description:
          "A request header with the client's country (two letters), believed on Gateway listeners and from trusted proxies only; the edge must overwrite it.",
        expected: 'a header name in lower case, such as x-edge-country',
      }),
    ),
  },
  { description: 'Where clients are, by one of these. Without it, nobody knows.' },
)

export const ThreatsSchema = Fields(
  {
    files: Type.Array(path('A list of addresses and ranges, one a line. Watched.'), {
      default: [],
      uniqueItems: true,
      maxItems: 64,
      description:
        'Lists of malicious addresses and ranges (CIDR), one a line, `#` begins a comment. Watched.',
    }),
  },
  { default: {} },
)

export const AccessLogServiceSchema = Fields(
  {
    enabled: Type.Boolean({
      default: false,
      description:
        "Take Envoy's gRPC access logs on the listeners: real response codes and sizes then count in risk.",
    }),
  },
  { default: {} },
)

const SinkSchema = Fields({
  type: Words(['Log', 'Webhook', 'RedisStream'], {
    description:
      'Log: the operational log. Webhook: a POST of JSON. RedisStream: a stream of the store, which must be Redis.',
  }),
  url: Type.Optional(
    Type.String({
      minLength: 1,
      description: 'Webhook: https address, or http on a loopback address.',
    }),
  ),
  tokenFile: Type.Optional(path('Webhook: a file that holds the bearer token to send.')),
  timeout: Type.Optional(
    Type.String({
      ...DurationSchema,
      description: `Webhook: how long one attempt may take. Default ${WEBHOOK_DEFAULTS.timeout}.`,
    }),
  ),
  retries: Type.Optional(
    Type.Integer({
      minimum: 0,
      maximum: 100,
      description: `Webhook: attempts after the first. Default ${WEBHOOK_DEFAULTS.retries}.`,
    }),
  ),
  stream: Type.Optional(
    Type.String({
      pattern: '^[A-Za-z0-9._:{}-]{1,256}$',
      description: `RedisStream: the stream's key. Default ${STREAM_DEFAULTS.stream}.`,
      expected: 'the key of a stream: at most 256 characters out of A-Z a-z 0-9 . _ : { } -',
    }),
  ),
  maxLength: Type.Optional(
    Type.Integer({
      minimum: 1,
      maximum: 100_000_000,
      description: `RedisStream: about how many entries are kept. Default ${STREAM_DEFAULTS.maxLength}.`,
    }),
  ),
})

export const AlertsSchema = Fields(
  {
    sinks: Type.Array(SinkSchema, {
      default: [{ type: 'Log' }],
      minItems: 1,
      maxItems: 16,
      description: 'Where alerts go; each gets all of them.',
    }),
    buffer: Type.Integer({
      default: 1000,
      minimum: 1,
      maximum: 1_000_000,
      description: 'Alerts that wait for one sink at most; beyond that the oldest is dropped and counted.',
    }),
  },
  { default: {}, description: 'Alerts about risk.' },
)
