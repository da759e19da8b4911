import { type Condition, keysOf } from '../../segmentation/when/condition.js'
import type { ServicePolicy } from '../../segmentation/service-policy.js'
import type { RuleMiss } from './nearest-miss.js'

/** Claims by which tokens tell of risk, device, session and sign-in, by the names used here, and all claims at once. */
const CLAIMS =
  /^(?:user|request\.auth)\.claims(?:$|\[(?:acr|amr|auth_time|mfa_verified|risk_score|device_trust_level|device_id|session_id|sid)\])/
const KEYS = /^(?:risk|device|session)\.|^user\.(?:mfa|acr|amr|authAge)$/

/** Whether a condition asks about risk, the device, the session or how the user signed in, by its key or within CEL. */
export function isProtective(condition: Condition): boolean {
  return keysOf(condition).some((key) => KEYS.test(key) || CLAIMS.test(key))
}

/** Whether an endpoint asks for several factors, a fresh sign-in or what a DataPolicy says. */
export function isGuarded({
  mfa = 'None',
  maxAuthAge,
  dataPolicy,
}: NonNullable<ServicePolicy['spec']['endpoints']>[number]): boolean {
  return mfa !== 'None' || maxAuthAge !== undefined || dataPolicy !== undefined
}

/**
 * Whether a rule with such conditions, changed or new, would let a call in past no protection: it has every protective
 * condition of the rules that mean this very caller and endpoint, and one of its own where all rules there have some.
 */
export type Keeps = (when: readonly Condition[] | undefined) => boolean

/** Of the rules that could let a call in, and of one kind of them. */
export function keepsOf(misses: readonly RuleMiss[], of: RuleMiss['kind']): Keeps {
  const there = misses.filter(meansEndpoint)
  const asked = there.filter(meansCaller).flatMap(({ written }) => protections(written.when))
  const peers = there.filter(({ kind }) => kind === of)
  const closed = peers.length > 0 && peers.every(({ written }) => protections(written.when).length > 0)
  return (when) => {
    const own = new Set(protections(when))
    return asked.every((text) => own.has(text)) && (!closed || own.size > 0)
  }
}

function protections(when: readonly Condition[] = []): string[] {
  return when.filter(isProtective).map((condition) => JSON.stringify(condition))
}

function meansEndpoint({ parts }: RuleMiss): boolean {
  return parts.every(({ part, met }) => part !== 'to' || met !== false)
}

function meansCaller({ parts }: RuleMiss): boolean {
  return parts.every(({ part, met }) => part !== 'from' || met !== false)
}
