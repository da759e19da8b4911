import { formatInstant } from './instant.js'
import { type Grant, grantState, type GrantState, type GrantUse } from './grant.js'

/** A rule of the policy; its last use, undefined where none is known. */
export type ReviewedRule = {
  readonly id: string
  readonly source: string
  /** `namespace/name`; undefined for rules of the baseline. */
  readonly service: string | undefined
  readonly name: string
  readonly lastUsedMs: number | undefined
}

export type ReviewInput = {
  /** `use` undefined: nobody knows any more how it was used. */
  readonly grants: readonly { readonly grant: Grant; readonly use: GrantUse | undefined }[]
  readonly rules: readonly ReviewedRule[]
  /** Since when uses of rules are noted; undefined: they are not. */
  readonly observedSinceMs: number | undefined
  /** A rule is unused when it was not used for so long, milliseconds. */
  readonly unusedForMs: number
  readonly nowMs: number
}

/** One grant of the report; times RFC 3339. */
export type GrantLine = {
  readonly id: string
  readonly state: GrantState
  readonly issuer: string
  readonly subject: string
  readonly service: string
  readonly endpoints: readonly string[]
  readonly operations: readonly string[]
  readonly roles: readonly string[]
  readonly requester: string
  readonly approver: string | undefined
  readonly breakGlass: boolean
  readonly ticket: string | undefined
  readonly reason: string
  readonly createdAt: string
  readonly expiresAt: string
  readonly revokedAt: string | undefined
  readonly revokedBy: string | undefined
  readonly uses: number | undefined
  readonly maxUses: number | undefined
  readonly lastUsedAt: string | undefined
}

export type RuleLine = {
  readonly id: string
  readonly source: string
  readonly service: string | undefined
  readonly name: string
  readonly lastUsedAt: string | undefined
}

export type AccessReview = {
  readonly at: string
  readonly live: readonly GrantLine[]
  /** Expired, or with no uses left. */
  readonly expired: readonly GrantLine[]
  readonly revoked: readonly GrantLine[]
  /** Of all of these, the ones that were never used. */
  readonly unused: readonly GrantLine[]
  readonly rules: {
    readonly unusedForDays: number
    readonly observedSince: string | undefined
    /** False: uses are noted for a shorter time than that, so a rule may have been used before. */
    readonly observedLongEnough: boolean
    readonly unused: readonly RuleLine[]
  }
}

const DAY_MS = 24 * 3_600_000

/** Who may what just now, who could, and what nobody needed. Source: REQUIREMENTS D5. */
export function reviewAccess({
  grants,
  rules,
  observedSinceMs,
  unusedForMs,
  nowMs,
}: ReviewInput): AccessReview {
  const lines = grants
    .map(({ grant, use }) => grantLine(grant, use, nowMs))
    .sort(
      (a, b) =>
        (a.expiresAt < b.expiresAt ? -1 : Number(a.expiresAt > b.expiresAt)) || (a.id < b.id ? -1 : 1),
    )
  const ofState = (...states: readonly GrantState[]) => lines.filter(({ state }) => states.includes(state))
  return {
    at: formatInstant(nowMs),
    live: ofState('live'),
    expired: ofState('expired', 'exhausted'),
    revoked: ofState('revoked'),
    unused: lines.filter(({ uses }) => uses === 0),
    rules: {
      unusedForDays: unusedForMs / DAY_MS,
      observedSince: observedSinceMs === undefined ? undefined : formatInstant(observedSinceMs),
      observedLongEnough: observedSinceMs !== undefined && nowMs - observedSinceMs >= unusedForMs,
      unused: rules
        .filter(({ lastUsedMs }) => lastUsedMs === undefined || nowMs - lastUsedMs > unusedForMs)
        .map(({ id, source, service, name, lastUsedMs }) => ({
          id,
          source,
          service,
          name,
          lastUsedAt: lastUsedMs === undefined ? undefined : formatInstant(lastUsedMs),
        })),
    },
  }
}

function grantLine(grant: Grant, use: GrantUse | undefined, nowMs: number): GrantLine {
  const { revoked, subject } = grant
  return {
    id: grant.id,
    state: grantState(grant, use, nowMs),
    issuer: subject.issuer,
    subject: subject.subject,
    service: grant.service,
    endpoints: grant.endpoints ?? [],
    operations: grant.operations,
    roles: grant.roles ?? [],
    requester: grant.requester,
    approver: grant.approver,
    breakGlass: grant.breakGlass,
    ticket: grant.ticket,
    reason: grant.reason,
    createdAt: formatInstant(grant.createdAtMs),
    expiresAt: formatInstant(grant.expiresAtMs),
    revokedAt: revoked && formatInstant(revoked.atMs),
    revokedBy: revoked?.by,
    uses: use?.uses,
    maxUses: grant.maxUses,
    lastUsedAt: use?.lastUsedMs === undefined ? undefined : formatInstant(use.lastUsedMs),
  }
}
