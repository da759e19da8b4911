import {
  compiledEndpoint,
  type CompiledEndpoint,
  compiledService,
  type CompiledService,
} from '../../segmentation/compiled.js'
import { findAllow, findConsent } from '../../segmentation/consent.js'
import type { Facts } from '../../segmentation/facts.js'
import { matchFrom } from '../../segmentation/from.js'
import type { Matrix } from '../../segmentation/matrix.js'
import { checkRequirement } from '../../segmentation/requirement.js'

/** What a policy lacks for a call that was let pass. */
export type Gap =
  | { readonly kind: 'none' }
  /** No endpoint is there for it; `needsConsent`: nor a rule that would let the caller use one. */
  | { readonly kind: 'endpoint'; readonly needsConsent: boolean }
  /** The endpoint is there; the caller's `calls` do not name it, or the target does not consent. */
  | { readonly kind: 'edge'; readonly endpoint: string; readonly needsConsent: boolean }
  /** What is written refuses it on purpose, so nobody but its author should change that. */
  | { readonly kind: 'refused'; readonly why: string }

/**
 * Compares a call with what is written. Forbids are left alone: they win over whatever is learned. `allowed`: the
 * policy of then let the call pass by itself, so that what an event can't tell (claims, headers, scopes) was as asked.
 */
export function gapOf(matrix: Matrix, facts: Facts, allowed: boolean): Gap {
  const service = compiledService(facts.target.service)
  const endpoint = compiledEndpoint(facts.endpoint)
  const baseline = service?.baseline ?? matrix.baselineOfUnknown
  if (findAllow(baseline.allow, endpoint, facts)) return { kind: 'none' }
  if (!service || !endpoint) {
    return { kind: 'endpoint', needsConsent: !service || !letsAnywhere(service, facts) }
  }
  const unmet = allowed ? undefined : checkRequirement(endpoint.require, endpoint, facts)
  if (unmet) {
    return { kind: 'refused', why: `${service.id} ${endpoint.name} asks for more: ${unmet.message}` }
  }
  const caller = compiledService(facts.caller)
  const called =
    facts.identity.workload === undefined ||
    (caller !== undefined && matrix.calls.find(caller.index, service.index, endpoint.index) === 'called')
  const consent = findConsent(service, endpoint, caller, facts, matrix.localTrustDomain)
  const conditional = consent ? undefined : conditionalRule(service, endpoint, facts)
  if (conditional && !allowed) {
    const why = `the rule ${conditional.name} of ${service.id} (${conditional.source}) has a condition that decides on it`
    return { kind: 'refused', why }
  }
  if (consent && consent.missingScopes.length > 0 && !allowed) {
    const scopes = consent.missingScopes.join(', ')
    return { kind: 'refused', why: `${service.id} ${endpoint.name} asks for the scope ${scopes}` }
  }
  const needsConsent = !consent && !conditional
  return called && !needsConsent ? { kind: 'none' } : { kind: 'edge', endpoint: endpoint.name, needsConsent }
}

/** A rule that means this caller and endpoint, under conditions that an event can't tell. */
function conditionalRule(
  service: CompiledService,
  endpoint: CompiledEndpoint,
  facts: Facts,
): { readonly name: string; readonly source: string } | undefined {
  return service.rules.find(
    ({ endpoints, from, when }) =>
      when !== undefined &&
      (!endpoints || endpoints.includes(endpoint.index)) &&
      from.some((element) => matchFrom(element, facts) === true),
  )
}

/** Whether a new endpoint of the service would be open to the caller by a rule that is written. */
function letsAnywhere(service: CompiledService, facts: Facts): boolean {
  return service.rules.some(
    ({ endpoints, from, when }) =>
      !endpoints && !when && from.some((element) => matchFrom(element, facts) === true),
  )
}
