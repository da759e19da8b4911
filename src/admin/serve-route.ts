import type { FastifyReply, FastifyRequest } from 'fastify'
import { isJsonObject } from '../identity/strict-json.js'
import type { Followers } from './follow.js'
import type { AdminLimits } from './limits.js'
import type { Actor, AdminPorts, Outcome } from './ports.js'
import type { Refusal } from './problem-details.js'
import { type ChangeAttempt, recordedChange, recordRefusedRole } from './recorded-change.js'
import { refuse, send } from './replies.js'
import { refusalOf, type Reply, type Route } from './route.js'

/** Who a request is from. */
export type Arrived = { readonly actor: Actor; readonly remoteIp: string }

/** The routes' part: who may, what it does, and the answer. */
export function serving(
  {
    ports,
    nowMs,
    newId,
  }: {
    readonly ports: AdminPorts
    readonly nowMs: () => number
    readonly newId: () => string
  },
  limits: AdminLimits,
  followers: Followers,
  arrivals: WeakMap<FastifyRequest, Arrived>,
) {
  const arrivedOf = (request: FastifyRequest): Arrived => {
    const arrived = arrivals.get(request)
    if (!arrived) throw new Error('a request got past its authentication')
    return arrived
  }
  const attemptOf = (action: string, request: FastifyRequest): ChangeAttempt => ({
    ...arrivedOf(request),
    action,
    requestId: request.id,
  })

  const checkRole = async (
    { action }: Route,
    request: FastifyRequest,
    reply: FastifyReply,
  ): Promise<void> => {
    if (action === undefined || arrivedOf(request).actor.role === 'Admin') return
    const resourceId: unknown = Reflect.get(Object(request.params), 'id')
    const named = typeof resourceId === 'string' ? resourceId : ''
    await recordRefusedRole(attemptOf(action, request), named, ports.audit, nowMs(), limits.auditMs)
    await refuse(reply, { status: 403, detail: 'changes need the role Admin' })
  }

  const ask = async (route: Route, request: FastifyRequest): Promise<Outcome<Reply> | Refusal> => {
    const query = isJsonObject(request.query) ? request.query : {}
    const prepared = route.prepare(
      { params: request.params, query, body: request.body },
      { actor: arrivedOf(request).actor, ports, nowMs: nowMs(), newId },
    )
    if (prepared.kind === 'refused') return prepared.refusal
    if (prepared.kind === 'question') return prepared.ask()
    const attempt = attemptOf(route.action ?? '', request)
    return recordedChange(attempt, prepared.change, ports.audit, nowMs, limits.auditMs)
  }

  const handle = async (route: Route, request: FastifyRequest, reply: FastifyReply): Promise<void> => {
    const outcome = await ask(route, request)
    if ('status' in outcome && !('ok' in outcome)) await refuse(reply, outcome)
    else if (!outcome.ok) await refuse(reply, refusalOf(outcome, route.part))
    else await send(reply, outcome.value, followers)
  }

  return { checkRole, handle }
}
