import type { Pointer } from '../schema/problem.js'
import { parseDurationMs } from '../schema/units.js'
import type { StateOp, StateRecord } from '../state/record.js'
import type { Grant, GrantRequest } from './grant.js'
import { type GrantOps, grantOps, liveGrants, MAX_GRANTS, type RetiredGrant } from './grant-record.js'
import { parseInstantMs } from './instant.js'
import type { LiveGrant } from './live-grant.js'
import { type Person, samePeople } from './three-people.js'

/** What is wrong with a request, by the field; `code` is stable kebab-case. */
export type GrantProblem = { readonly pointer: Pointer; readonly code: string; readonly message: string }

/** How long grants may last, milliseconds. */
export type GrantLimits = { readonly maxDurationMs: number; readonly breakGlassMaxDurationMs: number }

export type CreatedGrant =
  | {
      readonly ok: true
      readonly grant: Grant
      /** Changes of the record under `grantsKey` of the subject, to be committed before anybody is told. */
      readonly ops: readonly StateOp[]
      readonly keptUntilMs: number
      /** Older grants whose counts leave the record with them: keep them as the `finalUse` of their documents. */
      readonly retired: readonly RetiredGrant[]
    }
  | {
      readonly ok: false
      readonly problems: readonly GrantProblem[]
      /** The live grant that the new one would overlap. */
      readonly conflict?: string | undefined
    }

/**
 * Makes a grant of a request that fits GrantRequestSchema, or tells everything that is wrong with it. `by` is the
 * authenticated caller, who approves; a break-glass grant nobody approves, and its caller is the requester.
 * `existing` is the subject's record. Source: FORMATS 2, REQUIREMENTS D5.
 */
export function createGrant(
  request: GrantRequest,
  by: { readonly name: string },
  existing: StateRecord,
  limits: GrantLimits,
  nowMs: number,
  id: string,
): CreatedGrant {
  const breakGlass = request.breakGlass === true
  const expiry = expiryOf(request, breakGlass ? limits.breakGlassMaxDurationMs : limits.maxDurationMs, nowMs)
  const problems = [
    ...problemsOfPeople(request, by.name, breakGlass),
    ...(breakGlass || request.ticket !== undefined
      ? []
      : [problem(['ticket'], 'missing-field', 'missing field `ticket`: where the grant was asked for')]),
    ...('problem' in expiry ? [expiry.problem] : []),
  ]
  if ('problem' in expiry || problems.length > 0) return { ok: false, problems }
  const overlapping = liveGrants(existing, nowMs).find((live) => overlaps(live, request))
  if (overlapping) {
    const message = `the subject has a live grant of this on ${request.service} already: ${overlapping.id}`
    return {
      ok: false,
      problems: [problem(['service'], 'overlapping-grant', message)],
      conflict: overlapping.id,
    }
  }
  const grant = grantOf(request, by.name, { id, nowMs, expiresAtMs: expiry.expiresAtMs })
  const made = grantOps(grant, existing, nowMs)
  return made.ok
    ? { ok: true, grant, ops: made.ops, keptUntilMs: made.keptUntilMs, retired: made.retired }
    : { ok: false, problems: [problemOfRoom(made)] }
}

/** Members that nobody gave are left out, as the stored form has them. */
function grantOf(
  request: GrantRequest,
  by: string,
  { id, nowMs, expiresAtMs }: { readonly id: string; readonly nowMs: number; readonly expiresAtMs: number },
): Grant {
  const { subject, service, endpoints, operations, roles, requester, ticket, reason, maxUses } = request
  const breakGlass = request.breakGlass === true
  return {
    id,
    subject: { issuer: subject.issuer, subject: subject.subject },
    service,
    ...(endpoints && { endpoints }),
    operations,
    ...(roles && { roles }),
    requester,
    ...(!breakGlass && { approver: by }),
    breakGlass,
    ...(ticket !== undefined && { ticket }),
    reason,
    createdAtMs: nowMs,
    expiresAtMs,
    ...(maxUses !== undefined && { maxUses }),
  }
}

function problemsOfPeople(request: GrantRequest, by: string, breakGlass: boolean): GrantProblem[] {
  const { subject, requester, approver } = request
  const people: Person[] = [
    { field: 'subject', name: subject.subject },
    { field: 'requester', name: requester },
  ]
  const problems: GrantProblem[] = []
  if (breakGlass) {
    if (approver !== undefined) {
      const message = 'nobody approves a break-glass grant: leave `approver` out'
      problems.push(problem(['approver'], 'break-glass-approver', message))
    }
    if (requester !== by) {
      const message = `a break-glass grant is requested by who creates it, which is ${by}`
      problems.push(problem(['requester'], 'not-the-caller', message))
    }
  } else {
    people.push({ field: 'approver', name: by })
    if (approver !== undefined && approver !== by) {
      const message = `who creates a grant approves it, which is ${by}`
      problems.push(problem(['approver'], 'not-the-caller', message))
    }
  }
  for (const [one, other] of samePeople(people)) {
    const message = `${one.field} and ${other.field} are one person (${one.name}, ${other.name}), and must be two`
    problems.push(problem([other.field], 'same-person', message))
  }
  return problems
}

type Expiry = { readonly expiresAtMs: number } | { readonly problem: GrantProblem }

function expiryOf({ expiresAt, duration }: GrantRequest, maxMs: number, nowMs: number): Expiry {
  const field = expiresAt === undefined ? 'duration' : 'expiresAt'
  const wrong = (code: string, message: string): Expiry => ({ problem: problem([field], code, message) })
  if ((expiresAt === undefined) === (duration === undefined)) {
    const one = expiresAt === undefined ? 'missing-field' : 'wrong-value'
    return wrong(one, 'give exactly one of `expiresAt` and `duration`: a grant ends')
  }
  const lastsMs = duration === undefined ? undefined : parseDurationMs(duration)
  const expiresAtMs =
    expiresAt !== undefined ? parseInstantMs(expiresAt) : lastsMs === undefined ? undefined : nowMs + lastsMs
  if (expiresAtMs === undefined || !Number.isSafeInteger(expiresAtMs)) {
    const what = expiresAt === undefined ? 'a duration such as 1h' : 'a time such as 2026-03-01T12:00:00Z'
    return wrong('wrong-value', `\`${field}\` must be ${what}`)
  }
  if (expiresAtMs <= nowMs) return wrong('in-the-past', `\`${field}\`: the grant would be over already`)
  if (expiresAtMs - nowMs > maxMs) {
    return wrong('too-long', `\`${field}\`: such a grant lasts ${Math.floor(maxMs / 60_000)} min at most`)
  }
  return { expiresAtMs }
}

/** A grant without endpoints is for all of them. One without roles approves what every other one approves too. */
function overlaps(live: LiveGrant, { service, endpoints, operations, roles = [] }: GrantRequest): boolean {
  return (
    live.service === service &&
    operations.some((operation) => live.operations.includes(operation)) &&
    (!endpoints || !live.endpoints || endpoints.some((name) => live.endpoints?.includes(name))) &&
    (roles.length === 0 || live.roles.length === 0 || roles.some((role) => live.roles.includes(role)))
  )
}

function problemOfRoom(made: Extract<GrantOps, { ok: false }>): GrantProblem {
  return made.problem === 'too-long'
    ? problem(
        ['endpoints'],
        'too-long',
        'the grant is too long to be looked up on calls: list fewer endpoints',
      )
    : problem(
        ['subject'],
        'too-many-grants',
        `the subject has ${MAX_GRANTS} grants that are live or ended within the last hour: revoke some, or wait`,
      )
}

function problem(pointer: Pointer, code: string, message: string): GrantProblem {
  return { pointer, code, message }
}
