import { jsonText } from './json-text.js'
import { SCHEMA_VERSION } from './security-event.js'
import { formatTimestamp } from './timestamp.js'

/** A change that somebody makes, or tried to make, by the admin API. */
export type AdminEvent = {
  /** Milliseconds since the epoch. */
  readonly atMs: number
  readonly actor: string
  readonly role: 'Admin' | 'Reader'
  /** Resource and verb, for example `grant.create`. */
  readonly action: string
  readonly resourceType: string
  readonly resourceId: string
  /** As the actor gave it; undefined where the request was refused before it was read. */
  readonly reason: string | undefined
  readonly remoteIp: string
  readonly requestId: string
  /** What is asked for, by the fields of the request: the first 16; undefined ones are left out. */
  readonly details?: EventDetails
  /** False: it did not take effect. */
  readonly success: boolean
  /** Stable, kebab-case; why it did not. */
  readonly errorCode: string | undefined
}

export type EventDetails = Readonly<Record<string, string | number | boolean | readonly string[] | undefined>>

/** Members of `details`. */
const MOST_DETAILS = 16
/** Longest recorded, in UTF-16 units; of a list in `details`, all of it. */
const DETAIL_LIMIT = 512
const NAME_LIMIT = 256
const REASON_LIMIT = 1024
const RESOURCE_LIMIT = 4096

/**
 * The audit line of an administrator's act: one JSON object without the line feed, in the manner of security events.
 * Written before the change takes effect; a change that fails then gets a second line of the same `requestId` with
 * `success` false.
 */
export function writeAdminEvent(event: AdminEvent): string {
  return (
    `{"schemaVersion":"${SCHEMA_VERSION}","timestamp":"${formatTimestamp(event.atMs)}"` +
    ',"eventType":"administration"' +
    field('actor', event.actor, NAME_LIMIT) +
    field('role', event.role, NAME_LIMIT) +
    field('action', event.action, NAME_LIMIT) +
    field('resourceType', event.resourceType, NAME_LIMIT) +
    field('resourceId', event.resourceId, RESOURCE_LIMIT) +
    field('reason', event.reason, REASON_LIMIT) +
    field('remoteIp', event.remoteIp, NAME_LIMIT) +
    field('requestId', event.requestId, NAME_LIMIT) +
    detailsField(event.details ?? {}) +
    `,"success":${event.success}` +
    field('errorCode', event.errorCode, NAME_LIMIT) +
    '}'
  )
}

function field(name: string, value: string | undefined, limit: number): string {
  return value ? `,"${name}":"${jsonText(value, limit)}"` : ''
}

function detailsField(details: EventDetails): string {
  const members = Object.entries(details).flatMap(([name, value]) =>
    value === undefined ? [] : [`"${jsonText(name, NAME_LIMIT)}":${detailText(value)}`],
  )
  return members.length === 0 ? '' : `,"details":{${members.slice(0, MOST_DETAILS).join(',')}}`
}

function detailText(value: string | number | boolean | readonly string[]): string {
  if (typeof value === 'string') return `"${jsonText(value, DETAIL_LIMIT)}"`
  if (typeof value === 'number') return Number.isFinite(value) ? String(value) : 'null'
  if (typeof value === 'boolean') return String(value)
  const kept: string[] = []
  let left = DETAIL_LIMIT
  for (const element of value) {
    if (element.length > left) {
      kept.push(`"...[cut, ${value.length} in all]"`)
      break
    }
    left -= element.length
    kept.push(`"${jsonText(element, DETAIL_LIMIT)}"`)
  }
  return `[${kept.join(',')}]`
}
