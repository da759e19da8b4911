import type { Facts } from '../../segmentation/facts.js'
import type { MatrixVerdict } from '../../segmentation/evaluate.js'
import { documentOf, type DraftPolicy } from './draft-policy.js'
import type { Edit } from './edit.js'
import { endpointEdits } from './endpoint-edits.js'
import { forbidEdits } from './forbid-edits.js'
import { allowEdits, ruleEdits, scopeEdits } from './rule-edits.js'

/**
 * Changes of one place that could take away what a verdict refuses, narrow ones first. None turns a mode or an identity
 * off, goes past a condition on risk, device, session or sign-in, or writes `any` or a wildcard; nothing is promised of
 * them, whoever takes one tries it.
 */
export function candidates(draft: DraftPolicy, facts: Facts, verdict: MatrixVerdict): Edit[] {
  if (verdict.permit) return []
  const { refusal } = verdict
  const { reason } = refusal
  if (reason === 'call-not-allowed') return callEdits(draft, facts)
  // A baseline's rule opens more than a service's own, so it is touched only where no document speaks for the caller.
  if (reason === 'caller-unknown') return allowEdits(draft, facts)
  if (reason === 'endpoint-not-exposed') {
    const known = facts.caller !== undefined || facts.endpoint !== undefined
    return [...endpointEdits(draft, facts), ...(known ? [] : allowEdits(draft, facts))]
  }
  if (reason === 'rule-not-matched') return ruleEdits(draft, facts)
  if (reason === 'scope-missing') return scopeEdits(draft, facts, refusal)
  return reason === 'forbidden' ? forbidEdits(draft, facts, refusal) : []
}

/** The caller's half. */
function callEdits(draft: DraftPolicy, { caller, target, endpoint }: Facts): Edit[] {
  const own = documentOf(draft, caller?.id)
  const callee = documentOf(draft, target.id)
  if (!own || !callee || !endpoint || !target.service) return []
  const { metadata, spec } = own.written
  const namespace = metadata.namespace ?? 'default'
  const name = target.service.namespace === namespace ? target.service.name : target.service.id
  const edits: Edit[] = (spec.calls ?? []).flatMap((call, index): Edit[] => {
    if (!call.endpoints || (call.service !== name && call.service !== target.service?.id)) return []
    const say = `let ${own.written.metadata.name} call ${endpoint.name} of ${name} too`
    const at = ['spec', 'calls', index, 'endpoints']
    return [{ document: own.index, op: 'append', at, values: [endpoint.name], say }]
  })
  const say = `let ${metadata.name} call ${name}, through ${endpoint.name} alone`
  const value = { service: name, endpoints: [endpoint.name] }
  if (edits.length === 0)
    edits.push({ document: own.index, op: 'append', at: ['spec', 'calls'], values: [value], say })
  return edits
}
