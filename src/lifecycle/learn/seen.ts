/** What was seen of one caller at one place. Times in milliseconds since the epoch. */
export type Seen = {
  count: number
  firstMs: number
  lastMs: number
  withUser: number
  withWorkload: number
  /** The target's own half is missing for this caller. */
  needsConsent: boolean
  /** Verified users on whose behalf it called, by number; up to MAX_USERS. */
  users: Set<number> | undefined
  /** It is not to be learned: see leaveOutSingleUsers. */
  isLeftOut?: boolean
}

/** Users of one caller at one place that are told apart. */
export const MAX_USERS = 100

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
  /** The user's number. */
  readonly user: number | undefined
}

export function note(
  callers: Callers,
  { caller, atMs, withUser, withWorkload, needsConsent, user }: Sighting,
): void {
  merge(callers, caller, {
    count: 1,
    firstMs: atMs,
    lastMs: atMs,
    withUser: withUser ? 1 : 0,
    withWorkload: withWorkload ? 1 : 0,
    needsConsent,
    users: undefined,
  })
  const seen = callers.get(caller)
  if (user !== undefined && seen) addUsers(seen, [user])
}

function addUsers(seen: Seen, users: Iterable<number>): void {
  seen.users ??= new Set()
  for (const user of users) if (seen.users.size < MAX_USERS) seen.users.add(user)
}

export function mergeAll(into: Callers, from: Callers): void {
  for (const [caller, seen] of from) merge(into, caller, seen)
}

function merge(into: Callers, caller: string, seen: Seen): void {
  const known = into.get(caller)
  if (!known) {
    into.set(caller, { ...seen, users: seen.users && new Set(seen.users) })
    return
  }
  known.count += seen.count
  known.firstMs = Math.min(known.firstMs, seen.firstMs)
  known.lastMs = Math.max(known.lastMs, seen.lastMs)
  known.withUser += seen.withUser
  known.withWorkload += seen.withWorkload
  known.needsConsent ||= seen.needsConsent
  if (seen.users) addUsers(known, seen.users)
}

/** Of all of them together. */
export function total(callers: Iterable<Seen>): Seen {
  const sum: Callers = new Map()
  for (const seen of callers) merge(sum, '', seen)
  return (
    sum.get('') ?? {
      count: 0,
      firstMs: 0,
      lastMs: 0,
      withUser: 0,
      withWorkload: 0,
      needsConsent: false,
      users: undefined,
    }
  )
}

/**
 * For example `seen 1,204 times, 2026-11-01 to 2026-11-20, by 1 user of 31`. `ofUsers`: how many of the target there are;
 * undefined where nobody is to know.
 */
export function seenText({ count, firstMs, lastMs, users }: Seen, ofUsers?: number): string {
  const [first, last] = [dayOf(firstMs), dayOf(lastMs)]
  const times = count === 1 ? 'once' : `${count.toLocaleString('en')} times`
  const days = first === last ? first : `${first} to ${last}`
  return `seen ${times}, ${days}${users && ofUsers !== undefined ? `, by ${usersText(users.size, ofUsers)}` : ''}`
}

function usersText(users: number, ofUsers: number): string {
  if (users >= MAX_USERS) return `${MAX_USERS} or more users`
  return `${users} ${users === 1 ? 'user' : 'users'} of ${ofUsers.toLocaleString('en')}`
}

function dayOf(ms: number): string {
  return new Date(ms).toISOString().slice(0, 10)
}
