import { latestOf, type StateOp, type StateRecord } from '../state/record.js'

/** Every factor, as events, `check` and metrics name it. */
export const FACTORS = [
  'token-claim',
  'impossible-travel',
  'unusual-time',
  'failed-attempts',
  'sensitive-access',
  'anomalous-behaviour',
  'new-device',
  'malicious-ip',
  'data-volume',
  'lateral-movement',
  'fan-out',
  'token-replay',
  'device-posture',
  'external-level',
] as const
export type Factor = (typeof FACTORS)[number]

/** What one factor says of a call. */
export type Finding = {
  readonly factor: Factor
  /** More than 0, at most 100. */
  readonly points: number
  /** When it began, milliseconds since the epoch; undefined for what is true of this call alone. */
  readonly beganMs: number | undefined
  /** Found about others too, as failures of an address: it raises the score and ends nobody's session. */
  readonly shared?: true
}

/** What a factor found and what it wants remembered. */
export type Found = { readonly finding: Finding | undefined; readonly ops: readonly StateOp[] }

export const NOTHING_FOUND: Found = { finding: undefined, ops: [] }

/** Factors that are events: they count from when they happened until the score expires. */
const EVENT_FIELDS: ReadonlyMap<Factor, string> = new Map([
  ['impossible-travel', 'e:travel'],
  ['anomalous-behaviour', 'e:agent'],
  ['new-device', 'e:device'],
  ['malicious-ip', 'e:threat'],
  ['data-volume', 'e:volume'],
  ['token-replay', 'e:replay'],
])

/** Whether a factor is something that happened, rather than a count or a circumstance. */
export function isEvent(factor: Factor): boolean {
  return EVENT_FIELDS.has(factor)
}

/** Remembers that an event happened; `about` tells it from others of its kind, at most 128 units. */
export function eventOp(factor: Factor, atMs: number, about = ''): StateOp {
  return ['latest', EVENT_FIELDS.get(factor) ?? '', atMs, about]
}

/** Clocks of replicas differ by less, milliseconds. */
export const CLOCK_SKEW_MS = 60_000

/** The event's finding while it counts. Of one from a clock that was ahead nobody knows when it began. */
export function liveEvent(
  record: StateRecord,
  factor: Factor,
  points: number,
  lifetimeMs: number,
  nowMs: number,
): Finding | undefined {
  const event = points > 0 ? latestOf(record, EVENT_FIELDS.get(factor) ?? '') : undefined
  if (!event || nowMs - event.atMs > lifetimeMs) return undefined
  const beganMs = event.atMs > nowMs + CLOCK_SKEW_MS ? undefined : Math.min(event.atMs, nowMs)
  return { factor, points, beganMs }
}
