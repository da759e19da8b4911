import type { GrantAnswer } from '../../admin/schemas/grants.js'
import type { CliIo } from '../io.js'
import { styleOf } from '../style.js'
import { sheet, table } from './table.js'
import { fullTime, relativeTime } from './times.js'

export function grantTable(grants: readonly GrantAnswer[], nowMs: number, io: CliIo): string {
  const { good, bad, faint } = styleOf(io)
  return table<GrantAnswer>(grants, [
    { title: 'ID', of: ({ id }) => id },
    {
      title: 'STATE',
      of: ({ state }) => state,
      paint: ({ state }, cell) => (state === 'live' ? good(cell) : faint(cell)),
    },
    { title: 'SUBJECT', of: ({ subject }) => subject.subject },
    { title: 'SERVICE', of: ({ service }) => service },
    { title: 'OPERATIONS', of: ({ operations }) => operations.join(',') },
    { title: 'ENDS', of: (grant) => relativeTime(grant.revoked?.at ?? grant.expiresAt, nowMs) },
    { title: 'USES', of: usesOf },
    {
      title: 'APPROVER',
      of: ({ approver, breakGlass }) => (breakGlass ? 'break-glass' : (approver ?? '')),
      mayBeCut: true,
      paint: ({ breakGlass }, cell) => (breakGlass ? bad(cell) : cell),
    },
  ])
}

export function grantSheet(grant: GrantAnswer, nowMs: number): string {
  const { subject, revoked } = grant
  return sheet([
    ['id', grant.id],
    ['state', grant.state],
    ['subject', `${subject.subject} (${subject.issuer})`],
    ['service', grant.service],
    ['endpoints', grant.endpoints?.join(', ') ?? 'every one'],
    ['operations', grant.operations.join(', ')],
    ['roles', grant.roles?.join(', ')],
    ['requester', grant.requester],
    ['approver', grant.breakGlass ? 'nobody: break-glass' : grant.approver],
    ['ticket', grant.ticket],
    ['reason', grant.reason],
    ['created', fullTime(grant.createdAt, nowMs)],
    ['expires', fullTime(grant.expiresAt, nowMs)],
    ['uses', usesOf(grant)],
    ['last used', grant.lastUsedAt === undefined ? undefined : fullTime(grant.lastUsedAt, nowMs)],
    ['revoked', revoked && `${fullTime(revoked.at, nowMs)} by ${revoked.by}: ${revoked.reason}`],
  ])
}

function usesOf({ uses, maxUses }: GrantAnswer): string {
  return maxUses === undefined ? String(uses) : `${uses} of ${maxUses}`
}
