import { newVolume, type VolumeState } from './data-volume.js'
import { type UserName, userName } from './facts.js'
import { type FanOutState, newFanOut } from './fan-out.js'
import { type EdgeState, newEdges } from './first-seen-edge.js'
import type { TravelState } from './impossible-travel.js'
import type { LateralState } from './lateral-movement.js'
import { type HoursState, newHours } from './off-hours.js'
import { Told } from './told.js'

/** What is remembered of every subject. */
export type OfAnySubject = {
  /** When it was seen last, to the minute; milliseconds since the epoch. */
  usedMs: number
  readonly volume: VolumeState
  readonly fanOut: FanOutState
  /** Most are never refused. */
  lateral: LateralState | undefined
  readonly told: Told
}

export type UserState = OfAnySubject & {
  readonly kind: 'user'
  readonly name: UserName
  readonly travel: TravelState
  readonly hours: HoursState
}

export type WorkloadState = OfAnySubject & {
  readonly kind: 'workload'
  readonly id: string
  readonly edges: EdgeState
}

type Learned = Partial<Pick<OfAnySubject, 'volume' | 'fanOut' | 'lateral'>>

function ofAny(usedMs: number, learned: Learned): OfAnySubject {
  const { volume = newVolume(), fanOut = newFanOut(), lateral } = learned
  return { usedMs, volume, fanOut, lateral, told: new Told() }
}

export function newUser(
  id: string,
  issuer: string | undefined,
  atMs: number,
  learned: Learned & { readonly hours?: HoursState } = {},
): UserState {
  return {
    kind: 'user',
    name: userName(id, issuer),
    ...ofAny(atMs, learned),
    travel: { last: undefined, carried: false },
    hours: learned.hours ?? newHours(atMs),
  }
}

export function newWorkload(
  id: string,
  atMs: number,
  learned: Learned & { readonly edges?: EdgeState } = {},
): WorkloadState {
  return { kind: 'workload', id, ...ofAny(atMs, learned), edges: learned.edges ?? newEdges(atMs) }
}
