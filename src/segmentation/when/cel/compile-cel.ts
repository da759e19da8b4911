import { celError, type CelInput, plan } from '@bufbuild/cel'
import type { Facts } from '../../facts.js'
import type { Predicate } from '../conjunction.js'
import type { ConditionScope } from '../schema.js'
import { CelChecker } from './check.js'
import { ENVIRONMENT } from './functions.js'
import { areStepsSpent, beginSteps } from './steps.js'
import { parseCel } from './syntax.js'
import type { Variable } from './variable.js'

/** Made once: an error is a stack. */
const ABSENT = celError('absent, or not to be read in one way')

/**
 * Compiles an expression, at load. Evaluated, it is undefined where it is neither true nor false: a value that is
 * absent or of another type, lists or work beyond the limits. Only what it comes to look at is read.
 */
export function compileCel(
  text: string,
  scope: ConditionScope,
  report: (message: string, code: string) => void,
): Predicate {
  const parsed = parseCel(text)
  if (!parsed.ok) {
    report(parsed.problem, 'condition-cel')
    return () => undefined
  }
  let sound = true
  const checker = new CelChecker(scope, (at, message, code) => {
    sound = false
    const offset = parsed.offsetOf(at) ?? 0
    report(offset === 0 ? message : `${message} (from character ${offset + 1})`, code)
  })
  const { expr, kind } = checker.check(parsed.expr)
  if (sound && kind !== 'bool' && kind !== 'dyn') {
    sound = false
    report('the expression is not true or false', 'condition-cel')
  }
  if (!sound) return () => undefined
  const evaluate = plan(ENVIRONMENT, expr)
  const { bindings, look } = bind([...checker.variables.values()])
  return (facts) => {
    beginSteps()
    look(facts)
    const result = withoutStacks(() => evaluate(bindings))
    look(undefined)
    return typeof result === 'boolean' && !areStepsSpent() ? result : undefined
  }
}

/** The evaluator makes an error of each absent member; with its stack that takes ten times as long. */
function withoutStacks<T>(work: () => T): T {
  const limit = Error.stackTraceLimit
  Error.stackTraceLimit = 0
  try {
    return work()
  } finally {
    Error.stackTraceLimit = limit
  }
}

/** Variables that are read when the evaluator asks for them, of the facts that are looked at. */
function bind(variables: readonly Variable[]) {
  let facts: Facts | undefined
  const bindings: Record<string, CelInput> = Object.create(null)
  for (const { name, read } of variables) {
    Object.defineProperty(bindings, name, { get: () => (facts && read(facts)) ?? ABSENT })
  }
  return { bindings, look: (seen: Facts | undefined) => void (facts = seen) }
}
