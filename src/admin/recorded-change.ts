import type { AdminEvent } from '../audit/admin-event.js'
import type { Actor, AdminPorts, Result } from './ports.js'
import type { Change, Reply } from './route.js'

/** Who changes what, and from where. */
export type ChangeAttempt = {
  readonly actor: Actor
  readonly action: string
  readonly remoteIp: string
  readonly requestId: string
}

/**
 * Records a change, then makes it. One that can't be recorded is not made; one that fails is recorded a second time,
 * with why. Rejects as the change does.
 */
export async function recordedChange(
  attempt: ChangeAttempt,
  { resourceId, reason, details, apply }: Change,
  audit: AdminPorts['audit'],
  nowMs: () => number,
  auditMs: number,
): Result<Reply> {
  const event = { ...eventOf(attempt, resourceId, reason), details }
  const recorded = await audit({ ...event, atMs: nowMs(), success: true, errorCode: undefined }, auditMs)
  if (recorded === 'refused') {
    const message = 'the change could not be recorded, so it was not made'
    return { ok: false, status: 503, problems: [{ pointer: [], code: 'audit-unavailable', message }] }
  }
  const fail = async (errorCode: string): Promise<unknown> =>
    audit({ ...event, atMs: nowMs(), success: false, errorCode }, auditMs)
  try {
    const outcome = await apply()
    if (!outcome.ok) await fail(outcome.problems[0]?.code ?? 'refused')
    return outcome
  } catch (error) {
    await fail('internal-error')
    throw error
  }
}

/** A change that the role doesn't allow, before its body was read. */
export async function recordRefusedRole(
  attempt: ChangeAttempt,
  resourceId: string,
  audit: AdminPorts['audit'],
  nowMs: number,
  auditMs: number,
): Promise<void> {
  const event = eventOf(attempt, resourceId, undefined)
  await audit({ ...event, atMs: nowMs, success: false, errorCode: 'role-missing' }, auditMs)
}

function eventOf(
  { actor, action, remoteIp, requestId }: ChangeAttempt,
  resourceId: string,
  reason: string | undefined,
): Omit<AdminEvent, 'atMs' | 'success' | 'errorCode'> {
  return {
    actor: actor.name,
    role: actor.role,
    action,
    resourceType: action.slice(0, action.indexOf('.')),
    resourceId,
    reason,
    remoteIp,
    requestId,
  }
}
