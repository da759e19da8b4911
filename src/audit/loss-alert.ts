import { jsonText } from './json-text.js'
import { SCHEMA_VERSION } from './security-event.js'
import { formatTimestamp } from './timestamp.js'

export type AuditLoss = {
  readonly atMs: number
  /** Name of the sink. */
  readonly sink: string
  /** Since the last alert about this sink. */
  readonly dropped: number
  readonly refused: number
  /** What keeps the sink from writing, where it knows. */
  readonly problem: string | undefined
}

const TEXT_LIMIT = 512

/** What alert sinks are told of events that were lost or refused: one line of JSON. */
export function writeLossAlert({ atMs, sink, dropped, refused, problem }: AuditLoss): string {
  return (
    `{"schemaVersion":"${SCHEMA_VERSION}","timestamp":"${formatTimestamp(atMs)}","eventType":"audit-loss","severity":"HIGH"` +
    `,"sink":"${jsonText(sink, TEXT_LIMIT)}","dropped":${dropped},"refused":${refused}` +
    (problem === undefined ? '' : `,"problem":"${jsonText(problem, TEXT_LIMIT)}"`) +
    '}'
  )
}
