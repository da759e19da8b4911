import type { Trail } from '../audit/trail.js'
import type { StoreHealth } from '../state/store.js'
import type { LiveSsf } from './live-ssf.js'

/** What /readyz tells of each part. */

export function problemsOf(transmitters: ReturnType<LiveSsf['health']>): string[] {
  return [...transmitters].flatMap(([issuer, { problem }]) =>
    problem === undefined ? [] : [`${issuer}: ${problem}`],
  )
}

export function stateDetail({
  standing,
  problem,
  lostBeforeMs,
}: StoreHealth): Readonly<Record<string, string>> {
  return {
    standing,
    ...(problem !== undefined && { problem }),
    ...(lostBeforeMs !== undefined && { lostBefore: new Date(lostBeforeMs).toISOString() }),
  }
}

/** `ok`, or what keeps each sink from writing. */
export function auditDetail(sinks: ReturnType<Trail['figures']>): string {
  const problems = [...sinks].flatMap(([name, { problem }]) =>
    problem === undefined ? [] : [`${name}: ${problem}`],
  )
  return problems.length === 0 ? 'ok' : problems.join('; ')
}
