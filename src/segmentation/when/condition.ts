import { Type, type Static } from '@sinclair/typebox'
import type { Pointer } from '../../schema/problem.js'
import type { Facts } from '../facts.js'
import { conjunction } from './conjunction.js'
import { compileKey } from './key.js'
import { compileOperators } from './operators.js'

/**
 * One condition of `when`: a key and what must hold of its value; several operators in one condition all hold.
 * Which operators a key takes is checked at load, by the key's kind. Source: FORMATS 1 "`when` keys".
 */
export const ConditionSchema = Type.Object(
  {
    key: Type.String({
      minLength: 1,
      maxLength: 512,
      description: 'What is looked at, for example user.roles',
    }),
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

/**
 * Whether all conditions hold: undefined where one can't be evaluated and none is false. Undefined makes a
 * permit not match and a forbid match. The order of the conditions changes nothing.
 */
export type CompiledConditions = (facts: Facts) => boolean | undefined

/** Where conditions are written. */
export type ConditionScope = {
  /** Namespace of the writing document, that bare service names stand in; undefined in cluster-wide kinds. */
  readonly namespace: string | undefined
  /** A workload of another trust domain is in no namespace. Source: FORMATS 1, rule 5. */
  readonly localTrustDomain: string
}

/** Takes what is wrong, with its place and a stable code. */
export type Report = (pointer: Pointer, message: string, code: string) => void

/** The same within one condition: the field that is wrong. */
export type Fault = (field: keyof Condition, message: string, code: string) => void

/**
 * Compiles `when` once, at load. `at` points to the list itself. Everything wrong is reported; the result
 * of a list with a fault is never evaluated, as such a policy is refused whole.
 */
export function compileConditions(
  conditions: readonly Condition[],
  at: Pointer,
  report: Report,
  scope: ConditionScope,
): CompiledConditions {
  return conjunction(
    conditions.map((condition, index): CompiledConditions => {
      const fault: Fault = (field, message, code) => report([...at, index, field], message, code)
      const key = compileKey(condition.key, scope, fault)
      return key ? compileOperators(condition, key, fault) : () => undefined
    }),
  )
}
