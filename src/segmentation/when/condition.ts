import type { Pointer } from '../../schema/problem.js'
import type { Facts } from '../facts.js'
import { conjunction } from './conjunction.js'
import { compileKey } from './key.js'
import { compileOperators } from './operators.js'
import type { Condition, ConditionScope, Fault } from './schema.js'

export { type Condition, ConditionSchema, type ConditionScope } from './schema.js'

/**
 * Whether all conditions hold: undefined where one can't be evaluated and none is false. Undefined makes a
 * permit not match and a forbid match. The order of the conditions changes nothing.
 */
export type CompiledConditions = (facts: Facts) => boolean | undefined

/** Takes what is wrong, with its place and a stable code. */
export type Report = (pointer: Pointer, message: string, code: string) => void

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
