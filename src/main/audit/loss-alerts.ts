import { writeLossAlert } from '../../audit/loss-alert.js'
import type { TrailFigures } from '../../audit/trail.js'
import type { Log } from '../log.js'

/** A sink that goes on losing is told of again after this time, with all that it lost meanwhile. */
const AGAIN_MS = 60_000

type Told = { dropped: number; refused: number; atMs: number }

/** Tells alert sinks and the log of events that a sink lost, or whose calls were refused for it. */
export class LossAlerts {
  readonly #tell: (line: string) => void
  readonly #log: Log
  readonly #told = new Map<string, Told>()

  /** `tell`: one line of JSON for alert sinks. */
  constructor(tell: (line: string) => void, log: Log) {
    this.#tell = tell
    this.#log = log
  }

  /** Compares with what was told before. `isLast`: nothing is kept for later. */
  look(sinks: ReadonlyMap<string, TrailFigures>, nowMs: number, isLast = false): void {
    for (const [sink, figures] of sinks) {
      const told = this.#told.get(sink) ?? { dropped: 0, refused: 0, atMs: -Infinity }
      const dropped = figures.dropped - told.dropped
      const refused = figures.refused - told.refused
      if (dropped + refused === 0 || (!isLast && nowMs - told.atMs < AGAIN_MS)) continue
      this.#told.set(sink, { dropped: figures.dropped, refused: figures.refused, atMs: nowMs })
      const { problem } = figures
      this.#tell(writeLossAlert({ atMs: nowMs, sink, dropped, refused, problem }))
      this.#log('error', 'security events were not recorded', {
        sink,
        dropped,
        refused,
        ...(problem !== undefined && { problem }),
      })
    }
  }
}
