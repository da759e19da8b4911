import type { Refusal } from '../../decision/decision.js'
import type { Facts } from '../../segmentation/facts.js'
import { type DraftPolicy, placeOf, type Written } from './draft-policy.js'
import type { Edit } from './edit.js'
import { isProtective } from './protection.js'

type Forbid = NonNullable<Written['spec']['forbid']>[number]

/**
 * Ways out of a forbid: not for this caller, not for this endpoint, or not at all; none out of one that asks about risk,
 * device, session or sign-in.
 */
export function forbidEdits(draft: DraftPolicy, facts: Facts, refusal: Refusal): Edit[] {
  const place = placeOf(refusal.ruleSource)
  const document = place && draft.documents.get(place.document)
  const [, list, index] = place?.at ?? []
  if (!place || !document || list !== 'forbid' || typeof index !== 'number') return []
  const rule = document.spec.forbid?.[index]
  if (!rule || rule.when?.some(isProtective)) return []
  const about = { document: place.document }
  const edits: Edit[] = []
  const { caller, endpoint } = facts
  const namespace = document.kind === 'ServicePolicy' ? (document.metadata.namespace ?? 'default') : undefined
  if (caller) {
    const named = namesOf(rule, caller.id, namespace)
    const say = `let the forbid ${rule.name} not mean ${caller.id}`
    if (named) edits.push({ ...about, op: 'remove', at: [...place.at, 'from', ...named], say })
    else {
      const exempt = { key: 'workload.service', notValues: [caller.id] }
      edits.push({ ...about, op: 'append', at: [...place.at, 'when'], values: [exempt], say })
    }
  }
  const meant = endpoint && endpointIn(rule, endpoint.name)
  if (meant && endpoint) {
    const say = `let the forbid ${rule.name} not mean ${endpoint.name}`
    edits.push({ ...about, op: 'remove', at: [...place.at, 'to', ...meant], say })
  }
  const isOnly = document.spec.forbid?.length === 1
  const at = isOnly ? place.at.slice(0, -1) : place.at
  edits.push({ ...about, op: 'remove', at, say: `take the forbid ${rule.name} out` })
  return edits
}

/** Where the caller is one of several that an element names. */
function namesOf(rule: Forbid, id: string, namespace: string | undefined): (string | number)[] | undefined {
  for (const [element, { services = [] }] of (rule.from ?? []).entries()) {
    const index = services.findIndex((name) => (name.includes('/') ? name : `${namespace}/${name}`) === id)
    if (index >= 0 && services.length > 1) return [element, 'services', index]
  }
  return undefined
}

function endpointIn({ to = [] }: Forbid, name: string): (string | number)[] | undefined {
  for (const [element, target] of to.entries()) {
    const names = 'endpoints' in target ? target.endpoints : []
    const index = names.indexOf(name)
    if (index >= 0 && names.length > 1) return [element, 'endpoints', index]
  }
  return undefined
}
