import type { CompiledEndpoint, CompiledService } from '../../segmentation/compiled.js'
import type { AdaptivePolicy, CompiledRule } from '../../session/adaptive-policy.js'
import type { Obstacle } from './access.js'

/** What a service's endpoints and the adaptive rules ask that is more than who calls which endpoint. */
export function endpointObstacles(service: CompiledService): Obstacle[] {
  const found = new Map<number, Obstacle[]>()
  for (const endpoint of service.endpoints) {
    if (found.has(endpoint.index)) continue
    const about = `the endpoint ${endpoint.name}`
    found.set(
      endpoint.index,
      reasonsOf(endpoint).map((reason) => ({ message: `${about} ${reason}`, source: endpoint.source })),
    )
  }
  if (service.mode === 'Enforce') return [...found.values()].flat()
  const message = `mode ${service.mode} lets every call pass, so there is nothing to enforce`
  return [{ message, source: service.source }]
}

function reasonsOf({
  mode,
  require,
  mfa,
  maxAuthAgeMs,
  userScopes,
  userForData,
  dataPolicy,
}: CompiledEndpoint): string[] {
  const reasons: string[] = []
  if (mode !== 'Enforce') reasons.push(`is in mode ${mode}, which lets every call pass`)
  if (require !== 'Workload') reasons.push(`has require: ${require}, and users are not known there`)
  if (mfa !== 'None') reasons.push(`asks for multi-factor authentication (mfa: ${mfa})`)
  if (maxAuthAgeMs !== undefined) reasons.push('asks how long ago the user authenticated (maxAuthAge)')
  if (userScopes.length > 0) reasons.push(`asks for the user's scopes ${userScopes.join(', ')}`)
  if (userForData) reasons.push(`is under the DataPolicy ${dataPolicy}, which asks for a user`)
  return reasons
}

/** Adaptive rules that can refuse a workload's own call, by more than its risk. */
export function adaptiveObstacles({ rules }: AdaptivePolicy, service: CompiledService): Obstacle[] {
  return rules
    .filter((rule) => concerns(rule, service))
    .map(({ name, source, effect }) => ({
      message: `the adaptive rule ${name} (${effect}) is decided per call`,
      source,
    }))
}

function concerns({ to, effect, mode, ofUser, ofRisk }: CompiledRule, service: CompiledService): boolean {
  if (effect === 'Allow' || (mode !== undefined && mode !== 'Enforce') || ofUser || ofRisk) return false
  return !to || to.some((element) => element.concerns(service) !== false)
}
