import { type TSchema, Type } from '@sinclair/typebox'
import { FromSchema, ModeSchema, RuleNameSchema } from './vocabulary.js'
import { ConditionSchema } from './when/condition.js'

const WHEN = Type.Optional(Type.Array(ConditionSchema, { description: 'All must hold.' }))

/** A rule that lets callers in; `to` differs between a service's document and cluster-wide ones. */
export function permitSchema<To extends TSchema>(to: To, whatTo: string) {
  return Type.Object(
    {
      name: RuleNameSchema,
      from: Type.Array(FromSchema, { minItems: 1, description: 'Elements OR.' }),
      to: Type.Optional(Type.Array(to, { minItems: 1, description: whatTo })),
      when: WHEN,
      grantScopes: Type.Optional(
        Type.Array(Type.String(), { description: 'Workload scopes of a caller without a service token.' }),
      ),
    },
    { additionalProperties: false },
  )
}

/** A rule that wins over every permit. */
export function forbidSchema<To extends TSchema>(to: To, whatTo: string) {
  return Type.Object(
    {
      name: RuleNameSchema,
      from: Type.Optional(
        Type.Array(FromSchema, { minItems: 1, description: 'Elements OR; default: everyone.' }),
      ),
      to: Type.Optional(Type.Array(to, { minItems: 1, description: whatTo })),
      when: WHEN,
      message: Type.Optional(
        Type.String({ maxLength: 1024, description: 'Why, for those who read the event.' }),
      ),
      mode: Type.Optional(ModeSchema),
    },
    { additionalProperties: false },
  )
}
