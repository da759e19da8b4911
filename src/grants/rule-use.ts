import type { Decision } from '../decision/decision.js'
import { numberOf, stateKey, type StateDelta, type StateOp, type StateRecord } from '../state/record.js'

/** A rule that lets calls pass, or one that forbids them: their names may be the same. */
export type RuleEffect = 'permit' | 'forbid'

/** Since when uses are noted: `min`. When a rule was last used: `max`. */
const SINCE = 'since'
const LAST_USED = 'at'

const HOUR_MS = 3_600_000
const KEPT_MS = 400 * 24 * HOUR_MS
/** Rules, each for one target, that are remembered as noted already. */
const MAX_REMEMBERED = 50_000

/** The record of a rule's use for a target (`namespace/name`); lines may move in its document meanwhile. */
export function ruleUseKey(target: string | undefined, rule: string, effect: RuleEffect = 'permit'): string {
  return stateKey('k', effect, target ?? '', rule)
}

/** When the rule was last used, milliseconds since the epoch, to the hour. */
export function lastRuleUseMs(record: StateRecord): number | undefined {
  return numberOf(record, LAST_USED)
}

/** The record of when uses began to be noted; `observing` is to be noted at each start. */
export const OBSERVATION_KEY = stateKey('k')

export function observing(nowMs: number): StateDelta {
  const since: StateOp = ['min', SINCE, nowMs]
  return { key: OBSERVATION_KEY, ops: [since], expiresAtMs: nowMs + KEPT_MS }
}

export function observedSinceMs(record: StateRecord): number | undefined {
  return numberOf(record, SINCE)
}

/** Which rule a decision used. What a mode let pass used the rule that would have refused it. */
function usedRule({ reason, wouldBe, rule, ruleSource }: UsedBy) {
  if (rule === undefined || ruleSource === undefined) return undefined
  const found = wouldBe?.reason ?? reason
  if (found === 'allowed') return { rule, ruleSource, effect: 'permit' } as const
  return found === 'forbidden' ? ({ rule, ruleSource, effect: 'forbid' } as const) : undefined
}

type UsedBy = Pick<Decision, 'reason' | 'wouldBe' | 'rule' | 'ruleSource' | 'target'>
type Remembered = { readonly key: string; notedMs: number }

/** What of rules' use was noted already: each is written once an hour, however many calls use it. */
export class RuleUses {
  readonly #maxRemembered: number
  #size = 0
  /** By the rule's source, then by target: a rule of the baseline has many. */
  readonly #remembered = new Map<string, Map<string | undefined, Remembered>>()

  constructor(maxRemembered = MAX_REMEMBERED) {
    this.#maxRemembered = maxRemembered
  }

  /** What the decision teaches of the rule that it used; undefined where that is known already. */
  noted(decision: UsedBy, nowMs: number): StateDelta | undefined {
    const used = usedRule(decision)
    if (!used) return undefined
    const { target } = decision
    let byTarget = this.#remembered.get(used.ruleSource)
    let remembered = byTarget?.get(target)
    if (remembered && Math.abs(nowMs - remembered.notedMs) < HOUR_MS) return undefined
    if (!remembered) {
      if (this.#size >= this.#maxRemembered) {
        this.#remembered.clear()
        this.#size = 0
        byTarget = undefined
      }
      if (!byTarget) {
        byTarget = new Map()
        this.#remembered.set(used.ruleSource, byTarget)
      }
      remembered = { key: ruleUseKey(target, used.rule, used.effect), notedMs: nowMs }
      byTarget.set(target, remembered)
      this.#size++
    }
    remembered.notedMs = nowMs
    const last: StateOp = ['max', LAST_USED, nowMs]
    return { key: remembered.key, ops: [last], expiresAtMs: nowMs + KEPT_MS }
  }
}
