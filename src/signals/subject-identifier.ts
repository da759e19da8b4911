import { readText } from '../identity/claims.js'
import { parseSpiffeId } from '../identity/spiffe-id.js'
import { isJsonObject, type JsonObject } from '../identity/strict-json.js'
import { stateKey } from '../state/record.js'
import { deviceKey, emailKey, namedSessionKey, sessionKey, userKey } from '../state/subjects.js'
import { refuseSet, type SetRefusal } from './set-refusal.js'

/** Whose subjects a transmitter may touch. */
export type SubjectScope = {
  /** Issuers of user tokens. */
  readonly subjectIssuers: readonly string[]
  /** Of workloads. */
  readonly trustDomains: readonly string[]
}

/** A record that an event is about, and whose it is. */
export type Named =
  | {
      readonly kind: 'user' | 'session' | 'device'
      readonly key: string
      readonly issuer: string
      /** The user, or one session of the user's, where the identifier says who that is. */
      readonly of?: { readonly subject: string; readonly sessionId?: string }
    }
  | { readonly kind: 'workload'; readonly key: string }

/** `named` is empty where the subject is known to be nobody here: a tenant, a group, an organisational unit. */
export type ReadSubject =
  { readonly ok: true; readonly named: readonly Named[]; readonly words: string } | SetRefusal

type Role = 'subject' | 'user' | 'device' | 'session' | 'application'
type User = { readonly issuer: string; readonly subject: string }

const MAX_WORDS = 256
const MAX_ALIASES = 16

/**
 * Which records a subject identifier names, within a transmitter's scope. All members of a complex subject name one
 * principal together: which of them an event changes is the event's to say. Members that are not known narrow the subject and
 * are passed over: to end too much is safer than to end nothing. `bare` is what an opaque identifier by itself is.
 * `lenient`: so are members that are null and applications that can't be read, for events that only take away.
 * Source: RFC 9493, SSF 1.0 3.
 */
export function readSubject(
  subject: JsonObject,
  bare: 'session' | 'device',
  scope: SubjectScope,
  lenient = false,
): ReadSubject {
  const found =
    subject['format'] === 'complex'
      ? readComplex(subject, scope, lenient)
      : subject['format'] === 'opaque'
        ? readSimple(subject, bare, scope)
        : readSimple(subject, 'subject', scope)
  if (!found.ok) return found
  return { ...found, words: found.words.slice(0, MAX_WORDS) }
}

function readComplex(subject: JsonObject, scope: SubjectScope, lenient: boolean): ReadSubject {
  const members = new Map<Role, Extract<ReadSubject, { ok: true }>>()
  for (const role of ['user', 'device', 'session', 'application'] as const) {
    const member = subject[role]
    if (member === undefined || (lenient && member === null)) continue
    if (!isJsonObject(member))
      return refuseSet('invalid_request', `\`${role}\` of the subject is not an object`)
    const user = role === 'session' ? oneUser(subject['user']) : undefined
    const read = readSimple(member, role, scope, user)
    if (!read.ok) {
      if (lenient && role === 'application' && members.size > 0 && read.err !== 'access_denied') continue
      return read
    }
    members.set(role, read)
  }
  if (members.size === 0 && !NOBODY_HERE.some((name) => isJsonObject(subject[name]))) {
    return refuseSet('invalid_request', 'the subject has no member that is known here')
  }
  const words = Array.from(members.values(), (member) => member.words).join(', ')
  return { ok: true, named: Array.from(members.values()).flatMap(({ named }) => named), words }
}

/** Members that name many, or none of those who call. */
const NOBODY_HERE = ['tenant', 'org_unit', 'group'] as const

/** The user of a session, where it is named so that the session's own record can be told. */
function oneUser(member: unknown): User | undefined {
  if (!isJsonObject(member) || member['format'] !== 'iss_sub') return undefined
  const [issuer, subject] = [readText(member, 'iss'), readText(member, 'sub')]
  if (!issuer || issuer === 'wrong' || !subject || subject === 'wrong') return undefined
  return { issuer: issuer.text, subject: subject.text }
}

function readSimple(identifier: JsonObject, role: Role, scope: SubjectScope, user?: User): ReadSubject {
  const { format } = identifier
  if (format === 'aliases' && role !== 'session') return readAliases(identifier, role, scope)
  if (format === 'iss_sub') return readIssuerAndSubject(identifier, role, scope)
  if (format === 'email' && (role === 'subject' || role === 'user')) {
    const email = readText(identifier, 'email')
    if (!email || email === 'wrong') return wrong('email')
    return ofIssuers(scope, 'user', `email ${email.text}`, (issuer) => emailKey(issuer, email.text))
  }
  const member = format === 'opaque' ? 'id' : format === 'uri' ? 'uri' : format === 'did' ? 'url' : undefined
  if (member === undefined) return useless(role)
  const id = readText(identifier, member, 2048)
  if (!id || id === 'wrong') return wrong(member)
  const words = `${role} ${id.text}`
  if (format === 'uri' && id.text.startsWith('spiffe://')) return readWorkload(id.text, role, scope)
  if (role === 'device') return ofIssuers(scope, 'device', words, (issuer) => deviceKey(issuer, id.text))
  if (role === 'session' && format === 'opaque') {
    if (!user) return ofIssuers(scope, 'session', words, (issuer) => namedSessionKey(issuer, id.text))
    if (!scope.subjectIssuers.includes(user.issuer)) return foreign()
    const key = sessionKey(user.issuer, user.subject, id.text)
    return {
      ok: true,
      named: [
        { kind: 'session', key, issuer: user.issuer, of: { subject: user.subject, sessionId: id.text } },
      ],
      words,
    }
  }
  // Which application a user was in makes no difference to what is ended.
  return role === 'application' ? { ok: true, named: [], words } : useless(role)
}

function readIssuerAndSubject(identifier: JsonObject, role: Role, scope: SubjectScope): ReadSubject {
  const [issuer, subject] = [readText(identifier, 'iss'), readText(identifier, 'sub')]
  if (!issuer || issuer === 'wrong') return wrong('iss')
  if (!subject || subject === 'wrong') return wrong('sub')
  if (!scope.subjectIssuers.includes(issuer.text)) return foreign()
  const words = `${role === 'subject' ? 'user' : role} ${subject.text} of ${issuer.text}`
  const at = { issuer: issuer.text }
  if (role === 'device') {
    return { ok: true, named: [{ kind: 'device', key: deviceKey(at.issuer, subject.text), ...at }], words }
  }
  if (role === 'application') return { ok: true, named: [], words }
  if (role === 'session') {
    return {
      ok: true,
      named: [{ kind: 'session', key: namedSessionKey(at.issuer, subject.text), ...at }],
      words,
    }
  }
  const of = { subject: subject.text }
  return { ok: true, named: [{ kind: 'user', key: userKey(at.issuer, subject.text), ...at, of }], words }
}

/** Every identifier names the same subject; those that name nobody here are passed over, if one does. */
function readAliases(identifier: JsonObject, role: Role, scope: SubjectScope): ReadSubject {
  const { identifiers } = identifier
  if (!Array.isArray(identifiers) || identifiers.length === 0 || identifiers.length > MAX_ALIASES) {
    return wrong('identifiers')
  }
  const list: readonly unknown[] = identifiers
  const named: Named[] = []
  const words: string[] = []
  for (const one of list) {
    if (!isJsonObject(one) || one['format'] === 'aliases' || one['format'] === 'complex')
      return wrong('identifiers')
    const read = readSimple(one, role, scope)
    if (!read.ok) {
      if (read.err === 'access_denied') return read
      continue
    }
    named.push(...read.named)
    words.push(read.words)
  }
  return named.length === 0 ? useless(role) : { ok: true, named, words: words.join(', ') }
}

function readWorkload(text: string, role: Role, scope: SubjectScope): ReadSubject {
  const parsed = parseSpiffeId(text)
  if (!parsed.ok || parsed.id.path === '')
    return refuseSet('invalid_request', 'its SPIFFE ID is none of a workload')
  if (role === 'user' || role === 'session') return useless(role)
  if (!scope.trustDomains.includes(parsed.id.trustDomain)) return foreign()
  return {
    ok: true,
    named: [{ kind: 'workload', key: stateKey('w', parsed.id.text) }],
    words: `workload ${parsed.id.text}`,
  }
}

function ofIssuers(
  { subjectIssuers }: SubjectScope,
  kind: 'user' | 'session' | 'device',
  words: string,
  keyOf: (issuer: string) => string,
): ReadSubject {
  if (subjectIssuers.length === 0) return foreign()
  return { ok: true, named: subjectIssuers.map((issuer) => ({ kind, key: keyOf(issuer), issuer })), words }
}

function wrong(member: string): SetRefusal {
  return refuseSet('invalid_request', `\`${member}\` of the subject is missing or not of its type`)
}

function useless(role: Role): SetRefusal {
  const what = role === 'subject' ? 'a subject' : `the subject's ${role}`
  return refuseSet('invalid_request', `${what} of this format names nobody here`)
}

function foreign(): SetRefusal {
  return refuseSet('access_denied', 'the subject is not one that this transmitter may speak about')
}
