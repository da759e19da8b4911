import type { Examined } from '../examined.js'
import { fixedHeaders } from '../header-patterns.js'
import { flagOf, items, member, takenAway } from '../part.js'

export function clearRouteCache({ asks, tell }: Examined): void {
  for (const { filter } of asks) {
    const at = member(filter.message, 'clear_route_cache')
    if (flagOf(at) !== true) continue
    tell({
      severity: 'error',
      code: 'clear-route-cache',
      message: 'clear_route_cache is true',
      why: 'Envoy chooses the route anew after the decision, with the headers that the answer set: the call may go where nobody was asked about.',
      where: filter.where,
      at,
      fix: { into: filter.message, called: 'ExtAuthz', set: { clear_route_cache: false } },
    })
  }
}

export function headerMutation({ asks, tell }: Examined): void {
  for (const { filter } of asks) {
    const rules = member(filter.message, 'decoder_header_mutation_rules')
    const fixed = fixedHeaders(rules)
    if (fixed.length === 0) continue
    const set = takenAway(rules, 'disallow_all', 'disallow_expression')
    tell({
      severity: 'error',
      code: 'header-mutation',
      message: `decoder_header_mutation_rules keep Portcullis from setting ${fixed.join(', ')}`,
      why: "A caller's own copies of these headers reach the application, which takes them for Portcullis'.",
      where: filter.where,
      at: member(rules, Object.keys(set)[0] ?? ''),
      fix: { into: rules, called: 'decoder_header_mutation_rules of ExtAuthz', set },
    })
  }
}

/** What the access logs tell of a decision. */
export function loggedDecision({ asks, tell }: Examined): void {
  for (const { filter, http } of asks) {
    const dropped = member(filter.message, 'enable_dynamic_metadata_ingestion')
    if (flagOf(dropped) === false) {
      tell({
        severity: 'warning',
        code: 'metadata-dropped',
        message: 'enable_dynamic_metadata_ingestion is false',
        why: 'The id and the reason of a decision are missing in access logs, so a line and a security event cannot be joined, and Portcullis does not hear what became of a call.',
        where: filter.where,
        at: dropped,
        fix: { into: filter.message, called: 'ExtAuthz', set: { enable_dynamic_metadata_ingestion: true } },
      })
    }
    if (!http) continue
    const logs = items(member(http.part, 'access_log')).find(({ value }) =>
      JSON.stringify(value).includes(`FILTER_STATE(${filter.name}:`),
    )
    const emitted = member(filter.message, 'emit_filter_state_stats')
    if (!logs || flagOf(emitted) === true) continue
    tell({
      severity: 'warning',
      code: 'latency-unknown',
      message: 'the access log asks for the time of the decision, and emit_filter_state_stats is not true',
      why: 'The field is always empty.',
      where: filter.where,
      at: emitted,
      fix: { into: filter.message, called: 'ExtAuthz', set: { emit_filter_state_stats: true } },
    })
  }
}
