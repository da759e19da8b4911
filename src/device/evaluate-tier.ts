import type { Refusal, StepUp } from '../decision/decision.js'
import {
  type AuthenticationLimits,
  challenge,
  isStepUpMet,
  riskBegan,
  showsFactor,
} from '../session/step-up.js'
import type { UserCall } from './device-call.js'
import type { DeviceTier } from './device-policy.js'
import type { DeviceState } from './device-state.js'
import { identityOf } from './device-words.js'

/** From this effective risk on, `mfa: RiskBased` asks for it. Source: REQUIREMENTS R4. */
const RISK_OF_MFA = 50

/** DataPolicies whose data `no-download-confidential` keeps in. Source: REQUIREMENTS D4. */
const CONFIDENTIAL: ReadonlySet<string> = new Set(['confidential', 'restricted'])

/**
 * Adds what the device's tier refuses; a device without one is refused. The result is the authentication that it asks for.
 * Source: REQUIREMENTS D3.
 */
export function refuseByTier(
  call: UserCall,
  device: DeviceState,
  limits: AuthenticationLimits,
  refusals: Refusal[],
): Refusal | undefined {
  const { tier } = device
  const { user, endpoint, targetId } = call
  if (!tier) {
    const message = `no tier of the device policy is for this device; ${identityOf(device, user)}`
    refusals.push({ reason: 'device-tier', message })
    return undefined
  }
  const refuse = (reason: 'device-tier' | 'device-read-only', why: string): void => {
    const message = `the device tier ${tier.name} ${why}; ${identityOf(device, user)}`
    refusals.push({ reason, message, rule: tier.name, ruleSource: tier.source })
  }
  if (tier.services && (targetId === undefined || !tier.services.has(targetId))) {
    refuse('device-tier', `may not use ${targetId ?? 'a target that nobody knows'}`)
  }
  const operation = call.operation ?? 'Write'
  if (tier.operations && !tier.operations.has(operation)) {
    refuse('device-tier', `may not use ${operation}`)
  }
  const policy = endpoint?.dataPolicy
  if (tier.data && (policy === undefined || !tier.data.has(policy))) {
    refuse(
      'device-tier',
      policy === undefined ? 'may not use unclassified data' : `may not use ${policy} data`,
    )
  }
  if (operation === 'Write' && tier.obligations.includes('read-only')) {
    refuse('device-read-only', 'may only read')
  }
  if (operation === 'Download' && mayNotDownload(tier, policy)) {
    refuse('device-tier', policy === undefined ? 'may not download' : `may not download ${policy} data`)
  }
  const stepUp = missingMfa(tier, call, limits)
  if (!stepUp) return undefined
  const message = `the device tier ${tier.name} asks for multi-factor authentication; ${identityOf(device, user)}`
  return { reason: 'step-up-required', message, rule: tier.name, ruleSource: tier.source, stepUp }
}

function mayNotDownload({ obligations }: DeviceTier, policy: string | undefined): boolean {
  if (obligations.includes('no-download')) return true
  return policy !== undefined && CONFIDENTIAL.has(policy) && obligations.includes('no-download-confidential')
}

/**
 * The challenge, where the tier asks for a factor that the token doesn't show. `Required` takes it from any time; against
 * a risk only an authentication after it began helps. Unknown risk counts as high, but in Observe, where nobody
 * evaluates it.
 */
function missingMfa(
  { mfa }: DeviceTier,
  { user, endpoint, riskScore, riskSources, nowMs }: UserCall,
  { maxAuthAgeMs }: AuthenticationLimits,
): StepUp | undefined {
  if (mfa === 'None') return undefined
  if (mfa === 'Required') return showsFactor(user, 'mfa') ? undefined : challenge('mfa', maxAuthAgeMs)
  const risky = riskScore === undefined ? endpoint?.mode !== 'Observe' : riskScore > RISK_OF_MFA
  if (!risky) return undefined
  const beganMs = riskBegan(riskSources, RISK_OF_MFA)
  return isStepUpMet(user, 'mfa', beganMs, maxAuthAgeMs, nowMs)
    ? undefined
    : challenge('mfa', maxAuthAgeMs, beganMs, nowMs)
}
