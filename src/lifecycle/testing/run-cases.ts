import type { PolicyDocument } from '../../policy/read-documents.js'
import type { Problem } from '../../schema/problem.js'
import { Coverage, type CoverageReport } from './coverage.js'
import type { ReadCase } from './read-cases.js'
import { type CaseResult, runCase } from './run-case.js'
import { type CaseSetting, supposeCase, type SupposedCase } from './suppose-case.js'

export type TestRun =
  | {
      readonly ok: true
      readonly results: readonly CaseResult[]
      readonly coverage: CoverageReport
      readonly warnings: readonly Problem[]
    }
  /** Something is wrong with the cases themselves, so none of them was run. */
  | { readonly ok: false; readonly problems: readonly Problem[] }

/** Runs cases against a policy. `sources` are its documents, for what the cases reach of it. `onCase` is told how many are done. */
export async function runCases(
  cases: readonly ReadCase[],
  setting: CaseSetting,
  sources: readonly PolicyDocument[],
  onCase: (done: number) => void = () => {},
): Promise<TestRun> {
  const problems: Problem[] = []
  const supposed: SupposedCase[] = []
  for (const read of cases) {
    const { supposed: one, problems: found } = supposeCase(read, setting)
    problems.push(...found)
    if (one) supposed.push(one)
  }
  if (problems.some(({ severity }) => severity === 'error')) return { ok: false, problems }
  const coverage = new Coverage(sources, setting.policy.classifications)
  const results: CaseResult[] = []
  for (const one of supposed) {
    const result = await runCase(one, setting)
    coverage.count(result.decision)
    results.push(result)
    onCase(results.length)
  }
  return { ok: true, results, coverage: coverage.report(), warnings: problems }
}
