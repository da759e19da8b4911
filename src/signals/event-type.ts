import { readDateMs, readText } from '../identity/claims.js'
import { isJsonObject, type JsonObject } from '../identity/strict-json.js'

const CAEP = 'https://schemas.openid.net/secevent/caep/event-type/'
const RISC = 'https://schemas.openid.net/secevent/risc/event-type/'
const SSF = 'https://schemas.openid.net/secevent/ssf/event-type/'

/** How one member of an event is read; what has a default reading may be absent. */
type Member = 'object' | 'text' | readonly string[] | { readonly optional: 'text' | readonly string[] }

const LEVELS = ['LOW', 'MEDIUM', 'HIGH']
const COMPLIANCE = ['compliant', 'not-compliant']
const NONE = {}

/**
 * Members with a meaning here. What a specification asks for and nobody reads may be absent or of any type, so that no
 * revocation is lost for it. Source: CAEP 1.0, RISC 1.0, SSF 1.0.
 */
const CAEP_EVENTS = {
  'session-revoked': NONE,
  'token-claims-change': { claims: 'object' },
  'credential-change': {
    credential_type: 'text',
    change_type: ['create', 'revoke', 'update', 'delete'],
    x509_serial: { optional: 'text' },
  },
  'assurance-level-change': {
    current_level: 'text',
    previous_level: { optional: 'text' },
    change_direction: { optional: ['increase', 'decrease'] },
  },
  'device-compliance-change': { current_status: COMPLIANCE },
  'session-established': NONE,
  'session-presented': NONE,
  'risk-level-change': { principal: 'text', current_level: LEVELS },
} as const satisfies Readonly<Record<string, Readonly<Record<string, Member>>>>

const RISC_EVENTS = {
  'account-credential-change-required': NONE,
  'account-disabled': NONE,
  'account-enabled': NONE,
  'account-purged': NONE,
  'credential-compromise': NONE,
  'identifier-changed': NONE,
  'identifier-recycled': NONE,
  'opt-in': NONE,
  'opt-out-cancelled': NONE,
  'opt-out-effective': NONE,
  'opt-out-initiated': NONE,
  'recovery-activated': NONE,
  'recovery-information-changed': NONE,
  'sessions-revoked': NONE,
} as const satisfies typeof CAEP_EVENTS | Readonly<Record<string, Readonly<Record<string, Member>>>>

const SSF_EVENTS = {
  verification: NONE,
  'stream-updated': { status: ['enabled', 'paused', 'disabled'] },
} as const satisfies Readonly<Record<string, Readonly<Record<string, Member>>>>

export type EventName = keyof typeof CAEP_EVENTS | keyof typeof RISC_EVENTS | keyof typeof SSF_EVENTS

type Known = {
  readonly name: EventName
  readonly members: Readonly<Record<string, Member>>
  /** Whether it is about a subject beside the stream itself. */
  readonly aboutStream: boolean
}

const KNOWN: ReadonlyMap<string, Known> = new Map([
  ...named(CAEP, CAEP_EVENTS),
  ...named(RISC, RISC_EVENTS),
  ...named(SSF, SSF_EVENTS),
])

/** The event that a type's URI stands for; undefined: none that is known here. */
export function eventOf(uri: string): Known | undefined {
  return KNOWN.get(uri)
}

/**
 * Whether such an event gives back what another took. Those are read strictly and never count from a time ahead;
 * what only takes away is not lost for a reason that has another form.
 */
export function isOpening(name: EventName | undefined, payload: JsonObject): boolean {
  if (name === 'device-compliance-change') return payload['current_status'] === 'compliant'
  if (name === 'risk-level-change') return payload['current_level'] !== 'HIGH'
  return name === 'account-enabled'
}

/** What is wrong with an event's members; undefined: nothing. */
export function payloadProblem(
  { name: event, members, aboutStream }: Known,
  payload: JsonObject,
): string | undefined {
  for (const [name, member] of Object.entries(members)) {
    if (!isRight(payload, name, member)) return `\`${name}\` is missing or not of its type`
  }
  if (aboutStream) return undefined
  if (readDateMs(payload, 'event_timestamp') === 'wrong') return '`event_timestamp` is not a time'
  if (!isRight(payload, 'initiating_entity', { optional: ['admin', 'user', 'policy', 'system'] })) {
    return '`initiating_entity` is none of admin, user, policy, system'
  }
  if (!isOpening(event, payload)) return undefined
  const reason = ['reason_admin', 'reason_user'].find((name) => !isOfTexts(payload[name]))
  return reason === undefined ? undefined : `\`${reason}\` is not an object of texts by language`
}

function isRight(payload: JsonObject, name: string, member: Member): boolean {
  const value = payload[name]
  if (typeof member === 'object' && 'optional' in member) {
    return value === undefined || isRight(payload, name, member.optional)
  }
  if (member === 'object') return isJsonObject(value)
  const read = readText(payload, name)
  if (read === undefined || read === 'wrong') return false
  return member === 'text' || member.includes(read.text)
}

function isOfTexts(value: unknown): boolean {
  if (value === undefined) return true
  return isJsonObject(value) && Object.values(value).every((text) => typeof text === 'string')
}

function named(
  base: string,
  events: Readonly<Partial<Record<EventName, Readonly<Record<string, Member>>>>>,
): [string, Known][] {
  const names = Object.keys(events).filter((name): name is EventName => name in events)
  return names.map((name) => [
    base + name,
    { name, members: events[name] ?? NONE, aboutStream: base === SSF },
  ])
}
