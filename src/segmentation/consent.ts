import type { PermitRule, BaselineAllow, CompiledEndpoint, CompiledService } from './compiled.js'
import type { Facts } from './facts.js'
import { matchFrom } from './from.js'
import { matchRequest } from './to.js'

type ByRule = {
  readonly by: 'rule'
  readonly rule: Pick<PermitRule, 'name' | 'source'>
  readonly missingScopes: readonly string[]
}

/** Why a target consents: by a rule, or as it has none and the caller is a neighbour. */
export type Consent = ByRule | { readonly by: 'namespace'; readonly missingScopes: readonly string[] }

const NOTHING_MISSING: readonly string[] = []

/** The rules of a target that can concern a caller, in their order. */
export function rulesFor(
  service: CompiledService,
  caller: CompiledService | undefined,
): readonly PermitRule[] {
  const { rulesByCaller, rules } = service
  if (!rulesByCaller) return rules
  return rulesByCaller.get(caller?.index ?? -1) ?? rulesByCaller.get(-1) ?? rules
}

/**
 * The target's half: a rule that matches and, with the scopes it grants, leaves none missing; else a rule
 * that matches; else, where there are no rules, the same namespace. Source: FORMATS 1, rules 1 and 6.
 */
export function findConsent(
  service: CompiledService,
  endpoint: CompiledEndpoint,
  caller: CompiledService | undefined,
  facts: Facts,
  localTrustDomain: string,
): Consent | undefined {
  if (service.rules.length === 0) {
    if (!isNeighbour(service, caller, facts, localTrustDomain)) return undefined
    return { by: 'namespace', missingScopes: missingScopes(endpoint, NOTHING_MISSING, facts) }
  }
  let matched: Consent | undefined
  for (const rule of rulesFor(service, caller)) {
    if (!matchesRule(rule, endpoint, facts)) continue
    const missing = missingScopes(endpoint, rule.grantScopes, facts)
    if (missing.length === 0) return { by: 'rule', rule, missingScopes: missing }
    matched ??= { by: 'rule', rule, missingScopes: missing }
  }
  return matched
}

/** The same for the baseline, which stands for both halves and for the endpoint. */
export function findAllow(
  allows: readonly BaselineAllow[],
  endpoint: CompiledEndpoint | undefined,
  facts: Facts,
): ByRule | undefined {
  // An upgrade is let in only by an endpoint that says so.
  if (facts.request.http?.upgrade && !endpoint) return undefined
  let matched: ByRule | undefined
  for (const rule of allows) {
    if (rule.to && !rule.to.some((pattern) => matchRequest(pattern, facts))) continue
    if (!matchesCaller(rule, facts)) continue
    const missing = missingScopes(endpoint, rule.grantScopes, facts)
    if (missing.length === 0) return { by: 'rule', rule, missingScopes: missing }
    matched ??= { by: 'rule', rule, missingScopes: missing }
  }
  return matched
}

/** Whether a permit matches; what can't be known is no. */
export function matchesRule(rule: PermitRule, endpoint: CompiledEndpoint, facts: Facts): boolean {
  if (rule.endpoints && !rule.endpoints.includes(endpoint.index)) return false
  return matchesCaller(rule, facts)
}

function matchesCaller({ from, when }: Pick<PermitRule, 'from' | 'when'>, facts: Facts): boolean {
  for (const element of from) if (matchFrom(element, facts) === true) return !when || when(facts) === true
  return false
}

/** Both documents are of one namespace; a federated workload is of none. Source: FORMATS 1, rule 5. */
function isNeighbour(
  service: CompiledService,
  caller: CompiledService | undefined,
  facts: Facts,
  localTrustDomain: string,
): boolean {
  const { workload } = facts.identity
  if (!workload || !caller || caller.namespace !== service.namespace) return false
  return workload.spiffeId.trustDomain === localTrustDomain
}

/** Workload scopes that are not held: those of the service token, where there is one, replace what a rule grants. */
function missingScopes(
  endpoint: CompiledEndpoint | undefined,
  granted: readonly string[],
  { identity }: Facts,
): readonly string[] {
  if (!endpoint || endpoint.workloadScopes.length === 0) return NOTHING_MISSING
  const held = identity.serviceToken ? identity.serviceToken.scopes : granted
  if (endpoint.workloadScopes.every((scope) => held.includes(scope))) return NOTHING_MISSING
  return endpoint.workloadScopes.filter((scope) => !held.includes(scope))
}
