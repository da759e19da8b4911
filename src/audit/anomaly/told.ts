import { rankOf, type Rule, RULES, type Severity } from './finding.js'

/** What was told about one subject lately: a rule is told once in a window, and again when it gets worse. */
export class Told {
  readonly #last: ({ readonly rank: number; readonly atMs: number } | undefined)[] = []

  /** True, and remembered, where this is to be told. */
  isNew(rule: Rule, severity: Severity, windowMs: number, atMs: number): boolean {
    const at = RULES.indexOf(rule)
    const last = this.#last[at]
    const rank = rankOf(severity)
    if (last && atMs - last.atMs < windowMs && last.rank >= rank) return false
    this.#last[at] = { rank, atMs }
    return true
  }
}
