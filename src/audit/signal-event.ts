import { jsonText } from './json-text.js'
import { SCHEMA_VERSION } from './security-event.js'
import { formatTimestamp } from './timestamp.js'

/** A signal that a transmitter told and that was taken for the first time. */
export type SignalEvent = {
  readonly atMs: number
  /** The transmitter's `iss`. */
  readonly transmitter: string
  /** URI of the event's type. */
  readonly eventType: string
  /** Whom it is about, for people; '' where nobody here. */
  readonly subject: string
  readonly jti: string
  /** False: nothing here depends on it. */
  readonly effective: boolean
}

const TEXT_LIMIT = 1024

/** Its audit line: one JSON object without the line feed, in the manner of security events. */
export function writeSignalEvent(event: SignalEvent): string {
  const text = (name: string, value: string): string =>
    value === '' ? '' : `,"${name}":"${jsonText(value, TEXT_LIMIT)}"`
  return (
    `{"schemaVersion":"${SCHEMA_VERSION}","timestamp":"${formatTimestamp(event.atMs)}","eventType":"signal"` +
    text('transmitter', event.transmitter) +
    text('signalType', event.eventType) +
    text('subject', event.subject) +
    text('jti', event.jti) +
    `,"effective":${event.effective}}`
  )
}
