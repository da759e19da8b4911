import type { Refusal, RuleSource, Steps } from '../decision/decision.js'
import type { AccessRequest } from '../request/access-request.js'
import { operationOfMethod } from './compile-endpoints.js'
import { compiledEndpoint, type CompiledEndpoint, compiledService, type CompiledService } from './compiled.js'
import { type Consent, findAllow, findConsent } from './consent.js'
import { endpointOf } from './endpoint-index.js'
import { explainConsent, explainForbids, explainUnexposed, requestWords } from './explain.js'
import type { Facts } from './facts.js'
import { findForbids } from './forbid.js'
import type { Endpoint, Matrix, Service, Target } from './matrix.js'
import { checkRequirement } from './requirement.js'
import { serviceOfIdentity } from './service-identity.js'

/** What the matrix says of one call. */
export type MatrixVerdict =
  | {
      readonly permit: true
      readonly endpoint?: Endpoint | undefined
      /** Absent where neighbours may call each other without a rule. */
      readonly rule?: string | undefined
      readonly ruleSource?: RuleSource | undefined
      /** A forbid that matched and whose own mode lets the call pass. */
      readonly shadowed?: Refusal | undefined
    }
  | {
      readonly permit: false
      readonly endpoint?: Endpoint | undefined
      readonly refusal: Refusal
      readonly shadowed?: Refusal | undefined
    }

/** The one endpoint of a request on its target, before anything else is known. Source: FORMATS 1, rule 2. */
export function chooseEndpoint(target: Target, request: AccessRequest): Endpoint | undefined {
  const service = compiledService(target.service)
  return service && endpointOf(service.endpointIndex, target.path, request)
}

/** What the call does, where no endpoint says it by its method; a TCP connection may write. */
export function operationOf(endpoint: Endpoint | undefined, request: AccessRequest): Endpoint['operation'] {
  if (endpoint) return endpoint.operation
  return request.http?.upgrade ? 'Write' : operationOfMethod(request.http?.method)
}

/**
 * Decides one call by the matrix: forbids, endpoint, required identities, the caller's half, the target's
 * half, scopes. The mode of the target is not applied. `facts.endpoint` is what `chooseEndpoint` found.
 * Source: FORMATS 1, rules 1 to 9.
 */
export function evaluateMatrix(matrix: Matrix, facts: Facts, steps?: Steps): MatrixVerdict {
  const service = compiledService(facts.target.service)
  const endpoint = compiledEndpoint(facts.endpoint)
  const baseline = service?.baseline ?? matrix.baselineOfUnknown

  const { refusal: forbidden, shadowed } = findForbids(service, baseline, facts)
  if (steps) explainForbids(steps, service, baseline, forbidden, shadowed)
  if (forbidden) return { permit: false, endpoint, refusal: forbidden, shadowed }

  const allow = endpoint ? undefined : findAllow(baseline.allow, endpoint, facts)
  if (!endpoint && !allow) {
    const refusal = whyUnexposed(service, facts)
    steps?.push({ step: 'endpoint', outcome: 'fail', detail: explainUnexposed(service, facts) })
    return { permit: false, endpoint, refusal, shadowed }
  }
  steps?.push({
    step: 'endpoint',
    outcome: 'pass',
    detail: endpoint?.name ?? 'none, a baseline allow stands for it',
  })

  const required = endpoint?.require ?? service?.require ?? matrix.defaults.require
  const unidentified = checkRequirement(required, endpoint, facts)
  steps?.push({
    step: 'requirement',
    outcome: unidentified ? 'fail' : 'pass',
    detail: unidentified?.message ?? `require: ${required} is met`,
  })
  if (unidentified) return { permit: false, endpoint, refusal: unidentified, shadowed }

  const agreed =
    endpoint && service
      ? agree(matrix, service, endpoint, facts, steps)
      : (allow ?? whyUnexposed(service, facts))
  if ('reason' in agreed) return { permit: false, endpoint, refusal: agreed, shadowed }
  const lacking = lackingScopes(agreed, endpoint, facts)
  steps?.push({
    step: 'scopes',
    outcome: lacking ? 'fail' : 'pass',
    detail: lacking?.message ?? 'every scope that the endpoint asks for is held',
  })
  if (lacking) return { permit: false, endpoint, refusal: lacking, shadowed }
  const rule = agreed.by === 'rule' ? agreed.rule : undefined
  return { permit: true, endpoint, rule: rule?.name, ruleSource: rule?.source, shadowed }
}

/**
 * Whether the trusted proxy that names the caller may make the call too: forbids, its `calls`, the target's
 * consent. Scopes and requirements are the caller's. Undefined where the caller is the peer itself.
 * Source: FORMATS 2 `listeners[].trustedProxies`.
 */
export function evaluateProxy(
  matrix: Matrix,
  facts: Facts,
  steps?: Steps,
): { readonly refusal: Refusal | undefined; readonly shadowed: Refusal | undefined } | undefined {
  const { workload, user } = facts.identity
  if (!workload?.via) return undefined
  const { spiffeId } = workload.via
  const proxy: Facts = {
    ...facts,
    identity: { workload: { spiffeId, verifiedBy: 'certificate' }, serviceToken: undefined, user },
    caller: serviceOfIdentity(matrix, spiffeId),
  }
  const own: Steps = steps && []
  const { refusal, shadowed } = proxyEdge(matrix, proxy, own)
  for (const step of own ?? []) steps?.push({ ...step, step: `proxy ${step.step}` })
  const worded = refusal && { ...refusal, message: `the proxy ${spiffeId.text}: ${refusal.message}` }
  return { refusal: worded, shadowed }
}

function proxyEdge(
  matrix: Matrix,
  facts: Facts,
  steps: Steps,
): { readonly refusal: Refusal | undefined; readonly shadowed: Refusal | undefined } {
  const service = compiledService(facts.target.service)
  const endpoint = compiledEndpoint(facts.endpoint)
  const baseline = service?.baseline ?? matrix.baselineOfUnknown
  const { refusal: forbidden, shadowed } = findForbids(service, baseline, facts)
  if (steps) explainForbids(steps, service, baseline, forbidden, shadowed)
  if (forbidden) return { refusal: forbidden, shadowed }
  const agreed =
    endpoint && service
      ? agree(matrix, service, endpoint, facts, steps)
      : (findAllow(baseline.allow, endpoint, facts) ?? whyUnexposed(service, facts))
  return { refusal: 'reason' in agreed ? agreed : undefined, shadowed }
}

/** Both halves of the documents, or the baseline's word for both. */
function agree(
  matrix: Matrix,
  service: CompiledService,
  endpoint: CompiledEndpoint,
  facts: Facts,
  steps: Steps,
): Consent | Refusal {
  const own = bothHalves(matrix, service, endpoint, facts, steps)
  if (!('reason' in own) && own.missingScopes.length === 0) return own
  const allow = findAllow(service.baseline.allow, endpoint, facts)
  if (!allow) return own
  if (allow.missingScopes.length > 0 && !('reason' in own)) return own
  const detail = `the baseline's ${allow.rule.name} (${allow.rule.source}) stands for both halves`
  steps?.push({ step: 'baseline', outcome: 'pass', detail })
  return allow
}

/** Whether the caller's `calls` name the target, through whichever endpoint; a service knows the way to itself. */
export function hasEdge(matrix: Matrix, caller: Service | undefined, target: Target): boolean {
  const from = compiledService(caller)
  const to = compiledService(target.service)
  if (!from || !to) return false
  return from === to || matrix.calls.find(from.index, to.index, undefined) !== 'not-called'
}

/** The caller's `calls` and the target's consent, where a workload is there; else consent alone. */
function bothHalves(
  matrix: Matrix,
  service: CompiledService,
  endpoint: CompiledEndpoint,
  facts: Facts,
  steps: Steps,
): Consent | Refusal {
  const caller = compiledService(facts.caller)
  const uncalled = facts.identity.workload && whyNotCalled(matrix, caller, service, endpoint, facts)
  if (uncalled) steps?.push({ step: 'calls', outcome: 'fail', detail: uncalled.message })
  else if (caller) steps?.push({ step: 'calls', outcome: 'pass', detail: `${caller.id} calls ${service.id}` })
  else steps?.push({ step: 'calls', outcome: 'skip', detail: 'without a workload there is no caller to ask' })
  if (uncalled) return uncalled

  const consent = findConsent(service, endpoint, caller, facts, matrix.localTrustDomain)
  if (steps) explainConsent(steps, service, endpoint, consent, facts)
  if (consent) return consent
  const rules = service.rules.length > 0 ? `none of the rules of ${service.id} matches` : undefined
  return {
    reason: 'rule-not-matched',
    message: rules ?? `${service.id} has no rules, so only services of its own namespace may call it`,
  }
}

function whyNotCalled(
  matrix: Matrix,
  caller: CompiledService | undefined,
  service: CompiledService,
  endpoint: CompiledEndpoint,
  { identity }: Facts,
): Refusal | undefined {
  if (!caller) {
    return { reason: 'caller-unknown', message: `no ServicePolicy names ${identity.workload?.spiffeId.text}` }
  }
  const edge = matrix.calls.find(caller.index, service.index, endpoint.index)
  if (edge === 'called') return undefined
  const through = edge === 'other-endpoints' ? ` through the endpoint ${endpoint.name}` : ''
  return {
    reason: 'call-not-allowed',
    message: `the calls of ${caller.id} do not name ${service.id}${through}`,
  }
}

function whyUnexposed(service: CompiledService | undefined, { target, request }: Facts): Refusal {
  if (!service)
    return { reason: 'target-unknown', message: `no ServicePolicy names ${target.id ?? 'the target'}` }
  return {
    reason: 'endpoint-not-exposed',
    message: `${service.id} does not expose ${requestWords(request, target)}`,
  }
}

/** Source: FORMATS 1, rule 6: neither side's scopes lend to the other's. */
function lackingScopes(
  consent: Consent,
  endpoint: CompiledEndpoint | undefined,
  { identity }: Facts,
): Refusal | undefined {
  const rule = consent.by === 'rule' ? { rule: consent.rule.name, ruleSource: consent.rule.source } : {}
  if (consent.missingScopes.length > 0) {
    const held = identity.serviceToken ? 'the service token does not hold' : 'no rule grants the workload'
    return { reason: 'scope-missing', message: `${held} ${consent.missingScopes.join(', ')}`, ...rule }
  }
  const wanted = endpoint?.userScopes ?? []
  if (wanted.every((scope) => identity.user?.scopes.includes(scope))) return undefined
  const scopes = wanted.filter((scope) => !identity.user?.scopes.includes(scope))
  return {
    reason: 'scope-missing',
    message: `the user does not hold ${scopes.join(', ')}`,
    scopes: wanted,
    ...rule,
  }
}
