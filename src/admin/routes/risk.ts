import { formatTimestamp } from '../../audit/timestamp.js'
import { changes, created, empty, json, subjectOf, subjectText, untilOf, workloadOf } from '../asked.js'
import { change, NONE, question, type Route } from '../route.js'
import {
  AddQuarantineSchema,
  LiftQuarantineSchema,
  QuarantineEntrySchema,
  QuarantineListSchema,
  RiskAnswerSchema,
  RiskQuerySchema,
  SetRiskSchema,
} from '../schemas/subjects.js'

/** A workload that must never come back is taken out of the mesh instead. */
const LONGEST_QUARANTINE_MS = 365 * 86_400_000

export const RISK_ROUTES: readonly Route[] = [
  question(
    {
      method: 'GET',
      path: '/v1/risk',
      summary: 'Risk of one user or one workload, with what it is made of.',
      params: NONE,
      query: RiskQuerySchema,
      body: NONE,
      answer: { status: 200, schema: RiskAnswerSchema },
    },
    async ({ query, ports }) => {
      const subject = subjectOf(query, ports)
      return subject.ok ? json(ports.risk.of(subject.value)) : subject
    },
  ),
  change(
    {
      method: 'POST',
      path: '/v1/risk',
      action: 'risk.set-level',
      summary: 'Tells the level of risk that somebody outside found.',
      params: NONE,
      query: NONE,
      body: SetRiskSchema,
      answer: { status: 200, schema: RiskAnswerSchema },
      example: { subject: 'dana', level: 'HIGH', reason: 'credentials found in a leak' },
    },
    ({ body, actor, ports }) => {
      const subject = subjectOf(body, ports)
      if (!subject.ok) return subject
      return changes(subjectText(subject.value), body.reason, { level: body.level }, () =>
        json(ports.risk.setLevel(subject.value, body.level, body.reason, actor)),
      )
    },
  ),
  question(
    {
      method: 'GET',
      path: '/v1/quarantine',
      summary: 'Workloads that nobody may call and that may call nobody.',
      params: NONE,
      query: NONE,
      body: NONE,
      answer: { status: 200, schema: QuarantineListSchema },
    },
    ({ ports }) => json(ports.quarantine.list(), (quarantined) => ({ quarantined })),
  ),
  change(
    {
      method: 'POST',
      path: '/v1/quarantine',
      action: 'quarantine.add',
      summary: 'Quarantines a workload for a while.',
      params: NONE,
      query: NONE,
      body: AddQuarantineSchema,
      answer: { status: 201, schema: QuarantineEntrySchema },
      example: {
        workload: 'spiffe://cluster.local/ns/shop/sa/records',
        duration: '1h',
        reason: 'unexpected calls to payment',
      },
    },
    ({ body, actor, ports, nowMs }) => {
      const { workload, reason } = body
      const known = workloadOf(workload, ports)
      if (!known.ok) return known
      const until = untilOf(body, LONGEST_QUARANTINE_MS, nowMs)
      if (!until.ok) return until
      return changes(workload, reason, { until: formatTimestamp(until.value) }, () =>
        created(ports.quarantine.add(workload, until.value, reason, actor)),
      )
    },
  ),
  change(
    {
      method: 'DELETE',
      path: '/v1/quarantine',
      action: 'quarantine.lift',
      summary: 'Lets a workload out of quarantine.',
      params: NONE,
      query: LiftQuarantineSchema,
      body: NONE,
      answer: { status: 204 },
    },
    ({ query: { workload, reason }, actor, ports }) =>
      changes(workload, reason, {}, () => empty(ports.quarantine.lift(workload, reason, actor))),
  ),
]
