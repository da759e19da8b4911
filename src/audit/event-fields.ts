import { createHash } from 'node:crypto'

/** A security event, read back from its line. */
export type EventFields = Readonly<Record<string, unknown>>

/** Throws where the line is no JSON object: every line here was written by Portcullis. */
export function parseEventLine(line: string): EventFields {
  const event: unknown = JSON.parse(line)
  if (!isObject(event)) throw new Error('a security event is one JSON object')
  return event
}

function isObject(value: unknown): value is EventFields {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** The field's text; undefined where it is absent or something else. */
export function textOf(event: EventFields, field: string): string | undefined {
  const value = event[field]
  return typeof value === 'string' ? value : undefined
}

export function numberOf(event: EventFields, field: string): number | undefined {
  const value = event[field]
  return typeof value === 'number' ? value : undefined
}

/**
 * Names one event, so that whoever gets it twice can tell. A decision's is its decision id; every other event has one
 * made of its whole line, the same each time.
 */
export function eventId(event: EventFields, line: string): string {
  const decisionId = event.eventType === 'authorization' ? textOf(event, 'decisionId') : undefined
  return decisionId ?? `event-${createHash('sha256').update(line).digest('hex').slice(0, 32)}`
}

/** Besides controls: marks that are invisible, separate lines or turn the direction of text. */
const UNPRINTABLE = /[\x7f-\x9f\xad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]/g

/** As JSON on one line, in which a terminal and line-wise tools find nothing to act on. */
export function printableJson(value: unknown): string {
  return JSON.stringify(value).replace(
    UNPRINTABLE,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
}
