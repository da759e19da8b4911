import type { CompiledEndpoint, CompiledService, PermitRule } from '../../segmentation/compiled.js'
import { rulesFor } from '../../segmentation/consent.js'
import { matchFrom } from '../../segmentation/from.js'
import type { Matrix } from '../../segmentation/matrix.js'
import { callerFacts } from '../export/caller-facts.js'

/** A way in through one endpoint. `conditional`: more is asked than who calls, such as a user or a condition. */
export type WayIn = { readonly endpoint: CompiledEndpoint; readonly conditional: boolean }

/** One service may call another, both halves agreeing. */
export type Edge = {
  readonly caller: CompiledService
  readonly target: CompiledService
  /** Empty where the baseline alone lets the caller in. */
  readonly ways: readonly WayIn[]
  /** Names of the baseline allows that let the caller in. */
  readonly baseline: readonly string[]
}

/**
 * Every pair of services of which one can call the other in some circumstances: conditions, users, scopes and risk
 * are taken as met, forbids without conditions count. `patterned`: ids of services whose identities hold a `*`, of
 * which an edge is taken as there where some of them may have it. A baseline allow for anyone is no edge, or all would be one.
 */
export function allowedEdges(matrix: Matrix, patterned: ReadonlySet<string>): Edge[] {
  const services = [...matrix.services.values()]
  const found = new Map<CompiledService, Map<CompiledService, { ways: WayIn[]; baseline: string[] }>>()
  const edge = (caller: CompiledService, target: CompiledService) => {
    let row = found.get(caller)
    if (!row) found.set(caller, (row = new Map()))
    let known = row.get(target)
    if (!known) row.set(target, (known = { ways: [], baseline: [] }))
    return known
  }
  for (const caller of services) {
    for (const { target: index, endpoints } of matrix.calls.rowOf(caller.index)) {
      const target = services[index]
      if (!target || isForbidden(patterned, caller, target)) continue
      const ways = waysIn(caller, target, endpoints, matrix, patterned)
      if (ways.length > 0) edge(caller, target).ways.push(...ways)
    }
  }
  // Whom an allow means doesn't depend on the target, and all targets share its `from`.
  const meant = new Map<PermitRule['from'], CompiledService[]>()
  for (const target of services) {
    for (const { from, name } of target.baseline.allow) {
      let callers = meant.get(from)
      if (!callers) {
        const named = from.filter((element) => !element.any && element.workload)
        callers = named.length > 0 ? services.filter((caller) => means(named, patterned, caller, target)) : []
        meant.set(from, callers)
      }
      for (const caller of callers) {
        if (caller !== target && !isForbidden(patterned, caller, target))
          edge(caller, target).baseline.push(name)
      }
    }
  }
  return [...found].flatMap(([caller, row]) =>
    [...row].map(([target, { ways, baseline }]) => ({ caller, target, ways, baseline })),
  )
}

function waysIn(
  caller: CompiledService,
  target: CompiledService,
  only: readonly number[] | undefined,
  matrix: Matrix,
  patterned: ReadonlySet<string>,
): WayIn[] {
  const ways = new Map<number, WayIn>()
  const rules =
    target.rules.length > 0
      ? rulesFor(target, caller).filter(({ from }) => means(from, patterned, caller, target))
      : []
  const neighbours =
    target.rules.length === 0 &&
    caller.namespace === target.namespace &&
    (patterned.has(caller.id) ||
      caller.identities.some(({ trustDomain }) => trustDomain === matrix.localTrustDomain))
  for (const endpoint of target.endpoints) {
    if (only && !only.includes(endpoint.index)) continue
    if (isForbidden(patterned, caller, target, endpoint)) continue
    const letting = rules.filter(({ endpoints }) => endpoints?.includes(endpoint.index) ?? true)
    if (letting.length === 0 && !neighbours) continue
    const free = neighbours
      ? endpoint.workloadScopes.length === 0
      : letting.some((rule) => isFree(rule, endpoint))
    ways.set(endpoint.index, { endpoint, conditional: !free || asksForUser(endpoint) })
  }
  return [...ways.values()]
}

function isFree({ when, from, grantScopes }: PermitRule, { workloadScopes }: CompiledEndpoint): boolean {
  return (
    !when && from.some(({ users }) => !users) && workloadScopes.every((scope) => grantScopes.includes(scope))
  )
}

function asksForUser({ require, mfa, maxAuthAgeMs, userScopes, userForData }: CompiledEndpoint): boolean {
  const both = require === 'Both' || require === 'User'
  return both || mfa !== 'None' || maxAuthAgeMs !== undefined || userScopes.length > 0 || userForData
}

/** Whether `from` means some identity of the caller, perhaps with a user. */
function means(
  from: PermitRule['from'],
  patterned: ReadonlySet<string>,
  caller: CompiledService,
  target: CompiledService,
): boolean {
  if (patterned.has(caller.id) && from.some((element) => couldMean(element, caller))) return true
  return caller.identities.some((id) => {
    const facts = callerFacts(target, id, caller, true)
    return from.some((element) => matchFrom(element, facts) === true)
  })
}

/** Whether an element could mean a service under some name that its patterns give it. */
function couldMean({ workload }: PermitRule['from'][number], caller: CompiledService): boolean {
  if (!workload) return true
  const { services, namespaces, notNamespaces, selector } = workload
  if (services && !services.includes(caller.index)) return false
  if (namespaces && !namespaces.includes(caller.namespace)) return false
  return !notNamespaces?.includes(caller.namespace) && (!selector || selector(caller.labels))
}

/** By a forbid that holds whatever the request is: of the mesh, of the target, or of one endpoint. */
function isForbidden(
  patterned: ReadonlySet<string>,
  caller: CompiledService,
  target: CompiledService,
  endpoint?: CompiledEndpoint,
): boolean {
  const everybody = ({ from }: { readonly from: PermitRule['from'] | undefined }): boolean =>
    !from ||
    (!patterned.has(caller.id) &&
      caller.identities.length > 0 &&
      caller.identities.every((id) => {
        const facts = callerFacts(target, id, caller, false)
        return from.some((element) => matchFrom(element, facts) === true)
      }))
  const holds = ({ when, mode }: { readonly when: unknown; readonly mode: string | undefined }): boolean =>
    !when && (mode ?? 'Enforce') === 'Enforce'
  const own = target.forbids.some(
    (rule) =>
      (endpoint ? rule.endpoints?.includes(endpoint.index) : !rule.endpoints) &&
      holds(rule) &&
      everybody(rule),
  )
  return (
    own || (!endpoint && target.baseline.forbid.some((rule) => !rule.to && holds(rule) && everybody(rule)))
  )
}
