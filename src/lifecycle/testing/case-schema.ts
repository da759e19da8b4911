import { type Static, type TProperties, Type } from '@sinclair/typebox'
import { MODES } from '../../decision/mode.js'
import { HTTP_STATUS_OF_REASON, type Reason } from '../../decision/reason.js'
import { DeviceReportSchema, EXTERNAL_LEVELS } from '../../device/device-report.js'
import { Fields, Named, Words } from '../../schema/fields.js'
import { DurationSchema } from '../../schema/units.js'
import { ApiVersionSchema, RuleNameSchema } from '../../segmentation/vocabulary.js'

const text = (description: string) => Type.Optional(Type.String({ minLength: 1, description }))
const texts = (description: string) => Type.Optional(Type.Array(Type.String(), { description }))
const flag = (description: string) => Type.Optional(Type.Boolean({ description }))
const duration = (description: string) => Type.Optional(Type.String({ ...DurationSchema, description }))
const facts = <Properties extends TProperties>(properties: Properties, description: string) =>
  Type.Optional(Fields(properties, { description }))

const RequestSchema = facts(
  {
    target: text('Called service, namespace/name. Only a Gateway listener finds it by host and path.'),
    host: text('Default: the name of the target.'),
    method: text('Default GET.'),
    path: Type.Optional(Type.String({ description: 'With its query; default `/`.' })),
    grpc: text('A gRPC call: package.Service/Method.'),
    tcp: flag('A TCP connection, to `port`.'),
    port: Type.Optional(Type.Integer({ minimum: 0, maximum: 65_535, description: 'At the target.' })),
    headers: Type.Optional(Named(Type.String(), { description: 'By name.' })),
    body: Type.Optional(
      Type.Union([Type.String(), Named(Type.Unknown()), Type.Array(Type.Unknown())], {
        description:
          'Text, of which `headers` tell the content-type; or an object or a list, sent as application/json.',
        expected: 'text, an object or a list',
      }),
    ),
    sourceIp: text("The peer's address; default 127.0.0.1."),
  },
  'What is asked for.',
)

const UserSchema = facts(
  {
    subject: text('`sub`; default alice.'),
    issuer: text('`iss`; default: the first issuer of the configuration, else https://idp.example.'),
    roles: texts('Roles.'),
    scopes: texts('Scopes of the token.'),
    claims: Type.Optional(Named(Type.Unknown(), { description: 'As the issuer writes them.' })),
    mfa: flag('Several factors were shown.'),
    acr: text('Authentication context.'),
    amr: texts('Ways of authentication.'),
    authAge: duration('Since the last active authentication; default: the token does not say.'),
    email: text('A verified address.'),
    deviceTrust: Type.Optional(Words(['high', 'medium', 'low'], { description: 'As the token claims.' })),
  },
  'A user whose token was verified.',
)

/** What is known beside the credentials; every part may also stand in `defaults`. */
const FACTS = {
  at: Type.Optional(
    Type.String({ maxLength: 40, description: 'When, RFC 3339; default 2026-01-07T12:00:00Z, a Wednesday.' }),
  ),
  caller: text('Calling workload, as namespace/name or SPIFFE ID.'),
  via: text('Trusted proxy that forwards the caller, likewise.'),
  serviceToken: facts(
    { scopes: Type.Array(Type.String(), { description: 'Already cut to what its issuer may claim.' }) },
    'A service token of the caller.',
  ),
  request: RequestSchema,
  listener: facts(
    {
      role: Type.Optional(Words(['Sidecar', 'Gateway'], { description: 'Default Sidecar.' })),
      mtls: Type.Optional(Words(['Strict', 'Permissive'], { description: 'Default Strict.' })),
    },
    'The listener that is asked.',
  ),
  user: UserSchema,
  device: facts(
    {
      known: flag('false: the inventory does not have it.'),
      id: text('`device_id` of the token; default device-1.'),
      ...Type.Partial(DeviceReportSchema).properties,
      externalRisk: Type.Optional(
        Words(EXTERNAL_LEVELS, { description: 'The risk level that somebody else tells of it.' }),
      ),
    },
    "What the inventory says of the user's device; what is left out is in order.",
  ),
  session: facts(
    {
      id: text('`session_id` of the token; default session-1.'),
      age: duration('Since it was first seen.'),
      idle: duration('Since its last call that passed.'),
      ended: flag('It was terminated.'),
    },
    "The user's session.",
  ),
  risk: facts(
    {
      claimed: Type.Optional(
        Type.Number({ minimum: 0, maximum: 100, description: '`risk_score` of the token.' }),
      ),
      userLevel: Type.Optional(
        Words(EXTERNAL_LEVELS, { description: 'What somebody else tells of the user.' }),
      ),
      workloadLevel: Type.Optional(
        Words(EXTERNAL_LEVELS, { description: 'What somebody else tells of the caller.' }),
      ),
      quarantined: flag('The caller is in quarantine.'),
    },
    'What is known of risk.',
  ),
  place: facts(
    {
      country: Type.Optional(
        Type.String({ pattern: '^[A-Z]{2}$', expected: 'a country of two capitals such as GB' }),
      ),
      ip: text('Address of the client, the first untrusted hop.'),
      malicious: flag('The address is on a threat list.'),
    },
    'Where the call comes from; default: nobody knows.',
  ),
  grants: Type.Optional(
    Type.Array(
      Fields({
        service: Type.String({ minLength: 1, description: 'namespace/name.' }),
        endpoints: Type.Optional(Type.Array(Type.String(), { minItems: 1 })),
        operations: Type.Array(Words(['Read', 'Write', 'Download']), { minItems: 1 }),
        roles: texts('Grant-only roles that count while it is live.'),
        expiresIn: duration('Default 1h.'),
        breakGlass: flag('Nobody approved it.'),
      }),
      { maxItems: 24, description: 'Live grants of the user.' },
    ),
  ),
}

const DECISIONS = ['allow', 'deny', 'challenge'] as const
export const REASONS = ['allowed', ...Object.keys(HTTP_STATUS_OF_REASON)].filter(isReason)

function isReason(word: string): word is Reason {
  return word === 'allowed' || Object.hasOwn(HTTP_STATUS_OF_REASON, word)
}

const ExpectSchema = Fields(
  {
    decision: Words(DECISIONS),
    reason: Type.Optional(Words(REASONS)),
    rule: text('Name of the rule that decided.'),
    endpoint: text('Name of the endpoint that was chosen.'),
    obligations: texts('All of them, in any order.'),
    factor: text('What a challenge asks for.'),
    mode: Type.Optional(Words(MODES, { description: 'The mode that was applied.' })),
    wouldBe: facts(
      { decision: Words(DECISIONS), reason: Type.Optional(Words(REASONS)) },
      'What Enforce would have decided.',
    ),
  },
  { description: 'What must come out; what is left out is not looked at.' },
)

/** Facts that a case can take back from the defaults. */
export const TAKEN_BACK = [
  'caller',
  'via',
  'serviceToken',
  'user',
  'device',
  'session',
  'risk',
  'place',
  'grants',
] as const

const CaseSchema = Fields({
  name: RuleNameSchema,
  ...FACTS,
  without: Type.Optional(
    Type.Array(Words(TAKEN_BACK), { description: 'Defaults that do not hold for this case.' }),
  ),
  expect: ExpectSchema,
})

/** A file of cases for `portcullis test`. */
export const PolicyTestSchema = Fields({
  apiVersion: ApiVersionSchema,
  kind: Words(['PolicyTest'], { description: 'Calls and what must be decided on them.' }),
  metadata: Fields({ name: RuleNameSchema }),
  spec: Fields({
    defaults: Type.Optional(Fields(FACTS, { description: 'Facts of every case that says nothing else.' })),
    cases: Type.Array(CaseSchema, { minItems: 1 }),
  }),
})

export type PolicyTest = Static<typeof PolicyTestSchema>
export type CaseFacts = NonNullable<PolicyTest['spec']['defaults']>
export type WrittenCase = PolicyTest['spec']['cases'][number]
export type Expected = WrittenCase['expect']
