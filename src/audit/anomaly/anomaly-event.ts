import { jsonText } from '../json-text.js'
import { SCHEMA_VERSION } from '../security-event.js'
import { formatTimestamp } from '../timestamp.js'
import type { Finding } from './finding.js'

const NAME_LIMIT = 256
const ID_LIMIT = 2048
const MESSAGE_LIMIT = 1024

/** A finding as alert sinks and the event log get it: one JSON object on one line, without the line feed. */
export function writeAnomaly(finding: Finding): string {
  const { rule, severity, subject, atMs, fromMs, observed, baseline, unit, message, events } = finding
  const text = (field: string, value: string | undefined, limit: number): string =>
    value === undefined ? '' : `,"${field}":"${jsonText(value, limit)}"`
  return (
    `{"schemaVersion":"${SCHEMA_VERSION}","timestamp":"${formatTimestamp(atMs)}","eventType":"anomaly"` +
    `,"severity":"${severity.toUpperCase()}","rule":"${rule}","subjectType":"${subject.kind}"` +
    (subject.kind === 'user'
      ? text('userId', subject.id, NAME_LIMIT) + text('userIssuer', subject.issuer, ID_LIMIT)
      : text(subject.id.startsWith('spiffe://') ? 'workloadId' : 'callerService', subject.id, ID_LIMIT)) +
    `,"windowFrom":"${formatTimestamp(fromMs)}","windowTo":"${formatTimestamp(atMs)}"` +
    `,"observed":${observed}${baseline === undefined ? '' : `,"baseline":${baseline}`},"unit":"${unit}"` +
    text('message', message, MESSAGE_LIMIT) +
    `,"eventCount":${events.count},"decisionIds":[${events.decisionIds.map((id) => `"${jsonText(id, NAME_LIMIT)}"`).join(',')}]}`
  )
}
