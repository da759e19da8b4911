import type { Place } from '../../request/place.js'
import { dataVolume } from './data-volume.js'
import type { EventFacts } from './facts.js'
import { fanOut } from './fan-out.js'
import type { Finding, Found } from './finding.js'
import { edgeCount, type EdgeRoom, firstSeenEdge } from './first-seen-edge.js'
import { impossibleTravel } from './impossible-travel.js'
import { isMovement, lateralMovement, newLateral } from './lateral-movement.js'
import { localClock } from './local-time.js'
import { offHours } from './off-hours.js'
import type { AnomalyOptions } from './options.js'
import { Recent } from './recent.js'
import {
  newUser,
  newWorkload,
  type OfAnySubject,
  type UserState,
  type WorkloadState,
} from './subject-state.js'

/** Bounds that were reached, as counts: beyond them something may have been missed. */
export type Missed = {
  /** Users and workloads forgotten for others that came later. */
  readonly subjects: number
  /** Calls on edges that there was no room to remember. */
  readonly edges: number
  /** Calls to targets beyond those told apart in one window. */
  readonly targets: number
}

const NONE: readonly Finding[] = []

/**
 * Looks at events one by one, about in the order of their times, and tells what is out of the ordinary. Pure: what it
 * says depends on the events and the options alone, so a file analysed later and a server that looks at its own decisions
 * find the same. Memory is bounded. Throws RangeError where `offHours.zone` is no time zone.
 */
export class Detector {
  readonly #options: AnomalyOptions
  readonly #placeOf: (ip: string) => Place | undefined
  readonly #clock: ReturnType<typeof localClock>
  readonly #users: Recent<UserState>
  readonly #workloads: Recent<WorkloadState>
  readonly #room: EdgeRoom
  readonly #missed = { subjects: 0, edges: 0, targets: 0 }
  readonly #onFullEdges = (): void => void this.#missed.edges++
  readonly #onFullTargets = (): void => void this.#missed.targets++
  #startMs: number | undefined

  constructor(options: AnomalyOptions, placeOf: (ip: string) => Place | undefined) {
    this.#options = options
    this.#placeOf = placeOf
    this.#clock = localClock(options.offHours.zone ?? 'UTC')
    this.#room = { left: options.maxEdges }
    this.#users = new Recent(options.maxSubjects, () => this.#missed.subjects++)
    this.#workloads = new Recent(options.maxSubjects, ({ edges }) => {
      this.#missed.subjects++
      this.#room.left += edgeCount(edges)
    })
  }

  /** What this event shows, most often nothing. */
  note(facts: EventFacts): readonly Finding[] {
    this.#startMs ??= facts.atMs
    const { user, workload } = facts
    let found: Finding[] | undefined
    if (user) {
      const state = this.#userOf(user.key, facts)
      const subject = { kind: 'user', id: user.id, issuer: user.issuer } as const
      for (const each of this.#ofUser(state, facts)) (found ??= []).push({ ...each, subject })
    }
    if (workload !== undefined) {
      const state = this.#workloadOf(workload, facts.atMs)
      const subject = { kind: 'workload', id: workload } as const
      for (const each of this.#ofWorkload(state, facts)) (found ??= []).push({ ...each, subject })
    }
    return found ?? NONE
  }

  #ofUser(state: UserState, facts: EventFacts): readonly Found[] {
    const options = this.#options
    const found = this.#ofAny(state, facts)
    if (options.impossibleTravel.enabled) {
      add(found, impossibleTravel(state.travel, facts, this.#placeOf, options, state.told))
    }
    if (options.offHours.enabled) {
      add(found, offHours(state.hours, facts, this.#clock(facts.atMs), options, state.told))
    }
    return found
  }

  #ofWorkload(state: WorkloadState, facts: EventFacts): readonly Found[] {
    const options = this.#options
    const found = this.#ofAny(state, facts)
    if (options.firstSeenEdge.enabled) {
      const { edges, told } = state
      const untilMs = this.learningUntilMs ?? Infinity
      add(found, firstSeenEdge(edges, facts, untilMs, this.#room, options, told, this.#onFullEdges))
    }
    return found
  }

  #ofAny(state: OfAnySubject, facts: EventFacts): Found[] {
    const options = this.#options
    const { told } = state
    const found: Found[] = []
    if (options.dataVolume.enabled) add(found, dataVolume(state.volume, facts, options, told))
    if (options.fanOut.enabled) add(found, fanOut(state.fanOut, facts, options, told, this.#onFullTargets))
    if (options.lateralMovement.enabled && isMovement(facts)) {
      add(found, lateralMovement((state.lateral ??= newLateral()), facts, options, told))
    }
    return found
  }

  #userOf(key: string, { user, atMs }: EventFacts): UserState {
    let state = this.#users.get(key, atMs)
    if (!state) {
      state = newUser(user?.id ?? '', user?.issuer, atMs)
      this.#users.set(key, state)
    }
    return state
  }

  #workloadOf(id: string, atMs: number): WorkloadState {
    let state = this.#workloads.get(id, atMs)
    if (!state) {
      state = newWorkload(id, atMs)
      this.#workloads.set(id, state)
    }
    return state
  }

  /** What is first seen before then is learned and not told; undefined before the first event. */
  get learningUntilMs(): number | undefined {
    return this.#startMs === undefined ? undefined : this.#startMs + this.#options.learnMs
  }

  /** When the first event was, this one's or that of what was learned before. */
  get startMs(): number | undefined {
    return this.#startMs
  }

  get missed(): Missed {
    return { ...this.#missed }
  }

  get sizes(): { readonly users: number; readonly workloads: number; readonly edges: number } {
    const edges = this.#options.maxEdges - this.#room.left
    return { users: this.#users.size, workloads: this.#workloads.size, edges }
  }

  /** What is remembered, least recently seen first; while it is gone through, more may come. */
  *subjects(): Generator<UserState | WorkloadState, undefined> {
    yield* this.#users.values()
    yield* this.#workloads.values()
  }

  /** Takes what another detector remembered, before the first event. */
  restoreStart(startMs: number): void {
    this.#startMs = startMs
  }

  restore(state: UserState | WorkloadState): void {
    if (state.kind === 'user') {
      this.#users.set(state.name.key, state)
      return
    }
    this.#room.left -= edgeCount(state.edges)
    this.#workloads.set(state.id, state)
  }
}

function add(found: Found[], one: Found | undefined): void {
  if (one) found.push(one)
}
