import { readDateMs, readText, readTexts } from '../identity/claims.js'
import { isJsonObject, type JsonObject } from '../identity/strict-json.js'
import { type EventName, eventOf, payloadProblem } from './event-type.js'
import { refuseSet, type SetRefusal } from './set-refusal.js'

/** Bounds of a SET's times. */
export type SetTimes = {
  /** Older events are refused. */
  readonly eventMaxAgeMs: number
  /** How far a transmitter's clock may be ahead. */
  readonly clockSkewMs: number
}

/** What a SET says, its signature and subject aside. */
export type SecurityEvent = {
  readonly issuer: string
  readonly jti: string
  readonly issuedAtMs: number
  /** When it happened: `event_timestamp`, else `iat`. */
  readonly atMs: number
  /** Undefined: of a type that is not known here. */
  readonly name: EventName | undefined
  /** The type's URI. */
  readonly type: string
  readonly payload: JsonObject
  /** `sub_id`; it has a `format`. */
  readonly subject: JsonObject
}

export type ReadSet = { readonly ok: true; readonly event: SecurityEvent } | SetRefusal

/**
 * Reads the claims of a SET: one event, about one subject, for this audience, not of the future and not too old.
 * Several type URIs are one event where they end in the same name and one of them at most is known.
 * Source: RFC 8417, SSF 1.0 (`sub` and `exp` must be absent, `sub_id` is there), CAEP 1.0.
 */
export function readSet(
  claims: JsonObject,
  audiences: readonly string[],
  times: SetTimes,
  nowMs: number,
): ReadSet {
  const issuer = readText(claims, 'iss')
  const jti = readText(claims, 'jti')
  if (!issuer || issuer === 'wrong') return malformed('`iss` is missing or not text')
  if (!jti || jti === 'wrong') return malformed('`jti` is missing or not text')
  const unwanted = ['sub', 'exp'].find((name) => claims[name] !== undefined)
  if (unwanted !== undefined) return malformed(`a SET must not have \`${unwanted}\``)
  const audience = readTexts(claims, 'aud')
  if (audience === 'wrong') return malformed('`aud` is not text or a list of texts')
  if (!audience?.some((one) => audiences.includes(one))) {
    return refuseSet('invalid_audience', 'it is meant for another audience')
  }
  const read = readEvent(claims['events'])
  if (!read.ok) return read
  const { payload, known } = read
  const issuedAtMs = readDateMs(claims, 'iat')
  if (issuedAtMs === undefined || issuedAtMs === 'wrong') return malformed('`iat` is missing or not a time')
  const told = known && !known.aboutStream ? readDateMs(payload, 'event_timestamp') : undefined
  if (told === 'wrong') return malformed('`event_timestamp` is not a time')
  const atMs = told ?? issuedAtMs
  if (Math.max(atMs, issuedAtMs) > nowMs + times.clockSkewMs) return malformed('its time is in the future')
  if (Math.min(atMs, issuedAtMs) < nowMs - times.eventMaxAgeMs) return malformed('it is too old')
  // CAEP and RISC events from before SSF 1.0 have their subject inside.
  const subject = claims['sub_id'] ?? (known?.aboutStream === false ? payload['subject'] : undefined)
  if (!isJsonObject(subject)) return malformed('`sub_id` is missing or not an object')
  const format = readText(subject, 'format')
  if (!format || format === 'wrong') return malformed('`format` of `sub_id` is missing or not text')
  const event = { issuer: issuer.text, jti: jti.text, issuedAtMs, atMs, type: read.type, payload, subject }
  return { ok: true, event: { ...event, name: known?.name } }
}

type ReadEvent =
  | {
      readonly ok: true
      readonly type: string
      readonly payload: JsonObject
      readonly known: ReturnType<typeof eventOf>
    }
  | SetRefusal

function readEvent(events: unknown): ReadEvent {
  if (!isJsonObject(events)) return malformed('`events` is missing or not an object')
  const types = Object.keys(events)
  const names = new Set(types.map((type) => type.slice(type.lastIndexOf('/') + 1)))
  const ofKnown = types.filter((type) => eventOf(type) !== undefined)
  const type = ofKnown[0] ?? types[0]
  if (type === undefined || names.size !== 1 || ofKnown.length > 1) {
    return malformed('`events` does not hold exactly one event')
  }
  if (!types.every((one) => isJsonObject(events[one]))) return malformed('the event is not an object')
  const payload = events[type]
  if (!isJsonObject(payload)) return malformed('the event is not an object')
  const known = eventOf(type)
  const problem = known && payloadProblem(known, payload)
  return problem === undefined ? { ok: true, type, payload, known } : malformed(problem)
}

function malformed(description: string): SetRefusal {
  return refuseSet('invalid_request', description)
}
