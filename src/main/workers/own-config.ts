import { join, parse } from 'node:path'
import type { AuditConfig, AuditSinkConfig } from '../../config/audit.js'
import type { Config } from '../../config/config.js'

/**
 * The configuration of one worker. What a process writes alone is its own: the first keeps the paths of the
 * configuration, so that it goes on where a single process stopped. What exists once is with the first, or with the
 * supervisor.
 */
export function configOfWorker(config: Config, number: number): Config {
  const { kubernetes } = config.policy
  return {
    ...config,
    health: { listen: undefined },
    audit: auditOfWorker(config.audit, number),
    policy:
      kubernetes === undefined || number === 1
        ? config.policy
        : { directory: undefined, kubernetes: { ...kubernetes, writesStatuses: false } },
  }
}

/** The worker whose folder of that name lies in a spool; undefined: it is of none. */
export function ownerOfSpool(name: string): number | undefined {
  const [, digits] = /^worker-([1-9][0-9]*)$/.exec(name) ?? []
  return digits === undefined ? undefined : Number(digits)
}

function auditOfWorker({ sinks, record, detector }: AuditConfig, number: number): AuditConfig {
  const { baselineFile } = detector
  return {
    sinks: sinks.map((sink) => sinkOfWorker(sink, number)),
    record: record && { ...record, file: fileOf(record.file, number) },
    detector: {
      ...detector,
      baselineFile: baselineFile === undefined ? undefined : fileOf(baselineFile, number),
    },
  }
}

function sinkOfWorker(sink: AuditSinkConfig, number: number): AuditSinkConfig {
  if (sink.type === 'File') return { ...sink, file: fileOf(sink.file, number) }
  if (sink.type !== 'Http' || !sink.spool) return sink
  return { ...sink, spool: { ...sink.spool, directory: folderOf(sink.spool.directory, number) } }
}

/** `events.jsonl` of the second worker is `events-2.jsonl`. */
function fileOf(path: string, number: number): string {
  if (number === 1) return path
  const { dir, name, ext } = parse(path)
  return join(dir, `${name}-${number}${ext}`)
}

/** Within the folder that was given, since nothing else may be writable. */
function folderOf(path: string, number: number): string {
  return number === 1 ? path : join(path, `worker-${number}`)
}
