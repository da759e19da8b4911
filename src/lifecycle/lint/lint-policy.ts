import { findConstant } from './constant-conditions.js'
import { findUnreachable } from './endpoint-reach.js'
import { sortFindings, type Finding, type Tell } from './finding.js'
import { lintedMesh, type Issuers, type Loaded } from './linted-mesh.js'
import { findPartialEdges } from './partial-edges.js'
import { findCostly } from './rule-costs.js'
import { findScopes } from './scopes.js'
import { findShadowedRules } from './shadowed-rules.js'
import { Suggestions } from './suggestions.js'
import type { TrafficUse } from './traffic-use.js'
import { findUnknownNames } from './unknown-names.js'
import { findUnmeetable } from './unmeetable-conditions.js'
import { findUserFaults } from './users.js'
import { findWideCallers } from './wide-callers.js'

export type LintOptions = {
  /** Undefined: what tokens can say is not known, and nothing is concluded from it. */
  readonly issuers?: Issuers | undefined
  /** Of the same policy; what was recorded went through it. */
  readonly traffic?: TrafficUse | undefined
  readonly nowMs: number
}

/**
 * What is doubtful in a policy that loads: the warnings of the load, and what only a look at all documents shows.
 * Sorted by place. A finding at one place with one code and message is told once.
 */
export function lintPolicy(loaded: Loaded, { issuers, traffic, nowMs }: LintOptions): Finding[] {
  const findings: Finding[] = [...loaded.warnings]
  const tell: Tell = (source, pointer, finding) =>
    findings.push({ ...finding, position: source.positionOf(pointer) })
  const mesh = lintedMesh(loaded)
  const suggestions = new Suggestions()
  findUnreachable(mesh, tell)
  findShadowedRules(mesh, tell)
  findUnmeetable(mesh, nowMs, tell)
  findConstant(mesh, tell)
  findWideCallers(mesh, tell)
  findPartialEdges(mesh, tell)
  findUnknownNames(mesh, suggestions, tell)
  findScopes(mesh, issuers, tell)
  findUserFaults(mesh, issuers, suggestions, tell)
  findCostly(mesh.documents, tell)
  traffic?.tellUnused(tell)
  return once(sortFindings(findings))
}

function once(sorted: readonly Finding[]): Finding[] {
  const seen = new Set<string>()
  return sorted.filter(({ code, message, position }) => {
    const key = JSON.stringify([position, code, message])
    return !seen.has(key) && seen.add(key)
  })
}
