import { Fields } from '../../schema/fields.js'
import { json, sound } from '../asked.js'
import { type DecisionEvent, isWanted, readDecision } from '../decision-filter.js'
import type { Refused } from '../ports.js'
import { NONE, question, type Route } from '../route.js'
import {
  DecisionEventSchema,
  DecisionIdSchema,
  DecisionListSchema,
  DecisionsQuerySchema,
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
      for (const line of ports.decisions.newest()) {
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
      for (const line of ports.decisions.newest()) {
        if (!line.includes(id)) continue
        const event = readDecision(line)
        if (event?.['decisionId'] === id) return sound({ kind: 'json', status: 200, body: event })
      }
      return unknownDecision(id)
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

function unknownDecision(id: string): Refused {
  const message = `no recent decision of this replica is \`${id}\`; older ones are in the audit log`
  return { ok: false, status: 404, problems: [{ pointer: [], code: 'decision-unknown', message }] }
}
