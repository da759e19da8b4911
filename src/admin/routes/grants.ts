import type { EventDetails } from '../../audit/admin-event.js'
import { formatTimestamp } from '../../audit/timestamp.js'
import type { GrantRequest } from '../../grants/grant.js'
import { Fields } from '../../schema/fields.js'
import { parseDurationMs } from '../../schema/units.js'
import { changes, created, issuerOf, json, pageOf, sound } from '../asked.js'
import { change, NONE, question, type Route } from '../route.js'
import {
  CreateGrantSchema,
  GrantAnswerSchema,
  GrantIdSchema,
  GrantPageSchema,
  GrantsQuerySchema,
  ReviewQuerySchema,
  RevokeSchema,
} from '../schemas/grants.js'

const DAY_MS = 86_400_000
/** The last that a Date can be. */
const LATEST_MS = 8.64e15
const OneGrant = Fields({ id: GrantIdSchema })
const MEDIA_TYPES = {
  json: 'application/json',
  csv: 'text/csv; charset=utf-8',
  table: 'text/plain; charset=utf-8',
} as const

export const GRANT_ROUTES: readonly Route[] = [
  question(
    {
      method: 'GET',
      path: '/v1/grants',
      summary: 'Just-in-time grants, newest first.',
      params: NONE,
      query: GrantsQuerySchema,
      body: NONE,
      answer: { status: 200, schema: GrantPageSchema },
    },
    async ({ query: { limit, cursor, ...filter }, ports }) => {
      if (filter.issuer !== undefined) {
        const issuer = issuerOf(filter.issuer, ports)
        if (!issuer.ok) return issuer
      }
      const page = pageOf({ ...(limit !== undefined && { limit }), ...(cursor !== undefined && { cursor }) })
      return json(ports.grants.list({ ...filter, ...page }))
    },
  ),
  change(
    {
      method: 'POST',
      path: '/v1/grants',
      action: 'grant.create',
      summary: 'Grants access for a while. Who calls is the approver; of a break-glass grant, the requester.',
      params: NONE,
      query: NONE,
      body: CreateGrantSchema,
      answer: { status: 201, schema: GrantAnswerSchema },
      example: {
        subject: { subject: 'dana' },
        service: 'shop/records',
        operations: ['Read'],
        requester: 'ravi',
        ticket: 'DATA-42',
        reason: 'churn analysis of the first quarter',
        duration: '1h',
      },
    },
    ({ body, actor, ports, nowMs, newId }) => {
      const issuer = issuerOf(body.subject.issuer, ports, ['subject', 'issuer'])
      if (!issuer.ok) return issuer
      const id = newId()
      const subject = { issuer: issuer.value, subject: body.subject.subject }
      return changes(id, body.reason, detailsOf({ ...body, subject }, nowMs), () =>
        created(ports.grants.create({ ...body, subject }, actor, id), (grant) => `/v1/grants/${grant.id}`),
      )
    },
  ),
  question(
    {
      method: 'GET',
      path: '/v1/grants/review',
      summary: 'Access review: live, expired and unused grants, and rules that nothing used.',
      params: NONE,
      query: ReviewQuerySchema,
      body: NONE,
      answer: { status: 200, mediaTypes: ['application/json', 'text/csv', 'text/plain'] },
    },
    async ({ query: { days = 30, format = 'json' }, ports }) => {
      const text = await ports.grants.review(days * DAY_MS, format)
      return text.ok ? sound({ kind: 'text', mediaType: MEDIA_TYPES[format], text: text.value }) : text
    },
  ),
  question(
    {
      method: 'GET',
      path: '/v1/grants/:id',
      summary: 'One grant.',
      params: OneGrant,
      query: NONE,
      body: NONE,
      answer: { status: 200, schema: GrantAnswerSchema },
    },
    ({ params, ports }) => json(ports.grants.get(params.id)),
  ),
  change(
    {
      method: 'POST',
      path: '/v1/grants/:id/revoke',
      action: 'grant.revoke',
      summary: 'Ends a grant: refused on the next call on every replica.',
      params: OneGrant,
      query: NONE,
      body: RevokeSchema,
      answer: { status: 200, schema: GrantAnswerSchema },
      example: { reason: 'analysis finished' },
    },
    ({ params: { id }, body: { reason }, actor, ports }) =>
      changes(id, reason, {}, () => json(ports.grants.revoke(id, reason, actor))),
  ),
]

/** What would be granted, and to whom. */
function detailsOf(request: GrantRequest, nowMs: number): EventDetails {
  const { subject, service, endpoints, operations, roles, requester, approver, ticket } = request
  const { expiresAt, duration, maxUses, breakGlass } = request
  const endsMs = duration === undefined ? undefined : nowMs + (parseDurationMs(duration) ?? NaN)
  return {
    ...subject,
    service,
    endpoints,
    operations,
    roles,
    requester,
    approver,
    ticket,
    expiresAt:
      expiresAt ?? (endsMs !== undefined && endsMs <= LATEST_MS ? formatTimestamp(endsMs) : undefined),
    duration,
    maxUses,
    breakGlass,
  }
}
