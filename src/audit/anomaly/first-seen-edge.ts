import type { EventFacts } from './facts.js'
import { type Found, named, type Severity, Tally } from './finding.js'
import type { AnomalyOptions } from './options.js'
import type { Told } from './told.js'

/** A workload that was never seen before makes its first calls; so long, and no longer than is learned at all. */
const NEW_CALLER_MS = 24 * 3_600_000
/** New edges of one window that are named. */
const MAX_NAMED = 32

export type EdgeState = {
  firstMs: number
  /** Endpoints by target. */
  readonly known: Map<string, Set<string>>
  fresh:
    { readonly sinceMs: number; readonly names: string[]; count: number; readonly tally: Tally } | undefined
}

/** Room for edges over all workloads. */
export type EdgeRoom = { left: number }

export function newEdges(firstMs: number): EdgeState {
  return { firstMs, known: new Map(), fresh: undefined }
}

export function edgeCount({ known }: EdgeState): number {
  let count = 0
  for (const endpoints of known.values()) count += endpoints.size
  return count
}

/** A workload let pass to an endpoint that it never called while it was watched long enough to know. */
export function firstSeenEdge(
  state: EdgeState,
  facts: EventFacts,
  learningUntilMs: number,
  room: EdgeRoom,
  options: AnomalyOptions,
  told: Told,
  onFull: () => void,
): Found | undefined {
  const { target, endpoint = '', atMs } = facts
  if (target === undefined || !facts.allowed) return undefined
  let endpoints = state.known.get(target)
  if (endpoints?.has(endpoint)) return undefined
  // What can't be remembered would be new with every call.
  if (room.left <= 0) {
    onFull()
    return undefined
  }
  room.left--
  if (!endpoints) state.known.set(target, (endpoints = new Set()))
  endpoints.add(endpoint)
  const callerKnownMs = state.firstMs + Math.min(NEW_CALLER_MS, options.learnMs)
  if (atMs < learningUntilMs || atMs < callerKnownMs) return undefined
  return found(state, facts, options, told)
}

function found(
  state: EdgeState,
  { target, endpoint, atMs, decisionId, classification }: EventFacts,
  { windowMs }: AnomalyOptions,
  told: Told,
): Found | undefined {
  if (!state.fresh || atMs - state.fresh.sinceMs >= windowMs) {
    state.fresh = { sinceMs: atMs, names: [], count: 0, tally: new Tally() }
  }
  const { fresh } = state
  fresh.count++
  fresh.tally.add(decisionId)
  const name = endpoint === undefined ? `${target}` : `${target}:${endpoint}`
  if (fresh.names.length < MAX_NAMED) fresh.names.push(name)
  const severity = severityOf(fresh.count, classification !== undefined)
  if (!told.isNew('first-seen-edge', severity, windowMs, atMs)) return undefined
  return {
    rule: 'first-seen-edge',
    severity,
    atMs,
    fromMs: Math.min(fresh.sinceMs, atMs),
    observed: fresh.count,
    baseline: 0,
    unit: 'edges',
    message: `let pass where it never called before: ${named(fresh.names.toReversed())}`,
    events: fresh.tally,
  }
}

function severityOf(count: number, classified: boolean): Severity {
  if (count >= 20) return 'High'
  return count >= 5 || classified ? 'Medium' : 'Low'
}
