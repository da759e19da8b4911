/** What was seen of one caller at one place. Times in milliseconds since the epoch. */
export type Seen = {
  count: number
  firstMs: number
  lastMs: number
  withUser: number
  withWorkload: number
  /** The target's own half is missing for this caller. */
  needsConsent: boolean
}

/** By caller: `namespace/name`, or one of the two below. */
export type Callers = Map<string, Seen>

/** Verified users without a workload, and callers without any identity. */
export const USERS = 'users'
export const ANYONE = 'anyone'

export type Sighting = {
  readonly caller: string
  readonly atMs: number
  readonly withUser: boolean
  readonly withWorkload: boolean
  readonly needsConsent: boolean
}

export function note(
  callers: Callers,
  { caller, atMs, withUser, withWorkload, needsConsent }: Sighting,
): void {
  merge(callers, caller, {
    count: 1,
    firstMs: atMs,
    lastMs: atMs,
    withUser: withUser ? 1 : 0,
    withWorkload: withWorkload ? 1 : 0,
    needsConsent,
  })
}

export function mergeAll(into: Callers, from: Callers): void {
  for (const [caller, seen] of from) merge(into, caller, seen)
}

function merge(into: Callers, caller: string, seen: Seen): void {
  const known = into.get(caller)
  if (!known) {
    into.set(caller, { ...seen })
    return
  }
  known.count += seen.count
  known.firstMs = Math.min(known.firstMs, seen.firstMs)
  known.lastMs = Math.max(known.lastMs, seen.lastMs)
  known.withUser += seen.withUser
  known.withWorkload += seen.withWorkload
  known.needsConsent ||= seen.needsConsent
}

/** Of all of them together. */
export function total(callers: Iterable<Seen>): Seen {
  const sum: Callers = new Map()
  for (const seen of callers) merge(sum, '', seen)
  return sum.get('') ?? { count: 0, firstMs: 0, lastMs: 0, withUser: 0, withWorkload: 0, needsConsent: false }
}

/** For example `seen 1,204 times, 2026-11-01 to 2026-11-20`. */
export function seenText({ count, firstMs, lastMs }: Seen): string {
  const [first, last] = [dayOf(firstMs), dayOf(lastMs)]
  const times = count === 1 ? 'once' : `${count.toLocaleString('en')} times`
  return `seen ${times}, ${first === last ? first : `${first} to ${last}`}`
}

function dayOf(ms: number): string {
  return new Date(ms).toISOString().slice(0, 10)
}
