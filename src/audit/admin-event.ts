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
  /** False: it did not take effect. */
  readonly success: boolean
  /** Stable, kebab-case; why it did not. */
  readonly errorCode: string | undefined
}

/** Longest recorded, in UTF-16 units. */
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
    `,"success":${event.success}` +
    field('errorCode', event.errorCode, NAME_LIMIT) +
    '}'
  )
}

function field(name: string, value: string | undefined, limit: number): string {
  return value ? `,"${name}":"${jsonText(value, limit)}"` : ''
}
