import type { EventDetails } from '../audit/admin-event.js'
import { parseInstantMs } from '../grants/instant.js'
import { nearestName } from '../schema/nearest-name.js'
import { parseDurationMs } from '../schema/units.js'
import type {
  AdminPorts,
  Outcome,
  PageQuery,
  PortProblem,
  Refused,
  Result,
  Subject,
  UserName,
} from './ports.js'
import type { Change, Reply } from './route.js'

/** What a request names, once defaults are filled in, or what is missing. */
type Named = {
  readonly issuer?: string
  readonly subject?: string
  readonly workload?: string
}

export function sound<Value>(value: Value): { readonly ok: true; readonly value: Value } {
  return { ok: true, value }
}

export function refuse(...problems: readonly PortProblem[]): Refused {
  return { ok: false, status: 400, problems }
}

/** Who can be known. */
type Known = Pick<AdminPorts, 'defaultIssuer' | 'issuers' | 'trustDomains'>

/** The issuer that is given, which must be a configured one; else the only one there is. */
export function issuerOf(
  given: string | undefined,
  known: Known,
  pointer: PortProblem['pointer'] = ['issuer'],
): Outcome<string> {
  if (given !== undefined && !known.issuers.includes(given)) {
    return refuse(unknownName(pointer, 'issuer', given, known.issuers))
  }
  return issuerOfAnyTime(given, known, pointer)
}

/** As `issuerOf`, for what takes away: an issuer may have left the configuration before its users and devices. */
export function issuerOfAnyTime(
  given: string | undefined,
  { defaultIssuer }: Known,
  pointer: PortProblem['pointer'] = ['issuer'],
): Outcome<string> {
  const issuer = given ?? defaultIssuer
  if (issuer !== undefined) return sound(issuer)
  const message = 'say which `issuer`: there is not exactly one issuer of user tokens'
  return refuse({ pointer, code: 'issuer-missing', message })
}

export function userOf(
  { issuer, subject }: { readonly issuer?: string; readonly subject: string },
  known: Known,
): Outcome<UserName> {
  const found = issuerOf(issuer, known)
  return found.ok ? sound({ issuer: found.value, subject }) : found
}

/** A user or a workload, and only one of them. */
export function subjectOf({ issuer, subject, workload }: Named, known: Known): Outcome<Subject> {
  if (workload === undefined && subject === undefined) {
    const message = 'say whose: `subject` of a user, or `workload`'
    return refuse({ pointer: ['subject'], code: 'subject-missing', message })
  }
  if (workload === undefined)
    return userOf({ ...(issuer !== undefined && { issuer }), subject: subject ?? '' }, known)
  if (subject === undefined && issuer === undefined) {
    const found = workloadOf(workload, known)
    return found.ok ? sound({ workload: found.value }) : found
  }
  const message = '`workload` and a user exclude each other'
  return refuse({ pointer: ['workload'], code: 'two-subjects', message })
}

/** A workload of a trust domain that there is. */
export function workloadOf(workload: string, { trustDomains }: Known): Outcome<string> {
  const trustDomain = /^spiffe:\/\/([^/]*)/.exec(workload)?.[1] ?? ''
  if (trustDomains.includes(trustDomain)) return sound(workload)
  return refuse(unknownName(['workload'], 'trust-domain', trustDomain, trustDomains))
}

function unknownName(
  pointer: PortProblem['pointer'],
  what: 'issuer' | 'trust-domain',
  name: string,
  names: readonly string[],
): PortProblem {
  const bare = (text: string): string => text.toLowerCase().replace(/\/+$/, '')
  const near = names.find((other) => bare(other) === bare(name)) ?? nearestName(name, names)
  const hint = near === undefined ? '' : `; did you mean \`${near}\`?`
  const message = `no ${what.replace('-', ' ')} \`${name}\` is configured${hint}`
  return { pointer, code: `unknown-${what}`, message }
}

export function subjectText(subject: Subject): string {
  return 'workload' in subject ? subject.workload : `${subject.subject} (${subject.issuer})`
}

/** The end of something that begins now: a time to come, or a duration; one of them. */
export function untilOf(
  { until, duration }: { readonly until?: string; readonly duration?: string },
  longestMs: number,
  nowMs: number,
): Outcome<number> {
  if ((until === undefined) === (duration === undefined)) {
    const message = 'say how long: either `duration` or `until`'
    return refuse({ pointer: ['duration'], code: 'duration-or-until', message })
  }
  const field = until === undefined ? 'duration' : 'until'
  const untilMs =
    until === undefined ? nowMs + (parseDurationMs(duration ?? '') ?? NaN) : parseInstantMs(until)
  if (untilMs === undefined || !Number.isFinite(untilMs)) {
    const message = `\`${field}\` is no time of the calendar`
    return refuse({ pointer: [field], code: 'wrong-time', message })
  }
  if (untilMs <= nowMs) {
    return refuse({ pointer: [field], code: 'in-the-past', message: `\`${field}\` is over already` })
  }
  if (untilMs - nowMs > longestMs) {
    const days = Math.floor(longestMs / 86_400_000)
    return refuse({
      pointer: [field],
      code: 'too-long',
      message: `\`${field}\` is more than ${days} days away`,
    })
  }
  return sound(untilMs)
}

export function pageOf(query: { readonly limit?: number; readonly cursor?: string }): PageQuery {
  return { limit: query.limit ?? 100, cursor: query.cursor }
}

/** What a port answers, as JSON. */
export async function json<Value>(
  result: Result<Value>,
  body: (value: Value) => unknown = (value) => value,
): Result<Reply> {
  const outcome = await result
  return outcome.ok ? sound({ kind: 'json', status: 200, body: body(outcome.value) }) : outcome
}

/** What a port made, with where it is from now on. */
export async function created<Value>(
  result: Result<Value>,
  location?: (value: Value) => string,
): Result<Reply> {
  const outcome = await result
  if (!outcome.ok) return outcome
  const body = outcome.value
  return sound({ kind: 'json', status: 201, body, ...(location && { location: location(body) }) })
}

export async function empty(result: Result<undefined>): Result<Reply> {
  const outcome = await result
  return outcome.ok ? sound({ kind: 'empty' }) : outcome
}

/** `details` go into the event. */
export function changes(
  resourceId: string,
  reason: string,
  details: EventDetails,
  apply: Change['apply'],
): Outcome<Change> {
  return sound({ resourceId, reason, details, apply })
}
