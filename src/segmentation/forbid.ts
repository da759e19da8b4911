import type { Refusal } from '../decision/decision.js'
import {
  type Baseline,
  type BaselineForbid,
  compiledEndpoint,
  type CompiledService,
  type ForbidRule,
} from './compiled.js'
import { couldBeOneOf } from './endpoint-index.js'
import type { Facts } from './facts.js'
import { matchFrom } from './from.js'
import { matchRequest } from './to.js'

/** What the forbids that match come to. */
export type Forbidden = {
  /** The one that counts: of those that match, one that is enforced, whatever the target's mode. */
  readonly refusal: Refusal | undefined
  /** One whose own mode lets the call pass. */
  readonly shadowed: Refusal | undefined
}

const NOTHING: Forbidden = { refusal: undefined, shadowed: undefined }

/**
 * The forbids of the mesh and of the target that match. A forbid matches unless something rules it out: what
 * can't be known is no way around it. Source: FORMATS 1, rules 1, 7 and 9.
 */
export function findForbids(
  service: CompiledService | undefined,
  baseline: Baseline,
  facts: Facts,
): Forbidden {
  if (baseline.forbid.length === 0 && (!service || service.forbids.length === 0)) return NOTHING
  let refusal: Refusal | undefined
  let shadowed: Refusal | undefined
  for (const rule of baseline.forbid) {
    if (!matchesBaseline(rule, facts)) continue
    const found = refusalBy(rule)
    if (found.mode === 'Enforce') return { refusal: found, shadowed }
    if (found.mode) shadowed ??= found
    else refusal ??= found
  }
  for (const rule of service?.forbids ?? []) {
    if (!service || !matchesOwn(rule, service, facts)) continue
    const found = refusalBy(rule)
    if (found.mode === 'Enforce') return { refusal: found, shadowed }
    if (found.mode) shadowed ??= found
    else refusal ??= found
  }
  return refusal || shadowed ? { refusal, shadowed } : NOTHING
}

function matchesBaseline(rule: BaselineForbid, facts: Facts): boolean {
  if (rule.to && !rule.to.some((pattern) => matchRequest(pattern, facts))) return false
  return matchesCaller(rule, facts)
}

function matchesOwn(rule: ForbidRule, service: CompiledService, facts: Facts): boolean {
  if (rule.endpoints && !concerns(rule.endpoints, service, facts)) return false
  return matchesCaller(rule, facts)
}

/** The chosen endpoint, or one that it would be if case and a trailing slash of the path did not count. */
function concerns(endpoints: readonly number[], service: CompiledService, facts: Facts): boolean {
  const chosen = compiledEndpoint(facts.endpoint)
  if (chosen && endpoints.includes(chosen.index)) return true
  return (
    service.foldedEndpointIndex !== undefined &&
    couldBeOneOf(service.foldedEndpointIndex, endpoints, facts.target.path, facts.request)
  )
}

function matchesCaller({ from, when }: Pick<ForbidRule, 'from' | 'when'>, facts: Facts): boolean {
  if (from && !from.some((element) => matchFrom(element, facts) !== false)) return false
  return !when || when(facts) !== false
}

function refusalBy({ name, source, message, mode }: Omit<ForbidRule, 'endpoints'>): Refusal {
  return {
    reason: 'forbidden',
    message: message ?? `forbidden by the rule ${name}`,
    rule: name,
    ruleSource: source,
    ...(mode && { mode }),
  }
}
