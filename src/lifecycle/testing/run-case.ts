import type { Decision, Step } from '../../decision/decision.js'
import { decideSupposed } from '../decide-supposed.js'
import type { Expected } from './case-schema.js'
import type { ReadCase } from './read-cases.js'
import type { CaseSetting, SupposedCase } from './suppose-case.js'

/** One expectation that was not met. */
export type Mismatch = { readonly field: string; readonly expected: string; readonly actual: string }

export type CaseResult = {
  readonly read: ReadCase
  readonly decision: Decision
  /** Empty: the case passed. */
  readonly mismatches: readonly Mismatch[]
  /** Of a case that failed, the way to its decision. */
  readonly steps: readonly Step[]
}

/**
 * Decides the call of a case as a real one is decided, from the bytes of a Check on, and holds the decision against what
 * was expected. The steps are written only where it failed.
 */
export async function runCase(supposed: SupposedCase, setting: CaseSetting): Promise<CaseResult> {
  const { read } = supposed
  const decision = await decideCase(supposed, setting, [])
  const mismatches = compare(read.written.expect, decision)
  if (mismatches.length === 0) return { read, decision, mismatches, steps: [] }
  const steps: Step[] = []
  await decideCase(supposed, setting, steps)
  return { read, decision, mismatches, steps }
}

async function decideCase(
  { supposed, who, known, located, nowMs }: SupposedCase,
  { policy, serviceTokenHeader }: CaseSetting,
  steps: Step[],
): Promise<Decision> {
  const lookups = {
    recall: (keys: typeof known.keys) => ({ ...known, keys }),
    locate: () => located,
    signals: false,
  }
  return decideSupposed(supposed, who, policy, lookups, serviceTokenHeader, nowMs, steps)
}

function compare(expected: Expected, decision: Decision): Mismatch[] {
  const { outcome, reason, wouldBe } = decision
  const found: Mismatch[] = []
  const check = (field: string, wanted: string | undefined, actual: string | undefined): void => {
    if (wanted === undefined || wanted === actual) return
    found.push({ field, expected: wanted, actual: actual ?? 'none' })
  }
  check('decision', expected.decision, outcome)
  check('reason', expected.reason, reason)
  check('rule', expected.rule, decision.rule)
  check('endpoint', expected.endpoint, decision.endpoint)
  check('obligations', expected.obligations && listed(expected.obligations), listed(decision.obligations))
  check('factor', expected.factor, decision.stepUp?.factor)
  check('mode', expected.mode, decision.mode)
  check('wouldBe.decision', expected.wouldBe?.decision, wouldBe?.outcome ?? outcome)
  check('wouldBe.reason', expected.wouldBe?.reason, wouldBe?.reason ?? reason)
  return found
}

function listed(obligations: readonly string[]): string {
  return obligations.length === 0 ? 'none' : [...new Set(obligations)].toSorted().join(', ')
}
