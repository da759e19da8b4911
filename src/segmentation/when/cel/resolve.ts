import { compileKey, keyShape, wholeKey, type Key } from '../key.js'
import type { ConditionScope } from '../schema.js'
import type { Expr } from './syntax.js'

/** A name, and what leads from it: `.member`, or `['member']`. */
export type Path = { readonly root: string; readonly at: Expr; readonly steps: readonly Step[] }
type Step = { readonly name: string; readonly dotted: boolean; readonly expr: Expr }

/** The key that a path names, and the steps that lead on from its value. */
export type Resolved = { readonly key: Key; readonly rest: readonly Step[] }

/** Undefined for anything but a name with members that are written out. */
export function pathOf(expr: Expr): Path | undefined {
  const steps: Step[] = []
  for (let at: Expr | undefined = expr; at;) {
    const { exprKind }: Expr = at
    if (exprKind.case === 'identExpr') {
      return { root: exprKind.value.name.replace(/^\./, ''), at, steps: steps.toReversed() }
    }
    if (exprKind.case === 'selectExpr') {
      if (exprKind.value.testOnly) return undefined
      steps.push({ name: exprKind.value.field, dotted: true, expr: at })
      at = exprKind.value.operand
    } else if (exprKind.case === 'callExpr' && exprKind.value.function === '_[_]') {
      const [operand, index] = exprKind.value.args
      const name = index && textConstant(index)
      if (name === undefined) return undefined
      steps.push({ name, dotted: false, expr: at })
      at = operand
    } else return undefined
  }
  return undefined
}

export function textConstant({ exprKind }: Expr): string | undefined {
  const constant = exprKind.case === 'constExpr' ? exprKind.value.constantKind : undefined
  return constant?.case === 'stringValue' ? constant.value : undefined
}

/** Finds the longest key that the path begins with. What is wrong goes to `fault`, and then there is none. */
export function resolve(
  { root, steps }: Path,
  scope: ConditionScope,
  fault: (message: string, code: string) => void,
): Resolved | undefined {
  const compile = (written: string) => compileKey(written, scope, (_, message, code) => fault(message, code))
  const found = longestKey(root, steps)
  if (!found) {
    const dotted = steps.findIndex((step) => !step.dotted)
    const names = (dotted < 0 ? steps : steps.slice(0, dotted)).map(({ name }) => name)
    compile([root, ...names].join('.'))
    return undefined
  }
  const { base, shape, rest } = found
  if (shape === 'plain') return keep(compile(base), rest)
  const names = rest.map(({ name }) => name)
  const bad = names.find((name) => name === '' || /[[\]]/.test(name))
  if (bad !== undefined) {
    fault(`\`${base}\` has no member '${bad}'`, 'condition-key')
    return undefined
  }
  if (shape === 'deep')
    return keep(names.length === 0 ? wholeKey(base, scope) : compile(bracketed(base, names)), [])
  return keep(compile(bracketed(base, names.slice(0, 1))), rest.slice(1))
}

function longestKey(root: string, steps: readonly Step[]) {
  for (let length = Math.min(steps.length, 3); length >= 0; length -= 1) {
    const taken = steps.slice(0, length)
    if (!taken.every(({ dotted }) => dotted)) continue
    const base = [root, ...taken.map(({ name }) => name)].join('.')
    const shape = keyShape(base)
    if (shape !== undefined) return { base, shape, rest: steps.slice(length) }
  }
  return undefined
}

const bracketed = (base: string, names: readonly string[]): string =>
  base + names.map((name) => `[${name}]`).join('')

function keep(key: Key | undefined, rest: readonly Step[]): Resolved | undefined {
  return key && { key, rest }
}
