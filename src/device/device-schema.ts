import { type Static, Type } from '@sinclair/typebox'
import { Fields } from '../schema/fields.js'
import { DurationSchema } from '../schema/units.js'
import { ApiVersionSchema, ClusterMetadataSchema, oneOrMore, words } from '../segmentation/vocabulary.js'
import { OWNERSHIPS } from './device-report.js'

const points = Type.Optional(Type.Integer({ minimum: 0, maximum: 100, description: '0 switches it off.' }))
const score = (description: string) => Type.Optional(Type.Integer({ minimum: 0, maximum: 100, description }))
const obligations = Type.Optional(
  Type.Array(
    Type.String({
      pattern: '^[a-z0-9]+(?:-[a-z0-9]+)*$',
      maxLength: 64,
      expected: 'kebab-case, such as no-download',
    }),
    { maxItems: 16, description: 'What the target must hold to; sent with the request.' },
  ),
)

const MatchSchema = Fields(
  {
    managed: Type.Optional(
      Type.Boolean({ description: 'By the inventory; a device it does not know is not managed.' }),
    ),
    ownership: Type.Optional(
      words(OWNERSHIPS, 'A managed device is Corporate where the inventory does not say.'),
    ),
  },
  {
    minProperties: 1,
    description:
      'Which devices, by all of the fields; default: those of the built-in tier of that name, else all.',
  },
)

const PostureSchema = Fields(
  {
    points: Type.Optional(
      Fields(
        {
          unmanaged: points,
          osNotPatched: points,
          diskNotEncrypted: points,
          firewallOff: points,
          antivirusOff: points,
          jailbroken: points,
          notSeen: points,
          notCompliant: points,
        },
        { description: 'Added up, 100 at most.' },
      ),
    ),
    externalRisk: Type.Optional(
      Fields(
        {
          low: score('What the level LOW that somebody else tells counts as.'),
          medium: score('The same of MEDIUM.'),
          high: score('The same of HIGH.'),
        },
        { description: 'The score is the sum of the points or this, whichever is higher.' },
      ),
    ),
    notSeenAfter: Type.Optional(DurationSchema),
    readOnlyAbove: score('A higher score neither writes nor downloads.'),
    denyAbove: score('A higher score has no part in targets of high sensitivity.'),
    obligations,
  },
  { minProperties: 1, description: 'Points and thresholds; what is left out keeps its built-in number.' },
)

/** Classes of devices and what each may, and how posture counts. Source: FORMATS 1, REQUIREMENTS D1 to D3. */
export const DevicePolicySchema = Type.Object(
  {
    apiVersion: ApiVersionSchema,
    kind: words(['DevicePolicy'], 'A class of devices and what it may; points of posture.'),
    metadata: ClusterMetadataSchema,
    spec: Fields({
      tier: Type.Optional(
        Type.String({
          pattern: '^[a-z0-9]+(?:-[a-z0-9]+)*$',
          maxLength: 64,
          description:
            'Name of the class: managed-corporate, managed-personal, unmanaged, or one of your own.',
          expected: 'kebab-case, such as managed-personal',
        }),
      ),
      match: Type.Optional(MatchSchema),
      services: Type.Optional(oneOrMore('Targets as namespace/name; default all.')),
      data: Type.Optional(
        oneOrMore(
          'DataPolicies; default all. Once there are some, an endpoint without one is not among them.',
        ),
      ),
      mfa: Type.Optional(
        words(['None', 'RiskBased', 'Required'], 'Multi-factor authentication of the user; default None.'),
      ),
      session: Type.Optional(
        Fields(
          { maxDuration: Type.Optional(DurationSchema), idleTimeout: Type.Optional(DurationSchema) },
          {
            minProperties: 1,
            description:
              'Shorter limits than the AdaptivePolicy has; a built-in tier keeps its `maxDuration`.',
          },
        ),
      ),
      operations: Type.Optional(
        Type.Array(words(['Read', 'Write', 'Download'], 'What a call does.'), {
          minItems: 1,
          description: 'Default all.',
        }),
      ),
      obligations,
      posture: Type.Optional(PostureSchema),
    }),
  },
  { additionalProperties: false },
)
export type DevicePolicyDocument = Static<typeof DevicePolicySchema>
