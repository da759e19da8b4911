import { Type, type Static } from '@sinclair/typebox'
import type { Facts } from '../facts.js'

/** Longest expression, in UTF-8. */
export const MAX_CEL_BYTES = 4096

/**
 * One condition of `when`: an expression, or a key and what must hold of its value; several operators in one condition all hold.
 * Which operators a key takes is checked at load, by the key's kind. Source: FORMATS 1 "`when` keys".
 */
export const ConditionSchema = Type.Object(
  {
    key: Type.Optional(
      Type.String({
        minLength: 1,
        maxLength: 512,
        description: 'What is looked at, for example user.roles',
      }),
    ),
    cel: Type.Optional(
      Type.String({
        minLength: 1,
        maxLength: MAX_CEL_BYTES,
        description:
          'Instead of a key: an expression over the same names, for example user.mfa && time.hour < 18',
      }),
    ),
    values: Type.Optional(
      Type.Array(Type.String(), { minItems: 1, description: 'One must match: exact, prefix* or *suffix' }),
    ),
    notValues: Type.Optional(
      Type.Array(Type.String(), { minItems: 1, description: 'None may match: exact, prefix* or *suffix' }),
    ),
    is: Type.Optional(Type.Boolean({ description: 'For keys that are true or false' })),
    above: Type.Optional(Type.Number({ description: 'Greater than' })),
    below: Type.Optional(Type.Number({ description: 'Less than' })),
    atLeast: Type.Optional(Type.Number()),
    atMost: Type.Optional(Type.Number()),
    between: Type.Optional(
      Type.Array(Type.String(), {
        minItems: 2,
        maxItems: 2,
        description:
          'From and to; may wrap, as ["22:00", "06:00"] does. The end is left out for time.ofDay alone',
      }),
    ),
    zone: Type.Optional(Type.String({ description: 'IANA time zone of a time.* key; default UTC' })),
    present: Type.Optional(Type.Boolean({ description: 'Whether there is a value at all' })),
    cidr: Type.Optional(
      Type.Array(Type.String(), { minItems: 1, description: 'Address ranges, one of which must contain it' }),
    ),
  },
  { additionalProperties: false },
)
export type Condition = Static<typeof ConditionSchema>
/** A condition without an expression. */
export type KeyCondition = Condition & { readonly key: string }

/** Where conditions are written. */
export type ConditionScope = {
  /** Namespace of the writing document, that bare service names stand in; undefined in cluster-wide kinds. */
  readonly namespace: string | undefined
  /** A workload of another trust domain is in no namespace. Source: FORMATS 1, rule 5. */
  readonly localTrustDomain: string
  /** Whether the configuration has a source of places, which `client.country` needs. */
  readonly hasPlaces: boolean
  /** Whether an inventory of devices is kept, which `device.managed`, `device.tier` and `device.risk` need. */
  readonly hasDevices: boolean
  /** Of which keys a condition says nothing for such facts; `present` can't be evaluated of them then. */
  readonly saysNothing?: ((key: string, facts: Facts) => boolean) | undefined
}

/** Takes what is wrong with one condition: the field, what to say of it, and a stable code. */
export type Fault = (field: keyof Condition, message: string, code: string) => void
