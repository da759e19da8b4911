import { jsonText } from '../audit/json-text.js'
import { formatTimestamp } from '../audit/timestamp.js'
import { formatInstant } from './instant.js'
import type { Grant } from './grant.js'

const TEXT_LIMIT = 512

/** What alert sinks are told of a break-glass grant the moment it is made: one line of JSON. Source: REQUIREMENTS D5. */
export function writeBreakGlassAlert(grant: Grant, nowMs: number): string {
  const text = (field: string, value: string): string => `,"${field}":"${jsonText(value, TEXT_LIMIT)}"`
  return (
    `{"schemaVersion":"1.0","timestamp":"${formatTimestamp(nowMs)}","eventType":"break-glass","severity":"HIGH"` +
    text('grantId', grant.id) +
    text('userId', grant.subject.subject) +
    text('userIssuer', grant.subject.issuer) +
    text('targetService', grant.service) +
    text('requester', grant.requester) +
    text('reason', grant.reason) +
    text('operations', grant.operations.join(' ')) +
    text('expiresAt', formatInstant(grant.expiresAtMs)) +
    '}'
  )
}
