/** What is looked for, as events, metrics and `audit analyze` name it. */
export const RULES = [
  'impossible-travel',
  'data-volume',
  'lateral-movement',
  'fan-out',
  'off-hours',
  'first-seen-edge',
] as const
export type Rule = (typeof RULES)[number]

/** From the least severe. */
export const SEVERITIES = ['Low', 'Medium', 'High', 'Critical'] as const
export type Severity = (typeof SEVERITIES)[number]

export type Subject =
  | { readonly kind: 'user'; readonly id: string; readonly issuer: string | undefined }
  /** `id`: `namespace/name` where the policy names the service, else its SPIFFE ID. */
  | { readonly kind: 'workload'; readonly id: string }

/** The events of a finding. Those that come later in its window are counted too. */
export type EventsBehind = {
  /** Of the first ones, at most EVENTS_NAMED. */
  readonly decisionIds: readonly string[]
  readonly count: number
}

/** What a rule found about one of its subjects. */
export type Found = {
  readonly rule: Rule
  readonly severity: Severity
  /** When it was found and from when on it was looked at, milliseconds since the epoch. */
  readonly atMs: number
  readonly fromMs: number
  /** What was counted or measured, in `unit`. */
  readonly observed: number
  /** What is usual for the subject, or the most that is allowed; undefined where the rule has no such number. */
  readonly baseline: number | undefined
  readonly unit: 'km/h' | 'calls' | 'accesses' | 'targets' | 'hour of the day' | 'edges'
  /** For people. Holds names out of requests: make it printable. */
  readonly message: string
  readonly events: EventsBehind
}

export type Finding = Found & { readonly subject: Subject }

export const EVENTS_NAMED = 20

export class Tally implements EventsBehind {
  readonly decisionIds: string[] = []
  count = 0

  add(decisionId: string): void {
    this.count++
    if (this.decisionIds.length < EVENTS_NAMED) this.decisionIds.push(decisionId)
  }
}

export function rankOf(severity: Severity): number {
  return SEVERITIES.indexOf(severity)
}

/** `names` for people: at most `most` of them, the rest counted. */
export function named(names: Iterable<string>, most = 5): string {
  const all = [...names]
  const more = all.length - most
  return all.slice(0, most).join(', ') + (more > 0 ? ` and ${more} more` : '')
}
