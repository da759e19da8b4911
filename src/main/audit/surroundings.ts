import type { AuditEvent } from '../../audit/event-sink.js'
import type { AppendEntries } from '../../adapters/redis/audit-stream.js'
import type { Log } from '../log.js'

/** What the policy in force asks of stored events of one classification. */
export type ClassificationRule = {
  /** Undefined: for ever. */
  readonly retentionMs: number | undefined
  readonly encrypted: boolean
  /** Undefined: as the sink's own. */
  readonly keyRotationMs: number | undefined
}

/** What every audit sink is opened with. */
export type SinkSurroundings = {
  /** For people and as a metric's label, for example `File 1`. */
  readonly name: string
  /** The line of an event in the sink's format, without its line feed. */
  readonly render: (event: AuditEvent) => string
  /** By name of the DataPolicy, now. */
  readonly classification: (name: string) => ClassificationRule | undefined
  /** Undefined where there is no Redis. */
  readonly appendEntries: AppendEntries | undefined
  readonly log: Log
  readonly nowMs: () => number
}
