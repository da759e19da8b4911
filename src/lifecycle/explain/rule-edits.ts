import type { Refusal } from '../../decision/decision.js'
import { compiledEndpoint, compiledService } from '../../segmentation/compiled.js'
import type { Facts } from '../../segmentation/facts.js'
import type { Condition } from '../../segmentation/when/condition.js'
import { documentOf, type DraftPolicy, placeOf } from './draft-policy.js'
import type { Edit } from './edit.js'
import { missesOf, type RuleMiss } from './nearest-miss.js'
import { freshName } from './fresh-name.js'
import type { Part } from './part.js'
import { isProtective, type Keeps, keepsOf } from './protection.js'

/** Of many rules only the nearest are tried. */
const MOST_RULES = 12

/**
 * The target's consent: a value more in a condition, a caller or an endpoint more in a rule, or a rule more. None lets in
 * past a condition on risk, device, session or sign-in.
 */
export function ruleEdits(draft: DraftPolicy, facts: Facts): Edit[] {
  return [...widened(draft, facts, 'rule'), ...newRule(draft, facts)]
}

/** A caller more in a baseline allow that already means such requests. */
export function allowEdits(draft: DraftPolicy, facts: Facts): Edit[] {
  return widened(draft, facts, 'allow')
}

function widened(draft: DraftPolicy, facts: Facts, of: RuleMiss['kind']): Edit[] {
  const misses = missesOf(draft, facts)
  const keeps = keepsOf(misses, of)
  const near = misses.filter(({ kind }) => kind === of).slice(0, MOST_RULES)
  return near.flatMap((miss) => widen(facts, miss, keeps))
}

function widen(facts: Facts, miss: RuleMiss, keeps: Keeps): Edit[] {
  const { when = [] } = miss.written
  if (!keeps(when)) return []
  const unmet = miss.parts.filter(({ part, met }) => met !== true && part !== 'scopes')
  const [only] = unmet
  const { document, at } = miss.place
  if (unmet.length !== 1 || !only) return []
  if (only.part === 'from') return callerTo(facts, miss)
  if (only.part === 'to') {
    const { endpoint } = facts
    if (miss.kind !== 'rule' || !endpoint) return []
    const say = `let the rule ${miss.name} mean ${endpoint.name} too`
    const list = [...at, 'to', 0, 'endpoints']
    return [{ document, op: 'append', at: list, values: [endpoint.name], say }]
  }
  const condition = only.index === undefined ? undefined : when[only.index]
  if (only.admit === undefined || !condition || isProtective(condition)) return []
  const { field, value } = only.admit
  const say = `let the condition on ${only.key} of ${miss.name} hold for ${value} too`
  return [
    { document, op: 'append', at: [...at, 'when', when.indexOf(condition), field], values: [value], say },
  ]
}

/** Into an element that names nothing but services, else as an element of its own. */
function callerTo({ caller, identity }: Facts, { place, written, name, kind }: RuleMiss): Edit[] {
  const { workload } = identity
  if (!workload) return []
  const id = caller && compiledService(caller)?.id
  const list = written.from.findIndex(
    ({ services, ...others }) => services && Object.keys(others).length === 0,
  )
  const say = `let the rule ${name} mean ${id ?? workload.spiffeId.text} too`
  const at = [...place.at, 'from']
  if (id === undefined || !caller) {
    const value = { identities: [workload.spiffeId.text] }
    return [{ document: place.document, op: 'append', at, values: [value], say }]
  }
  const service = kind === 'rule' && caller.namespace === place.namespace ? caller.name : id
  return list >= 0
    ? [{ document: place.document, op: 'append', at: [...at, list, 'services'], values: [service], say }]
    : [{ document: place.document, op: 'append', at, values: [{ services: [service] }], say }]
}

/**
 * A rule for this caller and this endpoint. Where there was none, neighbours could call without one: a rule for them
 * goes first, so that nobody loses anything.
 */
function newRule(draft: DraftPolicy, facts: Facts): Edit[] {
  const { caller, endpoint: chosen, identity, target } = facts
  const own = documentOf(draft, target.id)
  const endpoint = compiledEndpoint(chosen)
  if (!own || !endpoint || !target.service) return []
  const from = fromOf(facts)
  const misses = missesOf(draft, facts)
  if (!from || !keepsOf(misses, 'rule')(from.when)) return []
  const rules = own.written.spec.rules ?? []
  const taken = new Set(rules.map(({ name }) => name))
  const granted = identity.serviceToken || !identity.workload ? [] : endpoint.workloadScopes
  const rule = {
    name: freshName(`${caller?.name ?? (identity.workload ? 'workload' : 'users')}-${endpoint.name}`, taken),
    ...from,
    to: [{ endpoints: [endpoint.name] }],
    ...(granted.length > 0 && { grantScopes: granted }),
  }
  const neighbours = {
    name: freshName('neighbours', taken),
    from: [{ namespaces: [target.service.namespace] }],
  }
  const values = rules.length > 0 ? [rule] : [neighbours, rule]
  const more = rules.length > 0 ? '' : ', and another that keeps what services of its namespace may do'
  const conditional = misses.find(({ kind, parts }) => kind === 'rule' && onlyConditions(parts))
  const without = conditional ? `, without the conditions of ${conditional.name}` : ''
  const say = `add the rule ${rule.name} to ${own.written.metadata.name}${without}${more}`
  return [{ document: own.index, op: 'append', at: ['spec', 'rules'], values, say }]
}

/** A rule for this very caller and endpoint whose conditions alone keep it out. */
function onlyConditions(parts: readonly Part[]): boolean {
  return parts.every(({ part, met }) => met === true || part === 'when')
}

/** The caller by name; without a workload the user by what tells it from others. */
function fromOf({
  caller,
  identity,
  target,
}: Facts): { readonly from: unknown[]; readonly when?: Condition[] } | undefined {
  const { workload, user } = identity
  if (caller) {
    const name = caller.namespace === target.service?.namespace ? caller.name : caller.id
    return { from: [{ services: [name] }] }
  }
  if (workload || !user) return undefined
  const key = user.roles.length > 0 ? 'user.roles' : 'user.id'
  const values = user.roles.length > 0 ? user.roles.slice(0, 1) : [user.subject]
  if (values.some((value) => value.includes('*'))) return undefined
  return { from: [{ users: true }], when: [{ key, values }] }
}

/** Workload scopes that the rule which lets the call in does not grant; a token's or a user's are its issuer's matter. */
export function scopeEdits(draft: DraftPolicy, facts: Facts, refusal: Refusal): Edit[] {
  const { identity, endpoint: chosen } = facts
  const endpoint = compiledEndpoint(chosen)
  if (identity.serviceToken || !endpoint || refusal.scopes) return []
  const place = placeOf(refusal.ruleSource)
  if (!place) return newRule(draft, facts)
  const misses = missesOf(draft, facts)
  const miss = misses.find(
    (each) => each.place.document === place.document && each.place.at.join() === place.at.join(),
  )
  if (miss && !keepsOf(misses, miss.kind)(miss.written.when)) return []
  const held = new Set(miss?.written.grantScopes)
  const values = endpoint.workloadScopes.filter((scope) => !held.has(scope))
  const say = `let the rule ${refusal.rule} grant ${values.join(', ')}`
  const edit: Edit = { document: place.document, op: 'append', at: [...place.at, 'grantScopes'], values, say }
  return [edit, ...newRule(draft, facts)]
}
