import { type Static, Type } from '@sinclair/typebox'
import { Fields, Named, Words } from '../../schema/fields.js'
import {
  IssuerSchema,
  LengthSchema,
  RevisionSchema,
  ServiceIdSchema,
  ShortTextSchema,
  SubjectSchema,
  TimeSchema,
  limitSchema,
} from './terms.js'

const OUTCOMES = ['allow', 'deny', 'challenge'] as const

export const DecisionsQuerySchema = Fields({
  limit: Type.Optional(limitSchema(100, 1000)),
  user: Type.Optional(SubjectSchema),
  caller: Type.Optional(ShortTextSchema),
  target: Type.Optional(ServiceIdSchema),
  decision: Type.Optional(Words(OUTCOMES)),
  reason: Type.Optional(
    Type.String({ pattern: '^[a-z][a-z0-9-]{0,63}$', expected: 'a reason such as call-not-allowed' }),
  ),
  follow: Type.Optional(
    Words(['1'], {
      description: '1: JSON lines of decisions as they are made, until the connection is closed.',
    }),
  ),
})
export type DecisionsQuery = Static<typeof DecisionsQuerySchema>

/** A security event as the audit log has it; its fields: FORMATS 5. */
export const DecisionEventSchema = Type.Object(
  {
    timestamp: TimeSchema,
    decisionId: Type.String(),
    decision: Words(OUTCOMES),
    decisionReason: Type.String(),
  },
  { additionalProperties: true, title: 'DecisionEvent', description: 'The security event of one decision.' },
)

export const DecisionListSchema = Fields({ decisions: Type.Array(DecisionEventSchema) })

export const DecisionIdSchema = Type.String({
  pattern: '^[A-Za-z0-9_.:-]{1,128}$',
  description: 'decisionId of the event.',
  expected: 'the id of a decision',
})

/** A call that nobody made: the options of `portcullis check` under the same names. */
export const ExplainSchema = Fields({
  target: Type.Optional(ServiceIdSchema),
  method: Type.Optional(Type.String({ minLength: 1, maxLength: 32, description: 'Default GET.' })),
  path: Type.Optional(
    Type.String({ minLength: 1, maxLength: 8192, description: 'With its query; default /.' }),
  ),
  host: Type.Optional(Type.String({ maxLength: 255, description: 'Default: the name of the target.' })),
  headers: Type.Optional(
    Type.Array(
      Fields({
        name: Type.String({ minLength: 1, maxLength: 256 }),
        value: Type.String({ maxLength: 8192 }),
      }),
      {
        maxItems: 100,
      },
    ),
  ),
  grpc: Type.Optional(
    Type.String({
      pattern: '^[A-Za-z_][A-Za-z0-9_.]*/[A-Za-z_][A-Za-z0-9_]*$',
      maxLength: 1024,
      expected: 'a gRPC method such as shop.v1.Payments/Refund',
    }),
  ),
  tcp: Type.Optional(Type.Boolean({ description: 'A TCP connection, to `port`.' })),
  port: Type.Optional(Type.Integer({ minimum: 0, maximum: 65_535 })),
  sourceIp: Type.Optional(Type.String({ maxLength: 45, description: 'Default 127.0.0.1.' })),
  listenerRole: Type.Optional(Words(['Sidecar', 'Gateway'])),
  mtls: Type.Optional(Words(['Strict', 'Permissive'])),
  at: Type.Optional(TimeSchema),
  caller: Type.Optional(
    Type.String({ minLength: 1, maxLength: 2048, description: 'SPIFFE ID or namespace/name.' }),
  ),
  via: Type.Optional(Type.String({ minLength: 1, maxLength: 2048, description: 'Trusted proxy, likewise.' })),
  workloadScopes: Type.Optional(Type.Array(ShortTextSchema, { maxItems: 100 })),
  user: Type.Optional(SubjectSchema),
  issuer: Type.Optional(IssuerSchema),
  roles: Type.Optional(Type.Array(ShortTextSchema, { maxItems: 100 })),
  userScopes: Type.Optional(Type.Array(ShortTextSchema, { maxItems: 100 })),
  claims: Type.Optional(
    Named(Type.Unknown(), { maxProperties: 100, description: "Further claims of the user's token." }),
  ),
  mfa: Type.Optional(Type.Boolean()),
  authAge: Type.Optional(LengthSchema),
  risk: Type.Optional(Type.Integer({ minimum: 0, maximum: 100, description: 'risk_score of the token.' })),
  deviceTrust: Type.Optional(Words(['high', 'medium', 'low'])),
  deviceId: Type.Optional(ShortTextSchema),
  sessionId: Type.Optional(ShortTextSchema),
})
export type ExplainRequest = Static<typeof ExplainSchema>

/** Further fields as `portcullis check -o json` has them. */
export const ExplanationSchema = Type.Object(
  {
    decision: Words(OUTCOMES),
    reason: Type.String(),
    message: Type.String(),
    steps: Type.Array(
      Fields({
        step: Type.String(),
        outcome: Words(['pass', 'fail', 'skip', 'info']),
        detail: Type.String(),
      }),
    ),
  },
  { additionalProperties: true, title: 'Explanation' },
)
export type Explanation = Static<typeof ExplanationSchema> & Readonly<Record<string, unknown>>

/** A recorded decision, and how the same call would be decided now, as far as its event tells it. */
export const EventExplanationSchema = Fields(
  {
    event: DecisionEventSchema,
    now: Type.Optional(ExplanationSchema),
    missing: Type.Array(Type.String(), {
      description: 'What the event does not hold and policies may look at.',
    }),
    refusedBy: Type.Optional(
      Type.String({ description: 'policy, credentials, state, device, data, risk …' }),
    ),
    advice: Type.Optional(Type.String({ description: 'What to do where no change of the policy helps.' })),
  },
  { title: 'EventExplanation' },
)

export const MatrixQuerySchema = Fields({
  service: Type.Optional(ServiceIdSchema),
  caller: Type.Optional(ServiceIdSchema),
})

const CountsSchema = Fields({
  services: Type.Integer(),
  endpoints: Type.Integer(),
  edges: Type.Integer(),
  rules: Type.Integer(),
  forbids: Type.Integer(),
})

export const MatrixAnswerSchema = Fields(
  {
    revision: RevisionSchema,
    services: Type.Array(
      Fields({
        id: ServiceIdSchema,
        mode: Type.String(),
        source: Type.String(),
        identities: Type.Array(Type.String()),
        endpoints: Type.Array(
          Fields({
            name: Type.String(),
            operations: Type.Array(Type.String()),
            mode: Type.String(),
            require: Type.String(),
            sensitivity: Type.String(),
            mfa: Type.String(),
            dataPolicy: Type.Optional(Type.String()),
            source: Type.String(),
          }),
        ),
      }),
    ),
    edges: Type.Array(
      Fields({
        caller: ServiceIdSchema,
        target: ServiceIdSchema,
        endpoints: Type.Optional(Type.Array(Type.String(), { description: 'Absent: every one.' })),
      }),
    ),
  },
  { title: 'Matrix' },
)
export type MatrixAnswer = Static<typeof MatrixAnswerSchema>

export const PolicyStatusSchema = Fields(
  {
    revision: RevisionSchema,
    loadedAt: TimeSchema,
    documents: Type.Integer(),
    counts: CountsSchema,
    inert: Type.Array(Type.String(), {
      description: 'Built-in rules that have no effect because their source is not configured.',
    }),
    refused: Type.Optional(
      Fields(
        {
          at: TimeSchema,
          problems: Type.Array(
            Fields({
              severity: Words(['error', 'warning']),
              code: Type.String(),
              message: Type.String(),
              file: Type.Optional(Type.String()),
              line: Type.Optional(Type.Integer()),
              column: Type.Optional(Type.Integer()),
            }),
          ),
        },
        { description: 'The last reading of the directory, where it was refused.' },
      ),
    ),
  },
  { title: 'Policy' },
)
export type PolicyStatus = Static<typeof PolicyStatusSchema>
