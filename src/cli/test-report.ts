import type { Covered, CoverageReport } from '../lifecycle/testing/coverage.js'
import { placeOf } from '../lifecycle/testing/read-cases.js'
import type { CaseResult } from '../lifecycle/testing/run-case.js'
import type { Style } from './style.js'

/** What one run of `portcullis test` found. */
export type TestReport = {
  readonly results: readonly CaseResult[]
  /** Undefined where nobody asked for it. */
  readonly coverage: CoverageReport | undefined
  /** Percentage that rules and endpoints each must reach. */
  readonly minCoverage: number | undefined
}

const MARKS = { pass: '✓', fail: '✗', skip: '-', info: '·' } as const

export function isFailure({ mismatches }: CaseResult): boolean {
  return mismatches.length > 0
}

/** Whether rules or endpoints were reached too rarely. */
export function isBelow({ coverage, minCoverage }: TestReport): boolean {
  if (!coverage || minCoverage === undefined) return false
  return [coverage.rules, coverage.endpoints].some((part) => isTooFew(part, minCoverage))
}

/** By the exact share, so that no rounding lets 99.5 pass for 100. */
function isTooFew({ covered, total }: Covered, minCoverage: number): boolean {
  return covered * 100 < minCoverage * total
}

/** Every failed case with what was expected and the steps; then what was not reached; then one line that sums it up. */
export function writeTestText(report: TestReport, style: Style): string {
  const { results, coverage, minCoverage } = report
  const failed = results.filter(isFailure)
  const lines = failed.flatMap((result) => failureLines(result, style))
  if (coverage) {
    lines.push(...coverageLines('rules', 'that never decided', coverage.rules, minCoverage, style))
    lines.push(
      ...coverageLines('endpoints', 'that were never chosen', coverage.endpoints, minCoverage, style),
    )
  }
  const paint = failed.length > 0 ? style.bad : style.good
  const passed = results.length - failed.length
  const failures = failed.length > 0 ? `, ${failed.length} failed` : ''
  lines.push(
    paint(`${passed} of ${results.length} ${results.length === 1 ? 'case' : 'cases'} passed${failures}`),
  )
  return `${lines.join('\n')}\n`
}

function failureLines({ read, decision, mismatches, steps }: CaseResult, style: Style): string[] {
  const lines = [`${style.bad('FAIL')}  ${read.suite} › ${read.name}  ${style.faint(placeOf(read.position))}`]
  for (const { field, expected, actual } of mismatches) {
    lines.push(`  ${field}: expected ${style.good(expected)}, got ${style.bad(actual)}`)
  }
  if (decision.message !== '') lines.push(`  ${decision.message}`)
  if (decision.ruleSource !== undefined) {
    lines.push(`  decided by ${[decision.rule, decision.ruleSource].filter(Boolean).join('  ')}`)
  }
  const width = Math.max(0, ...steps.map(({ step }) => step.length))
  for (const { step, outcome, detail } of steps) {
    lines.push(`    ${MARKS[outcome]} ${step.padEnd(width)}  ${detail}`)
  }
  return [...lines, '']
}

function coverageLines(
  what: string,
  why: string,
  part: Covered,
  minCoverage: number | undefined,
  style: Style,
): string[] {
  const { covered, total, percent, missed } = part
  const isLow = minCoverage !== undefined && isTooFew(part, minCoverage)
  const sum = `${percent} % of ${what} (${covered} of ${total})`
  const asked = isLow ? `, below ${minCoverage} %` : ''
  const heading = `${isLow ? style.bad(sum + asked) : sum}${missed.length > 0 ? `; those ${why}:` : ''}`
  const width = Math.max(0, ...missed.map(({ kind }) => kind.length))
  return [
    heading,
    ...missed.map(
      ({ kind, of, name, source }) => `  ${kind.padEnd(width)}  ${of} ${name}  ${style.faint(source)}`,
    ),
  ]
}

/** The same for programs; what is unknown is absent. */
export function writeTestJson(report: TestReport): string {
  const { results, coverage, minCoverage } = report
  const failed = results.filter(isFailure).length
  const cases = results.map(({ read, decision, mismatches, steps }) => {
    const { rule, ruleSource, endpoint, message, wouldBe } = decision
    return {
      suite: read.suite,
      name: read.name,
      ...read.position,
      passed: mismatches.length === 0,
      decision: decision.outcome,
      reason: decision.reason,
      message,
      endpoint,
      rule,
      ruleSource,
      mode: decision.mode,
      wouldBe,
      factor: decision.stepUp?.factor,
      obligations: decision.obligations,
      ...(mismatches.length > 0 && { mismatches, steps }),
    }
  })
  const sum = { total: results.length, passed: results.length - failed, failed }
  return `${JSON.stringify({ ...sum, cases, coverage, minCoverage }, undefined, 2)}\n`
}
