import type { RuleSource } from '../../decision/decision.js'
import type { RequestPattern } from '../../segmentation/to.js'
import { callerSet, coversCallers, type CallerSet } from './caller-sets.js'
import type { Tell } from './finding.js'
import type { BaselineDocument, Forbid, LintedMesh, LintedService, Permit } from './linted-mesh.js'

/** Pairs of rules of one service that are compared; a service with more rules is told so. */
const MAX_PAIRS = 250_000

type Compared = {
  readonly index: number
  readonly name: string
  /** Undefined: everyone. */
  readonly callers: readonly CallerSet[] | undefined
  /** Undefined: every endpoint. */
  readonly endpoints: ReadonlySet<string> | undefined
  /** Each condition as one text. */
  readonly when: ReadonlySet<string>
  readonly grants: readonly string[]
  readonly mode: string | undefined
}

/** Rules that say nothing which an earlier one doesn't say, and permits that a forbid always beats. */
export function findShadowedRules(mesh: LintedMesh, tell: Tell): void {
  const baseline = baselineForbids(mesh)
  for (const service of mesh.services.values()) {
    const { rules = [], forbid = [] } = service.document.spec
    if (rules.length + forbid.length === 0) continue
    const beating = forbid.length > 0 || service.compiled.baseline.forbid.length > 0
    if (rules.length < 2 && forbid.length < 2 && !beating) continue
    const { source } = service.document
    if (rules.length ** 2 + forbid.length ** 2 + rules.length * forbid.length > MAX_PAIRS) {
      const message = `${service.id} has too many rules to be compared with each other`
      tell(source, ['spec', 'rules'], { severity: 'info', code: 'too-many-rules', message })
      continue
    }
    const permits = rules.map((rule, index) => permitOf(rule, index, service, mesh))
    const forbids = forbid.map((rule, index) => forbidOf(rule, index, service.namespace, mesh))
    tellShadowed(permits, 'rules', service, tell)
    tellShadowed(forbids, 'forbid', service, tell)
    const meshWide = service.compiled.baseline.forbid.flatMap(({ source: written, to }) =>
      !to || to.some(asksNothing) ? (baseline.get(written) ?? []) : [],
    )
    for (const permit of permits) {
      const beaten = [...forbids, ...meshWide].find((rule) => beats(rule, permit))
      if (!beaten) continue
      tell(source, ['spec', 'rules', permit.index], {
        severity: 'warning',
        code: 'beaten-rule',
        message: `the rule ${permit.name} lets nobody in: whoever it means, ${beaten.name} forbids`,
      })
    }
  }
}

function asksNothing({ paths, methods, grpc, ports }: RequestPattern): boolean {
  return !paths && !methods && !grpc && !ports
}

function tellShadowed(
  rules: readonly Compared[],
  list: 'rules' | 'forbid',
  { document }: LintedService,
  tell: Tell,
): void {
  const needs = new Map(
    (document.spec.endpoints ?? []).map(({ name, workloadScopes = [] }) => [name, workloadScopes]),
  )
  const gone = new Set<Compared>()
  const cover = (rule: Compared, among: readonly Compared[]): Compared | undefined =>
    among.find((other) => !gone.has(other) && covers(other, rule, needs))
  for (const rule of rules) {
    const other = cover(rule, rules.slice(0, rule.index))
    if (!other) continue
    gone.add(rule)
    tell(document.source, ['spec', list, rule.index], {
      severity: 'warning',
      code: 'shadowed-rule',
      message: `the rule ${rule.name} never decides: ${other.name}, before it, means all that it means`,
      hint: `take it out, or narrow ${other.name}`,
    })
  }
  for (const rule of rules) {
    const other = gone.has(rule) ? undefined : cover(rule, rules.slice(rule.index + 1))
    if (!other) continue
    gone.add(rule)
    tell(document.source, ['spec', list, rule.index], {
      severity: 'info',
      code: 'redundant-rule',
      message: `the rule ${rule.name} adds nothing: ${other.name} means all that it means`,
    })
  }
}

function covers(outer: Compared, inner: Compared, needs: ReadonlyMap<string, readonly string[]>): boolean {
  if (outer.mode !== undefined && outer.mode !== 'Enforce' && outer.mode !== inner.mode) return false
  if (outer.mode === undefined && inner.mode === 'Enforce') return false
  for (const condition of outer.when) if (!inner.when.has(condition)) return false
  if (!coversEndpoints(outer, inner) || !coversAll(outer.callers, inner.callers)) return false
  const missed = inner.grants.filter((scope) => !outer.grants.includes(scope))
  if (missed.length === 0) return true
  const reached = inner.endpoints ?? needs.keys()
  for (const name of reached) if (needs.get(name)?.some((scope) => missed.includes(scope))) return false
  return true
}

/** A forbid that is not only watched, has no conditions and means everything that the permit means. */
function beats(forbid: Compared, permit: Compared): boolean {
  return (
    (forbid.mode === undefined || forbid.mode === 'Enforce') &&
    forbid.when.size === 0 &&
    coversEndpoints(forbid, permit) &&
    coversAll(forbid.callers, permit.callers)
  )
}

function coversEndpoints({ endpoints: outer }: Compared, { endpoints: inner }: Compared): boolean {
  if (!outer) return true
  if (!inner) return false
  for (const name of inner) if (!outer.has(name)) return false
  return true
}

function coversAll(
  outer: readonly CallerSet[] | undefined,
  inner: readonly CallerSet[] | undefined,
): boolean {
  if (!outer) return true
  return inner?.every((element) => outer.some((wider) => coversCallers(wider, element))) ?? false
}

function permitOf(rule: Permit, index: number, { namespace }: LintedService, mesh: LintedMesh): Compared {
  const { name, from, to, when = [], grantScopes = [] } = rule
  return {
    index,
    name,
    callers: from.map((element) => callerSet(element, namespace, mesh.services)),
    endpoints: to && new Set(to.flatMap(({ endpoints }) => endpoints)),
    when: new Set(when.map((condition) => JSON.stringify(condition))),
    grants: grantScopes,
    mode: undefined,
  }
}

type AnyForbid = Pick<Forbid, 'name' | 'from' | 'when' | 'mode'> & Partial<Pick<Forbid, 'to'>>

function forbidOf(rule: AnyForbid, index: number, namespace: string | undefined, mesh: LintedMesh): Compared {
  const { name, from, to, when = [], mode } = rule
  return {
    index,
    name,
    callers: from?.map((element) => callerSet(element, namespace, mesh.services)),
    endpoints: to && new Set(to.flatMap(({ endpoints }) => endpoints)),
    when: new Set(when.map((condition) => JSON.stringify(condition))),
    grants: [],
    mode,
  }
}

/** By the place that compiled rules name; `to` is left to them. */
function baselineForbids({
  documents,
  services,
  policy,
  namespaces,
}: LintedMesh): ReadonlyMap<RuleSource, Compared> {
  const found = new Map<RuleSource, Compared>()
  const mesh = { documents, services, policy, namespaces }
  const known = new Set(
    Array.from(services.values()).flatMap(({ compiled }) =>
      compiled.baseline.forbid.map(({ source }) => source),
    ),
  )
  for (const document of documents) {
    if (document.kind !== 'BaselinePolicy') continue
    for (const [index, rule] of (document.spec.forbid ?? []).entries()) {
      const source = placeIn(known, document, index)
      const { to: _to, ...rest } = rule
      if (source !== undefined) found.set(source, forbidOf(rest, index, undefined, mesh))
    }
  }
  return found
}

/** Compiled rules name their file from the policy's folder on, documents as it was opened. */
function placeIn(
  known: ReadonlySet<RuleSource>,
  { source }: BaselineDocument,
  index: number,
): RuleSource | undefined {
  const { file, line, column } = source.positionOf(['spec', 'forbid', index])
  const whole = `${file}:${line}:${column}`
  if (known.has(whole)) return whole
  for (const place of known) if (whole.endsWith(`/${place}`)) return place
  return undefined
}
