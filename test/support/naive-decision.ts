import type { Asked } from './naive-conditions.js'
import { type Naive, naiveFinding, type NaiveFinding, naiveProxyFinding } from './naive-matrix.js'

/** What comes out once the modes are applied: outcome, reason, and what Enforce would have said where that differs. */
export type NaiveDecision = {
  readonly outcome: 'allow' | 'deny' | 'challenge'
  readonly reason: string
  readonly wouldBe: string | undefined
}

type Refusal = { readonly reason: string; readonly isEnforced: boolean }

/** As rule 9 has it, for a mesh without risk, devices and adaptive rules. */
export function naiveDecision(
  mesh: Naive,
  call: Asked,
  finding: NaiveFinding = naiveFinding(mesh, call),
): NaiveDecision {
  const { endpoint } = finding
  const target = mesh.services.find(({ metadata }) => `${metadata.namespace}/${metadata.name}` === call.to)
  const mode = endpoint?.mode ?? target?.spec.mode ?? mesh.baseline.spec.defaults?.mode ?? 'Enforce'
  const isEnforced = mode === 'Enforce'
  const findings = [finding, ...(call.via === undefined ? [] : [naiveProxyFinding(mesh, call, call.via)])]
  const refusals = findings.flatMap(({ verdict, forbids }): Refusal[] => {
    if (verdict === 'allowed') return []
    const byItself = verdict === 'forbidden' && forbids.includes('Enforce')
    return [{ reason: verdict, isEnforced: isEnforced || byItself }]
  })
  const enforced = refusals.find((refusal) => refusal.isEnforced)
  if (enforced) return { outcome: 'deny', reason: enforced.reason, wouldBe: undefined }
  // No user of the generator says when the authentication was.
  const lacksFactor =
    endpoint?.maxAuthAge !== undefined || (endpoint?.mfa === 'Required' && !call.user?.mfaVerified)
  if (lacksFactor && isEnforced) {
    return { outcome: 'challenge', reason: 'step-up-required', wouldBe: undefined }
  }
  const isRecorded = findings.some(({ forbids }) => forbids.length > 0)
  const wouldBe =
    refusals[0]?.reason ?? (lacksFactor ? 'step-up-required' : isRecorded ? 'forbidden' : undefined)
  return { outcome: 'allow', reason: 'allowed', wouldBe }
}
