import type { Static } from '@sinclair/typebox'
import type { Pointer } from '../schema/problem.js'
import type { Report } from './compile-problem.js'
import type { SelectorSchema } from './vocabulary.js'

/** Whether a service's labels are the ones meant. */
export type Selector = (labels: ReadonlyMap<string, string>) => boolean

/** Compiles a label selector; `In`, `NotIn`, `Exists` and `DoesNotExist` mean what they mean in Kubernetes. */
export function compileSelector(
  written: Static<typeof SelectorSchema>,
  at: Pointer,
  report: Report,
): Selector {
  const wanted = Object.entries(written.matchLabels ?? {})
  const expressions = written.matchExpressions ?? []
  if (wanted.length === 0 && expressions.length === 0) {
    report(at, 'an empty selector says nothing: name a label or leave the selector out', 'empty-selector')
  }
  for (const [index, { operator, values = [] }] of expressions.entries()) {
    const needsValues = operator === 'In' || operator === 'NotIn'
    if (needsValues === values.length > 0) continue
    const message = needsValues ? `${operator} needs values` : `${operator} takes no values`
    report([...at, 'matchExpressions', index], message, 'selector-values')
  }
  return (labels) =>
    wanted.every(([key, value]) => labels.get(key) === value) &&
    expressions.every(({ key, operator, values = [] }) => {
      const value = labels.get(key)
      if (operator === 'Exists') return value !== undefined
      if (operator === 'DoesNotExist') return value === undefined
      return (value !== undefined && values.includes(value)) === (operator === 'In')
    })
}
