import { parseDurationMs } from '../schema/units.js'
import { matchesShape } from '../schema/shape.js'
import { fillDefaults } from './defaults.js'
import { DetectorSchema } from './detector-schema.js'
import type { EffectiveConfiguration } from './schema.js'

/** What is out of the ordinary: `audit.detector`. */
export type DetectorConfig = {
  /** Of the server; `portcullis audit analyze` looks anyway. */
  readonly enabled: boolean
  /** Where the server keeps what it has learned; undefined: nowhere. */
  readonly baselineFile: string | undefined
  readonly learnMs: number
  readonly windowMs: number
  readonly impossibleTravel: { readonly enabled: boolean; readonly maxSpeedKmh: number }
  readonly dataVolume: {
    readonly enabled: boolean
    readonly times: number
    readonly leastCalls: number
    readonly leastAccesses: number
  }
  readonly lateralMovement: { readonly enabled: boolean; readonly targets: number; readonly windowMs: number }
  readonly fanOut: { readonly enabled: boolean; readonly times: number; readonly leastTargets: number }
  readonly offHours: {
    readonly enabled: boolean
    /** Minutes since midnight. */
    readonly fromMinute: number
    readonly toMinute: number
    readonly zone: string | undefined
  }
  readonly firstSeenEdge: { readonly enabled: boolean }
  readonly maxSubjects: number
  readonly maxEdges: number
}

type Written = EffectiveConfiguration['audit']['detector']

/** `at` makes paths absolute. */
export function detectorOf(
  { enabled, baseline, learn, window, lateralMovement, offHours, ...as }: Written,
  at: (path: string) => string,
): DetectorConfig {
  return {
    ...as,
    enabled,
    baselineFile: baseline === undefined ? undefined : at(baseline),
    learnMs: ms(learn),
    windowMs: ms(window),
    lateralMovement: {
      enabled: lateralMovement.enabled,
      targets: lateralMovement.targets,
      windowMs: ms(lateralMovement.window),
    },
    offHours: {
      enabled: offHours.enabled,
      fromMinute: minuteOf(offHours.from),
      toMinute: minuteOf(offHours.to),
      zone: offHours.zone,
    },
  }
}

function ms(text: string): number {
  return parseDurationMs(text) ?? NaN
}

function minuteOf(time: string): number {
  return Number(time.slice(0, 2)) * 60 + Number(time.slice(3))
}

/** What holds without a configuration. */
export function defaultDetector(): DetectorConfig {
  const written: unknown = fillDefaults(DetectorSchema, {})
  if (!matchesShape(DetectorSchema, written)) throw new Error('the defaults of audit.detector are none')
  return detectorOf(written, (path) => path)
}
