import type { Baseline, CompiledService } from '../../segmentation/compiled.js'
import { rulesFor } from '../../segmentation/consent.js'
import { couldBeOneOf } from '../../segmentation/endpoint-index.js'
import type { Facts } from '../../segmentation/facts.js'
import { type From, matchFrom } from '../../segmentation/from.js'
import type { Matrix } from '../../segmentation/matrix.js'
import { matchRequest, type RequestPattern } from '../../segmentation/to.js'
import type { CompiledConditions } from '../../segmentation/when/condition.js'
import type { AdaptivePolicy } from '../../session/adaptive-policy.js'
import type { Reading, RecordedCall } from './recorded-call.js'

/** The list that a rule stands in, and its name: `shop/api rules web`, `baseline forbid night`, `adaptive risky`. */
export type RuleKey = string

/** Takes the rules of a policy that could have decided a recorded call. */
export type NotePossible = {
  /** Whether an event holds whatever the conditions of the rule look at. */
  readonly isRecorded: (key: RuleKey) => boolean
  /** Asked first: what was noted before is not looked at again. */
  readonly has: (key: RuleKey) => boolean
  readonly add: (key: RuleKey) => void
}

/**
 * Every rule that the policy could have decided the call by: callers and endpoints are known from the event, conditions
 * only where the event holds all that they look at. What can't be told is possible, so that no rule is missed.
 */
export function notePossible(
  { readings, unplaced }: RecordedCall,
  { matrix, adaptive }: { readonly matrix: Matrix; readonly adaptive: AdaptivePolicy },
  note: NotePossible,
): void {
  for (const reading of readings) {
    noteService(reading, note)
    const own = reading.service?.baseline ?? matrix.baselineOfUnknown
    for (const baseline of unplaced ? baselinesOf(matrix) : [own]) noteBaseline(baseline, reading, note)
    for (const { name, to, when } of adaptive.rules) {
      const key = `adaptive ${name}`
      if (note.has(key) || cannotHold(key, when, reading, note)) continue
      const concerned =
        !to ||
        to.some(
          ({ concerns, request }) =>
            (unplaced || concerns(reading.service) !== false) && mayFit(request, reading),
        )
      if (concerned) note.add(key)
    }
  }
}

function noteService(reading: Reading, note: NotePossible): void {
  const { service, caller, endpoints, facts, anyCaller, whole } = reading
  if (!service) return
  for (const { name, from, endpoints: only, when } of anyCaller ? service.rules : rulesFor(service, caller)) {
    const key = `${service.id} rules ${name}`
    if (note.has(key) || !endpoints.some(({ index }) => !only || only.includes(index))) continue
    if (mayLetIn(from, reading) && !cannotHold(key, when, reading, note)) note.add(key)
  }
  for (const { name, from, endpoints: only, when } of service.forbids) {
    const key = `${service.id} forbid ${name}`
    if (note.has(key)) continue
    const concerned =
      !only || !whole || endpoints.some(({ index }) => only.includes(index)) || mayFold(only, service, facts)
    if (concerned && mayKeepOut(from, reading) && !cannotHold(key, when, reading, note)) note.add(key)
  }
}

/** One that it would be if case and a trailing slash did not count, by either path, upgrade or not. */
function mayFold(
  only: readonly number[],
  { foldedEndpointIndex: folded }: CompiledService,
  { request, target }: Facts,
): boolean {
  const { http } = request
  if (!folded || !http) return false
  return [false, true].some((upgrade) =>
    [target.path, http.path].some((path) =>
      couldBeOneOf(folded, only, path, { ...request, http: { ...http, upgrade } }),
    ),
  )
}

function noteBaseline({ allow, forbid }: Baseline, reading: Reading, note: NotePossible): void {
  for (const { name, from, to, when } of allow) {
    const key = `baseline allow ${name}`
    if (note.has(key) || !fitsOne(to, reading) || !mayLetIn(from, reading)) continue
    if (!cannotHold(key, when, reading, note)) note.add(key)
  }
  for (const { name, from, to, when } of forbid) {
    const key = `baseline forbid ${name}`
    if (note.has(key) || !fitsOne(to, reading) || !mayKeepOut(from, reading)) continue
    if (!cannotHold(key, when, reading, note)) note.add(key)
  }
}

/** Services share them: they are few. */
function baselinesOf({ services, baselineOfUnknown }: Matrix): ReadonlySet<Baseline> {
  return new Set([baselineOfUnknown, ...Array.from(services.values(), ({ baseline }) => baseline)])
}

function cannotHold(
  key: RuleKey,
  when: CompiledConditions | undefined,
  { facts }: Reading,
  { isRecorded }: NotePossible,
): boolean {
  return when !== undefined && isRecorded(key) && when(facts) === false
}

function mayLetIn(from: readonly From[], { facts, anyCaller }: Reading): boolean {
  return anyCaller || from.some((element) => matchFrom(element, facts) === true)
}

/** A forbid means also those of whom it isn't known. */
function mayKeepOut(from: readonly From[] | undefined, { facts, anyCaller }: Reading): boolean {
  return !from || anyCaller || from.some((element) => matchFrom(element, facts) !== false)
}

function fitsOne(to: readonly RequestPattern[] | undefined, reading: Reading): boolean {
  return !to || to.some((pattern) => mayFit(pattern, reading))
}

/** By the path as it was recorded and less the prefix that a route may have taken off. */
function mayFit(pattern: RequestPattern, { facts, whole }: Reading): boolean {
  if (!whole || matchRequest(pattern, facts)) return true
  const { http } = facts.request
  if (!http) return false
  return matchRequest(pattern, { ...facts, target: { ...facts.target, path: http.path } })
}
