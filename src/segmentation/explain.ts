import type { Refusal, Step } from '../decision/decision.js'
import type { AccessRequest } from '../request/access-request.js'
import type { Baseline, CompiledEndpoint, CompiledService, PermitRule } from './compiled.js'
import type { Consent } from './consent.js'
import { endpointsNear } from './endpoint-index.js'
import type { Facts } from './facts.js'
import { matchFrom } from './from.js'
import type { Target } from './matrix.js'

/** `GET /api/payments`, or the port of a TCP connection. */
export function requestWords({ http, destination }: AccessRequest, target: Target): string {
  if (!http) return `TCP port ${destination.port}`
  return `${http.upgrade ? 'an upgrade by ' : ''}${http.method} ${target.path}`
}

/** Which forbids were looked at and which of them matched. */
export function explainForbids(
  steps: Step[],
  service: CompiledService | undefined,
  baseline: Baseline,
  refusal: Refusal | undefined,
  shadowed: Refusal | undefined,
): void {
  const asked = baseline.forbid.length + (service?.forbids.length ?? 0)
  const detail = refusal
    ? `${refusal.rule} (${refusal.ruleSource}) matches: ${refusal.message}`
    : `none of ${asked} that concern the target matches`
  if (refusal || !shadowed) steps.push({ step: 'forbids', outcome: refusal ? 'fail' : 'pass', detail })
  if (shadowed) {
    const mode = `${shadowed.rule} (${shadowed.ruleSource}) matches, and its own mode ${shadowed.mode} lets the call pass`
    steps.push({ step: 'forbids', outcome: 'info', detail: mode })
  }
}

/** Why the target has no endpoint for a request, with what stands at the same path. */
export function explainUnexposed(service: CompiledService | undefined, { target, request }: Facts): string {
  if (!service) return `no ServicePolicy names ${target.id ?? 'the target'}`
  const asked = requestWords(request, target)
  const near = endpointsNear(service.endpointIndex, target.path, request.http !== undefined)
  if (near.length === 0) return `${service.id} exposes nothing at ${asked}`
  const there = [...new Set(near.map(endpointWords))].join('; ')
  return `${service.id} does not expose ${asked}; there it exposes ${there}`
}

function endpointWords({ name, protocol, methods, ports }: CompiledEndpoint): string {
  const how = [protocol === 'HTTP' ? '' : protocol, methods.join(' ')].filter((word) => word !== '').join(' ')
  const where = ports.length > 0 ? ` on port ${ports.join(', ')}` : ''
  return `${name} (${how === '' ? 'gRPC' : how}${where})`
}

/** Which rule let the call in, or which came nearest and what it missed. */
export function explainConsent(
  steps: Step[],
  service: CompiledService,
  endpoint: CompiledEndpoint,
  consent: Consent | undefined,
  facts: Facts,
): void {
  if (consent?.by === 'rule') {
    steps.push({
      step: 'rules',
      outcome: 'pass',
      detail: `${consent.rule.name} (${consent.rule.source}) matches`,
    })
    return
  }
  if (service.rules.length === 0) {
    const outcome = consent ? 'pass' : 'fail'
    const whose = consent ? 'is' : 'is not'
    const detail = `${service.id} has no rules, and the caller ${whose} a service of its namespace`
    steps.push({ step: 'rules', outcome, detail })
    return
  }
  let nearest: { rule: PermitRule; passed: number; missed: string } | undefined
  for (const rule of service.rules) {
    const miss = missOf(rule, endpoint, facts)
    if (!nearest || miss.passed > nearest.passed) nearest = { rule, ...miss }
  }
  const which = nearest ? `; nearest is ${nearest.rule.name} (${nearest.rule.source}): ${nearest.missed}` : ''
  steps.push({ step: 'rules', outcome: 'fail', detail: `none of ${service.rules.length} matches${which}` })
}

/** How much of a rule that does not match holds, and what does not. */
function missOf(
  rule: PermitRule,
  endpoint: CompiledEndpoint,
  facts: Facts,
): { passed: number; missed: string } {
  const misses: string[] = []
  let passed = 0
  const callers = new Set(rule.from.map((element) => matchFrom(element, facts)))
  if (callers.has(true)) passed += 2
  else
    misses.push(
      callers.has(undefined) ? 'from can not be known of this caller' : 'from does not name the caller',
    )
  if (rule.endpoints?.includes(endpoint.index) ?? true) passed += 1
  else misses.push(`to does not name ${endpoint.name}`)
  const holds = rule.when ? rule.when(facts) : true
  if (holds) passed += 1
  else misses.push(holds === undefined ? 'when can not be evaluated' : 'when does not hold')
  return { passed, missed: misses.join(', ') }
}
