import { adviceOn, isRefusalReason } from '../../lifecycle/explain/advice.js'
import { supposeEvent } from '../../lifecycle/explain/suppose-event.js'
import type { Supposition } from '../../lifecycle/supposition.js'
import { readTrafficLine, type TrafficEvent } from '../../lifecycle/traffic.js'
import { Fields } from '../../schema/fields.js'
import { json, sound } from '../asked.js'
import { type DecisionEvent, isWanted, readDecision } from '../decision-filter.js'
import type { AdminPorts, Outcome, Refused } from '../ports.js'
import { NONE, question, type Route } from '../route.js'
import {
  DecisionEventSchema,
  DecisionIdSchema,
  DecisionListSchema,
  DecisionsQuerySchema,
  EventExplanationSchema,
  type ExplainRequest,
  ExplainSchema,
  ExplanationSchema,
  MatrixAnswerSchema,
  MatrixQuerySchema,
  PolicyStatusSchema,
} from '../schemas/decisions.js'
import { matrixPart } from '../matrix-part.js'

export const DECISION_ROUTES: readonly Route[] = [
  question(
    {
      method: 'GET',
      path: '/v1/decisions',
      summary: 'Recent decisions of this replica, newest first; `follow=1` tells new ones as they are made.',
      params: NONE,
      query: DecisionsQuerySchema,
      body: NONE,
      answer: { status: 200, schema: DecisionListSchema, mediaTypes: ['application/x-ndjson'] },
    },
    async ({ query, ports }) => {
      if (query.follow !== undefined) {
        return sound({
          kind: 'lines',
          open: (write) =>
            ports.decisions.follow((line) => {
              const event = readDecision(line)
              if (event && isWanted(event, query)) write(line)
            }),
        })
      }
      const decisions: DecisionEvent[] = []
      const newest = await ports.decisions.newest()
      if (!newest.ok) return newest
      for (const line of newest.value) {
        const event = readDecision(line)
        if (event && isWanted(event, query)) decisions.push(event)
        if (decisions.length >= (query.limit ?? 100)) break
      }
      return sound({ kind: 'json', status: 200, body: { decisions } })
    },
  ),
  question(
    {
      method: 'GET',
      path: '/v1/decisions/:id',
      summary: 'One recent decision of this replica.',
      params: Fields({ id: DecisionIdSchema }),
      query: NONE,
      body: NONE,
      answer: { status: 200, schema: DecisionEventSchema },
    },
    async ({ params: { id }, ports }) => {
      const found = await lineOf(id, ports)
      if (!found.ok) return found
      const event = found.value === undefined ? undefined : readDecision(found.value)
      return event ? sound({ kind: 'json', status: 200, body: event }) : unknownDecision(id)
    },
  ),
  question(
    {
      method: 'GET',
      path: '/v1/decisions/:id/explain',
      summary:
        'One recent decision of this replica, and how the same call would be decided now, step by step.',
      params: Fields({ id: DecisionIdSchema }),
      query: NONE,
      body: NONE,
      answer: { status: 200, schema: EventExplanationSchema },
    },
    async ({ params: { id }, ports }) => {
      const found = await lineOf(id, ports)
      if (!found.ok) return found
      const read = found.value === undefined ? undefined : readTrafficLine(found.value)
      return read?.kind === 'event' ? json(explainEvent(read.event, ports)) : unknownDecision(id)
    },
  ),
  question(
    {
      method: 'POST',
      path: '/v1/explain',
      summary: 'How a call that nobody made would be decided, step by step.',
      params: NONE,
      query: NONE,
      body: ExplainSchema,
      answer: { status: 200, schema: ExplanationSchema },
      example: {
        caller: 'shop/order',
        target: 'shop/payment',
        method: 'POST',
        path: '/v1/payments',
        user: 'dana',
        mfa: true,
      },
    },
    ({ body, ports }) => json(ports.explain(body)),
  ),
  question(
    {
      method: 'GET',
      path: '/v1/matrix',
      summary: 'Services with their endpoints, and who may call whom.',
      params: NONE,
      query: MatrixQuerySchema,
      body: NONE,
      answer: { status: 200, schema: MatrixAnswerSchema },
    },
    ({ query, ports }) => json(ports.matrix(), (matrix) => matrixPart(matrix, query)),
  ),
  question(
    {
      method: 'GET',
      path: '/v1/policy',
      summary: 'Which policy decides, and what is wrong with the one that was refused.',
      params: NONE,
      query: NONE,
      body: NONE,
      answer: { status: 200, schema: PolicyStatusSchema },
    },
    ({ ports }) => json(ports.policy()),
  ),
]

async function lineOf(id: string, { decisions }: AdminPorts): Promise<Outcome<string | undefined>> {
  const newest = await decisions.newest()
  if (!newest.ok) return newest
  for (const line of newest.value) {
    if (line.includes(id) && readDecision(line)?.['decisionId'] === id) return { ok: true, value: line }
  }
  return { ok: true, value: undefined }
}

type EventExplanation = Readonly<Record<string, unknown>>

async function explainEvent(event: TrafficEvent, ports: AdminPorts): Promise<Outcome<EventExplanation>> {
  const { supposed, missing } = supposeEvent(event)
  const reason = event.wouldBeReason ?? event.decisionReason
  const told = isRefusalReason(reason) ? adviceOn(reason) : undefined
  // A target that nobody could tell then is none that could be asked about now.
  const now = supposed.target === undefined ? undefined : await ports.explain(requestOf(supposed))
  if (now && !now.ok) return now
  const value = {
    event: event.fields,
    ...(now && { now: now.value }),
    missing: [...missing],
    ...(told && { refusedBy: told.by }),
    ...(told?.advice !== undefined && { advice: told.advice }),
  }
  return { ok: true, value }
}

function requestOf(supposed: Supposition): ExplainRequest {
  const { caller, via, target, method, path, host, grpc, tcp, port, sourceIp, listenerRole, mtls } = supposed
  const { user, issuer, role, mfa, authAge, deviceTrust, deviceId, sessionId } = supposed
  const given = {
    caller,
    via,
    target,
    method,
    path,
    host,
    grpc,
    tcp,
    port,
    sourceIp,
    listenerRole,
    mtls,
    ...(user !== undefined && {
      user,
      issuer,
      roles: role && [...role],
      mfa,
      deviceTrust,
      deviceId,
      sessionId,
    }),
    authAge: authAge === undefined ? undefined : `${Math.max(0, Math.round(authAge))}ms`,
  }
  return Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined))
}

function unknownDecision(id: string): Refused {
  const message = `no recent decision of this replica is \`${id}\`; older ones are in the audit log`
  return { ok: false, status: 404, problems: [{ pointer: [], code: 'decision-unknown', message }] }
}
