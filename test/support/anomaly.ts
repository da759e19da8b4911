import { Detector } from '../../src/audit/anomaly/detector.js'
import { type EventFacts, userName } from '../../src/audit/anomaly/facts.js'
import type { Finding } from '../../src/audit/anomaly/finding.js'
import type { AnomalyOptions } from '../../src/audit/anomaly/options.js'
import { defaultDetector } from '../../src/config/detector.js'
import type { Place } from '../../src/request/place.js'

export const SECOND_MS = 1000
export const MINUTE_MS = 60_000
export const HOUR_MS = 3_600_000
export const DAY_MS = 24 * HOUR_MS
/** A Monday at midnight in UTC. */
export const MONDAY_MS = Date.parse('2026-03-02T00:00:00Z')

const PLACES: Readonly<Record<string, Place>> = {
  '203.0.113.1': { latitude: 48.86, longitude: 2.35, country: 'FR' },
  '203.0.113.2': { latitude: 35.68, longitude: 139.69, country: 'JP' },
  // Some 30 km from the first.
  '203.0.113.3': { latitude: 48.99, longitude: 1.99, country: 'FR' },
  // Some 340 km from the first.
  '203.0.113.4': { latitude: 51.51, longitude: -0.13, country: 'GB' },
  '203.0.113.5': { latitude: undefined, longitude: undefined, country: 'JP' },
}
export const placeOf = (ip: string): Place | undefined => PLACES[ip]

let decisions = 0

/** A call that was let pass, by a workload unless a user is given. */
export function event(atMs: number, over: Partial<EventFacts> = {}): EventFacts {
  return {
    atMs,
    decisionId: `d${++decisions}`,
    user: undefined,
    workload: over.user ? undefined : 'shop/web',
    target: 'shop/pay',
    endpoint: 'Read',
    userIp: undefined,
    allowed: true,
    refusedFor: undefined,
    classification: undefined,
    operation: 'Read',
    impossibleTravel: false,
    unusualTime: false,
    ...over,
  }
}

export const alice = userName('alice', 'https://idp.example')

export function refused(atMs: number, target: string, over: Partial<EventFacts> = {}): EventFacts {
  return event(atMs, { target, endpoint: undefined, allowed: false, refusedFor: 'call-not-allowed', ...over })
}

/** `count` calls, evenly spread over `withinMs`. */
export function calls(
  fromMs: number,
  count: number,
  withinMs: number,
  over: (at: number) => Partial<EventFacts> = () => ({}),
): EventFacts[] {
  return Array.from({ length: count }, (_, at) =>
    event(fromMs + Math.floor((at * withinMs) / count), over(at)),
  )
}

/** The defaults of the configuration, but for one rule alone where it is named. */
export function options(over: Partial<AnomalyOptions> = {}, only?: keyof AnomalyOptions): AnomalyOptions {
  const all = { ...defaultDetector(), ...over }
  if (only === undefined) return all
  const off = { enabled: false }
  return {
    ...all,
    impossibleTravel: { ...all.impossibleTravel, ...(only !== 'impossibleTravel' && off) },
    dataVolume: { ...all.dataVolume, ...(only !== 'dataVolume' && off) },
    lateralMovement: { ...all.lateralMovement, ...(only !== 'lateralMovement' && off) },
    fanOut: { ...all.fanOut, ...(only !== 'fanOut' && off) },
    offHours: { ...all.offHours, ...(only !== 'offHours' && off) },
    firstSeenEdge: { ...all.firstSeenEdge, ...(only !== 'firstSeenEdge' && off) },
  }
}

export function findingsOf(
  events: readonly EventFacts[],
  over: AnomalyOptions = options(),
  detector = new Detector(over, placeOf),
): Finding[] {
  return events.flatMap((facts) => detector.note(facts))
}

/** `rule severity observed` of each. */
export function brief(findings: readonly Finding[]): string[] {
  return findings.map(({ rule, severity, observed }) => `${rule} ${severity} ${observed}`)
}
