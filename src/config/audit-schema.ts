import { Type } from '@sinclair/typebox'
import { Fields, Named, Words } from '../schema/fields.js'
import { DurationSchema, SizeSchema } from '../schema/units.js'
import { DetectorSchema } from './detector-schema.js'
import { path, size } from './fields.js'

/** Defaults of the options that only one type of sink has. */
export const FILE_DEFAULTS = {
  maxSize: '100MiB',
  maxAge: '24h',
  fsync: 'Interval',
  flushInterval: '200ms',
  checkpointInterval: '1m',
  keyRotation: '30d',
} as const
export const HTTP_DEFAULTS = {
  timeout: '10s',
  flushInterval: '1s',
  batchEvents: 1000,
  batchSize: '1MiB',
  spoolSize: '1GiB',
} as const
export const REDIS_DEFAULTS = { stream: 'portcullis:audit', maxLength: 1_000_000 } as const

const OVERFLOWS = ['Block', 'Drop', 'FailClosed'] as const

const only = (type: string, description: string, byDefault?: string | number): string =>
  `${type}: ${description}${byDefault === undefined ? '' : ` Default ${byDefault}.`}`

const duration = (type: string, description: string, byDefault?: string) =>
  Type.Optional(Type.String({ ...DurationSchema, description: only(type, description, byDefault) }))

const sizeOf = (type: string, description: string, byDefault: string) =>
  Type.Optional(Type.String({ ...SizeSchema, description: only(type, description, byDefault) }))

const SinkSchema = Fields({
  type: Words(['Stdout', 'File', 'Http', 'RedisStream'], {
    description:
      'Stdout: lines on standard output. File: rotated files with a hash chain. Http: batches posted to a collector. RedisStream: a stream of the store, which must be Redis.',
  }),
  format: Type.Optional(
    Words(['Event', 'Ocsf', 'DecisionLog'], {
      description:
        "Event: the security event as it is. Ocsf: OCSF 1.8, class 6003. DecisionLog: the shape of OPA's decision logs. Default Event, of Http DecisionLog.",
    }),
  ),
  overflow: Type.Optional(
    Words(OVERFLOWS, { description: 'As `audit.overflow`, which it takes when not given.' }),
  ),
  buffer: Type.Optional(
    Type.Integer({
      minimum: 1,
      maximum: 10_000_000,
      description: 'As `audit.buffer`, which it takes when not given.',
    }),
  ),
  file: Type.Optional(
    path(
      'File: where events go, for example `./audit/events.jsonl`; those of classified data go to `events.NAME.jsonl` beside it.',
    ),
  ),
  maxSize: sizeOf(
    'File',
    'a file that would grow beyond it is closed and a new one begins.',
    FILE_DEFAULTS.maxSize,
  ),
  maxAge: duration('File', 'a file is closed when it has been open so long.', FILE_DEFAULTS.maxAge),
  fsync: Type.Optional(
    Words(['Never', 'Interval', 'Always'], {
      description: only(
        'File',
        'Always: an answer waits until its event is on the disk. Interval: events are on the disk after `flushInterval`. Never: the operating system decides, after `flushInterval` they are with it.',
        FILE_DEFAULTS.fsync,
      ),
    }),
  ),
  flushInterval: duration(
    'File, Http',
    'how long an event may wait in memory to be written together with others; what `kill -9` may lose.',
    `${FILE_DEFAULTS.flushInterval} of File, ${HTTP_DEFAULTS.flushInterval} of Http`,
  ),
  signingKeyFile: Type.Optional(
    path(
      'File: PEM of an Ed25519 private key that signs checkpoints of the hash chain (`portcullis keys generate --algorithm EdDSA`). Watched.',
    ),
  ),
  checkpointInterval: duration(
    'File',
    'how often a checkpoint is signed while events are written.',
    FILE_DEFAULTS.checkpointInterval,
  ),
  retention: duration(
    'File',
    'how long files of unclassified events are kept; the DataPolicy says it for classified ones. Without it they are kept for ever.',
  ),
  recipients: Type.Optional(
    Named(path('PEM of a P-384 public key.'), {
      description:
        'File: PEM files of P-384 public keys by classification (name of the DataPolicy; `default` for every other event). What is written of that classification can be read with the private key alone (`portcullis audit decrypt`).',
    }),
  ),
  keyRotation: duration(
    'File',
    'how long one content key serves; a DataPolicy may say less.',
    FILE_DEFAULTS.keyRotation,
  ),
  url: Type.Optional(
    Type.String({ minLength: 1, description: 'Http: https address, or http on a loopback address.' }),
  ),
  tokenFile: Type.Optional(path('Http: a file that holds the bearer token to send. Read for each batch.')),
  caFile: Type.Optional(path("Http: PEM of the certificates that the collector's must lead to.")),
  timeout: duration('Http', 'how long one attempt may take.', HTTP_DEFAULTS.timeout),
  batchEvents: Type.Optional(
    Type.Integer({
      minimum: 1,
      maximum: 100_000,
      description: only('Http', 'events in one batch at most.', HTTP_DEFAULTS.batchEvents),
    }),
  ),
  batchSize: sizeOf('Http', 'of one batch before compression, about.', HTTP_DEFAULTS.batchSize),
  labels: Type.Optional(
    Named(Type.String({ maxLength: 1024 }), {
      description: 'Http, with format DecisionLog: `labels` of every record, for example `region: eu`.',
    }),
  ),
  spool: Type.Optional(
    Fields(
      {
        directory: path('Folder of this sink alone.'),
        maxSize: size(HTTP_DEFAULTS.spoolSize, 'Of all batches that wait.'),
        keyFile: Type.Optional(
          path(
            '64 hexadecimal digits: the key that waiting batches are encrypted with (A256GCM). A DataPolicy with `encryption` asks for it.',
          ),
        ),
      },
      {
        description:
          'Http: batches are on disk until the collector has taken them, over restarts too. Without it they wait in memory.',
      },
    ),
  ),
  stream: Type.Optional(
    Type.String({
      pattern: '^[A-Za-z0-9._:{}-]{1,256}$',
      description: only('RedisStream', "the stream's key.", REDIS_DEFAULTS.stream),
      expected: 'the key of a stream: at most 256 characters out of A-Z a-z 0-9 . _ : { } -',
    }),
  ),
  maxLength: Type.Optional(
    Type.Integer({
      minimum: 1,
      maximum: 1_000_000_000,
      description: only('RedisStream', 'about how many entries are kept.', REDIS_DEFAULTS.maxLength),
    }),
  ),
})

const count = (byDefault: number, maximum: number, description: string) =>
  Type.Integer({ default: byDefault, minimum: 1, maximum, description })

export const AuditSchema = Fields(
  {
    sinks: Type.Array(SinkSchema, {
      default: [{ type: 'Stdout' }],
      minItems: 1,
      maxItems: 8,
      description: 'Where security events go; each gets all of them.',
    }),
    overflow: Words(OVERFLOWS, {
      default: 'Block',
      description: 'With the buffer of a sink full: wait within the deadline, drop and count, or deny.',
    }),
    buffer: count(10_000, 10_000_000, 'Events held at most for one sink.'),
    record: Type.Optional(
      Fields(
        {
          file: path('JSON lines of recorded Checks; what is recognised as a credential is withheld.'),
          maxSize: size('100MiB', 'Of one file; then it becomes FILE.1 and a new one begins.'),
          files: count(10, 1000, 'Kept at most, the one that is written included.'),
          sample: Type.Number({
            default: 1,
            minimum: 0,
            maximum: 1,
            description: 'Part of the Checks that is recorded: 1 is all of them, 0.01 one in a hundred.',
          }),
        },
        { description: 'Records Checks for `portcullis replay`. Without it none are.' },
      ),
    ),
    detector: DetectorSchema,
  },
  { default: {} },
)
