import { type Static, Type } from '@sinclair/typebox'
import { Fields, Words } from '../../schema/fields.js'
import {
  CursorSchema,
  IssuerSchema,
  LengthSchema,
  PersonSchema,
  ReasonSchema,
  SessionIdSchema,
  SubjectSchema,
  TimeSchema,
  WorkloadSchema,
  limitSchema,
} from './terms.js'

export const SessionsQuerySchema = Fields({
  issuer: Type.Optional(IssuerSchema),
  subject: Type.Optional(SubjectSchema),
  limit: Type.Optional(limitSchema(100, 1000)),
  cursor: Type.Optional(CursorSchema),
})

/** Without `sessionId` it stands for every session of the user that began before. */
export const SessionAnswerSchema = Fields(
  {
    issuer: IssuerSchema,
    subject: SubjectSchema,
    sessionId: Type.Optional(SessionIdSchema),
    state: Words(['active', 'ended'], { description: 'ended: refused on its next call.' }),
    startedAt: Type.Optional(TimeSchema),
    lastSeenAt: Type.Optional(TimeSchema),
    endedAt: Type.Optional(TimeSchema),
    endedBy: Type.Optional(Type.String({ description: 'A person, or the issuer of the signal.' })),
    reason: Type.Optional(Type.String()),
  },
  { title: 'Session' },
)
export type SessionAnswer = Static<typeof SessionAnswerSchema>

export const SessionPageSchema = Fields({
  sessions: Type.Array(SessionAnswerSchema),
  next: Type.Optional(CursorSchema),
})
export type SessionPage = Static<typeof SessionPageSchema>

export const TerminateSchema = Fields({
  issuer: Type.Optional(IssuerSchema),
  subject: SubjectSchema,
  sessionId: Type.Optional(SessionIdSchema),
  reason: ReasonSchema,
})

export const RISK_LEVELS = ['LOW', 'MEDIUM', 'HIGH'] as const
const LevelSchema = Words(RISK_LEVELS, { description: 'Level that somebody outside gives.' })

export const RiskQuerySchema = Fields({
  issuer: Type.Optional(IssuerSchema),
  subject: Type.Optional(SubjectSchema),
  workload: Type.Optional(WorkloadSchema),
})

export const SetRiskSchema = Fields({
  issuer: Type.Optional(IssuerSchema),
  subject: Type.Optional(SubjectSchema),
  workload: Type.Optional(WorkloadSchema),
  level: LevelSchema,
  reason: ReasonSchema,
})

export const RiskAnswerSchema = Fields(
  {
    issuer: Type.Optional(IssuerSchema),
    subject: Type.Optional(SubjectSchema),
    workload: Type.Optional(WorkloadSchema),
    score: Type.Integer({ minimum: 0, maximum: 100 }),
    level: Words(['low', 'medium', 'high'], { description: 'By the number of signals.' }),
    signals: Type.Integer({ minimum: 0 }),
    factors: Type.Array(Fields({ factor: Type.String(), points: Type.Number() })),
    externalLevel: Type.Optional(Fields({ level: LevelSchema, at: TimeSchema })),
  },
  { title: 'Risk' },
)
export type RiskAnswer = Static<typeof RiskAnswerSchema>

export const QuarantineEntrySchema = Fields(
  {
    workload: WorkloadSchema,
    since: Type.Optional(TimeSchema),
    until: TimeSchema,
    by: Type.Optional(PersonSchema),
    reason: Type.Optional(Type.String()),
  },
  { title: 'Quarantine' },
)
export type QuarantineEntry = Static<typeof QuarantineEntrySchema>

export const QuarantineListSchema = Fields({ quarantined: Type.Array(QuarantineEntrySchema) })

export const AddQuarantineSchema = Fields({
  workload: WorkloadSchema,
  duration: Type.Optional(LengthSchema),
  until: Type.Optional(TimeSchema),
  reason: ReasonSchema,
})

export const LiftQuarantineSchema = Fields({ workload: WorkloadSchema, reason: ReasonSchema })
