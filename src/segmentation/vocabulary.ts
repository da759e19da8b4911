import { type TUnsafe, Type } from '@sinclair/typebox'
import { MODES } from '../decision/mode.js'

/** One of a closed list of words; a plain `enum`, because structural schemas know no unions. */
export function words<const W extends readonly string[]>(list: W, description: string): TUnsafe<W[number]> {
  return Type.Unsafe<W[number]>({ type: 'string', enum: [...list], description })
}

/** A list that says something: an empty one would read as "none" to some and as "all" to others. */
export function oneOrMore(description: string) {
  return Type.Array(Type.String(), { minItems: 1, description })
}

/** A switch that can only be turned on; leaving it out turns it off. */
const On = (description: string) => Type.Unsafe<true>({ type: 'boolean', enum: [true], description })

export const API_VERSION = 'portcullis.dev/v1beta1'
export const REQUIREMENTS = ['Workload', 'User', 'Both', 'Any', 'None'] as const
export const SENSITIVITIES = ['Low', 'Medium', 'High'] as const

export const ModeSchema = words(MODES, 'Enforce refuses; Shadow computes and records; Observe only records.')
export const RequirementSchema = words(REQUIREMENTS, 'Which verified identities a call must carry.')
export const SensitivitySchema = words(SENSITIVITIES, 'How much harm a wrong call does.')
export const ApiVersionSchema = words([API_VERSION], 'Version of this format.')
export const RuleNameSchema = Type.String({
  minLength: 1,
  maxLength: 253,
  description: 'Unique within its list; recorded with every decision.',
})
const LabelsSchema = Type.Record(Type.String(), Type.String())

export const NamespacedMetadataSchema = Type.Object(
  {
    name: Type.String({ pattern: '^[a-z0-9]([-.a-z0-9]*[a-z0-9])?$', maxLength: 253 }),
    namespace: Type.Optional(
      Type.String({
        pattern: '^[a-z0-9]([-a-z0-9]*[a-z0-9])?$',
        maxLength: 63,
        description: 'Default `default`.',
      }),
    ),
    labels: Type.Optional(LabelsSchema),
    annotations: Type.Optional(LabelsSchema),
  },
  { additionalProperties: false },
)

export const ClusterMetadataSchema = Type.Object(
  {
    name: Type.String({
      pattern: '^[a-z0-9]([-.a-z0-9]*[a-z0-9])?$',
      maxLength: 253,
      description: '`default` replaces the built-in document; others add to it.',
    }),
    labels: Type.Optional(LabelsSchema),
    annotations: Type.Optional(LabelsSchema),
  },
  { additionalProperties: false },
)

export const SelectorSchema = Type.Object(
  {
    matchLabels: Type.Optional(LabelsSchema),
    matchExpressions: Type.Optional(
      Type.Array(
        Type.Object(
          {
            key: Type.String({ minLength: 1 }),
            operator: words(['In', 'NotIn', 'Exists', 'DoesNotExist'], 'As in Kubernetes.'),
            values: Type.Optional(Type.Array(Type.String())),
          },
          { additionalProperties: false },
        ),
        { minItems: 1 },
      ),
    ),
  },
  { additionalProperties: false, description: 'Labels of a ServicePolicy; all must hold.' },
)

/** Who: the fields of one element AND, the values of one field OR. */
export const FromSchema = Type.Object(
  {
    services: Type.Optional(
      oneOrMore('Names of services; a bare name means the namespace of this document.'),
    ),
    identities: Type.Optional(oneOrMore('SPIFFE IDs; `*` stands for one whole path segment.')),
    namespaces: Type.Optional(oneOrMore('Namespaces of the calling service.')),
    notNamespaces: Type.Optional(oneOrMore('Namespaces that the calling service must not be in.')),
    trustDomains: Type.Optional(oneOrMore('Trust domains of the calling workload.')),
    selector: Type.Optional(SelectorSchema),
    users: Type.Optional(On('A verified user must be there.')),
    any: Type.Optional(On('Anyone, without any identity too.')),
  },
  { additionalProperties: false },
)

/** Which endpoints of the document's own service. */
export const ToEndpointsSchema = Type.Object(
  { endpoints: oneOrMore('Names of endpoints of this document.') },
  { additionalProperties: false },
)

/** Which requests to which services, in cluster-wide kinds: fields AND, values OR. */
export const ToTargetsSchema = Type.Object(
  {
    services: Type.Optional(oneOrMore('Services as namespace/name.')),
    namespaces: Type.Optional(oneOrMore('Namespaces of the target.')),
    selector: Type.Optional(SelectorSchema),
    paths: Type.Optional(oneOrMore('Path templates: {id} is one segment, a last /** zero or more.')),
    methods: Type.Optional(oneOrMore('HTTP methods, exact.')),
    grpc: Type.Optional(oneOrMore('gRPC methods as package.Service/Method or package.Service/*.')),
    ports: Type.Optional(Type.Array(Type.Integer({ minimum: 1, maximum: 65535 }), { minItems: 1 })),
  },
  { additionalProperties: false },
)
