import { externalLevel } from '../signals/told.js'
import type { StateRecord } from '../state/record.js'
import type { Finding } from './finding.js'
import type { ExternalLevels } from './risk-policy.js'
import type { RiskScore } from './score.js'

/** The highest level that somebody told of these subjects; of equal ones the newest. Source: REQUIREMENTS R2. */
export function highest(
  records: readonly (StateRecord | undefined)[],
  { points, expireAfterMs }: ExternalLevels,
  nowMs: number,
): Finding | undefined {
  let found: Finding | undefined
  for (const record of records) {
    const told = record && record.size > 0 ? externalLevel(record, expireAfterMs, nowMs) : undefined
    if (!told || points[told.level] === 0) continue
    const finding: Finding = { factor: 'external-level', points: points[told.level], beganMs: told.beganMs }
    const isHigher = !found || finding.points > found.points
    if (isHigher || (finding.points === found?.points && told.beganMs > (found.beganMs ?? 0))) found = finding
  }
  return found
}

/** The level beside what was computed: the higher one counts, they are not added up. */
export function withExternal({ score, findings, ops }: RiskScore, level: Finding): RiskScore {
  return { score: Math.max(score, level.points), findings: [level, ...findings], ops }
}
