import type { Pointer } from '../schema/problem.js'
import { parseDurationMs } from '../schema/units.js'
import type { Report } from '../segmentation/when/condition.js'
import type { PosturePolicy } from './device-policy.js'
import type { DevicePolicyDocument } from './device-schema.js'

type WrittenPosture = NonNullable<DevicePolicyDocument['spec']['posture']>

/** Source: REQUIREMENTS D1, D2; the last point and the levels are of R10's signals. */
const BUILT_IN: PosturePolicy = {
  points: {
    unmanaged: 20,
    osNotPatched: 30,
    diskNotEncrypted: 25,
    firewallOff: 10,
    antivirusOff: 15,
    jailbroken: 50,
    notSeen: 10,
    notCompliant: 60,
  },
  externalRisk: { LOW: 0, MEDIUM: 55, HIGH: 80 },
  notSeenAfterMs: 24 * 3_600_000,
  readOnlyAbove: 50,
  denyAbove: 70,
  obligations: ['read-only', 'no-download'],
}

type Pair = readonly [group: Pointer, lower: string, least: number, higher: string, most: number]

/** Built-in numbers, but for what is written. Reports thresholds that cross; then the result is never used. */
export function compilePosture(written: WrittenPosture = {}, report: Report = () => {}): PosturePolicy {
  const { points, externalRisk = {}, notSeenAfter, obligations = BUILT_IN.obligations, ...rest } = written
  const { LOW, MEDIUM, HIGH } = BUILT_IN.externalRisk
  const { low = LOW, medium = MEDIUM, high = HIGH } = externalRisk
  const posture: PosturePolicy = {
    ...BUILT_IN,
    ...rest,
    obligations: [...new Set(obligations)],
    points: { ...BUILT_IN.points, ...points },
    externalRisk: { LOW: low, MEDIUM: medium, HIGH: high },
    notSeenAfterMs:
      notSeenAfter === undefined ? BUILT_IN.notSeenAfterMs : (parseDurationMs(notSeenAfter) ?? 0),
  }
  const { readOnlyAbove, denyAbove } = posture
  const pairs: readonly Pair[] = [
    [['externalRisk'], 'low', low, 'medium', medium],
    [['externalRisk'], 'medium', medium, 'high', high],
    [[], 'readOnlyAbove', readOnlyAbove, 'denyAbove', denyAbove],
  ]
  for (const [group, lower, least, higher, most] of pairs) {
    if (least <= most) continue
    const field = Object.hasOwn(group.length === 0 ? written : externalRisk, lower) ? lower : higher
    const message = `\`${lower}\` (${least}) is more than \`${higher}\` (${most})`
    report(['spec', 'posture', ...group, field], message, 'thresholds-crossed')
  }
  return posture
}
