import { parseDurationMs, parseSizeBytes } from '../schema/units.js'
import { FILE_DEFAULTS, HTTP_DEFAULTS, REDIS_DEFAULTS } from './audit-schema.js'
import { type DetectorConfig, detectorOf } from './detector.js'
import type { EffectiveConfiguration } from './schema.js'

export type AuditFormat = 'Event' | 'Ocsf' | 'DecisionLog'

type OfEverySink = {
  readonly format: AuditFormat
  readonly overflow: 'Block' | 'Drop' | 'FailClosed'
  /** Events held at most. */
  readonly buffer: number
}

export type FileSinkConfig = OfEverySink & {
  readonly type: 'File'
  readonly file: string
  readonly maxBytes: number
  readonly maxAgeMs: number
  readonly fsync: 'Never' | 'Interval' | 'Always'
  readonly flushIntervalMs: number
  /** Undefined: the chain is not signed. */
  readonly signingKeyFile: string | undefined
  readonly checkpointIntervalMs: number
  /** Of unclassified events; undefined: for ever. */
  readonly retentionMs: number | undefined
  /** Files of public keys by classification; `default` for every other event. */
  readonly recipients: ReadonlyMap<string, string>
  readonly keyRotationMs: number
}

export type HttpSinkConfig = OfEverySink & {
  readonly type: 'Http'
  readonly url: string
  readonly tokenFile: string | undefined
  readonly caFile: string | undefined
  readonly timeoutMs: number
  readonly flushIntervalMs: number
  readonly batchEvents: number
  readonly batchBytes: number
  readonly labels: Readonly<Record<string, string>>
  readonly spool:
    | { readonly directory: string; readonly maxBytes: number; readonly keyFile: string | undefined }
    | undefined
}

export type AuditSinkConfig =
  | (OfEverySink & { readonly type: 'Stdout' })
  | FileSinkConfig
  | HttpSinkConfig
  | (OfEverySink & { readonly type: 'RedisStream'; readonly stream: string; readonly maxLength: number })

/** Where recorded Checks go. */
export type RecordConfig = {
  readonly file: string
  readonly maxBytes: number
  /** Files kept, the one that is written included. */
  readonly files: number
  /** 0..1. */
  readonly sample: number
}

export type AuditConfig = {
  readonly sinks: readonly AuditSinkConfig[]
  /** Undefined: no Checks are recorded. */
  readonly record: RecordConfig | undefined
  readonly detector: DetectorConfig
}

type Written = EffectiveConfiguration['audit']

/** `at` makes paths absolute. Throws on what the checks refuse. */
export function auditOf(audit: Written, at: (path: string) => string): AuditConfig {
  return {
    sinks: audit.sinks.map((sink) => sinkOf(sink, audit, at)),
    record: audit.record && {
      file: at(audit.record.file),
      maxBytes: bytes(audit.record.maxSize),
      files: audit.record.files,
      sample: audit.record.sample,
    },
    detector: detectorOf(audit.detector, at),
  }
}

/** Every sink by the name that logs and metrics call it, with its recipients where it stores events itself. */
export function plannedSinks({ sinks }: AuditConfig): readonly {
  readonly name: string
  readonly recipients: ReadonlySet<string> | undefined
  readonly spoolsInPlain: boolean
}[] {
  return sinks.map((sink, index) => ({
    name: `${sink.type} ${index}`,
    recipients: sink.type === 'File' ? new Set(sink.recipients.keys()) : undefined,
    spoolsInPlain: sink.type === 'Http' && sink.spool !== undefined && sink.spool.keyFile === undefined,
  }))
}

function sinkOf(
  sink: Written['sinks'][number],
  audit: Written,
  at: (path: string) => string,
): AuditSinkConfig {
  const { type, overflow = audit.overflow, buffer = audit.buffer } = sink
  const { format = type === 'Http' ? 'DecisionLog' : 'Event' } = sink
  const ofEvery = { format, overflow, buffer }
  if (type === 'File') return { type, ...ofEvery, ...fileOf(sink, at) }
  if (type === 'Http') return { type, ...ofEvery, ...httpOf(sink, at) }
  if (type === 'Stdout') return { type, ...ofEvery }
  const { stream = REDIS_DEFAULTS.stream, maxLength = REDIS_DEFAULTS.maxLength } = sink
  return { type, ...ofEvery, stream, maxLength }
}

function fileOf(
  sink: Written['sinks'][number],
  at: (path: string) => string,
): Omit<FileSinkConfig, 'type' | keyof OfEverySink> {
  const { file, signingKeyFile, retention, recipients = {} } = sink
  if (file === undefined) throw new Error('a file sink without `file` passed the checks')
  return {
    file: at(file),
    maxBytes: bytes(sink.maxSize ?? FILE_DEFAULTS.maxSize),
    maxAgeMs: ms(sink.maxAge ?? FILE_DEFAULTS.maxAge),
    fsync: sink.fsync ?? FILE_DEFAULTS.fsync,
    flushIntervalMs: ms(sink.flushInterval ?? FILE_DEFAULTS.flushInterval),
    signingKeyFile: signingKeyFile === undefined ? undefined : at(signingKeyFile),
    checkpointIntervalMs: ms(sink.checkpointInterval ?? FILE_DEFAULTS.checkpointInterval),
    retentionMs: retention === undefined ? undefined : ms(retention),
    recipients: new Map(Object.entries(recipients).map(([name, key]) => [name, at(key)])),
    keyRotationMs: ms(sink.keyRotation ?? FILE_DEFAULTS.keyRotation),
  }
}

function httpOf(
  sink: Written['sinks'][number],
  at: (path: string) => string,
): Omit<HttpSinkConfig, 'type' | keyof OfEverySink> {
  const { url, tokenFile, caFile, labels = {}, spool } = sink
  if (url === undefined) throw new Error('an HTTP sink without `url` passed the checks')
  return {
    url,
    tokenFile: tokenFile === undefined ? undefined : at(tokenFile),
    caFile: caFile === undefined ? undefined : at(caFile),
    timeoutMs: ms(sink.timeout ?? HTTP_DEFAULTS.timeout),
    flushIntervalMs: ms(sink.flushInterval ?? HTTP_DEFAULTS.flushInterval),
    batchEvents: sink.batchEvents ?? HTTP_DEFAULTS.batchEvents,
    batchBytes: bytes(sink.batchSize ?? HTTP_DEFAULTS.batchSize),
    labels,
    spool: spool && {
      directory: at(spool.directory),
      maxBytes: bytes(spool.maxSize),
      keyFile: spool.keyFile === undefined ? undefined : at(spool.keyFile),
    },
  }
}

function ms(text: string): number {
  return parseDurationMs(text) ?? NaN
}

function bytes(text: string): number {
  return parseSizeBytes(text) ?? NaN
}
