import { jsonText } from './json-text.js'
import { SCHEMA_VERSION } from './security-event.js'
import { formatTimestamp } from './timestamp.js'

const ID_LIMIT = 256

/**
 * Tells that the answer of an event was not given: the event could not be made durable in time, so the call was
 * refused. One JSON object without the line feed.
 */
export function writeWithdrawal(decisionId: string, nowMs: number): string {
  return (
    `{"schemaVersion":"${SCHEMA_VERSION}","timestamp":"${formatTimestamp(nowMs)}","eventType":"withdrawal"` +
    `,"decisionId":"${jsonText(decisionId, ID_LIMIT)}","decision":"deny","decisionReason":"state-unavailable"` +
    ',"message":"its event was not durable in time: the call was refused","success":false}'
  )
}
