type Span<T> = { readonly value: T; readonly fromMs: number; untilMs: number }

/** How long what is over is remembered; calls are answered much sooner. */
const REMEMBERED_MS = 60_000

/**
 * A fact that changes, and when the change could be seen. Between `begin` and `settle` the old and the new value are
 * both right; outside of that only one is. Times in milliseconds of one clock.
 */
export class Timeline<T> {
  #spans: Span<T>[]

  constructor(first: T) {
    this.#spans = [{ value: first, fromMs: -Infinity, untilMs: Infinity }]
  }

  /** The newest value, settled or not. */
  get latest(): T {
    const last = this.#spans.at(-1)
    if (!last) throw new Error('a timeline always has a span')
    return last.value
  }

  /** From now on `next` may be so. */
  begin(next: T, nowMs: number): void {
    this.#spans = this.#spans.filter(({ untilMs }) => untilMs > nowMs - REMEMBERED_MS)
    this.#spans.push({ value: next, fromMs: nowMs, untilMs: Infinity })
  }

  /** From now on only the newest value is so. */
  settle(nowMs: number): void {
    for (const span of this.#spans.slice(0, -1)) span.untilMs = Math.min(span.untilMs, nowMs)
  }

  /** Every value that was possible at some moment from `fromMs` to `toMs`. */
  during(fromMs: number, toMs: number): readonly T[] {
    return this.#spans
      .filter((span) => span.fromMs <= toMs && span.untilMs >= fromMs)
      .map(({ value }) => value)
  }
}
