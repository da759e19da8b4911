import type { PolicyInForce } from '../../decide.js'
import type { ExtremesOf } from './extremes.js'
import type { Decision } from '../../decision/decision.js'
import type { RecordedCheck } from '../../audit/recorded-check-schema.js'
import { readRecordLine } from './read-record.js'
import { type ChangeKind, replay, verdictText } from './replay.js'

/** Calls that change alike, or of which nobody can tell whether they do. */
export type ChangeGroup = {
  readonly kind: ChangeKind | 'untold'
  /** `namespace/name`, a SPIFFE ID, or a word for those without. */
  readonly caller: string
  readonly target: string
  /** Its name, else method and path of the example. */
  readonly endpoint: string
  readonly was: string
  /** Of `untold` what it may be, by the body. */
  readonly is: string
  readonly rule: string | undefined
  /** `file:line:column` in the candidate. */
  readonly ruleSource: string | undefined
  /** What the candidate says of the example. */
  readonly message: string
  readonly example: { readonly decisionId: string; readonly timestamp: string; readonly call: string }
  readonly count: number
}

export type ReplayReport = {
  readonly checks: number
  readonly same: number
  readonly broken: number
  readonly opened: number
  readonly other: number
  /** Checks whose target nobody knew then: who called was never asked. */
  readonly undecidable: number
  /** Checks whose decision hangs on their body, which is not recorded: no changes, as far as anybody can tell. */
  readonly untold: number
  /** Checks with a body. */
  readonly bodies: number
  /** The most frequent first, those that break before all. */
  readonly groups: readonly ChangeGroup[]
  /** Changes beyond MAX_GROUPS groups, counted above and told of no further. */
  readonly ungrouped: number
}

/** Groups that are kept, so that no file can make a report grow. */
const MAX_GROUPS = 10_000

const ORDER: readonly ChangeGroup['kind'][] = ['broken', 'opened', 'other', 'untold']

/** Collects what changes, line by line. */
export class Replay {
  readonly #policy: PolicyInForce
  readonly #extremesOf: ExtremesOf | undefined
  readonly #groups = new Map<string, { -readonly [Field in keyof ChangeGroup]: ChangeGroup[Field] }>()
  readonly #counts = { same: 0, undecidable: 0, untold: 0, broken: 0, opened: 0, other: 0 }
  #checks = 0
  #ungrouped = 0
  #bodies = 0

  /** `extremesOf`: of the policy, for what records lack. */
  constructor(policy: PolicyInForce, extremesOf?: ExtremesOf) {
    this.#policy = policy
    this.#extremesOf = extremesOf
  }

  /** Takes one line; gives what keeps it from being read. */
  take(line: string): string | undefined {
    const read = readRecordLine(line)
    if (read.kind === 'bad') return read.problem
    if (read.kind === 'blank') return undefined
    this.#checks++
    if (read.check.recorded.request.http?.body) this.#bodies++
    const replayed = replay(read.check, this.#policy, this.#extremesOf)
    this.#counts[replayed.kind]++
    if (replayed.kind === 'same' || replayed.kind === 'undecidable') return undefined
    const { kind, was, is, decision } = replayed
    const { recorded } = read.check
    const place = placeOf(recorded, decision)
    const wasText = verdictText(was)
    const isText =
      replayed.kind === 'untold' ? `${verdictText(replayed.best)}, or ${verdictText(is)}` : verdictText(is)
    const key = JSON.stringify([place, wasText, isText, decision.ruleSource])
    const group = this.#groups.get(key)
    if (group) group.count++
    else if (this.#groups.size >= MAX_GROUPS) this.#ungrouped++
    else {
      const { rule, ruleSource, message, wouldBe } = decision
      const { decisionId, timestamp } = recorded
      this.#groups.set(key, {
        kind,
        ...place,
        was: wasText,
        is: isText,
        rule,
        ruleSource,
        message: message === '' ? (wouldBe?.message ?? '') : message,
        example: { decisionId, timestamp, call: callOf(recorded) },
        count: 1,
      })
    }
    return undefined
  }

  report(): ReplayReport {
    const groups = [...this.#groups.values()].sort(
      (a, b) => ORDER.indexOf(a.kind) - ORDER.indexOf(b.kind) || b.count - a.count,
    )
    return {
      checks: this.#checks,
      ...this.#counts,
      bodies: this.#bodies,
      groups,
      ungrouped: this.#ungrouped,
    }
  }
}

function placeOf(
  { callerService, targetService, endpoint, identity, request }: RecordedCheck,
  decision: Decision,
): Pick<ChangeGroup, 'caller' | 'target' | 'endpoint'> {
  const user = identity?.user ? 'users' : 'nobody'
  return {
    caller: decision.caller ?? callerService ?? identity?.workload?.spiffeId ?? user,
    target: decision.target ?? targetService ?? 'unknown target',
    endpoint: decision.endpoint ?? endpoint ?? (request.http ? request.http.method : 'TCP'),
  }
}

function callOf({ request: { http, destination } }: RecordedCheck): string {
  return http ? `${http.method} ${http.path}` : `TCP ${destination.port}`
}
