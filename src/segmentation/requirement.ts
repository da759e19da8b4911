import type { Refusal } from '../decision/decision.js'
import type { CompiledEndpoint } from './compiled.js'
import type { Facts } from './facts.js'
import type { Requirement } from './matrix.js'

const NO_CREDENTIALS: Refusal = {
  reason: 'no-credentials',
  message: 'neither a workload nor a user was verified, and one is required',
}
const NO_WORKLOAD: Refusal = {
  reason: 'certificate-required',
  message: 'the endpoint requires a verified workload',
}
const NOT_FROM_OUTSIDE: Refusal = {
  reason: 'endpoint-not-exposed',
  message: 'the endpoint requires a workload, so it can not be reached through a gateway',
}
const NO_USER: Refusal = { reason: 'user-required', message: 'the endpoint requires a verified user' }

/**
 * Whether the verified identities are those required. On a Gateway listener nobody outside has a workload:
 * Both counts as User there, and Workload can't be met. Source: FORMATS 1, rule 7.
 */
export function checkRequirement(
  require: Requirement,
  endpoint: CompiledEndpoint | undefined,
  facts: Facts,
): Refusal | undefined {
  const { workload, user } = facts.identity
  if (require !== 'None' && !workload && !user) return NO_CREDENTIALS
  if (!workload && (require === 'Workload' || (require === 'Both' && !facts.gateway))) {
    return facts.gateway ? NOT_FROM_OUTSIDE : NO_WORKLOAD
  }
  if (!user && (require === 'User' || require === 'Both' || (endpoint && impliesUser(endpoint))))
    return NO_USER
  return undefined
}

/** Multi-factor authentication, its age, user scopes and access to classified data are a user's. Source: FORMATS 1. */
function impliesUser({ mfa, maxAuthAgeMs, userScopes, userForData }: CompiledEndpoint): boolean {
  return mfa !== 'None' || maxAuthAgeMs !== undefined || userScopes.length > 0 || userForData
}
