import type { Decision } from '../../decision/decision.js'
import { MODES } from '../../decision/mode.js'
import { HTTP_STATUS_OF_REASON } from '../../decision/reason.js'
import type { Sample } from './family.js'

export const OUTCOMES = ['allow', 'deny', 'challenge'] as const
const REASONS = ['allowed', ...Object.keys(HTTP_STATUS_OF_REASON)]
/** What says something of Portcullis and nothing of the call: counted from 0, so that the first one is a rise. */
export const OWN_FAILURES: ReadonlySet<string> = new Set([
  'overloaded',
  'internal-error',
  'state-unavailable',
  'not-ready',
])
const SLOT_OF_REASON = new Map(REASONS.map((reason, at) => [reason, at]))

/** Decisions by outcome, reason and mode: every label is of a closed list, so counting costs no allocation. */
export class DecisionCounts {
  readonly #slots = new Float64Array(OUTCOMES.length * REASONS.length * MODES.length)

  count(outcome: Decision['outcome'], reason: string, mode: Decision['mode']): void {
    const slot = slotOf(outcome, reason, mode)
    this.#slots[slot] = (this.#slots[slot] ?? 0) + 1
  }

  /** Only what has happened, and `always`: nine in ten combinations never can. */
  samples(always: ReadonlySet<string> = new Set()): Sample[] {
    const shown = new Set([...always].map((reason) => slotOf('deny', reason, 'Enforce')))
    const samples: Sample[] = []
    this.#slots.forEach((value, slot) => {
      if (value === 0 && !shown.has(slot)) return
      const mode = MODES[slot % MODES.length] ?? ''
      const decision = OUTCOMES[Math.floor(slot / MODES.length) % OUTCOMES.length] ?? ''
      const reason = REASONS[Math.floor(slot / (MODES.length * OUTCOMES.length))] ?? ''
      samples.push({ labels: { decision, reason, mode }, value })
    })
    return samples
  }
}

function slotOf(outcome: Decision['outcome'], reason: string, mode: Decision['mode']): number {
  const ofReason = (SLOT_OF_REASON.get(reason) ?? 0) * OUTCOMES.length * MODES.length
  return ofReason + OUTCOMES.indexOf(outcome) * MODES.length + MODES.indexOf(mode)
}
