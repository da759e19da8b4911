import { type Static, Type } from '@sinclair/typebox'
import { forbidSchema, permitSchema } from './rule-schema.js'
import {
  ApiVersionSchema,
  ModeSchema,
  NamespacedMetadataSchema,
  oneOrMore,
  RequirementSchema,
  RuleNameSchema,
  SensitivitySchema,
  ToEndpointsSchema,
  words,
} from './vocabulary.js'
import { DurationSchema } from '../schema/units.js'

const RouteSchema = Type.Object(
  {
    host: Type.String({ minLength: 1, maxLength: 253, description: 'Host name without port, lower-case.' }),
    pathPrefix: Type.Optional(Type.String({ description: 'Whole segments; default `/`. The longest wins.' })),
    stripPrefix: Type.Optional(Type.String({ description: 'Taken off before endpoints are matched.' })),
  },
  { additionalProperties: false },
)

const CallSchema = Type.Object(
  {
    service: Type.String({ minLength: 1, description: 'A name of the same namespace, or namespace/name.' }),
    endpoints: Type.Optional(oneOrMore('Only these endpoints of it.')),
  },
  { additionalProperties: false },
)

const EndpointSchema = Type.Object(
  {
    name: RuleNameSchema,
    paths: Type.Optional(oneOrMore('Path templates: {id} is one segment, a last /** zero or more.')),
    methods: Type.Optional(oneOrMore('HTTP methods, exact: GET implies neither HEAD nor OPTIONS.')),
    grpc: Type.Optional(oneOrMore('gRPC methods as package.Service/Method or package.Service/*.')),
    protocol: Type.Optional(words(['HTTP', 'WebSocket', 'TCP'], 'Default HTTP, gRPC included.')),
    ports: Type.Optional(
      Type.Array(Type.Integer({ minimum: 1, maximum: 65535 }), {
        minItems: 1,
        description: 'Destination ports; for TCP required.',
      }),
    ),
    mode: Type.Optional(ModeSchema),
    require: Type.Optional(RequirementSchema),
    sensitivity: Type.Optional(SensitivitySchema),
    workloadScopes: Type.Optional(Type.Array(Type.String(), { description: 'The workload must hold all.' })),
    userScopes: Type.Optional(Type.Array(Type.String(), { description: 'The user must hold all.' })),
    dataPolicy: Type.Optional(Type.String({ minLength: 1, description: 'Name of a DataPolicy.' })),
    operation: Type.Optional(words(['Read', 'Write', 'Download'], 'Default by method.')),
    mfa: Type.Optional(words(['None', 'RiskBased', 'Required'], 'Multi-factor authentication of the user.')),
    maxAuthAge: Type.Optional(DurationSchema),
  },
  { additionalProperties: false },
)

const TO_WHAT = 'Default: every endpoint.'

/** One workload: what it calls, what it exposes, who may. Source: FORMATS 1. */
export const ServicePolicySchema = Type.Object(
  {
    apiVersion: ApiVersionSchema,
    kind: words(['ServicePolicy'], 'One workload, what it calls, what it exposes.'),
    metadata: NamespacedMetadataSchema,
    spec: Type.Object(
      {
        serviceAccounts: Type.Optional(
          Type.Array(Type.String({ minLength: 1 }), { description: 'Default: the name of this document.' }),
        ),
        identities: Type.Optional(
          Type.Array(Type.String(), {
            description: 'Other SPIFFE IDs; `*` stands for one whole path segment.',
          }),
        ),
        routes: Type.Optional(Type.Array(RouteSchema, { description: 'How Gateway listeners find it.' })),
        mode: Type.Optional(ModeSchema),
        require: Type.Optional(RequirementSchema),
        sensitivity: Type.Optional(SensitivitySchema),
        calls: Type.Optional(
          Type.Array(CallSchema, { description: "The caller's half; without it: nobody." }),
        ),
        endpoints: Type.Optional(Type.Array(EndpointSchema, { description: "The target's half." })),
        rules: Type.Optional(
          Type.Array(permitSchema(ToEndpointsSchema, TO_WHAT), {
            description: 'Once there is one, a call must match one.',
          }),
        ),
        forbid: Type.Optional(
          Type.Array(forbidSchema(ToEndpointsSchema, TO_WHAT), { description: 'Wins over everything.' }),
        ),
      },
      { additionalProperties: false },
    ),
  },
  { additionalProperties: false },
)

export type ServicePolicy = Static<typeof ServicePolicySchema>
