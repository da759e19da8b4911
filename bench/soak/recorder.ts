import type { Usage } from './server.js'
import { median, quantile } from './trend.js'

/** What was seen within one stretch of time. */
type Stretch = {
  readonly latenciesMs: number[]
  readonly answers: Map<string, number>
  readonly usages: Usage[]
}

const MOST_STRETCHES = 600

/** Latencies, answers and usage over time; memory grows with the number of stretches alone, at most 600. */
export class Recorder {
  readonly stretchMs: number
  readonly #stretches: Stretch[] = []
  readonly #closed: Summary[] = []
  readonly byKind = new Map<string, Map<string, number>>()
  /** Of the whole minute, for p99 by minute. */
  readonly minutes: { p50Ms: number; p99Ms: number; checks: number }[] = []
  /** Refusals that are right only because the machine stalled. */
  excused = 0
  #minute: number[] = []
  #checksSoFar = 0

  constructor(durationMs: number) {
    this.stretchMs = Math.max(1000, Math.ceil(durationMs / MOST_STRETCHES / 1000) * 1000)
  }

  get checks(): number {
    return this.#checksSoFar
  }

  /** How many answers were this one. */
  countOf(answer: string): number {
    return [...this.byKind.values()].reduce((sum, answers) => sum + (answers.get(answer) ?? 0), 0)
  }

  answered(atMs: number, kind: string, answer: string, latencyMs: number): void {
    this.#checksSoFar++
    const stretch = this.#at(atMs)
    stretch.latenciesMs.push(latencyMs)
    count(stretch.answers, answer)
    const answers = this.byKind.get(kind) ?? new Map<string, number>()
    this.byKind.set(kind, answers)
    count(answers, answer)
    const minute = Math.floor(atMs / 60_000)
    while (this.minutes.length < minute) this.#closeMinute()
    this.#minute.push(latencyMs)
  }

  used(atMs: number, usage: Usage): void {
    this.#at(atMs).usages.push(usage)
  }

  /** Everything so far, in order of time. */
  summaries(): readonly Summary[] {
    while (this.#stretches.length > 0) this.#close()
    if (this.#minute.length > 0) this.#closeMinute()
    return this.#closed
  }

  /** Answers come in about the order of time; a late one counts to the stretch that is open. */
  #at(atMs: number): Stretch {
    const index = Math.floor(atMs / this.stretchMs)
    while (this.#closed.length + this.#stretches.length <= index) {
      if (this.#stretches.length > 1) this.#close()
      this.#stretches.push({ latenciesMs: [], answers: new Map(), usages: [] })
    }
    const open = this.#stretches[Math.max(0, index - this.#closed.length)]
    if (!open) throw new Error('no stretch is open')
    return open
  }

  #close(): void {
    const stretch = this.#stretches.shift()
    if (!stretch) return
    const sorted = stretch.latenciesMs.toSorted((a, b) => a - b)
    const last = stretch.usages.at(-1)
    const live = stretch.usages.findLast((usage) => usage.live !== undefined)?.live
    this.#closed.push({
      atMs: this.#closed.length * this.stretchMs,
      checks: sorted.length,
      p50Ms: quantile(sorted, 0.5),
      p99Ms: quantile(sorted, 0.99),
      slowestMs: sorted.at(-1) ?? Number.NaN,
      answers: stretch.answers,
      usage: last && {
        ...last,
        ...(live !== undefined && { live }),
        rss: median(stretch.usages.map(({ rss }) => rss)),
        heapUsed: median(stretch.usages.map(({ heapUsed }) => heapUsed)),
      },
    })
  }

  #closeMinute(): void {
    const sorted = this.#minute.toSorted((a, b) => a - b)
    this.minutes.push({ p50Ms: quantile(sorted, 0.5), p99Ms: quantile(sorted, 0.99), checks: sorted.length })
    this.#minute = []
  }
}

export type Summary = {
  readonly atMs: number
  readonly checks: number
  readonly p50Ms: number
  readonly p99Ms: number
  readonly slowestMs: number
  readonly answers: ReadonlyMap<string, number>
  /** Absent where nobody looked. */
  readonly usage: Usage | undefined
}

function count(counts: Map<string, number>, name: string): void {
  counts.set(name, (counts.get(name) ?? 0) + 1)
}
