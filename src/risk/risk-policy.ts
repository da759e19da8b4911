import { type Static, Type } from '@sinclair/typebox'
import { DurationSchema } from '../schema/units.js'
import { ApiVersionSchema, ClusterMetadataSchema, words } from '../segmentation/vocabulary.js'
import type { FailedAttempts } from './factors/failed-attempts.js'
import type { Tier } from './tiers.js'

const points = Type.Optional(
  Type.Integer({ minimum: 0, maximum: 100, description: 'Of 100; 0 switches the factor off.' }),
)
const score = (description: string) => Type.Optional(Type.Integer({ minimum: 0, maximum: 100, description }))
const group = <T extends Parameters<typeof Type.Object>[0]>(fields: T, description: string) =>
  Type.Optional(Type.Object(fields, { additionalProperties: false, description }))
const tiers = Type.Optional(
  Type.Array(
    Type.Object(
      {
        above: Type.Integer({ minimum: 0, maximum: 1_000_000, description: 'More than so many.' }),
        points: Type.Integer({ minimum: 0, maximum: 100 }),
      },
      { additionalProperties: false },
    ),
    { minItems: 1, maxItems: 16, description: 'In rising order; the highest one passed counts.' },
  ),
)
const timeOfDay = Type.Optional(
  Type.String({ pattern: '^([01][0-9]|2[0-3]):[0-5][0-9]$', expected: 'a time of day such as 06:00' }),
)

/** What makes a call risky, and from where on something is done about it. Source: FORMATS 1, REQUIREMENTS R1 to R5. */
export const RiskPolicySchema = Type.Object(
  {
    apiVersion: ApiVersionSchema,
    kind: words(['RiskPolicy'], 'Factors of risk, their points, and thresholds.'),
    metadata: ClusterMetadataSchema,
    spec: Type.Object(
      {
        factors: group(
          {
            impossibleTravel: group(
              { points, maxSpeedKmh: Type.Optional(Type.Integer({ minimum: 1, maximum: 100_000 })) },
              'Calls from places that nobody gets between in that time.',
            ),
            unusualTime: group(
              { points, from: timeOfDay, to: timeOfDay },
              "Outside the usual hours in the user's own time zone.",
            ),
            failedAttempts: group(
              { tiers, window: Type.Optional(DurationSchema) },
              'Refused or failed calls.',
            ),
            sensitiveAccess: group(
              {
                points,
                paths: Type.Optional(
                  Type.Array(
                    Type.String({
                      pattern: '^/[^*]*(?:/\\*\\*)?$',
                      expected: 'a path such as /api/export, or /api/admin/** with all below it',
                    }),
                    { maxItems: 256, description: 'Compared without case and trailing slash.' },
                  ),
                ),
              },
              'Calls to sensitive paths, and to endpoints of high sensitivity.',
            ),
            anomalousBehaviour: group({ points }, 'A user agent never seen before for this user.'),
            newDevice: group({ points }, 'A device never seen before for this user.'),
            maliciousIp: group({ points }, 'An address on a threat list.'),
            dataVolume: group(
              { points, times: Type.Optional(Type.Integer({ minimum: 2, maximum: 10_000 })) },
              "An hour of so many times the subject's own baseline of response bytes.",
            ),
            lateralMovement: group(
              { tiers, window: Type.Optional(DurationSchema) },
              'One workload refused by many targets.',
            ),
            fanOut: group(
              {
                points,
                targets: Type.Optional(Type.Integer({ minimum: 1, maximum: 24 })),
                window: Type.Optional(DurationSchema),
              },
              'One workload that asks for more targets than this.',
            ),
            tokenReplay: group({ points }, 'A one-time token that comes again.'),
            devicePosture: group({ tiers }, "A posture score of the user's device above these."),
          },
          'Points of each factor.',
        ),
        expireAfter: Type.Optional(
          Type.String({ ...DurationSchema, description: 'How long an event counts after it happened.' }),
        ),
        signals: group(
          {
            mediumFrom: Type.Optional(Type.Integer({ minimum: 1, maximum: 100 })),
            highFrom: Type.Optional(Type.Integer({ minimum: 1, maximum: 100 })),
            leastPoints: score('Events of fewer points are no signals.'),
          },
          'Events that count at once and that no later authentication answered: from how many on a user needs MFA, and is refused.',
        ),
        session: group(
          {
            stepUpAbove: score("A user's computed score above it asks for another authentication."),
            terminateAbove: score('Above it the session is ended on every replica.'),
          },
          'What becomes of a session.',
        ),
        workload: group(
          {
            denyAbove: score("A workload's score above it refuses its calls."),
            quarantineAbove: score('Above it the workload is refused everywhere for a time.'),
            quarantineFor: Type.Optional(DurationSchema),
          },
          'What becomes of a workload.',
        ),
        external: group(
          {
            low: score('What the level LOW that an issuer tells counts as.'),
            medium: score('The same of MEDIUM.'),
            high: score('The same of HIGH.'),
            expireAfter: Type.Optional(
              Type.String({ ...DurationSchema, description: 'How long a level counts after it was told.' }),
            ),
          },
          'Levels of risk that shared signals or an admin tell.',
        ),
        alerts: group(
          {
            mediumAbove: score('An alert of severity MEDIUM.'),
            highAbove: score('An alert of severity HIGH.'),
            window: Type.Optional(DurationSchema),
          },
          'Alerts, one for a subject and severity within the window.',
        ),
      },
      { additionalProperties: false },
    ),
  },
  { additionalProperties: false },
)
export type RiskPolicyDocument = Static<typeof RiskPolicySchema>

/** Scores of the levels that others tell, and how long one counts. */
export type ExternalLevels = {
  readonly points: { readonly low: number; readonly medium: number; readonly high: number }
  readonly expireAfterMs: number
}

/** Compiled: every number there, durations in milliseconds. */
export type RiskPolicy = {
  readonly impossibleTravel: { readonly points: number; readonly maxSpeedKmh: number }
  readonly unusualTime: { readonly points: number; readonly fromMinute: number; readonly toMinute: number }
  readonly failedAttempts: FailedAttempts
  readonly sensitiveAccess: { readonly points: number; readonly isSensitive: (path: string) => boolean }
  readonly anomalousBehaviour: { readonly points: number }
  readonly newDevice: { readonly points: number }
  readonly maliciousIp: { readonly points: number }
  readonly dataVolume: { readonly points: number; readonly times: number }
  readonly lateralMovement: { readonly tiers: readonly Tier[]; readonly windowMs: number }
  readonly fanOut: { readonly points: number; readonly targets: number; readonly windowMs: number }
  readonly tokenReplay: { readonly points: number }
  readonly devicePosture: { readonly tiers: readonly Tier[] }
  readonly expireAfterMs: number
  readonly signals: {
    readonly mediumFrom: number
    readonly highFrom: number
    readonly leastPoints: number
  }
  readonly session: { readonly stepUpAbove: number; readonly terminateAbove: number }
  readonly workload: {
    readonly denyAbove: number
    readonly quarantineAbove: number
    readonly quarantineForMs: number
  }
  readonly external: ExternalLevels
  readonly alerts: { readonly mediumAbove: number; readonly highAbove: number; readonly windowMs: number }
}
