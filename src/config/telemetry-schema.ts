import { Type } from '@sinclair/typebox'
import { Fields, Words } from '../schema/fields.js'
import { duration, path } from './fields.js'

/** Where OTLP goes; traces and metrics have the same. */
const collector = (what: string, byDefault: { readonly interval: string }) => ({
  endpoint: Type.Optional(
    Type.String({
      minLength: 1,
      description: `Where ${what} are posted as OTLP/HTTP protobuf: an https address with its path, or http on a loopback address. Without it none are.`,
    }),
  ),
  headersFile: Type.Optional(
    path(
      'Headers to send, one `name: value` a line, for example `authorization: Bearer …`. Read for each request.',
    ),
  ),
  caFile: Type.Optional(path("PEM of the certificates that the collector's must lead to.")),
  timeout: duration('10s', 'How long one request may take.'),
  interval: duration(byDefault.interval, `How often ${what} are sent.`),
})

export const TelemetrySchema = Fields(
  {
    metrics: Fields(
      {
        ...collector('metrics', { interval: '60s' }),
        maxServicePairs: Type.Integer({
          default: 1000,
          minimum: 0,
          maximum: 100_000,
          description:
            'Pairs of calling and called service that `portcullis_service_decisions_total` tells apart; later ones count as `other`.',
        }),
      },
      { default: {} },
    ),
    traces: Fields(
      {
        ...collector('spans', { interval: '1s' }),
        sampleRatio: Type.Number({
          default: 0,
          minimum: 0,
          maximum: 1,
          description:
            'Part of the calls without a trace of their own that gets one: 1 is all of them, 0.01 one in a hundred. A call that belongs to a trace follows its sampled flag.',
        }),
        buffer: Type.Integer({
          default: 2048,
          minimum: 1,
          maximum: 100_000,
          description: 'Spans that wait at most; more are dropped and counted.',
        }),
      },
      { default: {} },
    ),
  },
  { default: {} },
)

export const LogSchema = Fields(
  {
    level: Words(['Debug', 'Info', 'Warn', 'Error'], {
      default: 'Info',
      description:
        'The least that the operational log writes. Debug has a line for each decision. `portcullis log-level set` changes it while it runs.',
    }),
  },
  { default: {} },
)
