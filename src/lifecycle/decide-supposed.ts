import { authorize, type Lookups, type PolicyInForce } from '../authorize.js'
import type { Decision, Step } from '../decision/decision.js'
import { readAccessRequest } from '../ext-authz/read-access-request.js'
import type { Eventually } from '../identity/eventually.js'
import type { Identified } from '../identity/identify.js'
import type { Identity } from '../identity/principal.js'
import type { ListenerRules } from '../request/listener.js'
import { encodeHypotheticalCheck } from './encode-check.js'
import { callOf, type Supposition } from './supposition.js'

/**
 * The decision on a call that nobody made: the same way as a real Check, from bytes to decision; only the credentials
 * are taken as verified. Nothing is learned from it and nothing is used up.
 */
export function decideSupposed(
  supposed: Supposition,
  who: Identity,
  policy: PolicyInForce,
  lookups: Pick<Lookups, 'recall' | 'locate' | 'signals'>,
  serviceTokenHeader: string,
  nowMs: number,
  steps: Step[],
): Eventually<Decision> {
  const read = readAccessRequest(encodeHypotheticalCheck(callOf(supposed)), serviceTokenHeader)
  if (!read.ok) {
    steps.push({ step: 'request', outcome: 'fail', detail: read.message })
    const { message } = read
    const { revision } = policy
    return {
      outcome: 'deny',
      reason: 'ambiguous-request',
      message,
      mode: 'Enforce',
      obligations: [],
      revision,
    }
  }
  const body = read.request.http?.body?.read()
  if (body?.ok === false) {
    const detail = `can't be read, as on a server: ${body.problem}`
    steps.push({ step: 'body', outcome: 'fail', detail })
  }
  const gateway = supposed.listenerRole === 'Gateway'
  const listener: ListenerRules = {
    name: 'check',
    role: supposed.listenerRole,
    peerIdentity: gateway ? 'None' : 'Certificate',
    principalTrustDomains: [],
    trustedProxies: new Map(),
    trustedHops: 0,
    mtls: supposed.mtls,
    target: gateway ? ['extension', 'route'] : ['extension'],
  }
  const question = { request: read.request, listener, asker: { spiffeId: undefined }, nowMs }
  const identify = (): Identified => identifyAs(who, listener, steps)
  return authorize(question, policy, { ...lookups, identify, consume: NOTHING_USED_UP }, steps)
}

const NOTHING_USED_UP: Lookups['consume'] = () => 'consumed'

function identifyAs(identity: Identity, listener: ListenerRules, steps: Step[]): Identified {
  const { workload, serviceToken, user } = identity
  if (!workload && listener.role === 'Sidecar' && listener.mtls === 'Strict') {
    const message = 'a Strict listener takes no call without a workload identity from mTLS'
    return { ok: false, refusal: { reason: 'certificate-required', message } }
  }
  const found = [
    workload && `workload ${workload.spiffeId.text}`,
    workload?.via && `forwarded by the proxy ${workload.via.spiffeId.text}`,
    serviceToken && `service token with ${serviceToken.scopes.join(' ')}`,
    user &&
      `user ${user.subject} of ${user.issuer}${user.roles.length > 0 ? ` (${user.roles.join(', ')})` : ''}`,
  ].filter((part) => part !== undefined)
  const detail = `${found.length > 0 ? found.join('; ') : 'nobody'}, taken as verified`
  steps.push({ step: 'identity', outcome: found.length > 0 ? 'pass' : 'info', detail })
  return { ok: true, identity }
}
