import type { Obligation, Refusal, Steps } from '../decision/decision.js'
import type { AuthenticationLimits } from '../session/step-up.js'
import type { DeviceCall, UserCall } from './device-call.js'
import type { DevicePolicy, PosturePolicy } from './device-policy.js'
import type { DeviceState } from './device-state.js'
import { wordsOf } from './device-words.js'
import { refuseByTier } from './evaluate-tier.js'

/** What a device's state asks of a call. */
export type DeviceVerdict = {
  /** They go upstream. */
  readonly obligations: readonly Obligation[]
  readonly refusals: readonly Refusal[]
  /** The authentication that the device's tier asks for; an adaptive rule that asks too is named before it. */
  readonly stepUp: Refusal | undefined
}

const NOTHING: DeviceVerdict = { obligations: [], refusals: [], stepUp: undefined }
const READ_ONLY: readonly Obligation[] = ['read-only']
const NONE: readonly never[] = []

/**
 * What the user's device may: by the trust that the token claims, by its posture, by its tier. A call without a user
 * comes from no device. Source: REQUIREMENTS D2, D3.
 */
export function evaluateDevice(
  call: DeviceCall,
  policy: Pick<DevicePolicy, 'posture'>,
  limits: AuthenticationLimits,
  steps?: Steps,
): DeviceVerdict {
  const { user, device } = call
  if (!user) return NOTHING
  const low = user.deviceTrust === 'low'
  if (!low && !device) return NOTHING
  const refusals: Refusal[] = []
  if (low && isWrite(call)) {
    refusals.push({ reason: 'device-read-only', message: 'a device of low trust may only read' })
  }
  if (!device)
    return told(
      { obligations: READ_ONLY, refusals, stepUp: undefined },
      steps,
      'the token claims low trust of its device',
    )
  const { posture } = policy
  const bad = device.posture > posture.readOnlyAbove
  const ofUser = { ...call, user }
  refuseByPosture(ofUser, device, posture, refusals)
  const stepUp = refuseByTier(ofUser, device, limits, refusals)
  const obligations = union(
    low ? READ_ONLY : NONE,
    bad ? posture.obligations : NONE,
    device.tier?.obligations ?? NONE,
  )
  return told(
    { obligations, refusals, stepUp },
    steps,
    steps && `tier ${device.tier?.name ?? 'none'}, ${wordsOf(device, user)}`,
  )
}

function refuseByPosture(
  call: UserCall,
  device: DeviceState,
  { denyAbove, readOnlyAbove }: PosturePolicy,
  refusals: Refusal[],
): void {
  if (device.posture <= readOnlyAbove) return
  if (device.posture > denyAbove && (call.endpoint?.sensitivity ?? 'High') === 'High') {
    const message = `${wordsOf(device, call.user)}; above ${denyAbove} nothing of high sensitivity is open to it`
    refusals.push({ reason: 'device-risk', message })
  }
  if (isWrite(call) || call.operation === 'Download') {
    const message = `${wordsOf(device, call.user)}; above ${readOnlyAbove} it may only read`
    refusals.push({ reason: 'device-read-only', message })
  }
}

function isWrite({ operation = 'Write' }: DeviceCall): boolean {
  return operation === 'Write'
}

/** Each once, in the order of their first naming. The list itself where only one of them says anything. */
function union(...lists: readonly (readonly Obligation[])[]): readonly Obligation[] {
  const saying = lists.filter(({ length }) => length > 0)
  return saying.length > 1 ? [...new Set(saying.flat())] : (saying[0] ?? NONE)
}

function told(verdict: DeviceVerdict, steps: Steps, passed: string | undefined): DeviceVerdict {
  if (!steps) return verdict
  const failed = verdict.stepUp ? [...verdict.refusals, verdict.stepUp] : verdict.refusals
  for (const { message } of failed) steps.push({ step: 'device', outcome: 'fail', detail: message })
  if (failed.length === 0 && passed !== undefined)
    steps.push({ step: 'device', outcome: 'pass', detail: passed })
  return verdict
}
