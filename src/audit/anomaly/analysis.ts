import type { Detector } from './detector.js'
import type { EventFacts } from './facts.js'
import { type Finding, rankOf, type Severity } from './finding.js'
import { readEvent } from './read-event.js'
import { Reorder } from './reorder.js'
import { FindingReport } from './report.js'

/** Events of several writers are put in order within this time, milliseconds. */
export const TOLERANCE_MS = 60_000
/** Events held for that at most. */
const MAX_HELD = 50_000
/** Withdrawals whose event is still to come, or was looked at already. */
const MAX_WITHDRAWN = 100_000

export type AnalysisOptions = {
  /** SPIFFE IDs of trusted proxies. */
  readonly proxies: ReadonlySet<string>
  /** Findings from then on are told, earlier events are learned from; milliseconds since the epoch. */
  readonly sinceMs: number
  /** Later events are passed over. */
  readonly untilMs: number
  readonly least: Severity
}

/** Looks at a log of security events line by line, in constant memory. */
export class Analysis {
  readonly report = new FindingReport()
  readonly #detector: Detector
  readonly #options: AnalysisOptions
  readonly #order = new Reorder<EventFacts>(TOLERANCE_MS, MAX_HELD)
  readonly #withdrawn = new Set<string>()
  readonly #look = (facts: EventFacts): void => this.#lookAt(facts)
  events = 0
  withdrawn = 0
  /** Too far out of order to be looked at. */
  late = 0
  fromMs: number | undefined
  toMs: number | undefined

  constructor(detector: Detector, options: AnalysisOptions) {
    this.#detector = detector
    this.#options = options
  }

  /** Gives why a line can't be read. */
  take(line: string): string | undefined {
    const read = readEvent(line, this.#options.proxies)
    if (read.kind === 'bad') return read.problem
    if (read.kind === 'withdrawal' && this.#withdrawn.size < MAX_WITHDRAWN) {
      this.#withdrawn.add(read.decisionId)
    }
    if (read.kind !== 'event' || read.facts.atMs > this.#options.untilMs) return undefined
    if (!this.#order.take(read.facts, this.#look)) this.late++
    return undefined
  }

  /** Looks at what is still held. */
  end(): void {
    this.#order.end(this.#look)
  }

  /** Withdrawals of events that were looked at before they came, or that never came. */
  get withdrawnLate(): number {
    return this.#withdrawn.size
  }

  #lookAt(facts: EventFacts): void {
    if (this.#withdrawn.size > 0 && this.#withdrawn.delete(facts.decisionId)) {
      this.withdrawn++
      return
    }
    this.events++
    this.fromMs ??= facts.atMs
    this.toMs = facts.atMs
    for (const finding of this.#detector.note(facts)) if (this.#isTold(finding)) this.report.add(finding)
  }

  #isTold({ atMs, severity }: Finding): boolean {
    return atMs >= this.#options.sinceMs && rankOf(severity) >= rankOf(this.#options.least)
  }
}
