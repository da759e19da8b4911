import type { Pointer } from '../../schema/problem.js'
import type { Facts } from '../facts.js'
import { compileCel } from './cel/compile-cel.js'
import { conjunction, type Predicate } from './conjunction.js'
import { compileKey } from './key.js'
import { ALL, compileOperators } from './operators.js'
import type { Condition, ConditionScope, Fault } from './schema.js'

export { costOf, keysOf } from './cel/look.js'
export { type Condition, ConditionSchema, type ConditionScope, type KeyCondition } from './schema.js'

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
    conditions.map((condition, index) => {
      const fault: Fault = (field, message, code) => report([...at, index, field], message, code)
      return compileCondition(condition, scope, fault, (message) => {
        report([...at, index], message, 'missing-field')
      })
    }),
  )
}

function compileCondition(
  condition: Condition,
  scope: ConditionScope,
  fault: Fault,
  missing: (message: string) => void,
): Predicate {
  const { key: written, cel } = condition
  if (cel !== undefined) {
    if (written !== undefined)
      fault('key', 'a condition has a `key` or `cel`, not both', 'condition-operator')
    for (const operator of [...ALL, 'zone'] as const) {
      if (condition[operator] !== undefined)
        fault(operator, `\`${operator}\` belongs to a \`key\`; write it into \`cel\``, 'condition-operator')
    }
    return compileCel(cel, scope, (message, code) => fault('cel', message, code))
  }
  if (written === undefined) {
    missing('a condition needs a `key` or `cel`')
    return () => undefined
  }
  const key = compileKey(written, scope, fault)
  return key ? compileOperators({ ...condition, key: written }, key, fault) : () => undefined
}
