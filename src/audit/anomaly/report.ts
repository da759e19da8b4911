import type { EventsBehind, Finding, Severity } from './finding.js'
import { rankOf, SEVERITIES } from './finding.js'

/** Findings of one report; beyond it the least severe and oldest go, counted. */
const MAX_FINDINGS = 10_000

/** Gathers findings: one that got worse replaces the earlier one about the same events. */
export class FindingReport {
  /** By the events behind them. */
  #findings = new Map<EventsBehind, Finding>()
  #left = 0

  add(finding: Finding): void {
    this.#findings.set(finding.events, finding)
    if (this.#findings.size < 2 * MAX_FINDINGS) return
    this.#findings = new Map(this.all().map((each) => [each.events, each]))
  }

  /** Most severe first, of one severity the oldest first. */
  all(): readonly Finding[] {
    const sorted = [...this.#findings.values()].toSorted(
      (a, b) => rankOf(b.severity) - rankOf(a.severity) || a.atMs - b.atMs,
    )
    this.#left += Math.max(0, sorted.length - MAX_FINDINGS)
    return sorted.slice(0, MAX_FINDINGS)
  }

  /** Findings that the report had no room for. */
  get leftOut(): number {
    return this.#left
  }
}

/** How many there are of each severity, most severe first. */
export function countsOf(findings: readonly Finding[]): readonly (readonly [Severity, number])[] {
  return SEVERITIES.toReversed().flatMap((severity) => {
    const count = findings.filter((each) => each.severity === severity).length
    return count === 0 ? [] : [[severity, count] as const]
  })
}
