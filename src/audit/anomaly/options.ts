/** Thresholds of every rule. Their defaults are the configuration's (`audit.detector`). */
export type AnomalyOptions = {
  /** How long is learned before what was never seen says anything. */
  readonly learnMs: number
  /** Of data volume, fan-out and first-seen edges. */
  readonly windowMs: number
  readonly impossibleTravel: { readonly enabled: boolean; readonly maxSpeedKmh: number }
  readonly dataVolume: {
    readonly enabled: boolean
    /** So many times its own baseline is remarkable. */
    readonly times: number
    /** No window with fewer calls, or accesses to classified data, is remarkable. */
    readonly leastCalls: number
    readonly leastAccesses: number
  }
  readonly lateralMovement: { readonly enabled: boolean; readonly targets: number; readonly windowMs: number }
  readonly fanOut: { readonly enabled: boolean; readonly times: number; readonly leastTargets: number }
  readonly offHours: {
    readonly enabled: boolean
    /** Minutes since midnight: from then, until then nobody is expected who has no history. */
    readonly fromMinute: number
    readonly toMinute: number
    /** IANA name. Undefined: history is learned in UTC, and without history nothing is found. */
    readonly zone: string | undefined
  }
  readonly firstSeenEdge: { readonly enabled: boolean }
  /** Users, and workloads, that are followed at once. */
  readonly maxSubjects: number
  /** Edges that are remembered, over all workloads. */
  readonly maxEdges: number
}
