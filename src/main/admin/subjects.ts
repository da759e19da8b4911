import { type Static, Type } from '@sinclair/typebox'
import { Fields } from '../../schema/fields.js'
import { matchesShape } from '../../schema/shape.js'
import type { AdminPorts, Outcome, Subject } from '../../admin/ports.js'
import type { QuarantineEntry, RiskAnswer } from '../../admin/schemas/subjects.js'
import { parseSpiffeId } from '../../identity/spiffe-id.js'
import { highest } from '../../risk/external.js'
import type { RiskPolicy } from '../../risk/risk-policy.js'
import { NO_RISK, type RiskScore, scoreUser, scoreWorkload } from '../../risk/score.js'
import { levelOf, signalsOf } from '../../risk/signals.js'
import { liftQuarantineOps, quarantinedUntilMs, quarantineOps } from '../../risk/workload-verdict.js'
import { levelOps } from '../../signals/level-ops.js'
import { externalLevel } from '../../signals/told.js'
import type { StateRecord } from '../../state/record.js'
import type { StateStore } from '../../state/store.js'
import { userKey, workloadKey } from '../../state/subjects.js'
import { AWAY, found, given, problem, refused, timeOf } from './answers.js'

export type SubjectParts = {
  readonly store: Pick<StateStore, 'read' | 'commit' | 'documents'>
  readonly risk: () => RiskPolicy
  readonly nowMs: () => number
}

const LEVEL_NAMES = { low: 'LOW', medium: 'MEDIUM', high: 'HIGH' } as const
const DAY_MS = 24 * 3_600_000
/** How long a subject is known after something was decided about it. */
const KEPT_MS = 30 * DAY_MS
/** Entries of one page of the store. */
const PAGE = 500

/** What is known of users and workloads, without the call that each decision adds to it. */
export function riskPort({ store, risk, nowMs }: SubjectParts): AdminPorts['risk'] {
  const answer = async (subject: Subject): Promise<Outcome<RiskAnswer>> => {
    const key = keyOf(subject)
    if (key === undefined) return NO_WORKLOAD
    const atMs = nowMs()
    const record = await store.read(key, atMs)
    if (record === 'unavailable') return AWAY
    const policy = risk()
    const told = externalLevel(record, policy.external.expireAfterMs, atMs)
    const { score, findings } =
      'workload' in subject ? scoreWorkload(record, policy, atMs) : ofUser(record, policy, atMs)
    const external = highest([record], policy.external, atMs)
    const signals = signalsOf(findings, policy.signals)
    return found(
      given({
        ...subject,
        score: Math.round(Math.max(score, external?.points ?? 0)),
        level: levelOf(signals, policy.signals),
        signals,
        factors: [...(external ? [external] : []), ...findings].map(({ factor, points }) => ({
          factor,
          points,
        })),
        externalLevel: told && { level: LEVEL_NAMES[told.level], at: timeOf(told.beganMs) ?? '' },
      }),
    )
  }
  return {
    of: answer,
    setLevel: async (subject, level) => {
      const key = keyOf(subject)
      if (key === undefined) return NO_WORKLOAD
      const atMs = nowMs()
      const deltas = [{ key, ops: levelOps(level, atMs), expiresAtMs: atMs + KEPT_MS }]
      return (await store.commit(deltas)) === 'unavailable' ? AWAY : answer(subject)
    },
  }
}

/** The score by what is remembered alone: a sighting that shows nothing. */
function ofUser(record: StateRecord, policy: RiskPolicy, nowMs: number): RiskScore {
  if (record.size === 0) return NO_RISK
  const sighting = {
    nowMs,
    place: undefined,
    address: undefined,
    malicious: false,
    agent: undefined,
    deviceId: undefined,
    device: undefined,
    zone: undefined,
    answeredMs: undefined,
    path: undefined,
    sensitive: false,
  }
  const { findings } = scoreUser(record, sighting, policy)
  // The hour of the asking is nothing about the user.
  const remembered = findings.filter(({ factor }) => factor !== 'unusual-time')
  const score = Math.min(
    100,
    remembered.reduce((sum, { points }) => sum + points, 0),
  )
  return { score, findings: remembered, ops: [] }
}

const ENTRY = Fields({
  workload: Type.String(),
  by: Type.String(),
  reason: Type.String(),
  sinceMs: Type.Number(),
})
type Entry = Static<typeof ENTRY>

/** Quarantine by hand, and what decisions quarantined by themselves as far as it was written down. */
export function quarantinePort({ store, nowMs }: SubjectParts): AdminPorts['quarantine'] {
  const { documents } = store
  const entryOf = async (
    name: string,
    text: string,
  ): Promise<QuarantineEntry | 'unavailable' | undefined> => {
    const written = parseEntry(text)
    const key = written && keyOf({ workload: written.workload })
    if (!written || key === undefined) return undefined
    const atMs = nowMs()
    const record = await store.read(key, atMs)
    if (record === 'unavailable') return record
    const untilMs = quarantinedUntilMs(record)
    if (untilMs === undefined || untilMs <= atMs) {
      void documents.remove('quarantine', name)
      return undefined
    }
    const { workload, by, reason, sinceMs } = written
    return given({ workload, since: timeOf(sinceMs), until: timeOf(untilMs) ?? '', by, reason })
  }
  return {
    list: async () => {
      const entries: QuarantineEntry[] = []
      let cursor: string | undefined
      do {
        const page = await documents.list('quarantine', cursor, PAGE)
        if (page === 'unavailable') return AWAY
        for (const { name, text } of page.documents) {
          const entry = await entryOf(name, text)
          if (entry === 'unavailable') return AWAY
          if (entry) entries.push(entry)
        }
        cursor = page.next
      } while (cursor !== undefined)
      return found(entries)
    },
    add: async (workload, untilMs, reason, actor) => {
      const key = keyOf({ workload })
      if (key === undefined) return NO_WORKLOAD
      const atMs = nowMs()
      if (untilMs <= atMs) {
        return refused(400, problem(['until'], 'expired', 'the quarantine would be over already'))
      }
      const record = await store.read(key, atMs)
      if (record === 'unavailable') return AWAY
      const ops = quarantineOps(untilMs, atMs, record)
      const expiresAtMs = Math.max(untilMs, atMs + KEPT_MS)
      if ((await store.commit([{ key, ops, expiresAtMs }])) === 'unavailable') return AWAY
      const entry: Entry = { workload, by: actor.name, reason, sinceMs: atMs }
      if ((await documents.put('quarantine', key, JSON.stringify(entry))) === 'unavailable') return AWAY
      return found(
        given({
          workload,
          since: timeOf(atMs),
          until: timeOf(Math.max(untilMs, quarantinedUntilMs(record) ?? 0)) ?? '',
          by: actor.name,
          reason,
        }),
      )
    },
    lift: async (workload) => {
      const key = keyOf({ workload })
      if (key === undefined) return NO_WORKLOAD
      const atMs = nowMs()
      const record = await store.read(key, atMs)
      if (record === 'unavailable') return AWAY
      const untilMs = quarantinedUntilMs(record)
      if (untilMs === undefined || untilMs <= atMs) return NOT_QUARANTINED
      const ops = liftQuarantineOps(record, atMs)
      if ((await store.commit([{ key, ops, expiresAtMs: atMs + KEPT_MS }])) === 'unavailable') return AWAY
      return (await documents.remove('quarantine', key)) === 'unavailable' ? AWAY : found(undefined)
    },
  }
}

const NO_WORKLOAD = refused(
  400,
  problem(['workload'], 'bad-spiffe-id', 'this is not the SPIFFE ID of a workload'),
)
const NOT_QUARANTINED = refused(
  404,
  problem(['workload'], 'not-quarantined', 'the workload is not quarantined'),
)

function keyOf(subject: Subject): string | undefined {
  if (!('workload' in subject)) return userKey(subject.issuer, subject.subject)
  const parsed = parseSpiffeId(subject.workload)
  return parsed.ok && parsed.id.path !== '' ? workloadKey({ spiffeId: parsed.id }) : undefined
}

function parseEntry(text: string): Entry | undefined {
  try {
    const value: unknown = JSON.parse(text)
    return matchesShape(ENTRY, value) ? value : undefined
  } catch {
    return undefined
  }
}
