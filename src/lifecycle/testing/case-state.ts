import { DEVICE_IN_ORDER } from '../suppose-device.js'
import { reportOps, riskLevelOps } from '../../device/device-report.js'
import { grantOps } from '../../grants/grant-record.js'
import { isPublicAddress } from '../../request/public-address.js'
import type { Located } from '../../risk/locate.js'
import { NOWHERE } from '../../risk/locate.js'
import { quarantineOps } from '../../risk/workload-verdict.js'
import { parseDurationMs } from '../../schema/units.js'
import { sessionOps, type SessionLimits, terminationOps } from '../../session/session-limits.js'
import { levelOps } from '../../signals/level-ops.js'
import { NOTHING_KNOWN, type Recalled } from '../../state/recall.js'
import { applyOps, EMPTY_RECORD, type StateRecord } from '../../state/record.js'
import type { CaseFacts } from './case-schema.js'

const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS

/** What the store would tell of the subjects of a case; or which grant it has no room for. */
export function recalledIn(
  facts: CaseFacts,
  limits: SessionLimits,
  nowMs: number,
): { readonly ok: true; readonly known: Recalled } | { readonly ok: false; readonly grant: number } {
  const { risk = {}, session } = facts
  const grants = grantsRecord(facts, nowMs)
  if (typeof grants === 'number') return { ok: false, grant: grants }
  const user = risk.userLevel === undefined ? EMPTY_RECORD : recordOf(levelOps(risk.userLevel, nowMs))
  const workload = recordOf([
    ...(risk.workloadLevel === undefined ? [] : levelOps(risk.workloadLevel, nowMs)),
    ...(risk.quarantined ? quarantineOps(nowMs + HOUR_MS, nowMs) : []),
  ])
  return {
    ok: true,
    known: {
      ...NOTHING_KNOWN,
      user,
      workload,
      session: session && sessionRecord(session, limits, nowMs),
      device: deviceRecord(facts.device, nowMs),
      grants,
    },
  }
}

function recordOf(ops: Parameters<typeof applyOps>[1]): StateRecord {
  return ops.length === 0 ? EMPTY_RECORD : applyOps(EMPTY_RECORD, ops)
}

function sessionRecord(
  { age, idle, ended = false }: NonNullable<CaseFacts['session']>,
  limits: SessionLimits,
  nowMs: number,
): StateRecord {
  const idleMs = msOf(idle)
  const ageMs = msOf(age) ?? idleMs
  const began =
    ageMs === undefined
      ? EMPTY_RECORD
      : applyOps(EMPTY_RECORD, sessionOps(EMPTY_RECORD, limits, nowMs - ageMs))
  const last = applyOps(began, sessionOps(began, limits, nowMs - (idleMs ?? 0)))
  const seen = ageMs === undefined ? began : last
  return ended ? applyOps(seen, terminationOps(nowMs)) : seen
}

function deviceRecord(device: CaseFacts['device'] = {}, nowMs: number): StateRecord {
  const { known = true, id: _id, externalRisk, ...told } = device
  const report = { ...DEVICE_IN_ORDER, ...told }
  // As it is, it was for a day: an authentication of the case is after what is wrong with it.
  const before = recordOf(known ? reportOps(report, nowMs - DAY_MS) : [])
  return applyOps(before, [
    ...(known ? reportOps(report, nowMs, before) : []),
    ...(externalRisk === undefined ? [] : riskLevelOps(externalRisk, nowMs - DAY_MS)),
  ])
}

/** The record, or the number of the grant that is too long for one. */
function grantsRecord({ grants = [] }: CaseFacts, nowMs: number): StateRecord | number {
  let record = EMPTY_RECORD
  for (const [index, { expiresIn, breakGlass = false, ...scope }] of grants.entries()) {
    const made = grantOps(
      {
        id: `grant-${index + 1}`,
        subject: { issuer: 'https://idp.example', subject: 'alice' },
        ...scope,
        requester: 'requester',
        ...(!breakGlass && { approver: 'approver' }),
        breakGlass,
        reason: 'a case of portcullis test',
        createdAtMs: nowMs,
        expiresAtMs: nowMs + (msOf(expiresIn) ?? HOUR_MS),
      },
      record,
      nowMs,
    )
    if (!made.ok) return index
    record = applyOps(record, made.ops)
  }
  return record
}

/** A country that is given is that of an address in public, unless the address itself says otherwise. */
export function locatedIn({ place }: CaseFacts): Located {
  if (!place) return NOWHERE
  const { ip, country, malicious = false } = place
  return {
    client: { ip, country, isPublic: ip === undefined || isPublicAddress(ip) },
    place: country === undefined ? undefined : { latitude: undefined, longitude: undefined, country },
    malicious,
  }
}

function msOf(duration: string | undefined): number | undefined {
  return duration === undefined ? undefined : parseDurationMs(duration)
}
