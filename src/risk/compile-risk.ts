import type { Pointer } from '../schema/problem.js'
import { parseDurationMs } from '../schema/units.js'
import type { Report } from '../segmentation/when/condition.js'
import type { RiskPolicy, RiskPolicyDocument } from './risk-policy.js'
import type { Tier } from './tiers.js'

/** A document that fits its schema, and where its faults go. */
export type RiskDocument = Pick<RiskPolicyDocument, 'metadata' | 'spec'> & { readonly report: Report }

/** What no document sets, by path. Source: REQUIREMENTS R1 to R5; what it leaves open is in docs/risk.md. */
const BUILT_IN: ReadonlyMap<string, unknown> = new Map<string, unknown>([
  ['expireAfter', '1h'],
  ['factors.impossibleTravel.points', 30],
  ['factors.impossibleTravel.maxSpeedKmh', 1000],
  ['factors.unusualTime.points', 15],
  ['factors.unusualTime.from', '06:00'],
  ['factors.unusualTime.to', '22:00'],
  [
    'factors.failedAttempts.tiers',
    [
      { above: 2, points: 5 },
      { above: 5, points: 15 },
      { above: 10, points: 25 },
    ],
  ],
  ['factors.failedAttempts.window', '1h'],
  ['factors.sensitiveAccess.points', 20],
  [
    'factors.sensitiveAccess.paths',
    ['/api/admin/**', '/api/billing/**', '/api/export/**', '/api/users/bulk'],
  ],
  ['factors.anomalousBehaviour.points', 10],
  ['factors.newDevice.points', 10],
  ['factors.maliciousIp.points', 30],
  ['factors.dataVolume.points', 20],
  ['factors.dataVolume.times', 10],
  [
    'factors.lateralMovement.tiers',
    [
      { above: 9, points: 30 },
      { above: 14, points: 60 },
      { above: 19, points: 90 },
    ],
  ],
  ['factors.lateralMovement.window', '10m'],
  ['factors.fanOut.points', 20],
  ['factors.fanOut.targets', 24],
  ['factors.fanOut.window', '10m'],
  ['factors.tokenReplay.points', 40],
  [
    'factors.devicePosture.tiers',
    [
      { above: 50, points: 20 },
      { above: 70, points: 40 },
    ],
  ],
  ['external.low', 0],
  ['external.medium', 55],
  ['external.high', 80],
  ['external.expireAfter', '24h'],
  ['signals.mediumFrom', 1],
  ['signals.highFrom', 3],
  ['signals.leastPoints', 15],
  ['session.stepUpAbove', 50],
  ['session.terminateAbove', 80],
  ['workload.denyAbove', 70],
  ['workload.quarantineAbove', 80],
  ['workload.quarantineFor', '1h'],
  ['alerts.mediumAbove', 50],
  ['alerts.highAbove', 70],
  ['alerts.window', '15m'],
])

/**
 * Compiles all RiskPolicy documents into one. Each says only what differs from the built-in numbers; what two of them
 * set is an error. Reports faults; then the result is never used.
 */
export function compileRisk(documents: readonly RiskDocument[]): RiskPolicy {
  const written = readSettings(documents)
  const valueOf = (path: string): unknown => written.get(path)?.value ?? BUILT_IN.get(path)
  const number = (path: string): number => Number(valueOf(path))
  const ms = (path: string): number => parseDurationMs(String(valueOf(path))) ?? 0
  const minute = (path: string): number => minutesOf(String(valueOf(path)))
  const tiers = (path: string): readonly Tier[] => tiersOf(valueOf(path))
  const points = (factor: string): number => number(`factors.${factor}.points`)
  checkRising(written, number)
  checkTiers(written)
  checkWindow(written)
  return {
    impossibleTravel: {
      points: points('impossibleTravel'),
      maxSpeedKmh: number('factors.impossibleTravel.maxSpeedKmh'),
    },
    unusualTime: {
      points: points('unusualTime'),
      fromMinute: minute('factors.unusualTime.from'),
      toMinute: minute('factors.unusualTime.to'),
    },
    failedAttempts: {
      tiers: tiers('factors.failedAttempts.tiers'),
      windowMs: ms('factors.failedAttempts.window'),
    },
    sensitiveAccess: {
      points: points('sensitiveAccess'),
      isSensitive: pathTest(textsOf(valueOf('factors.sensitiveAccess.paths'))),
    },
    anomalousBehaviour: { points: points('anomalousBehaviour') },
    newDevice: { points: points('newDevice') },
    maliciousIp: { points: points('maliciousIp') },
    dataVolume: { points: points('dataVolume'), times: number('factors.dataVolume.times') },
    lateralMovement: {
      tiers: tiers('factors.lateralMovement.tiers'),
      windowMs: ms('factors.lateralMovement.window'),
    },
    fanOut: {
      points: points('fanOut'),
      targets: number('factors.fanOut.targets'),
      windowMs: ms('factors.fanOut.window'),
    },
    tokenReplay: { points: points('tokenReplay') },
    devicePosture: { tiers: tiers('factors.devicePosture.tiers') },
    external: {
      points: {
        low: number('external.low'),
        medium: number('external.medium'),
        high: number('external.high'),
      },
      expireAfterMs: ms('external.expireAfter'),
    },
    expireAfterMs: ms('expireAfter'),
    signals: {
      mediumFrom: number('signals.mediumFrom'),
      highFrom: number('signals.highFrom'),
      leastPoints: number('signals.leastPoints'),
    },
    session: {
      stepUpAbove: number('session.stepUpAbove'),
      terminateAbove: number('session.terminateAbove'),
    },
    workload: {
      denyAbove: number('workload.denyAbove'),
      quarantineAbove: number('workload.quarantineAbove'),
      quarantineForMs: ms('workload.quarantineFor'),
    },
    alerts: {
      mediumAbove: number('alerts.mediumAbove'),
      highAbove: number('alerts.highAbove'),
      windowMs: ms('alerts.window'),
    },
  }
}

/** What the documents set, by path. */
function readSettings(documents: readonly RiskDocument[]): ReadonlyMap<string, Setting> {
  const written = new Map<string, Setting>()
  const names = new Set<string>()
  for (const { metadata, spec, report } of documents) {
    if (names.has(metadata.name)) {
      const message = `there is a RiskPolicy \`${metadata.name}\` already`
      report(['metadata', 'name'], message, 'duplicate-name')
    }
    names.add(metadata.name)
    for (const setting of settingsOf(spec, metadata.name, report)) {
      const before = written.get(setting.path)
      if (before) {
        const message = `\`${setting.path}\` is set by the RiskPolicy \`${before.by}\` too`
        report(setting.at, message, 'duplicate-setting')
      }
      written.set(setting.path, setting)
    }
  }
  return written
}

type Setting = {
  readonly path: string
  readonly value: unknown
  readonly by: string
  readonly at: Pointer
  readonly report: Report
}

function settingsOf(spec: RiskDocument['spec'], by: string, report: Report): Setting[] {
  const { factors = {}, expireAfter, ...groups } = spec
  const settings: Setting[] = []
  const take = (path: string, value: unknown, at: Pointer): void => {
    if (value !== undefined) settings.push({ path, value, by, at, report })
  }
  take('expireAfter', expireAfter, ['spec', 'expireAfter'])
  for (const [name, fields] of Object.entries(factors)) {
    for (const [field, value] of Object.entries(fields ?? {})) {
      take(`factors.${name}.${field}`, value, ['spec', 'factors', name, field])
    }
  }
  for (const [name, fields] of Object.entries(groups)) {
    for (const [field, value] of Object.entries(fields ?? {})) {
      take(`${name}.${field}`, value, ['spec', name, field])
    }
  }
  return settings
}

/** Pairs of thresholds whose first must not exceed the second. */
const RISING: readonly (readonly [low: string, high: string])[] = [
  ['signals.mediumFrom', 'signals.highFrom'],
  ['external.low', 'external.medium'],
  ['external.medium', 'external.high'],
  ['session.stepUpAbove', 'session.terminateAbove'],
  ['workload.denyAbove', 'workload.quarantineAbove'],
  ['alerts.mediumAbove', 'alerts.highAbove'],
]

function checkRising(written: ReadonlyMap<string, Setting>, number: (path: string) => number): void {
  for (const [low, high] of RISING) {
    if (number(low) <= number(high)) continue
    const setting = written.get(low) ?? written.get(high)
    const [lowName, highName] = [low, high].map((path) => path.slice(path.indexOf('.') + 1))
    const message = `\`${lowName}\` (${number(low)}) is more than \`${highName}\` (${number(high)})`
    setting?.report(setting.at, message, 'thresholds-crossed')
  }
}

function checkTiers(written: ReadonlyMap<string, Setting>): void {
  for (const { path, value, at, report } of written.values()) {
    if (!path.endsWith('.tiers')) continue
    const tiers = tiersOf(value)
    tiers.forEach(({ above, points }, index) => {
      const before = tiers[index - 1]
      if (!before || (above > before.above && points > before.points)) return
      report([...at, index], 'tiers must rise, in `above` and in `points`', 'tiers-not-rising')
    })
  }
}

/** Failures are counted in buckets, of which a record has room for so many. */
const LONGEST_WINDOW = '2h'

function checkWindow(written: ReadonlyMap<string, Setting>): void {
  const setting = written.get('factors.failedAttempts.window')
  if (!setting || (parseDurationMs(String(setting.value)) ?? 0) <= (parseDurationMs(LONGEST_WINDOW) ?? 0))
    return
  setting.report(setting.at, `failed attempts are counted over ${LONGEST_WINDOW} at most`, 'window-too-long')
}

function tiersOf(value: unknown): readonly Tier[] {
  return Array.isArray(value) ? value : []
}

function textsOf(value: unknown): readonly string[] {
  return Array.isArray(value) ? value : []
}

function minutesOf(time: string): number {
  const [hour = 0, minute = 0] = time.split(':').map(Number)
  return hour * 60 + minute
}

/** Exact paths and prefixes of whole segments, without case and trailing slash. */
function pathTest(paths: readonly string[]): (path: string) => boolean {
  const exact = new Set<string>()
  const prefixes = new Set<string>()
  for (const path of paths) {
    const folded = fold(path)
    if (folded.endsWith('/**')) prefixes.add(folded.slice(0, -3))
    else exact.add(folded)
  }
  return (path) => {
    const folded = fold(path)
    if (exact.has(folded) || prefixes.has(folded) || prefixes.has('')) return true
    for (let slash = folded.indexOf('/', 1); slash !== -1; slash = folded.indexOf('/', slash + 1)) {
      if (prefixes.has(folded.slice(0, slash))) return true
    }
    return false
  }
}

function fold(path: string): string {
  const lower = path.toLowerCase()
  return lower.length > 1 && lower.endsWith('/') ? lower.slice(0, -1) : lower
}
