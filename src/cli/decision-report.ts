import type { Decision, Step } from '../decision/decision.js'
import type { Why } from '../lifecycle/explain/why.js'
import type { Style } from './style.js'
import { writeWhyText } from './why-text.js'

/** A decision with the way to it, and what was asked in words. */
export type DecisionReport = {
  readonly decision: Decision
  readonly steps: readonly Step[]
  readonly asked: string
  readonly why?: Why | undefined
}

const MARKS = { pass: '✓', fail: '✗', skip: '-', info: '·' } as const

/** One line that says it all, then the steps in their order, then where the deciding rule is written. */
export function writeReportText({ decision, steps, asked, why }: DecisionReport, style: Style): string {
  const paint = decision.outcome === 'allow' ? style.good : style.bad
  const endpoint = decision.endpoint === undefined ? '' : ` (${decision.endpoint})`
  const lines = [`${paint(decision.outcome.toUpperCase())}  ${decision.reason}  ${asked}${endpoint}`]
  if (decision.message !== '') lines.push(`  ${decision.message}`)
  lines.push(...writeSteps(steps, style))
  const width = Math.max(0, ...steps.map(({ step }) => step.length))
  for (const [name, value] of facts(decision))
    lines.push(`  ${style.faint(name.padEnd(width + 2))}  ${value}`)
  if (why) lines.push(...writeWhyText(why, style))
  return `${lines.join('\n')}\n`
}

/** One line a step. */
export function writeSteps(steps: readonly Step[], style: Style): string[] {
  const width = Math.max(0, ...steps.map(({ step }) => step.length))
  return steps.map(({ step, outcome, detail }) => {
    const mark =
      outcome === 'pass'
        ? style.good(MARKS.pass)
        : outcome === 'fail'
          ? style.bad(MARKS.fail)
          : MARKS[outcome]
    return `  ${mark} ${step.padEnd(width)}  ${detail}`
  })
}

function facts(decision: Decision): (readonly [name: string, value: string])[] {
  const { rule, ruleSource, wouldBe, stepUp, riskScore } = decision
  const found: (readonly [string, string])[] = []
  if (rule !== undefined || ruleSource !== undefined) {
    found.push(['rule', [rule, ruleSource].filter((part) => part !== undefined).join('  ')])
  }
  if (wouldBe) found.push(['Enforce', `${wouldBe.outcome} ${wouldBe.reason}: ${wouldBe.message}`])
  if (stepUp) found.push(['challenge', `${stepUp.factor}, authenticated within ${stepUp.maxAgeSeconds} s`])
  if (riskScore !== undefined && riskScore > 0) found.push(['risk', String(riskScore)])
  if (decision.obligations.length > 0) found.push(['obligations', decision.obligations.join(', ')])
  return found
}

/** The same for programs; what is unknown is absent. */
export function writeReportJson(report: DecisionReport): string {
  return `${JSON.stringify(reportValue(report), undefined, 2)}\n`
}

/** As `-o json` writes it. */
export function reportValue({ decision, steps, why }: DecisionReport): Readonly<Record<string, unknown>> {
  // What a decision keeps for the store is of no use to readers.
  const { outcome, workload, user, lessons: _lessons, subjects: _subjects, ...rest } = decision
  return {
    decision: outcome,
    ...rest,
    workload: workload?.spiffeId.text,
    via: workload?.via?.spiffeId.text,
    user: user && { issuer: user.issuer, subject: user.subject, roles: user.roles, scopes: user.scopes },
    steps,
    why,
  }
}
